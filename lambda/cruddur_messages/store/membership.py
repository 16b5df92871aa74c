"""Who is in a conversation: the check, joining, and leaving.

A conversation of two stays theirs. Whoever leaves a group has no row, and a member item that says so. A join or a leave
changes both in one transaction, on condition that the member item is as it was before the call's first attempt: so a
lost response, a late retry or two at once end in one state, and the later of a join and a leave is not undone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cruddur_messages import member_item, schema, timestamps
from cruddur_messages.dynamodb import CONDITION_FAILED, delete_read, put_new, reasons
from cruddur_messages.items import ERASED, GROUP_MARK, MESSAGE_UUID, GroupRow, User
from cruddur_messages.store import errors
from cruddur_messages.store.access import Access
from cruddur_messages.store.values import Conversation

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MOST_SENDERS = 100
"""How many of the newest messages are searched for somebody whom a new row can name."""


def require_member(access: Access, message_group_uuid: str, user_uuid: str) -> None:
    """Raise NotAMemberError unless the user has a group row of the conversation, and has not left it."""
    # First the member item: the index may still show the row of a person who has left.
    is_member = schema.LEFT_AT not in access.member_item(message_group_uuid, user_uuid) and (
        user_uuid in (row.member_uuid for row in access.rows(message_group_uuid))
        or any(access.rows_of(message_group_uuid, user_uuid))
    )
    if not is_member:
        raise errors.NotAMemberError(user_uuid, message_group_uuid)


def join(
    access: Access,
    message_group_uuid: str,
    member: User,
    *,
    asked_by: str | None = None,
    pair_with: User | None = None,
) -> Conversation:
    """Add a person to a group, or again to the conversation with one other; an existing member keeps their row."""
    read = access.member_item(message_group_uuid, member.uuid)
    instant: datetime | None = None
    attempts = access.attempts()
    while True:
        row = next(access.rows_of(message_group_uuid, member.uuid), None)
        if row is not None and schema.LEFT_AT not in read:
            return Conversation.from_attributes(row.attributes)
        rows = list(access.rows(message_group_uuid))
        if not rows and asked_by is not None:
            rows = list(access.rows_of(message_group_uuid, asked_by))
        if pair_with is None:
            _require_group(access, message_group_uuid, rows, asked_by)
        if row is None:
            row = _new_row(access, message_group_uuid, member, rows, instant, pair_with)
            put = put_new(access.table_name, row.attributes)
        else:
            put = _put_again(access, row)
        noted = member_item.joining(access.table_name, read, at=timestamps.canonical(access.clock()))
        try:
            access.client.transact_write_items(TransactItems=[noted, put])
        except ClientError as error:
            if reasons(error)[0] != CONDITION_FAILED:
                attempts.wait_after(error)
                taken = timestamps.parse(row.sort_key) if CONDITION_FAILED in reasons(error) else None
                instant = taken + timestamps.MICROSECOND if taken else None
                continue
            # Joined already, by a lost attempt or by somebody else. Who has left since stays out.
            row = next(access.rows_of(message_group_uuid, member.uuid), row)
        return Conversation.from_attributes(row.attributes)


def leave(access: Access, message_group_uuid: str, user_uuid: str) -> None:
    """Delete a person's rows of a group and note that they left; who has left already stays out."""
    read = access.member_item(message_group_uuid, user_uuid)
    attempts = access.attempts()
    while True:
        rows = list(access.rows_of(message_group_uuid, user_uuid))
        if not rows:
            if schema.LEFT_AT in access.member_item(message_group_uuid, user_uuid):
                return
            raise errors.NotAMemberError(user_uuid, message_group_uuid)
        if not _is_open(access, rows):
            raise errors.PairConversationError(message_group_uuid)
        # A row of another conversation may have come to the key.
        deletes = [delete_read(access.table_name, row.attributes, schema.INDEX_PARTITION_KEY) for row in rows]
        noted = member_item.leaving(access.table_name, read, at=timestamps.canonical(access.clock()))
        try:
            access.client.transact_write_items(TransactItems=[noted, *deletes])
        except ClientError as error:
            if reasons(error)[0] == CONDITION_FAILED:
                return  # left already, as above; who was added since stays in
            attempts.wait_after(error)
        else:
            return


