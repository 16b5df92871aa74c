"""The state of a table from one scan.

It keeps only the newest message, the known members, the group rows and the conversation item of each conversation, and
only the hash of a preview. So memory grows with the number of conversations, not of messages.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cruddur_messages import schema, timestamps
from cruddur_messages.conversation_item import ROWS, SHOWN, VERSION, ConversationItem
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, USER_UUID, AttributeMap

ATTRIBUTES = (
    schema.PARTITION_KEY,
    schema.SORT_KEY,
    schema.INDEX_PARTITION_KEY,
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    schema.PAIR_CONVERSATION,
    VERSION,
    ROWS,
    SHOWN,
)
"""The attributes to read of each item."""

UTC_OFFSET = "+00:00"
NO_OFFSET = ""
MIXED = "mixed"
_OFFSET_LENGTH = len(UTC_OFFSET)


class RowSnapshot(NamedTuple):
    """What is kept of a group row; `message_uuid` is None where it has none."""

    member_uuid: str
    sort_key: str
    text_hash: int
    message_uuid: str | None
    other_uuid: str

    @classmethod
    def of(cls, member_uuid: str, sort_key: str, item: AttributeMap) -> "RowSnapshot":
        """Read a group row."""
        return cls(
            member_uuid=member_uuid,
            sort_key=sort_key,
            text_hash=hash(item.get(MESSAGE, {}).get("S")),
            message_uuid=item.get(MESSAGE_UUID, {}).get("S"),
            other_uuid=item.get(USER_UUID, {}).get("S", ""),
        )


class MalformedRow(NamedTuple):
    """The key of a group row that names no conversation or no member; a missing value is empty."""

    message_group_uuid: str
    member_uuid: str
    sort_key: str


class ConversationSnapshot:
    """What is kept of a conversation; `newest_key` is empty while no well-formed message has been read.

    `known` are users who wrote or started it. `form` is the form of the messages' timestamps, or MIXED. `item` is the
    conversation item, None where there is none yet.
    """

    __slots__ = (
        "form",
        "item",
        "known",
        "malformed_items",
        "malformed_keys",
        "newest_key",
        "newest_text",
        "newest_uuid",
        "rows",
    )

    def __init__(self) -> None:
        self.newest_key = ""
        self.newest_uuid = ""
        self.newest_text = ""
        self.item: ConversationItem | None = None
        self.form: str | None = None
        self.known: set[str] = set()
        self.rows: list[RowSnapshot] = []
        self.malformed_keys: tuple[str, ...] = ()
        self.malformed_items: tuple[str, ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """Everyone known to be in the conversation.

        That is everyone who wrote or started it, has a row, is named by a row, or has a row in the conversation item.
        """
        of_rows = {uuid for row in self.rows for uuid in (row.member_uuid, row.other_uuid)}
        return frozenset({*self.known, *of_rows, *(self.item.rows if self.item else ())} - {""})


@dataclass
class Counts:
    """How many items of each kind have been read."""

    messages: int = 0
    rows: int = 0
    pairs: int = 0
    conversation_items: int = 0
    foreign: int = 0

    @property
    def items(self) -> int:
        """The items of all kinds."""
        return self.messages + self.rows + self.pairs + self.conversation_items + self.foreign


class TableSnapshot:
    """The snapshot of a table; pages are added in any order. Not safe to share between threads.

    `inbox_forms` has, by member, the form of the timestamps of their rows, or MIXED.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.conversations: dict[str, ConversationSnapshot] = {}
        self.inbox_forms: dict[str, str] = {}
        self.malformed_rows: list[MalformedRow] = []
        self._pairs: dict[str, Sequence[str]] = {}
        self._user_ids: dict[str, str] = {}

    def add(self, items: Iterable[AttributeMap]) -> None:
        """Add a page."""
        messages = 0
        for item in items:
            partition = str(item[schema.PARTITION_KEY]["S"])
            prefix = partition[:4]
            if prefix == schema.MESSAGE_PREFIX:
                self._add_message(partition[4:], item)
                messages += 1
            elif prefix == schema.GROUP_ROW_PREFIX:
                self._add_row(partition[4:], item)
                self.counts.rows += 1
            elif partition.startswith(schema.PAIR_PREFIX):
                self._add_pair(partition, item)
                self.counts.pairs += 1
            elif partition.startswith(schema.CONVERSATION_PREFIX):
                self._add_item(partition.removeprefix(schema.CONVERSATION_PREFIX), item)
                self.counts.conversation_items += 1
            else:
                self.counts.foreign += 1
        self.counts.messages += messages

    def complete(self) -> None:
        """Note who started each conversation, after the last page."""
        for message_group_uuid in self._pairs.keys() & self.conversations.keys():
            self.conversations[message_group_uuid].known.update(self._pairs[message_group_uuid])

    def _add_message(self, message_group_uuid: str, item: AttributeMap) -> None:
        conversation = self.conversations.get(message_group_uuid)
        if conversation is None:
            conversation = self.conversations[message_group_uuid] = ConversationSnapshot()
        sort_key: str = item["sk"]["S"]
        try:
            is_time = timestamps.parse(sort_key) is not None
            text: str = item["message"]["S"]
            message_uuid: str = item["message_uuid"]["S"]
        except (KeyError, TypeError):
            conversation.malformed_items += (sort_key,)
            return
        if not is_time:
            conversation.malformed_keys += (sort_key,)
            return
        form = sort_key[-_OFFSET_LENGTH:]
        if form != conversation.form:
            form = form_of(sort_key)
            conversation.form = form if conversation.form in (None, form) else MIXED
        if sort_key > conversation.newest_key:
            conversation.newest_key = sort_key
            conversation.newest_uuid = message_uuid
            conversation.newest_text = text
        sender = item.get("user_uuid", {}).get("S")
        if sender and sender not in conversation.known:
            conversation.known.add(self._user_ids.setdefault(sender, sender))

    def _add_pair(self, partition: str, item: AttributeMap) -> None:
        message_group_uuid = item.get(schema.PAIR_CONVERSATION, {}).get("S")
        if message_group_uuid:
            pair = partition.removeprefix(schema.PAIR_PREFIX).split("#")
            self._pairs[message_group_uuid] = [self._user_ids.setdefault(user, user) for user in pair]

    def _add_item(self, message_group_uuid: str, item: AttributeMap) -> None:
        read = ConversationItem.from_attributes(item)
        rows = {self._user_ids.setdefault(user, user): sort_key for user, sort_key in read.rows.items()}
        conversation = self.conversations.setdefault(message_group_uuid, ConversationSnapshot())
        conversation.item = replace(read, rows=rows)

    def _add_row(self, member_uuid: str, item: AttributeMap) -> None:
        sort_key: str = item["sk"]["S"]
        message_group_uuid = item.get(schema.INDEX_PARTITION_KEY, {}).get("S")
        if not message_group_uuid or not member_uuid:
            self.malformed_rows.append(MalformedRow(message_group_uuid or "", member_uuid, sort_key))
            return
        member_uuid = self._user_ids.setdefault(member_uuid, member_uuid)
        conversation = self.conversations.setdefault(message_group_uuid, ConversationSnapshot())
        conversation.rows.append(RowSnapshot.of(member_uuid, sort_key, item))
        form = sort_key[-_OFFSET_LENGTH:]
        known = self.inbox_forms.get(member_uuid)
        if form != known and timestamps.parse(sort_key) is not None:
            form = form_of(sort_key)
            self.inbox_forms[member_uuid] = form if known in (None, form) else MIXED


def form_of(sort_key: str) -> str:
    """The form of a timestamp: its offset as written, or nothing."""
    time_of_day = sort_key[10:]
    for sign in ("+", "-", "Z"):
        place = time_of_day.find(sign)
        if place >= 0:
            return time_of_day[place:]
    return NO_OFFSET
