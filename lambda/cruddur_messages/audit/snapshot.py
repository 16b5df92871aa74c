"""What is kept of a table's items to check them: a fold of any part of a table, and the merge of two folds.

Both give the same for any order and any cut of the items: fold(a + b) = merge(fold(a), fold(b)). Of a conversation it
keeps the newest message, the members, the group rows and the conversation item, and only a digest of a preview. So
memory grows with the number of conversations, not of messages.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

from cruddur_messages import schema, timestamps
from cruddur_messages.audit.forms import MIXED, UTC_OFFSET, form_of, joint_form
from cruddur_messages.conversation_item import ROWS, SHOWN, VERSION, ConversationItem
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, USER_UUID, UUID, AttributeMap

ATTRIBUTES = (
    schema.PARTITION_KEY,
    schema.SORT_KEY,
    schema.INDEX_PARTITION_KEY,
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    schema.PAIR_CONVERSATION,
    schema.IS_GROUP,
    schema.JOINED_AT,
    schema.LEFT_AT,
    VERSION,
    ROWS,
    SHOWN,
)
"""The attributes to read of each item."""

MOST_LISTED = 100
"""How many malformed items of one conversation or inbox are listed; the others are counted."""


class RowSnapshot(NamedTuple):
    """What is kept of a group row; `message_uuid` is None where it has none, `text_digest` where it has no text."""

    member_uuid: str
    sort_key: str
    text_digest: bytes | None
    message_uuid: str | None
    other_uuid: str
    is_group: bool


@dataclass(slots=True)
class Listed:
    """How many texts there were, and the smallest MOST_LISTED of them."""

    count: int
    texts: list[str]

    def merge(self, other: Self) -> None:
        """Add what another has counted and listed."""
        self.count += other.count
        self.texts = sorted(self.texts + other.texts)[:MOST_LISTED]


@dataclass(slots=True)
class ConversationSnapshot:
    """What is kept of a conversation.

    `newest` is key, uuid and text of the newest message, empty while no well-formed one has been read. `form` is the
    form of the messages' timestamps, or MIXED. `known` are users who wrote, started or joined it, `left` those who
    left. `item` is the conversation item, None where there is none yet.
    """

    newest: tuple[str, str, str] = ("", "", "")
    form: str | None = None
    known: set[str] = field(default_factory=set)
    left: frozenset[str] = frozenset()
    rows: list[RowSnapshot] = field(default_factory=list)
    item: ConversationItem | None = None
    malformed_keys: Listed | None = None
    malformed_items: Listed | None = None

    @property
    def exists(self) -> bool:
        """Whether there is more than items about its members."""
        return bool(self.newest[0] or self.rows or self.item or self.malformed_keys or self.malformed_items)

    @property
    def members(self) -> frozenset[str]:
        """Everyone known to be in the conversation, and not to have left it.

        That is everyone who wrote, started or joined it, has a row, is named by a row, or has a row in the
        conversation item. An id that is no UUID is nobody's: no backend opens an inbox of that name.
        """
        named = {uuid for row in self.rows for uuid in (row.member_uuid, row.other_uuid)}
        known = {*self.known, *named, *(self.item.rows if self.item else ())} - self.left
        return frozenset(uuid for uuid in known if UUID.fullmatch(uuid))

    def merge(self, other: Self) -> None:
        """Add what another part of the table has of the conversation."""
        self.newest = max(self.newest, other.newest)
        self.form = joint_form(self.form, other.form)
        self.known |= other.known
        self.left |= other.left
        self.rows += other.rows
        self.item = max((item for item in (self.item, other.item) if item), key=_rank, default=None)
        self.malformed_keys = _joint_list(self.malformed_keys, other.malformed_keys)
        self.malformed_items = _joint_list(self.malformed_items, other.malformed_items)


@dataclass(slots=True)
class InboxSnapshot:
    """What is kept of a member's inbox.

    `form` is the form of its rows' timestamps, or MIXED. `not_in_utc` are conversation and sort key of the rows with
    another form than our own, `malformed` the sort keys of rows that name no conversation or no member.
    """

    form: str | None = None
    not_in_utc: list[tuple[str, str]] = field(default_factory=list)
    malformed: Listed | None = None

    def merge(self, other: Self) -> None:
        """Add what another part of the table has of the inbox."""
        self.form = joint_form(self.form, other.form)
        self.not_in_utc += other.not_in_utc
        self.malformed = _joint_list(self.malformed, other.malformed)


@dataclass
class Counts:
    """How many items of each kind have been read."""

    messages: int = 0
    rows: int = 0
    pairs: int = 0
    member_items: int = 0
    conversation_items: int = 0
    foreign: int = 0

    @property
    def items(self) -> int:
        """The items of all kinds."""
        return sum(getattr(self, kind.name) for kind in fields(self))

    def merge(self, other: Self) -> None:
        """Add the items that another has counted."""
        for kind in fields(self):
            setattr(self, kind.name, getattr(self, kind.name) + getattr(other, kind.name))


class Contents(NamedTuple):
    """What a table contains: its items by kind, and how many conversations these are of."""

    counts: Counts
    conversations: int


class TableSnapshot:
    """The fold of a part of a table. Not safe to share between threads.

    `conversations` has also those of which only items about members were read: they do not exist. `inboxes` has the
    inboxes by member, only as far as they may be wrong.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.conversations: dict[str, ConversationSnapshot] = {}
        self.inboxes: dict[str, InboxSnapshot] = {}
        self._user_ids: dict[str, str] = {}

    def add(self, items: Iterable[AttributeMap]) -> None:
        """Add a page. Raises KeyError if an item has no key of this table's names and types."""
        messages = 0
        for item in items:
            partition, sort_key = item["pk"]["S"], item["sk"]["S"]
            prefix = partition[:4]
            if prefix == schema.MESSAGE_PREFIX:
                self._add_message(partition[4:], sort_key, item)
                messages += 1
            elif prefix == schema.GROUP_ROW_PREFIX:
                self._add_row(partition[4:], sort_key, item)
                self.counts.rows += 1
            elif partition.startswith(schema.PAIR_PREFIX):
                self._add_pair(partition, item)
                self.counts.pairs += 1
            elif partition.startswith(schema.MEMBER_PREFIX):
                self._add_member(partition.removeprefix(schema.MEMBER_PREFIX), sort_key, item)
                self.counts.member_items += 1
            elif partition.startswith(schema.CONVERSATION_PREFIX) and sort_key == schema.CONVERSATION_SORT_KEY:
                self._add_item(partition.removeprefix(schema.CONVERSATION_PREFIX), item)
                self.counts.conversation_items += 1
            else:
                self.counts.foreign += 1
        self.counts.messages += messages

    def merge(self, other: Self) -> None:
        """Add the fold of another part of the table, which must not be used any more."""
        self.counts.merge(other.counts)
        for message_group_uuid, conversation in other.conversations.items():
            if (known := self.conversations.setdefault(message_group_uuid, conversation)) is not conversation:
                known.merge(conversation)
        for member_uuid, inbox in other.inboxes.items():
            if (own := self.inboxes.setdefault(member_uuid, inbox)) is not inbox:
                own.merge(inbox)

    @property
    def contents(self) -> Contents:
        """What was read."""
        return Contents(self.counts, sum(conversation.exists for conversation in self.conversations.values()))

    def _conversation(self, message_group_uuid: str) -> ConversationSnapshot:
        conversation = self.conversations.get(message_group_uuid)
        if conversation is None:
            conversation = self.conversations[message_group_uuid] = ConversationSnapshot()
        return conversation

    def _add_message(self, message_group_uuid: str, sort_key: str, item: AttributeMap) -> None:
        conversation = self._conversation(message_group_uuid)
        try:
            is_time = timestamps.parse(sort_key) is not None
            newest = sort_key, item["message_uuid"]["S"], item["message"]["S"]
        except (KeyError, TypeError):
            conversation.malformed_items = _joint_list(conversation.malformed_items, Listed(1, [sort_key]))
            return
        if not is_time:
            conversation.malformed_keys = _joint_list(conversation.malformed_keys, Listed(1, [sort_key]))
            return
        if conversation.form != MIXED:
            conversation.form = joint_form(conversation.form, form_of(sort_key))
        conversation.newest = max(conversation.newest, newest)
        sender = item.get("user_uuid", {}).get("S")
        if sender and sender not in conversation.known:
            conversation.known.add(self._user_ids.setdefault(sender, sender))

    def _add_pair(self, partition: str, item: AttributeMap) -> None:
        if message_group_uuid := item.get(schema.PAIR_CONVERSATION, {}).get("S"):
            pair = partition.removeprefix(schema.PAIR_PREFIX).split("#")
            self._conversation(message_group_uuid).known |= {self._user_ids.setdefault(user, user) for user in pair}

    def _add_member(self, member_uuid: str, message_group_uuid: str, item: AttributeMap) -> None:
        member_uuid = self._user_ids.setdefault(member_uuid, member_uuid)
        if schema.LEFT_AT in item:
            self._conversation(message_group_uuid).merge(ConversationSnapshot(left=frozenset({member_uuid})))
        elif schema.JOINED_AT in item:
            self._conversation(message_group_uuid).known.add(member_uuid)

    def _add_item(self, message_group_uuid: str, item: AttributeMap) -> None:
        read = ConversationItem.from_attributes(item)
        rows = {self._user_ids.setdefault(user, user): sort_key for user, sort_key in read.rows.items()}
        self._conversation(message_group_uuid).merge(ConversationSnapshot(item=replace(read, rows=rows)))

    def _add_row(self, member_uuid: str, sort_key: str, item: AttributeMap) -> None:
        message_group_uuid = item.get(schema.INDEX_PARTITION_KEY, {}).get("S")
        member_uuid = self._user_ids.setdefault(member_uuid, member_uuid)
        inbox = self.inboxes.get(member_uuid)
        if inbox is None:
            inbox = self.inboxes[member_uuid] = InboxSnapshot()
        if not message_group_uuid or not member_uuid:
            inbox.malformed = _joint_list(inbox.malformed, Listed(1, [sort_key]))
            return
        row = RowSnapshot(
            member_uuid=member_uuid,
            sort_key=sort_key,
            text_digest=digest(item.get(MESSAGE, {}).get("S")),
            message_uuid=item.get(MESSAGE_UUID, {}).get("S"),
            other_uuid=item.get(USER_UUID, {}).get("S", ""),
            is_group=item.get(schema.IS_GROUP) == {"BOOL": True},
        )
        self._conversation(message_group_uuid).rows.append(row)
        if timestamps.parse(sort_key) is not None:
            form = form_of(sort_key)
            inbox.form = joint_form(inbox.form, form)
            if form != UTC_OFFSET:
                inbox.not_in_utc.append((message_group_uuid, sort_key))


def digest(text: str | None) -> bytes | None:
    """A short value that differs for different texts, the same in every process."""
    return None if text is None else hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()


def _joint_list(one: Listed | None, other: Listed | None) -> Listed | None:
    if one is None or other is None:
        return one or other
    one.merge(other)
    return one


def _rank(item: ConversationItem) -> tuple[Any, ...]:
    """An order of conversation items, so that of two under one key always the same one is kept."""
    version: Mapping[str, Any] = item.version or {}
    return item.shown or "", sorted(item.rows.items()), json.dumps(version, sort_keys=True, default=repr)
