"""What a person has read: a mark per conversation, moved forward; unread messages are counted when they are asked for.

So nothing is stored that could drift: a deleted message is no longer unread, and an edit makes nothing unread. A
message with an older time that becomes visible after the mark is not unread.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from cruddur_messages import member_item, schema, timestamps
from cruddur_messages.items import text_or_empty
from cruddur_messages.store import errors
from cruddur_messages.store.access import Access, ConditionFailedError
from cruddur_messages.store.checks import may_be_sort_key
from cruddur_messages.store.values import Conversation

MOST_UNREAD = 100
"""How many of the newest messages are counted at most."""

READ_AT_ONCE = 10
"""How many messages are read to find the one to mark: usually it is the first."""

MOST_SEARCHED = 100
"""How many messages are read, twice, if it is not among these."""

SIDE_BY_SIDE = 8

WIDEST_OFFSET = timedelta(days=1)
"""How far the text of a sort key with an offset may be from its instant in UTC, at most."""


def mark_read(access: Access, message_group_uuid: str, user_uuid: str, *, sort_key: str, instant: datetime) -> None:
    """Note the newest message that is not newer than a sort key, whose instant is given.

    A later mark stays, and who has left gets none.
    """
    newest = _newest(access, message_group_uuid, sort_key, instant)
    if newest is None:
        return
    with suppress(ConditionFailedError):
        access.write(
            access.client.update_item,
            TableName=access.table_name,
            Key=member_item.key(message_group_uuid, user_uuid),
            UpdateExpression=f"SET {schema.READ_UP_TO} = :mark",
            ConditionExpression=f"{member_item.STAYS_A_MEMBER} AND "
            f"(attribute_not_exists({schema.READ_UP_TO}) OR {schema.READ_UP_TO} < :mark)",
            ExpressionAttributeValues={":mark": {"S": timestamps.canonical(newest)}},
        )


def unread(
    access: Access, user_uuid: str, conversations: Iterable[Conversation], *, since: datetime | None
) -> Mapping[str, int]:
    """How many of the newest messages of each conversation are by others and not read; `since` is the oldest mark."""
    lines: dict[str, Conversation] = {}
    for line in conversations:
        lines.setdefault(line.message_group_uuid, line)  # newest first, if somebody has several rows
    counts = dict.fromkeys(lines, 0)
    items = {item[schema.SORT_KEY]["S"]: item for item in access.member_items(lines, user_uuid)}
    needed: list[tuple[str, datetime | None]] = []
    for group, line in lines.items():
        item = items.get(group, {})
        mark = timestamps.parse(text_or_empty(item, schema.READ_UP_TO))
        mark = max((known for known in (mark, since) if known is not None), default=None)
        shown = timestamps.parse(line.last_message_at)
        if schema.LEFT_AT not in item and (mark is None or shown is None or mark < shown):
            needed.append((group, mark))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        numbers = pool.map(lambda one: _count(access, user_uuid, *one), needed)
        return counts | {group: number for (group, _), number in zip(needed, numbers, strict=True)}


def instant_of(up_to: object) -> datetime:
    """The instant of a sort key. Raises InvalidTimestampError if it is none."""
    instant = timestamps.parse(up_to) if isinstance(up_to, str) and may_be_sort_key(up_to) else None
    if instant is None:
        raise errors.InvalidTimestampError(up_to)
    return instant


def _newest(access: Access, message_group_uuid: str, sort_key: str, up_to: datetime) -> datetime | None:
    """The instant of the newest message up to a sort key, in three queries, one if the table has the sort key.

    If it does not, and the conversation is a busy one of mixed forms, it may be that of an older message.
    """
    found: list[datetime] = []
    for most, bound in (
        (READ_AT_ONCE, {"up_to": sort_key}),
        (MOST_SEARCHED, {"before": _shifted(up_to, WIDEST_OFFSET)}),
        (MOST_SEARCHED, {"before": _shifted(up_to, -WIDEST_OFFSET)}),
    ):
        messages = islice(access.messages(message_group_uuid, Limit=most, **bound), most)
        found += [message.instant for message in messages if message.instant <= up_to]
        if up_to in found:
            break
    return max(found, default=None)


def _count(access: Access, user_uuid: str, message_group_uuid: str, mark: datetime | None) -> int:
    # Instants are compared, not texts: the same instant may be written with several offsets.
    after = None if mark is None else _shifted(mark, -WIDEST_OFFSET)
    messages = access.messages(message_group_uuid, after=after, Limit=MOST_UNREAD, ConsistentRead=False)
    newest = islice(messages, MOST_UNREAD)
    return sum(one.sender.uuid != user_uuid and (mark is None or one.instant > mark) for one in newest)


def _shifted(instant: datetime, by: timedelta) -> str | None:
    """A bound for sort keys, None where there is none to write."""
    try:
        return timestamps.canonical(instant + by)
    except OverflowError:
        return None
