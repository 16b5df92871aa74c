"""Access patterns A to D: what a backend does with conversations. Pattern E is the projection's.

Pages follow the order of the sort keys in the table. errors.py has the kinds of RejectedError. Errors of DynamoDB
itself (`ClientError`) are not caught.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from botocore.exceptions import ClientError

from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import (
    CONDITION_FAILED,
    MAX_ACTIONS,
    NO_REASON,
    TRANSIENT_CODES,
    backoff,
    partition_query,
    query_items,
    reasons,
    rows_in_index,
)
from cruddur_messages.items import (
    KEY_IS_FREE,
    MAX_MESSAGE_CHARACTERS,
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    UUID,
    AttributeMap,
    GroupRow,
    MalformedItemError,
    Message,
    User,
    key_attributes,
    text_or_empty,
)
from cruddur_messages.store import errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MAX_PAGE = 1000
MESSAGES_ON_A_PAGE = 40
CONVERSATIONS_ON_A_PAGE = 20

MAX_FIRST_MEMBERS = MAX_ACTIONS - 1
"""A transaction has one action for the first message and one per member; a pair has room for its pair item."""

MAX_CURSOR_BYTES = 1024
"""DynamoDB's limit on a sort key (Developer Guide, "Quotas")."""

ATTEMPTS = 10
FIRST_BACKOFF_SECONDS = 0.02
LONGEST_BACKOFF_SECONDS = 1.0

MAX_TAKEN_KEYS = 1000
"""How many microseconds are tried in turn for a message when another message has its key."""


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """A part of a list; `cursor` asks for the next part, and is None on the last."""

    items: tuple[_Item, ...]
    cursor: str | None


@dataclass(frozen=True)
class Conversation:
    """A line of a person's inbox: the newest message, and the other person (in a group: the first other member)."""

    message_group_uuid: str
    last_message_at: str
    message: str
    other: User

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> Self:
        """Read a group row. Raises MalformedItemError if it is malformed."""
        row = GroupRow.from_attributes(attributes)
        return cls(
            message_group_uuid=row.message_group_uuid,
            last_message_at=row.sort_key,
            message=text_or_empty(attributes, MESSAGE),
            other=User.from_attributes(attributes),
        )


