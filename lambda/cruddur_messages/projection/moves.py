"""What must change so that a conversation's group rows show its newest message. Pure: no input, no output."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cruddur_messages import schema, timestamps
from cruddur_messages.items import (
    GROUP_MARK,
    MAX_ITEM_BYTES,
    MESSAGE,
    MESSAGE_UUID,
    GroupRow,
    Message,
    item_size,
)
from cruddur_messages.projection.steps import Move
from cruddur_messages.timestamps import MAX_TIE_OFFSET

MAX_ROWS = 8
"""The most rows of one member in a move, so that it fits into a transaction whatever their size."""


def plan(rows: Iterable[GroupRow], newest: Message | None, *, is_shown: bool) -> list[Move]:
    """The moves, one per member, after which each has one row that shows the newest message.

    `is_shown` tells that this message was settled before: then a sort key that is a little later stays. A member with
    several rows keeps one, with the attributes of all, where they differ those of the latest. A row of a conversation
    without a message keeps its key and gets an empty preview. All are marked as a group's if one is, or if three
    members have rows: then the mark stays when members leave.
    """
    by_member: dict[str, list[GroupRow]] = {}
    is_group = False
    for row in rows:
        by_member.setdefault(row.member_uuid, []).append(row)
        is_group |= row.is_group
    is_group |= len(by_member) > 2
    return [_move(own, newest, is_group=is_group, is_shown=is_shown) for own in by_member.values()]


def stands_for(sort_key: str, newest: Message) -> bool:
    """Whether a row's sort key is the newest message's time, or up to MAX_TIE_OFFSET later."""
    instant = timestamps.parse(sort_key)
    return (
        instant is not None
        and sort_key == timestamps.canonical(instant)
        and timedelta(0) <= instant - newest.instant <= MAX_TIE_OFFSET
    )


def _move(rows: Sequence[GroupRow], newest: Message | None, *, is_group: bool, is_shown: bool) -> Move:
    def rank(row: GroupRow) -> tuple[datetime, str]:
        return timestamps.parse(row.sort_key) or datetime.min.replace(tzinfo=UTC), row.sort_key

    ranked = sorted(rows, key=rank, reverse=True)[:MAX_ROWS]
    target = {name: value for row in reversed(ranked) for name, value in row.attributes.items()}
    if is_group:
        target |= GROUP_MARK
    instant = None
    in_place = [row.sort_key for row in ranked if newest and is_shown and stands_for(row.sort_key, newest)]
    if in_place:
        target[schema.SORT_KEY] = {"S": min(in_place)}
    elif newest is not None:
        instant = newest.instant
        target[schema.SORT_KEY] = {"S": timestamps.canonical(instant)}
    target[MESSAGE_UUID] = {"S": newest.message_uuid if newest else ""}
    target[MESSAGE] = {"S": ""}
    preview = newest.message.encode(errors="surrogatepass") if newest else b""
    target[MESSAGE] = {"S": preview[: max(MAX_ITEM_BYTES - item_size(target), 0)].decode(errors="ignore")}
    return Move(tuple(ranked), GroupRow(target), instant)