def _require_group(access: Access, message_group_uuid: str, rows: Iterable[GroupRow], asked_by: str | None) -> None:
    """Raise NoSuchConversationError or PairConversationError.

    The mark of a row never goes away, so the lagging index may show it. That it shows none proves nothing.
    """
    owners = {row.member_uuid for row in rows}
    if not owners:
        raise errors.NoSuchConversationError(message_group_uuid)
    if any(row.is_group for row in rows):
        return
    for owner in sorted(owners) if asked_by is None else [asked_by]:
        if _is_open(access, list(access.rows_of(message_group_uuid, owner))):
            return
    raise errors.PairConversationError(message_group_uuid)


def _is_open(access: Access, own: Iterable[GroupRow]) -> bool:
    """Whether members may come and go: in a group, or where the other of two has left the app."""
    return any(row.is_group for row in own) or any(
        row.other_uuid == schema.ERASED or schema.LEFT_AT in access.member_item(row.message_group_uuid, row.other_uuid)
        for row in own
        if row.other_uuid
    )


def _put_again(access: Access, row: GroupRow) -> "TransactWriteItemTypeDef":
    """A put of a row that is beside a `left_at`, so that the projection settles it."""
    return {
        "Put": {
            "TableName": access.table_name,
            "Item": {name: value for name, value in row.attributes.items() if name != MESSAGE_UUID} | GROUP_MARK,
            "ConditionExpression": f"{schema.INDEX_PARTITION_KEY} = :group",
            "ExpressionAttributeValues": {":group": {"S": row.message_group_uuid}},
        }
    }


def _new_row(
    access: Access,
    message_group_uuid: str,
    member: User,
    rows: Sequence[GroupRow],
    instant: datetime | None,
    pair_with: User | None,
) -> GroupRow:
    """A new member's row, at the newest message's time, or at `instant` if another row has that key."""
    newest = next(access.messages(message_group_uuid, Limit=2), None)
    if instant is None:
        latest = [newest.instant] if newest else [timestamps.parse(row.sort_key) for row in rows]
        instant = max((known for known in latest if known is not None), default=access.clock())
    sort_key, message = timestamps.canonical(instant), newest.message if newest else ""
    other = pair_with or _other(access, message_group_uuid, member, rows)
    return GroupRow.new(member.uuid, message_group_uuid, sort_key, message, other, is_group=pair_with is None)


def _other(access: Access, message_group_uuid: str, member: User, rows: Sequence[GroupRow]) -> User:
    """Whom a new member's row names: whom most of the rows name, in a group the first member, else a sender.

    It is somebody with a row; else somebody who has not left, whose row the index may not show yet; else the owner of a
    row, whose name is unknown.
    """
    owners = {row.member_uuid for row in rows} - {member.uuid}
    named = Counter(User.from_attributes(row.attributes) for row in rows)
    with_row = [user for user, _ in named.most_common() if user.uuid in owners]
    if with_row:
        return with_row[0]
    newest = islice(access.messages(message_group_uuid, Limit=MOST_SENDERS), MOST_SENDERS)
    senders = [one.sender for one in newest if one.sender.handle]
    for user in sorted(dict.fromkeys([*senders, *named]), key=lambda user: user.uuid not in owners):
        is_known = user.uuid not in ("", schema.ERASED, member.uuid)
        if is_known and schema.LEFT_AT not in access.member_item(message_group_uuid, user.uuid):
            return user
    return User(min(owners), schema.UNKNOWN, schema.UNKNOWN) if owners else ERASED
