"""The promises of the projection: what holds after each commit, and what when everything is settled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cruddur_messages import schema, timestamps
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, Message
from tests.projection.memory_engine import Change, Item

MAX_TIE_OFFSET = timedelta(milliseconds=1)
PRIVATE = "§"
"""Part of every message text and name of the simulation; no log line may contain it."""

OWN_ATTRIBUTES = {schema.PARTITION_KEY, schema.SORT_KEY, MESSAGE, MESSAGE_UUID, schema.IS_GROUP}

Row = tuple[str, str]
"""A member's partition, and a conversation."""


class Violation(BaseException):
    """A promise of the projection is broken; the projection cannot catch this exception."""


class ViolationError(AssertionError):
    """A promise of the projection was broken; the text says which, and has the story of the schedule."""


class Promises:
    """The promises of each commit. `may_tie` are the partitions that have ever had several rows at a time."""

    def __init__(self) -> None:
        self.may_tie: set[str] = set()
        self._rows: Counter[Row] = Counter()
        self._ever_in: dict[str, set[str]] = {}
        self._ever_sent: set[tuple[str, str, str]] = set()

    def members(self, group: str) -> list[str]:
        """Who has a row of the conversation now."""
        return [
            partition.removeprefix(schema.GROUP_ROW_PREFIX)
            for (partition, of), count in self._rows.items()
            if of == group and count
        ]

    def commit(self, changes: Sequence[Change], *, is_projection: bool) -> None:
        """Take note of changes that are made together. Raises Violation if the projection may not make them."""
        if is_projection:
            self._check(changes)
        for change in changes:
            for item, difference in ((change.before, -1), (change.after, 1)):
                if item is not None and (row := row_of(item)):
                    self._rows[row] += difference
                    self._ever_in.setdefault(row[1], set()).add(row[0])
                    if sum(count for (partition, _), count in self._rows.items() if partition == row[0]) > 1:
                        self.may_tie.add(row[0])
            if change.after and change.key[0].startswith(schema.MESSAGE_PREFIX):
                self._ever_sent.add((change.key[0], text(change.after, MESSAGE_UUID), text(change.after, MESSAGE)))

    def _check(self, changes: Sequence[Change]) -> None:
        """Check that each member has one row before and after, and that only what the projection may change did."""
        befores: dict[Row, list[Item]] = {}
        afters: dict[Row, list[Item]] = {}
        for change in changes:
            if change.key[0].startswith(schema.CONVERSATION_PREFIX):
                continue
            for item, by_row in ((change.before, befores), (change.after, afters)):
                if item is not None:
                    row = row_of(item)
                    if row is None:
                        raise Violation("an item is touched that is no group row")
                    by_row.setdefault(row, []).append(item)
        for row in befores.keys() | afters.keys():
            count = self._rows[row]
            then = count - len(befores.get(row, [])) + len(afters.get(row, []))
            if not 1 <= then <= count:
                raise Violation(f"{row} had {count} rows and then {then}")
            for after in afters.get(row, []):
                self._check_row(after, befores.get(row, []))

    def _check_row(self, after: Item, befores: list[Item]) -> None:
        if _others(after).keys() != {name for before in befores for name in _others(before)}:
            raise Violation("an attribute is lost or new")
        if any(all(before.get(name) != value for before in befores) for name, value in _others(after).items()):
            raise Violation("an attribute has changed")
        if any(schema.IS_GROUP in before for before in befores) and schema.IS_GROUP not in after:
            raise Violation("the mark of a group is lost")
        group = text(after, "message_group_uuid")
        if schema.IS_GROUP in after and len(self._ever_in[group]) < 3:
            raise Violation("a conversation of two is marked as a group")
        partition = schema.message_partition(group)
        shown = text(after, MESSAGE_UUID), text(after, MESSAGE)
        if shown != ("", "") and (partition, *shown) not in self._ever_sent:
            raise Violation("a message is shown that was never sent")


def broken_by_row(row: Item, newest: Item | None, *, may_tie: bool) -> str | None:
    """Whether a row does not show the newest message, or is not at its time; after a tie, it may be a little later."""
    expected = (text(newest, MESSAGE), text(newest, MESSAGE_UUID)) if newest else ("", "")
    if (text(row, MESSAGE), text(row, MESSAGE_UUID)) != expected:
        return f"{brief(row)} does not show {brief(newest or {})}"
    if newest is not None:
        later = instant(row) - instant(newest)
        if not timedelta(0) <= later <= (MAX_TIE_OFFSET if may_tie else timedelta(0)):
            return f"{brief(row)} is not in the place of {brief(newest)}"
        if text(row, schema.SORT_KEY) != timestamps.canonical(instant(row)):
            return f"{brief(row)} has a sort key of another form"
    return None


def broken_together(rows: Sequence[Item], item: Item, newest: Item | None) -> str | None:
    """Whether a member has two rows, some are not marked as the others, or the conversation item says otherwise.

    The item may list a row that was deleted last, for which nothing is settled.
    """
    places = {text(row, "pk").removeprefix(schema.GROUP_ROW_PREFIX): text(row, "sk") for row in rows}
    if len(places) != len(rows):
        return "a member has two rows"
    is_group = len(rows) > 2 or any(schema.IS_GROUP in row for row in rows)
    for row in rows:
        if (schema.IS_GROUP in row) != is_group:
            return f"{brief(row)} is not marked as the other rows"
    noted = ConversationItem.from_attributes(item)
    if {member: sort_key for member, sort_key in noted.rows.items() if member in places} != places:
        return f"the rows are at {places}, and the conversation item lists {noted.rows}"
    if noted.shown != fingerprint(Message.from_attributes(newest) if newest else None):
        return "the conversation item has another message as shown"
    return None


def instant(item: Mapping[str, Any]) -> datetime:
    """The time of an item's sort key. Raises ValueError if it is none."""
    found = datetime.fromisoformat(text(item, schema.SORT_KEY))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def text(item: Mapping[str, Any], name: str) -> str:
    """The text of an attribute; empty if there is none."""
    return str(item.get(name, {}).get("S", ""))


def row_of(item: Mapping[str, Any]) -> Row | None:
    partition, group = text(item, schema.PARTITION_KEY), text(item, schema.INDEX_PARTITION_KEY)
    is_row = partition.startswith(schema.GROUP_ROW_PREFIX) and partition != schema.GROUP_ROW_PREFIX and group
    return (partition, group) if is_row else None


def brief(item: Mapping[str, Any]) -> str:
    """An item in a few words, for the story."""
    if not item:
        return "nothing"
    names = ("pk", "sk", "message_group_uuid", MESSAGE_UUID, "note", "version", "shown")
    return " ".join(filter(None, (text(item, name) for name in names)))


def _others(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in OWN_ATTRIBUTES}
