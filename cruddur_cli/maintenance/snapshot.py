"""What is kept of a table that is read once.

Of each conversation only the newest message, the known members and the group rows are kept, of a text only its hash:
memory grows with the number of conversations, and not of messages.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cruddur_messages import schema, timestamps
from cruddur_messages.items import (
    MEMBER_COUNT,
    MESSAGE,
    MESSAGE_SORT_KEY,
    MESSAGE_UUID,
    USER_UUID,
    AttributeMap,
)
from cruddur_messages.store import PAIR_CONVERSATION

ATTRIBUTES = (
    schema.PARTITION_KEY,
    schema.SORT_KEY,
    schema.INDEX_PARTITION_KEY,
    MESSAGE,
    MESSAGE_UUID,
    MESSAGE_SORT_KEY,
    MEMBER_COUNT,
    USER_UUID,
    PAIR_CONVERSATION,
)
"""The attributes that have to be read of each item."""

UTC_OFFSET = "+00:00"
NO_OFFSET = ""
MIXED = "mixed"
_OFFSET_LENGTH = len(UTC_OFFSET)


class RowSnapshot(NamedTuple):
    """What is kept of a group row; `message_uuid` and `member_count` are None where it has none."""

    member_uuid: str
    sort_key: str
    text_hash: int
    message_uuid: str | None
    message_sort_key: str
    member_count: int | None
    other_uuid: str

    @classmethod
    def of(cls, member_uuid: str, sort_key: str, item: AttributeMap) -> "RowSnapshot":
        """Read a group row."""
        count = item.get(MEMBER_COUNT, {}).get("N", "")
        return cls(
            member_uuid=member_uuid,
            sort_key=sort_key,
            text_hash=hash(item.get(MESSAGE, {}).get("S")),
            message_uuid=item.get(MESSAGE_UUID, {}).get("S"),
            message_sort_key=item.get(MESSAGE_SORT_KEY, {}).get("S", ""),
            member_count=int(count) if count.isdecimal() else None,
            other_uuid=item.get(USER_UUID, {}).get("S", ""),
        )


class MalformedRow(NamedTuple):
    """The place of a group row that names no conversation or no member; what it lacks is empty."""

    message_group_uuid: str
    member_uuid: str
    sort_key: str


class ConversationSnapshot:
    """What is kept of a conversation; `newest_key` is empty while no well-formed message has been read.

    `known` are users who wrote or started it. `form` is the form of the messages' timestamps, or MIXED.
    """

    __slots__ = (
        "form",
        "known",
        "malformed_items",
        "malformed_keys",
        "newest_hash",
        "newest_key",
        "newest_uuid",
        "rows",
    )

    def __init__(self) -> None:
        self.newest_key = ""
        self.newest_uuid = ""
        self.newest_hash = 0
        self.form: str | None = None
        self.known: set[str] = set()
        self.rows: list[RowSnapshot] = []
        self.malformed_keys: tuple[str, ...] = ()
        self.malformed_items: tuple[str, ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """Everyone known to be in the conversation: who wrote or started it, who has a row, and whom a row names."""
        known = {*self.known, *(row.member_uuid for row in self.rows), *(row.other_uuid for row in self.rows)}
        return frozenset(known - {""})


@dataclass
class Counts:
    """How many items of each kind have been read."""

    messages: int = 0
    rows: int = 0
    pairs: int = 0
    foreign: int = 0

    @property
    def items(self) -> int:
        """All of them."""
        return self.messages + self.rows + self.pairs + self.foreign


class TableSnapshot:
    """What has been read of a table; pages are added in any order. Not safe to share between threads.

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
        """Take in a page."""
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
            conversation.newest_hash = hash(text)
        sender = item.get("user_uuid", {}).get("S")
        if sender and sender not in conversation.known:
            conversation.known.add(self._user_ids.setdefault(sender, sender))

    def _add_pair(self, partition: str, item: AttributeMap) -> None:
        message_group_uuid = item.get(PAIR_CONVERSATION, {}).get("S")
        if message_group_uuid:
            pair = partition.removeprefix(schema.PAIR_PREFIX).split("#")
            self._pairs[message_group_uuid] = [self._user_ids.setdefault(user, user) for user in pair]

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
    """How a timestamp names its offset: the offset as written, or nothing."""
    time_of_day = sort_key[10:]
    for sign in ("+", "-", "Z"):
        place = time_of_day.find(sign)
        if place >= 0:
            return time_of_day[place:]
    return NO_OFFSET
