"""The limits of what callers give to the store; each check raises a RejectedError."""

from collections.abc import Sequence

from cruddur_messages import schema
from cruddur_messages.dynamodb import MAX_ACTIONS
from cruddur_messages.items import MAX_KEY_BYTES, MAX_MESSAGE_CHARACTERS, UUID, User
from cruddur_messages.store import errors

MAX_PAGE = 1000

MAX_FIRST_MEMBERS = MAX_ACTIONS - 1
"""A transaction has one action for the first message and one per member; a pair has room for its pair item."""

MAX_KEEP_DAYS = 36_500
"""A hundred years: the latest date that Python knows is in the year 9999."""


def check_uuids(**values: object) -> None:
    """Raise InvalidUuidError, which names the first that is not a UUID."""
    for name, value in values.items():
        if not isinstance(value, str) or not UUID.fullmatch(value):
            raise errors.InvalidUuidError(name, value)


def check_message(message: str) -> None:
    """Raise an error unless it can be sent."""
    if not isinstance(message, str) or not message.strip():
        raise errors.MessageBlankError
    if len(message) > MAX_MESSAGE_CHARACTERS:
        raise errors.MessageTooLongError(len(message), MAX_MESSAGE_CHARACTERS)
    if not _is_utf8(message):
        raise errors.MessageNotUtf8Error


def check_page(limit: int, before: str | None) -> None:
    """Raise InvalidLimitError or InvalidCursorError."""
    if not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise errors.InvalidLimitError(limit, MAX_PAGE)
    if before is not None and not may_be_sort_key(before):
        raise errors.InvalidCursorError(before)


def check_members(members: Sequence[User], sender: User) -> None:
    """Raise an error unless these can start a conversation."""
    uuids = [member.uuid for member in members]
    for user_uuid in uuids:
        check_uuids(member=user_uuid)
        if uuids.count(user_uuid) > 1:
            raise errors.RepeatedMemberError(user_uuid)
    if len(uuids) < 2:
        raise errors.TooFewMembersError(len(uuids))
    if len(uuids) > MAX_FIRST_MEMBERS:
        raise errors.TooManyMembersError(len(uuids), MAX_FIRST_MEMBERS)
    if sender.uuid not in uuids:
        raise errors.SenderNotMemberError(sender.uuid)


def check_message_name(message_group_uuid: str, sort_key: object, message_uuid: object) -> None:
    """Raise NoSuchMessageError unless there can be a message of this sort key and id."""
    if not (may_be_sort_key(sort_key) and may_be_sort_key(message_uuid)):
        raise errors.NoSuchMessageError(message_uuid, message_group_uuid)


def may_be_sort_key(text: object) -> bool:
    """Whether DynamoDB takes it as a sort key."""
    return isinstance(text, str) and _is_utf8(text) and 0 < len(text.encode()) <= MAX_KEY_BYTES[schema.SORT_KEY]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
