"""What has to change for a conversation's group rows to show its newest message. Pure: no input, no output."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from cruddur_messages import schema, timestamps
from cruddur_messages.items import (
    MEMBER_COUNT,
    MESSAGE,
    MESSAGE_SORT_KEY,
    MESSAGE_UUID,
    AttributeMap,
    GroupRow,
    Message,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_NUDGE = 1000 * timestamps.MICROSECOND
"""How far a row may stand behind its message's time, to make room for rows of equal time."""

LATEST_PLACE = datetime.max.replace(tzinfo=UTC) - MAX_NUDGE
"""Python's calendar ends behind it."""

MAX_ROWS = 24
MAX_ROWS_BYTES = 1_250_000
"""How much of one member a move takes up, so that two fit a transaction; a heal of more goes on with the next."""

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit on an item, names and values together (Developer Guide, "Quotas")."""

ROOM_FOR_MEMBER_COUNT = 64
"""Kept free in every row, so that a count always fits."""


@dataclass(frozen=True)
class Move:
    """One member's rows of a conversation, as read (`rows`), and the one row that replaces them (`target`)."""

    rows: tuple[GroupRow, ...]
    target: GroupRow

    @cached_property
    def is_needed(self) -> bool:
        """Whether the rows differ from the one that should be there."""
        return len(self.rows) > 1 or self.rows[0].attributes != self.target.attributes

    @property
    def is_counted(self) -> bool:
        """Whether the member has been counted before."""
        return _member_count(self.rows) is not None

    @property
    def counts_anew(self) -> bool:
        """Whether the move changes a member count."""
        return self.target.member_count != _member_count(self.rows)

    @cached_property
    def size(self) -> int:
        """An upper bound of what the move takes up of a transaction, in bytes."""
        return sum(item_size(row.attributes) for row in (*self.rows, self.target))

    def shows(self, message: Message) -> bool:
        """Whether the target shows the whole message, and not only as much of it as fits."""
        return self.target.attributes[MESSAGE] == {"S": message.message}

    @property
    def replaced_in_place(self) -> GroupRow | None:
        """The row whose key the target has, if any."""
        return next((row for row in self.rows if row.key == self.target.key), None)

    @property
    def leaving(self) -> tuple[GroupRow, ...]:
        """The rows that go."""
        return tuple(row for row in self.rows if row.key != self.target.key)

    def nudged(self) -> "Move | None":
        """The same move to the next microsecond, for when another row has the key; None where that is too far."""
        message_instant = timestamps.parse(self.target.message_sort_key)
        instant = timestamps.parse(self.target.sort_key)
        if message_instant is None or instant is None or instant - message_instant >= MAX_NUDGE:
            return None
        if instant > LATEST_PLACE:
            return None
        sort_key = timestamps.canonical(instant + timestamps.MICROSECOND)
        return Move(self.rows, GroupRow({**self.target.attributes, schema.SORT_KEY: {"S": sort_key}}))

    def with_member_count(self, count: int) -> "Move":
        """The same move, which also notes how many members have been counted."""
        return Move(self.rows, GroupRow({**self.target.attributes, MEMBER_COUNT: {"N": str(count)}}))

    def with_count_as_it_was(self) -> "Move":
        """The same move of somebody who has been counted, without counting anew."""
        count = _member_count(self.rows)
        return self if count is None else self.with_member_count(count)

    def afterwards(self) -> "Move":
        """What remains of the move once it has been made: its target, standing where it should."""
        return Move((self.target,), self.target)


def plan(rows: Iterable[GroupRow], newest: Message | None) -> list[Move]:
    """The moves, one per member, after which each has one row that shows the newest message.

    A member with several rows keeps one, with the attributes of all; rows beyond what a move takes up are left for
    the next plan. A conversation without a message keeps its place and gets an empty preview.
    """
    by_member: dict[str, list[GroupRow]] = {}
    for row in rows:
        by_member.setdefault(row.member_uuid, []).append(row)
    return [_move(own, newest) for own in by_member.values()]


def cut_to_fit(message: str, size: int) -> str:
    """The longest beginning of a message that takes no more than `size` bytes."""
    return message.encode()[: max(size, 0)].decode(errors="ignore")


def item_size(attributes: AttributeMap) -> int:
    """An upper bound of an item's size in bytes (Developer Guide, "DynamoDB item sizes and formats")."""
    size = 0
    for name, value in attributes.items():
        size += len(name.encode()) + _value_size(value)
    return size


def _move(rows: Sequence[GroupRow], newest: Message | None) -> Move:
    ranked = _first_rows(sorted(rows, key=lambda row: (_is_in_place(row, newest), _order(row)), reverse=True))
    target: dict[str, AttributeValueTypeDef] = {}
    for row in reversed(ranked):
        target.update(row.attributes)
    if newest is not None and not _is_in_place(ranked[0], newest):
        target[schema.SORT_KEY] = {"S": timestamps.canonical(newest.instant)}
    target.pop(MEMBER_COUNT, None)
    target[MESSAGE_UUID] = {"S": newest.message_uuid if newest else ""}
    target[MESSAGE_SORT_KEY] = {"S": newest.sort_key if newest else ""}
    target[MESSAGE] = {"S": ""}
    room = MAX_ITEM_BYTES - ROOM_FOR_MEMBER_COUNT - item_size(target)
    target[MESSAGE] = {"S": cut_to_fit(newest.message if newest else "", room)}
    member_count = _member_count(ranked)
    if member_count is not None:
        target[MEMBER_COUNT] = {"N": str(member_count)}
    return Move(tuple(ranked), GroupRow(target))


def _first_rows(rows: Sequence[GroupRow]) -> Sequence[GroupRow]:
    """As many as one move takes up, and at least one."""
    if len(rows) == 1:
        return rows
    sizes = accumulate(item_size(row.attributes) for row in rows)
    return rows[: max(1, min(MAX_ROWS, sum(size <= MAX_ROWS_BYTES for size in sizes)))]


def _member_count(rows: Iterable[GroupRow]) -> int | None:
    """The highest member count that the rows carry, if any does."""
    return max((row.member_count for row in rows if row.member_count is not None), default=None)


def _is_in_place(row: GroupRow, newest: Message | None) -> bool:
    """Whether a row stands where the newest message puts it, or nudged behind by ties."""
    if newest is None:
        return True
    if row.sort_key == timestamps.canonical(newest.instant):
        return True
    instant = timestamps.parse(row.sort_key)
    return (
        row.message_sort_key == newest.sort_key
        and instant is not None
        and row.sort_key == timestamps.canonical(instant)
        and timedelta(0) < instant - newest.instant <= MAX_NUDGE
    )


def _order(row: GroupRow) -> tuple[datetime, str]:
    """Newest last; a row whose sort key is no timestamp comes before all others."""
    return timestamps.parse(row.sort_key) or datetime.min.replace(tzinfo=UTC), row.sort_key


def _value_size(value: object) -> int:
    if isinstance(value, dict):
        text = value.get("S")
        if isinstance(text, str):
            return len(text.encode())
        return 3 + sum(len(name.encode()) + 1 + _value_size(nested) for name, nested in value.items())
    match value:
        case str():
            return len(value.encode())
        case bytes() | bytearray():
            return len(value)
        case Iterable():
            return 3 + sum(1 + _value_size(nested) for nested in value)
        case _:
            return 1
