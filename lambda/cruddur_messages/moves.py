"""What has to change for a conversation's group rows to show its newest message. Pure: no input, no output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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

MAX_ROWS = 49
MAX_ROWS_BYTES = 2_500_000
"""How much of one member a move takes up, so that it fits a transaction; a heal of more goes on with the next."""

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit on an item, names and values together (Developer Guide, "Quotas")."""


@dataclass(frozen=True)
class Move:
    """One member's rows of a conversation, as read (`rows`), and the one row that replaces them (`target`)."""

    rows: tuple[GroupRow, ...]
    target: GroupRow

    @property
    def is_needed(self) -> bool:
        """Whether the rows differ from the one that should be there."""
        return len(self.rows) > 1 or self.rows[0].attributes != self.target.attributes

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
        sort_key = timestamps.canonical(instant + timestamps.MICROSECOND)
        return Move(self.rows, GroupRow({**self.target.attributes, schema.SORT_KEY: {"S": sort_key}}))


def plan(rows: Iterable[GroupRow], newest: Message | None, *, member_count: int | None) -> list[Move]:
    """The moves, one per member, after which each has one row that shows the newest message.

    `member_count` is written to every row where it is given. A member with several rows keeps one, with the
    attributes of all; rows beyond what a move takes up are left for the next plan. A conversation without a
    message keeps its place and gets an empty preview.
    """
    by_member: dict[str, list[GroupRow]] = {}
    for row in rows:
        by_member.setdefault(row.member_uuid, []).append(row)
    return [_move(own, newest, member_count) for own in by_member.values()]


def cut_to_fit(message: str, size: int) -> str:
    """The longest beginning of a message that takes no more than `size` bytes."""
    return message.encode()[: max(size, 0)].decode(errors="ignore")


def item_size(attributes: AttributeMap) -> int:
    """An upper bound of an item's size in bytes (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_size(value) for name, value in attributes.items())


def _move(rows: Sequence[GroupRow], newest: Message | None, member_count: int | None) -> Move:
    ranked = _first_rows(sorted(rows, key=lambda row: (_is_in_place(row, newest), _order(row)), reverse=True))
    target: dict[str, AttributeValueTypeDef] = {}
    for row in reversed(ranked):
        target.update(row.attributes)
    if newest is not None and not _is_in_place(ranked[0], newest):
        target[schema.SORT_KEY] = {"S": timestamps.canonical(newest.instant)}
    if member_count is not None:
        target[MEMBER_COUNT] = {"N": str(member_count)}
    target[MESSAGE_UUID] = {"S": newest.message_uuid if newest else ""}
    target[MESSAGE_SORT_KEY] = {"S": newest.sort_key if newest else ""}
    target[MESSAGE] = {"S": ""}
    room = MAX_ITEM_BYTES - item_size(target)
    target[MESSAGE] = {"S": cut_to_fit(newest.message if newest else "", room)}
    return Move(tuple(ranked), GroupRow(target))


def _first_rows(rows: Sequence[GroupRow]) -> Sequence[GroupRow]:
    """As many as one move takes up, and at least one."""
    sizes = accumulate(item_size(row.attributes) for row in rows)
    return rows[: max(1, min(MAX_ROWS, sum(size <= MAX_ROWS_BYTES for size in sizes)))]


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
        and newest.instant < instant <= newest.instant + MAX_NUDGE
    )


def _order(row: GroupRow) -> tuple[datetime, str]:
    """Newest last; a row whose sort key is no timestamp comes before all others."""
    return timestamps.parse(row.sort_key) or datetime.min.replace(tzinfo=UTC), row.sort_key


def _value_size(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes | bytearray):
        return len(value)
    if isinstance(value, Mapping):
        return 3 + sum(len(name.encode()) + 1 + _value_size(nested) for name, nested in value.items())
    if isinstance(value, Iterable):
        return 3 + sum(1 + _value_size(nested) for nested in value)
    return 1
