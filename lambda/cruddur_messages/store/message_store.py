"""What a backend does with conversations: access patterns A to D, and what people ask for next. E is the projection's.

Pages follow the order of the sort keys in the table. errors.py has the kinds of RejectedError. Errors of DynamoDB
itself (`ClientError`) are not caught.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import CONDITION_FAILED, put_new, reasons
from cruddur_messages.items import (
    GROUP_MARK,
    KEY_IS_FREE,
    MESSAGE_UUID,
    USER_UUID,
    AttributeMap,
    MalformedItemError,
    Message,
    User,
    first_rows,
    pair_item,
    text_or_empty,
)
from cruddur_messages.store import checks, editing, errors, membership, reading
from cruddur_messages.store.access import Access, ConditionFailedError
from cruddur_messages.store.values import Conversation, Page, StartedConversation

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

MESSAGES_ON_A_PAGE = 40
CONVERSATIONS_ON_A_PAGE = 20

MAX_TAKEN_KEYS = 1000
"""How many microseconds are tried in turn for a message when another message has its key."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class MessageStore:
    """The conversations of one table.

    `clock` returns the current time, `new_uuid` a new id. `sleep` and `draw` (uniform in 0..1) are for the backoff.
    Messages that are not newer than `unread_since` count as read. What is sent expires after `keep_days`, None and 0:
    never; DynamoDB then removes it, within a few days (Developer Guide, "Time to Live"). Raises ValueError if
    `keep_days` is out of its limits, or `unread_since` is no time with a zone. Safe to share between threads.
    """

    client: "DynamoDBClient"
    table_name: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4())
    unread_since: datetime | None = None
    keep_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail later, and a negative number of days: it would remove every message at once."""
        if not 0 <= (self.keep_days or 0) <= checks.MAX_KEEP_DAYS:
            raise ValueError(
                f"keep_days is {self.keep_days}: give the days to keep messages, at most {checks.MAX_KEEP_DAYS}, or 0 "
                "to keep them for ever"
            )
        since = self.unread_since
        if since is not None and not (isinstance(since, datetime) and since.utcoffset() is not None):
            raise ValueError(f"unread_since is {since}: give a time with a zone, as datetime(2026, 12, 1, tzinfo=UTC)")

    @property
    def _access(self) -> Access:
        return Access(self.client, self.table_name, self.clock, self.sleep, self.draw)

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
        checks.check_uuids(message_group_uuid=message_group_uuid)
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
        checks.check_uuids(user_uuid=user_uuid)
        return self._page(schema.group_row_partition(user_uuid), limit, before, Conversation.from_attributes)

    def send(self, message_group_uuid: str, *, sender: User, message: str, check_member: bool = False) -> Message:
        """Pattern C: write a message with the current time. A message of the same microsecond is not overwritten.

        Raises RejectedError, with `check_member` also if the sender is no member, and ContendedError.
        """
        checks.check_message(message)
        checks.check_uuids(message_group_uuid=message_group_uuid, sender=sender.uuid)
        if check_member:
            self.require_member(message_group_uuid, sender.uuid)
        instant = self.clock()
        message_uuid = self.new_uuid()
        for _ in range(MAX_TAKEN_KEYS):
            sent = Message.new(message_group_uuid, instant, message_uuid, message, sender)
            try:
                # A repeated attempt for the same message succeeds.
                self._access.write(
                    self.client.put_item,
                    TableName=self.table_name,
                    Item=self._attributes(sent),
                    ConditionExpression=f"{KEY_IS_FREE} OR {MESSAGE_UUID} = :uuid",
                    ExpressionAttributeValues={":uuid": {"S": message_uuid}},
                )
            except ConditionFailedError:
                instant = max(self.clock(), instant + timestamps.MICROSECOND)
            else:
                return sent
        raise errors.ContendedError(MAX_TAKEN_KEYS)

    def start_conversation(self, members: Sequence[User], *, sender: User, message: str) -> StartedConversation:
        """Pattern D: one group row per member and the first message, all or nothing.

        Two people have one conversation: if it exists already, or a concurrent request creates it, the message goes
        there. Raises RejectedError and ContendedError.
        """
        checks.check_message(message)
        checks.check_members(members, sender)
        instant = self.clock()
        message_group_uuid, message_uuid = self.new_uuid(), self.new_uuid()
        attempts = self._access.attempts()
        while True:
            pair: list[TransactWriteItemTypeDef] = []
            if len(members) == 2:
                (other,) = (member for member in members if member.uuid != sender.uuid)
                seen = next(self._access.newest_first(schema.pair_partition(sender.uuid, other.uuid)), None)
                existing, has_row = self._conversation_between(sender.uuid, other.uuid)
                # These may be the rows of an attempt whose response was lost: the transaction below then fails.
                if existing is not None and existing != message_group_uuid:
                    if not has_row:  # Without one, the sender could not read what they write.
                        membership.join(self._access, existing, sender, pair_with=other)
                    sent = self.send(existing, sender=sender, message=message)
                    return StartedConversation(existing, sent, is_new=False)
                pair = [self._pair_put(pair_item(sender.uuid, other.uuid, message_group_uuid), seen)]
            first = Message.new(message_group_uuid, instant, message_uuid, message, sender)
            items = [row.attributes for row in first_rows(first, members)] + [self._attributes(first)]
            try:
                self.client.transact_write_items(
                    TransactItems=pair + [put_new(self.table_name, item) for item in items]
                )
            except ClientError as error:
                # It may be committed although a response was lost; then the same keys are no longer free.
                if next(self._access.newest_first(schema.message_partition(message_group_uuid), Limit=1), None) is None:
                    attempts.wait_after(error)
                    if CONDITION_FAILED in reasons(error):
                        # A member has a row of another conversation with this time, or the pair item has changed.
                        instant = max(self.clock(), instant + timestamps.MICROSECOND)
                    continue
            return StartedConversation(message_group_uuid, first, is_new=True)

    def add_member(self, message_group_uuid: str, member: User, *, asked_by: str | None = None) -> Conversation:
        """Add a person to a group; an existing member keeps their row.

        Raises RejectedError: PairConversationError in a conversation of two, and given `asked_by`, NotAMemberError if
        that user is no member; and ContendedError.
        """
        checks.check_uuids(message_group_uuid=message_group_uuid, member=member.uuid)
        if asked_by is not None:
            self.require_member(message_group_uuid, asked_by)
        return membership.join(self._access, message_group_uuid, member, asked_by=asked_by)

    def leave(self, message_group_uuid: str, user_uuid: str) -> None:
        """Take a person out of a group. Whoever has left is refused, and can be added again.

        Raises RejectedError: PairConversationError in a conversation of two; and ContendedError.
        """
        checks.check_uuids(message_group_uuid=message_group_uuid, user_uuid=user_uuid)
        membership.leave(self._access, message_group_uuid, user_uuid)

    def require_member(self, message_group_uuid: str, user_uuid: str) -> None:
        """Raise NotAMemberError unless the user has a group row and has not left; InvalidUuidError."""
        checks.check_uuids(message_group_uuid=message_group_uuid, user_uuid=user_uuid)
        membership.require_member(self._access, message_group_uuid, user_uuid)

    def edit(self, message_group_uuid: str, sort_key: str, *, message_uuid: str, editor: str, message: str) -> Message:
        """Replace the text of one's own message; `editor` is the uuid of a member.

        Raises RejectedError: also if there is no such message, or it is another's; and ContendedError.
        """
        checks.check_message(message)
        self.require_member(message_group_uuid, editor)
        checks.check_message_name(message_group_uuid, sort_key, message_uuid)
        return editing.OwnMessage(self._access, message_group_uuid, sort_key, message_uuid, editor).edit(message)

    def delete(self, message_group_uuid: str, sort_key: str, *, message_uuid: str, by: str) -> None:
        """Delete one's own message; `by` is the author's uuid, who may have left.

        Raises RejectedError: also if there is no such message, or it is another's; and ContendedError.
        """
        checks.check_uuids(message_group_uuid=message_group_uuid, by=by)
        checks.check_message_name(message_group_uuid, sort_key, message_uuid)
        editing.OwnMessage(self._access, message_group_uuid, sort_key, message_uuid, by).delete()

    def mark_read(self, message_group_uuid: str, user_uuid: str, *, up_to: str) -> None:
        """Note that a member has read the messages up to a sort key. A later mark stays.

        Raises RejectedError: InvalidTimestampError, and NotAMemberError; and ContendedError.
        """
        instant = reading.instant_of(up_to)
        self.require_member(message_group_uuid, user_uuid)
        reading.mark_read(self._access, message_group_uuid, user_uuid, sort_key=up_to, instant=instant)

    def unread(self, user_uuid: str, conversations: Iterable[Conversation]) -> Mapping[str, int]:
        """How many messages of each conversation of an inbox are by others and not read, of the newest 100.

        By message_group_uuid. Raises RejectedError and ContendedError.
        """
        checks.check_uuids(user_uuid=user_uuid)
        return reading.unread(self._access, user_uuid, conversations, since=self.unread_since)

    def _page(
        self, partition: str, limit: int, before: str | None, read: Callable[[AttributeMap], _Item]
    ) -> Page[_Item]:
        checks.check_page(limit, before)
        found: list[_Item] = []
        cursor = ""
        for attributes in self._access.newest_first(partition, before=before, Limit=limit + 1, ConsistentRead=False):
            try:
                item = read(attributes)
            except MalformedItemError:
                continue
            if len(found) == limit:
                return Page(tuple(found), cursor)
            found.append(item)
            cursor = attributes[schema.SORT_KEY]["S"]
        return Page(tuple(found), None)

    def _attributes(self, message: Message) -> "dict[str, AttributeValueTypeDef]":
        if not self.keep_days:
            return message.to_attributes()
        expires_at = message.instant + timedelta(days=self.keep_days)
        return {**message.to_attributes(), schema.EXPIRES_AT: {"N": str(int(expires_at.timestamp()))}}

    def _pair_put(self, item: AttributeMap, seen: AttributeMap | None) -> "TransactWriteItemTypeDef":
        """A put of the pair item, on condition that it is as it was before the two inboxes were read."""
        action = put_new(self.table_name, item)
        if seen is not None:
            action["Put"]["ConditionExpression"] = f"{schema.PAIR_CONVERSATION} = :seen"
            action["Put"]["ExpressionAttributeValues"] = {":seen": seen[schema.PAIR_CONVERSATION]}
        return action

    def _conversation_between(self, sender_uuid: str, other_uuid: str) -> tuple[str | None, bool]:
        """The newest conversation of these two alone, from either inbox, and whether the sender's has it.

        The index has its members. A group is never taken for it, whoever has left: its rows are marked. Nor is one that
        the sender has left.
        """
        for owner, other in ((sender_uuid, other_uuid), (other_uuid, sender_uuid)):
            for attributes in self._access.newest_first(schema.group_row_partition(owner), equal=(USER_UUID, other)):
                found = text_or_empty(attributes, schema.INDEX_PARTITION_KEY)
                if not found or GROUP_MARK.items() <= attributes.items():
                    continue
                rows = list(self._access.rows(found))
                is_theirs = {row.member_uuid for row in rows} <= {sender_uuid, other_uuid}
                if not is_theirs or any(row.is_group for row in rows):
                    continue
                if schema.LEFT_AT not in self._access.member_item(found, sender_uuid):
                    return found, owner == sender_uuid
        return None, False
