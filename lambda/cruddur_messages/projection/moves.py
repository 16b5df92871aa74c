"""What must change so that a conversation's group rows show its newest message. Pure: no input, no output."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import ClassVar

from cruddur_messages import schema, timestamps
from cruddur_messages.items import MAX_ITEM_BYTES, MESSAGE, MESSAGE_UUID, GroupRow, Message, item_size
from cruddur_messages.timestamps import MAX_TIE_OFFSET

TIE_PLACES = MAX_TIE_OFFSET // timestamps.MICROSECOND

MAX_ROWS = 8
"""The most rows of one member in a move, so that it fits into a transaction whatever their size."""


@dataclass(frozen=True)
class Move:
    """One member's rows of a conversation, as read (`rows`), and the one row that replaces them (`target`).

    `instant` is the newest message's time, and `place` counts the keys that were tried for it; without an instant the
    row keeps its key.
    """

    rows: tuple[GroupRow, ...]
    target: GroupRow
    instant: datetime | None = None
    place: int = 0

    @property
    def member_uuid(self) -> str:
        """The owner of the inbox."""
        return self.target.member_uuid

    @property
    def is_needed(self) -> bool:
        """Whether the rows differ from the target."""
        return len(self.rows) > 1 or self.rows[0].attributes != self.target.attributes

    @cached_property
    def size(self) -> int:
        """An upper bound of the move's size in a transaction, in bytes."""
        return sum(item_size(row.attributes) for row in (*self.rows, self.target))

    @property
    def replaced(self) -> GroupRow | None:
        """The row whose key the target has, if any."""
        return next((row for row in self.rows if row.key == self.target.key), None)

    @property
    def deleted(self) -> tuple[GroupRow, ...]:
        """The rows to delete."""
        return tuple(row for row in self.rows if row.key != self.target.key)

    def to_next_place(self) -> "Move | None":
        """The same move to the next key, if another row has this one; None if no key is left."""
        if self.instant is None or self.place == TIE_PLACES:
            return None
        try:
            sort_key = timestamps.canonical(self.instant + _tie_offset(self.target.message_group_uuid, self.place + 1))
        except OverflowError:
            return None
        target = GroupRow({**self.target.attributes, schema.SORT_KEY: {"S": sort_key}})
        return replace(self, target=target, place=self.place + 1)


@dataclass(frozen=True)
class Departure:
    """A member without a row: the key that the conversation item lists must be free.

    The condition makes a transaction fail while another one, whose version is already read, still writes that row.
    """

    member_uuid: str
    sort_key: str
    deleted: ClassVar[tuple[GroupRow, ...]] = ()
    size: ClassVar[int] = 0


def plan(rows: Iterable[GroupRow], newest: Message | None, *, is_shown: bool) -> list[Move]:
    """The moves, one per member, after which each has one row that shows the newest message.

    `is_shown` tells that this message was settled before: then a sort key that is a little later stays. A member with
    several rows keeps one, with the attributes of all, where they differ those of the latest. A row of a conversation
    without a message keeps its key and gets an empty preview.
    """
    by_member: dict[str, list[GroupRow]] = {}
    for row in rows:
        by_member.setdefault(row.member_uuid, []).append(row)
    return [_move(own, newest, is_shown=is_shown) for own in by_member.values()]


def stands_for(sort_key: str, newest: Message) -> bool:
    """Whether a row's sort key is the newest message's time, or up to MAX_TIE_OFFSET later."""
    instant = timestamps.parse(sort_key)
    return (
        instant is not None
        and sort_key == timestamps.canonical(instant)
        and timedelta(0) <= instant - newest.instant <= MAX_TIE_OFFSET
    )


def cut_to_fit(message: str, size: int) -> str:
    """The longest beginning of a message of at most `size` bytes."""
    return message.encode(errors="surrogatepass")[: max(size, 0)].decode(errors="ignore")


def _move(rows: Sequence[GroupRow], newest: Message | None, *, is_shown: bool) -> Move:
    def rank(row: GroupRow) -> tuple[datetime, str]:
        return timestamps.parse(row.sort_key) or datetime.min.replace(tzinfo=UTC), row.sort_key

    ranked = sorted(rows, key=rank, reverse=True)[:MAX_ROWS]
    target = {name: value for row in reversed(ranked) for name, value in row.attributes.items()}
    instant = None
    in_place = [row.sort_key for row in ranked if newest and is_shown and stands_for(row.sort_key, newest)]
    if in_place:
        target[schema.SORT_KEY] = {"S": min(in_place)}
    elif newest is not None:
        instant = newest.instant
        target[schema.SORT_KEY] = {"S": timestamps.canonical(instant)}
    target[MESSAGE_UUID] = {"S": newest.message_uuid if newest else ""}
    target[MESSAGE] = {"S": ""}
    room = MAX_ITEM_BYTES - item_size(target)
    target[MESSAGE] = {"S": cut_to_fit(newest.message if newest else "", room)}
    return Move(tuple(ranked), GroupRow(target), instant)


def _tie_offset(message_group_uuid: str, place: int) -> timedelta:
    """How much later than the message's time the next key is, for the first to the 1000th attempt.

    The conversation's id selects the first key and the step, so that many conversations with one time rarely collide.
    """
    chance = zlib.crc32(message_group_uuid.encode())
    step = 10 * (chance // TIE_PLACES % (TIE_PLACES // 10)) + 1
    return ((chance + place * step) % TIE_PLACES + 1) * timestamps.MICROSECOND