@dataclass(frozen=True)
class StartedConversation:
    """The conversation of a first message; `is_new` is False if the two already had one."""

    message_group_uuid: str
    message: Message
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class MessageStore:
    """The conversations of one table.

    `clock` returns the current time, `new_uuid` a new id. `sleep` and `draw` (uniform in 0..1) are for the backoff.
    Safe to share between threads.
    """

    client: "DynamoDBClient"
    table_name: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4())

    def get_conversation(
        self,
        message_group_uuid: str,
        *,
        limit: int = MESSAGES_ON_A_PAGE,
        before: str | None = None,
        reader_uuid: str | None = None,
    ) -> Page[Message]:
        """Pattern A: the newest messages, oldest of them first; `before` takes a page's cursor, for older ones.

        Malformed messages are skipped. Raises RejectedError: given a `reader_uuid`, also if that user is no member.
        """
        _check_uuid("message_group_uuid", message_group_uuid)
        if reader_uuid is not None:
            self.require_member(message_group_uuid, reader_uuid)
        page = self._page(schema.message_partition(message_group_uuid), limit, before, Message.from_attributes)
        return Page(tuple(reversed(page.items)), page.cursor)

    def list_conversations(
        self, user_uuid: str, *, limit: int = CONVERSATIONS_ON_A_PAGE, before: str | None = None
    ) -> Page[Conversation]:
        """Pattern B: a person's conversations, newest first; `before` takes a page's cursor, for older ones.

        Malformed rows are skipped. Raises RejectedError.
        """
        _check_uuid("user_uuid", user_uuid)
        return self._page(schema.group_row_partition(user_uuid), limit, before, Conversation.from_attributes)

    def send(self, message_group_uuid: str, *, sender: User, message: str, check_member: bool = False) -> Message:
        """Pattern C: write a message with the current time. A message of the same microsecond is not overwritten.

        Raises RejectedError, with `check_member` also if the sender is no member, and ContendedError.
        """
        _check_message(message)
        _check_uuid("message_group_uuid", message_group_uuid)
        _check_uuid("sender", sender.uuid)
        if check_member:
            self.require_member(message_group_uuid, sender.uuid)
        instant = self.clock()
        message_uuid = self.new_uuid()
        for _ in range(MAX_TAKEN_KEYS):
            sent = _message(message_group_uuid, instant, message_uuid, sender, message)
            if self._put_unless_taken(sent):
                return sent
            instant = max(self.clock(), instant + timestamps.MICROSECOND)
        raise errors.ContendedError(MAX_TAKEN_KEYS)

    def start_conversation(self, members: Sequence[User], *, sender: User, message: str) -> StartedConversation:
        """Pattern D: one group row per member and the first message, all or nothing.

        Two people have one conversation: if it exists already, or a concurrent request creates it, the message goes
        there. Raises RejectedError and ContendedError.
        """
        _check_message(message)
        _check_members(members, sender)
        instant = self.clock()
        message_group_uuid, message_uuid = self.new_uuid(), self.new_uuid()
        pause = 0.0
        for attempt in range(ATTEMPTS):
            if pause:
                self.sleep(pause)
            pair: list[TransactWriteItemTypeDef] = []
            if len(members) == 2:
                pair_partition = schema.pair_partition(members[0].uuid, members[1].uuid)
                seen = next(self._newest_first(pair_partition), None)
                existing = self._conversation_between(members[0].uuid, members[1].uuid)
                # These may be the rows of an attempt whose response was lost: the transaction below then fails.
                if existing is not None and existing != message_group_uuid:
                    sent = self.send(existing, sender=sender, message=message)
                    return StartedConversation(existing, sent, is_new=False)
                pair = [self._pair_put(pair_partition, message_group_uuid, seen)]
            first = _message(message_group_uuid, instant, message_uuid, sender, message)
            items = [_first_row(first, member, members).attributes for member in members] + [first.to_attributes()]
            puts: list[TransactWriteItemTypeDef] = [
                {"Put": {"TableName": self.table_name, "Item": item, "ConditionExpression": KEY_IS_FREE}}
                for item in items
            ]
            try:
                self.client.transact_write_items(TransactItems=pair + puts)
            except ClientError as error:
                pause = self._pause_after(error, attempt)
                # It may be committed although a response was lost; then the same keys are no longer free.
                if next(self._newest_first(schema.message_partition(message_group_uuid), Limit=1), None) is None:
                    if CONDITION_FAILED in reasons(error):
                        # A member has a row of another conversation with this time, or the pair item has changed.
                        instant = max(self.clock(), instant + timestamps.MICROSECOND)
                    continue
            return StartedConversation(message_group_uuid, first, is_new=True)
        raise errors.ContendedError(ATTEMPTS)

    def add_member(self, message_group_uuid: str, member: User, *, asked_by: str | None = None) -> Conversation:
        """Add a person to a conversation; an existing member keeps their row.

        Raises RejectedError, given `asked_by` also if that user is no member, and ContendedError.
        """
        _check_uuid("message_group_uuid", message_group_uuid)
        _check_uuid("member", member.uuid)
        if asked_by is not None:
            self.require_member(message_group_uuid, asked_by)
        instant: datetime | None = None
        pause = 0.0
        for attempt in range(ATTEMPTS):
            if pause:
                self.sleep(pause)
            own = self._row_of(message_group_uuid, member.uuid)
            if own is not None:
                return Conversation.from_attributes(own)
            row = self._joining_row(message_group_uuid, member, instant)
            try:
                self.client.put_item(TableName=self.table_name, Item=row.attributes, ConditionExpression=KEY_IS_FREE)
            except ClientError as error:
                pause = self._pause_after(error, attempt)
                taken = timestamps.parse(row.sort_key)
                instant = taken + timestamps.MICROSECOND if taken else None
            else:
                return Conversation.from_attributes(row.attributes)
        raise errors.ContendedError(ATTEMPTS)

    def require_member(self, message_group_uuid: str, user_uuid: str) -> None:
        """Raise NotAMemberError unless the user has a group row of the conversation; InvalidUuidError."""
        _check_uuid("message_group_uuid", message_group_uuid)
        _check_uuid("user_uuid", user_uuid)
        in_index = (row.member_uuid for row in rows_in_index(self.client.query, self.table_name, message_group_uuid))
        if user_uuid not in in_index and self._row_of(message_group_uuid, user_uuid) is None:
            raise errors.NotAMemberError(user_uuid, message_group_uuid)

    def _page(
        self, partition: str, limit: int, before: str | None, read: Callable[[AttributeMap], _Item]
    ) -> Page[_Item]:
        if not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
            raise errors.InvalidLimitError(limit, MAX_PAGE)
        if before is not None and not (_is_utf8(before) and 0 < len(before.encode()) <= MAX_CURSOR_BYTES):
            raise errors.InvalidCursorError(before)
        found: list[_Item] = []
        cursor = ""
        for attributes in self._newest_first(partition, before=before, Limit=limit + 1, ConsistentRead=False):
            try:
                item = read(attributes)
            except MalformedItemError:
                continue
            if len(found) == limit:
                return Page(tuple(found), cursor)
            found.append(item)
            cursor = attributes[schema.SORT_KEY]["S"]
        return Page(tuple(found), None)

    def _put_unless_taken(self, message: Message) -> bool:
        """Put a message; False if another one has its key. A repeated call for the same message succeeds."""
        pause = 0.0
        for attempt in range(ATTEMPTS):
            if pause:
                self.sleep(pause)
            try:
                self.client.put_item(
                    TableName=self.table_name,
                    Item=message.to_attributes(),
                    ConditionExpression=f"{KEY_IS_FREE} OR {MESSAGE_UUID} = :uuid",
                    ExpressionAttributeValues={":uuid": {"S": message.message_uuid}},
                )
            except ClientError as error:
                if reasons(error) == [CONDITION_FAILED]:
                    return False
                pause = self._pause_after(error, attempt)
            else:
                return True
        raise errors.ContendedError(ATTEMPTS)

    def _pair_put(
        self, partition: str, message_group_uuid: str, seen: AttributeMap | None
    ) -> "TransactWriteItemTypeDef":
        """A put of the pair item, on condition that it is as it was before the two inboxes were read."""
        item = {
            **key_attributes((partition, schema.PAIR_SORT_KEY)),
            schema.PAIR_CONVERSATION: {"S": message_group_uuid},
        }
        if seen is None:
            return {"Put": {"TableName": self.table_name, "Item": item, "ConditionExpression": KEY_IS_FREE}}
        return {
            "Put": {
                "TableName": self.table_name,
                "Item": item,
                "ConditionExpression": f"{schema.PAIR_CONVERSATION} = :seen",
                "ExpressionAttributeValues": {":seen": seen[schema.PAIR_CONVERSATION]},
            }
        }

    def _conversation_between(self, user_uuid: str, other_uuid: str) -> str | None:
        """The newest conversation of these two alone, from either inbox; the index has its members."""
        for owner, other in ((user_uuid, other_uuid), (other_uuid, user_uuid)):
            for attributes in self._newest_first(schema.group_row_partition(owner), equal=(USER_UUID, other)):
                found = text_or_empty(attributes, schema.INDEX_PARTITION_KEY)
                rows = rows_in_index(self.client.query, self.table_name, found) if found else ()
                if found and {row.member_uuid for row in rows} <= {user_uuid, other_uuid}:
                    return found
        return None

    def _row_of(self, message_group_uuid: str, user_uuid: str) -> AttributeMap | None:
        """A member's group row, by consistent reads of the inbox until it is found."""
        partition = schema.group_row_partition(user_uuid)
        return next(self._newest_first(partition, equal=(schema.INDEX_PARTITION_KEY, message_group_uuid)), None)

    def _joining_row(self, message_group_uuid: str, member: User, instant: datetime | None) -> GroupRow:
        """A new member's row, at the newest message's time, or at `instant` if another row has that key.

        It names the person that most of the rows name. In a group that is the first member.
        """
        rows = list(rows_in_index(self.client.query, self.table_name, message_group_uuid))
        if not rows:
            raise errors.NoSuchConversationError(message_group_uuid)
        named = Counter(User.from_attributes(row.attributes) for row in rows if row.other_uuid not in ("", member.uuid))
        other = named.most_common(1)[0][0] if named else User("", "", "")
        newest = self.get_conversation(message_group_uuid, limit=1).items
        if instant is None:
            latest = [newest[0].instant] if newest else [timestamps.parse(row.sort_key) for row in rows]
            instant = max((known for known in latest if known is not None), default=self.clock())
        sort_key = timestamps.canonical(instant)
        return GroupRow.new(member.uuid, message_group_uuid, sort_key, newest[0].message if newest else "", other)

    def _newest_first(
        self, partition: str, *, before: str | None = None, equal: tuple[str, str] | None = None, **more: Any
    ) -> Iterator[AttributeMap]:
        arguments = partition_query(partition, before=before, equal=equal) | more
        return query_items(self.client.query, TableName=self.table_name, ScanIndexForward=False, **arguments)

    def _pause_after(self, error: ClientError, attempt: int) -> float:
        """The seconds to wait before a retry: none after a condition that failed. Raises the error if none helps."""
        codes = set(reasons(error)) - {NO_REASON}
        if not codes <= TRANSIENT_CODES | {CONDITION_FAILED}:
            raise error
        if codes <= {CONDITION_FAILED}:
            return 0.0
        return backoff(attempt + 1, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_BACKOFF_SECONDS, draw=self.draw())


