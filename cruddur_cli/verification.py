"""What is promised of a table, and where it is broken. Pure: items in, findings out.

Of each conversation only the newest message, the known members and the group rows are kept, of a text only its hash:
memory grows with the number of conversations, and not of messages.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from cruddur_messages import schema, timestamps
from cruddur_messages.items import (
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    AttributeMap,
)
from cruddur_messages.projection.moves import MAX_BEHIND
from cruddur_messages.store import PAIR_CONVERSATION

ATTRIBUTES = (
    schema.PARTITION_KEY,
    schema.SORT_KEY,
    schema.INDEX_PARTITION_KEY,
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    PAIR_CONVERSATION,
)
"""The attributes that have to be read of each item."""

UTC_OFFSET = "+00:00"
NO_OFFSET = ""
MIXED = "mixed"
_OFFSET_LENGTH = len(UTC_OFFSET)


class Problem(StrEnum):
    """The ways in which a promise can be broken."""

    DOUBLED_ROW = "doubled row"
    MISSING_ROW = "missing row"
    STALE_PREVIEW = "stale preview"
    ROW_WITHOUT_CONVERSATION = "row without a conversation"
    MALFORMED_TIMESTAMP = "malformed timestamp"
    MIXED_TIMESTAMPS = "mixed timestamps"
    MALFORMED_ITEM = "malformed item"


MEANINGS: Mapping[Problem, str] = {
    Problem.DOUBLED_ROW: "a member has more than one group row of the conversation",
    Problem.MISSING_ROW: "somebody who wrote, or whom a row names, has no group row",
    Problem.STALE_PREVIEW: "text, id or time of the row are not those of the newest message",
    Problem.ROW_WITHOUT_CONVERSATION: "the row shows a message, and the conversation has none",
    Problem.MALFORMED_TIMESTAMP: "the sort key is no ISO 8601 timestamp",
    Problem.MIXED_TIMESTAMPS: "timestamps are written in several forms, so that text order is not time order",
    Problem.MALFORMED_ITEM: "an attribute that every item of its kind has is missing or of another type",
}


class Finding(NamedTuple):
    """One broken promise, with nobody's words or name.

    `member_uuid` is empty where it is about a message, and `sort_key` also where it is about a whole conversation.
    """

    problem: Problem
    message_group_uuid: str
    member_uuid: str
    sort_key: str


class RowSeen(NamedTuple):
    """What is kept of a group row; `message_uuid` is None where it has none."""

    member_uuid: str
    sort_key: str
    text_hash: int
    message_uuid: str | None
    other_uuid: str


class ConversationSeen:
    """What is kept of a conversation; `newest_key` is empty while no well-formed message has been seen."""

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
        self.rows: list[RowSeen] = []
        self.malformed_keys: tuple[str, ...] = ()
        self.malformed_items: tuple[str, ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """Everyone known to be in the conversation: who wrote or started it, who has a row, and whom a row names."""
        known = {*self.known, *(row.member_uuid for row in self.rows), *(row.other_uuid for row in self.rows)}
        return frozenset(known - {""})


@dataclass
class Counts:
    """How many items of each kind have been seen."""

    messages: int = 0
    rows: int = 0
    pairs: int = 0
    foreign: int = 0

    @property
    def items(self) -> int:
        """All of them."""
        return self.messages + self.rows + self.pairs + self.foreign


class TableSeen:
    """What has been seen of a table; pages are added in any order. Not safe to share between threads."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.conversations: dict[str, ConversationSeen] = {}
        self._inbox_forms: dict[str, str] = {}
        self._pairs: dict[str, Sequence[str]] = {}
        self._malformed_rows: list[Finding] = []
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

    def findings(self) -> Iterator[Finding]:
        """Every broken promise, conversation by conversation."""
        yield from self._malformed_rows
        for message_group_uuid in self._pairs.keys() & self.conversations.keys():
            self.conversations[message_group_uuid].known.update(self._pairs[message_group_uuid])
        for message_group_uuid, seen in self.conversations.items():
            yield from findings_of(message_group_uuid, seen)
            for row in seen.rows:
                mixed = self._inbox_forms.get(row.member_uuid) == MIXED
                if mixed and not row.sort_key.endswith(UTC_OFFSET) and timestamps.parse(row.sort_key):
                    yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, row.member_uuid, row.sort_key)

    def _add_message(self, message_group_uuid: str, item: AttributeMap) -> None:
        seen = self.conversations.get(message_group_uuid)
        if seen is None:
            seen = self.conversations[message_group_uuid] = ConversationSeen()
        sort_key: str = item["sk"]["S"]
        try:
            is_time = timestamps.parse(sort_key) is not None
            text: str = item["message"]["S"]
            message_uuid: str = item["message_uuid"]["S"]
        except (KeyError, TypeError):
            seen.malformed_items += (sort_key,)
            return
        if not is_time:
            seen.malformed_keys += (sort_key,)
            return
        form = sort_key[-_OFFSET_LENGTH:]
        if form != seen.form:
            form = form_of(sort_key)
            seen.form = form if seen.form in (None, form) else MIXED
        if sort_key > seen.newest_key:
            seen.newest_key = sort_key
            seen.newest_uuid = message_uuid
            seen.newest_hash = hash(text)
        sender = item.get("user_uuid", {}).get("S")
        if sender and sender not in seen.known:
            seen.known.add(self._user_ids.setdefault(sender, sender))

    def _add_pair(self, partition: str, item: AttributeMap) -> None:
        message_group_uuid = item.get(PAIR_CONVERSATION, {}).get("S")
        if message_group_uuid:
            pair = partition.removeprefix(schema.PAIR_PREFIX).split("#")
            self._pairs[message_group_uuid] = [self._user_ids.setdefault(user, user) for user in pair]

    def _add_row(self, member_uuid: str, item: AttributeMap) -> None:
        sort_key: str = item["sk"]["S"]
        message_group_uuid = item.get(schema.INDEX_PARTITION_KEY, {}).get("S")
        if not message_group_uuid or not member_uuid:
            self._malformed_rows.append(
                Finding(Problem.MALFORMED_ITEM, message_group_uuid or "", member_uuid, sort_key)
            )
            return
        member_uuid = self._user_ids.setdefault(member_uuid, member_uuid)
        seen = self.conversations.get(message_group_uuid)
        if seen is None:
            seen = self.conversations[message_group_uuid] = ConversationSeen()
        seen.rows.append(row_seen(member_uuid, sort_key, item))
        form = sort_key[-_OFFSET_LENGTH:]
        known = self._inbox_forms.get(member_uuid)
        if form != known and timestamps.parse(sort_key) is not None:
            form = form_of(sort_key)
            self._inbox_forms[member_uuid] = form if known in (None, form) else MIXED


def row_seen(member_uuid: str, sort_key: str, item: AttributeMap) -> RowSeen:
    """What is kept of a group row."""
    return RowSeen(
        member_uuid=member_uuid,
        sort_key=sort_key,
        text_hash=hash(item.get(MESSAGE, {}).get("S")),
        message_uuid=item.get(MESSAGE_UUID, {}).get("S"),
        other_uuid=item.get(USER_UUID, {}).get("S", ""),
    )


def form_of(sort_key: str) -> str:
    """How a timestamp names its offset: the offset as written, or nothing."""
    time_of_day = sort_key[10:]
    for sign in ("+", "-", "Z"):
        place = time_of_day.find(sign)
        if place >= 0:
            return time_of_day[place:]
    return NO_OFFSET


def findings_of(message_group_uuid: str, seen: ConversationSeen) -> Iterator[Finding]:
    """The broken promises of one conversation."""
    for sort_key in seen.malformed_keys:
        yield Finding(Problem.MALFORMED_TIMESTAMP, message_group_uuid, "", sort_key)
    for sort_key in seen.malformed_items:
        yield Finding(Problem.MALFORMED_ITEM, message_group_uuid, "", sort_key)
    if seen.form == MIXED:
        yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, "", "")
    members = seen.members
    rows_of = Counter(row.member_uuid for row in seen.rows)
    for member_uuid in sorted(members - rows_of.keys()):
        yield Finding(Problem.MISSING_ROW, message_group_uuid, member_uuid, "")
    for row in seen.rows:
        if rows_of[row.member_uuid] > 1:
            yield Finding(Problem.DOUBLED_ROW, message_group_uuid, row.member_uuid, row.sort_key)
        if problem := _problem_of_preview(row, seen):
            yield Finding(problem, message_group_uuid, row.member_uuid, row.sort_key)


_EMPTY = frozenset({hash(""), hash(None)})


def _problem_of_preview(row: RowSeen, seen: ConversationSeen) -> Problem | None:
    if row.sort_key == seen.newest_key and row.text_hash == seen.newest_hash and row.message_uuid == seen.newest_uuid:
        return None
    instant = timestamps.parse(row.sort_key)
    if instant is None:
        return Problem.MALFORMED_TIMESTAMP
    if not seen.newest_key:
        return Problem.ROW_WITHOUT_CONVERSATION if row.text_hash not in _EMPTY or row.message_uuid else None
    shows_newest = row.text_hash == seen.newest_hash and row.message_uuid in (None, seen.newest_uuid)
    newest = timestamps.parse(seen.newest_key)
    assert newest is not None
    is_nudged = newest < instant <= newest + MAX_BEHIND
    return None if shows_newest and (instant == newest or is_nudged) else Problem.STALE_PREVIEW