def _message(message_group_uuid: str, instant: datetime, message_uuid: str, sender: User, message: str) -> Message:
    return Message(message_group_uuid, timestamps.canonical(instant), instant, message_uuid, message, sender)


def _first_row(first: Message, member: User, members: Sequence[User]) -> GroupRow:
    """A member's row of a new conversation: it names the first of the others."""
    other = next(user for user in members if user.uuid != member.uuid)
    return GroupRow.new(member.uuid, first.message_group_uuid, first.sort_key, first.message, other)


def _check_uuid(name: str, value: object) -> None:
    if not isinstance(value, str) or not UUID.fullmatch(value):
        raise errors.InvalidUuidError(name, value)


def _check_message(message: str) -> None:
    if not isinstance(message, str) or not message.strip():
        raise errors.MessageBlankError
    if len(message) > MAX_MESSAGE_CHARACTERS:
        raise errors.MessageTooLongError(len(message), MAX_MESSAGE_CHARACTERS)
    if not _is_utf8(message):
        raise errors.MessageNotUtf8Error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_members(members: Sequence[User], sender: User) -> None:
    uuids = [member.uuid for member in members]
    for user_uuid in uuids:
        _check_uuid("member", user_uuid)
        if uuids.count(user_uuid) > 1:
            raise errors.RepeatedMemberError(user_uuid)
    if len(uuids) < 2:
        raise errors.TooFewMembersError(len(uuids))
    if len(uuids) > MAX_FIRST_MEMBERS:
        raise errors.TooManyMembersError(len(uuids), MAX_FIRST_MEMBERS)
    if sender.uuid not in uuids:
        raise errors.SenderNotMemberError(sender.uuid)
