"""What a transaction does for one member: a move or a departure, each with its actions and their conditions. Pure."""

import zlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, TypedDict

from cruddur_messages import schema, timestamps
from cruddur_messages.items import KEY_IS_FREE, MESSAGE, MESSAGE_UUID, AttributeMap, GroupRow, item_size, key_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

TIE_PLACES = timestamps.MAX_TIE_OFFSET // timestamps.MICROSECOND
"""How many sort keys are tried for a row after its message's time, if other rows have them."""

MOST_COMPARED = 140
"""The most attributes that a condition compares: an expression takes 300 operators (Developer Guide, "Constraints")."""

OPTIONAL = (MESSAGE_UUID, schema.IS_GROUP)
COMPARED_FIRST = (schema.INDEX_PARTITION_KEY, MESSAGE, *OPTIONAL)


class Condition(TypedDict, total=False):
    """The members of an action that say when it may be done."""

    ConditionExpression: str
    ExpressionAttributeNames: dict[str, str]
    ExpressionAttributeValues: AttributeMap
    ReturnValuesOnConditionCheckFailure: Literal["ALL_OLD", "NONE"]


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
    def sort_key_after(self) -> str:
        """The sort key under which the conversation item lists the member's row after the move."""
        return self.target.sort_key

    @property
    def is_needed(self) -> bool:
        """Whether the rows differ from the target."""
        return len(self.rows) > 1 or self.rows[0].attributes != self.target.attributes

    @property
    def counts(self) -> Counter[str]:
        """What the move changes, for the log."""
        return Counter(rows_moved=self.is_needed, duplicates_removed=len(self.rows) - 1)

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

    @property
    def action_count(self) -> int:
        """The number of actions: one for each row to delete, and one for the target."""
        return len(self.deleted) + 1

    def actions(self, table_name: str) -> "list[TransactWriteItemTypeDef]":
        """Delete the old rows and put the target, if each row is still as it was read and the target's key is free."""
        actions: list[TransactWriteItemTypeDef] = [
            {"Delete": {"TableName": table_name, "Key": key_attributes(row.key), **unchanged(row)}}
            for row in self.deleted
        ]
        condition = unchanged(self.replaced) if self.replaced else Condition(ConditionExpression=KEY_IS_FREE)
        return [*actions, {"Put": {"TableName": table_name, "Item": self.target.attributes, **condition}}]

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
    sort_key_after: ClassVar[None] = None
    action_count: ClassVar[int] = 1
    size: ClassVar[int] = 0
    counts: ClassVar[Counter[str]] = Counter()

    def actions(self, table_name: str) -> "list[TransactWriteItemTypeDef]":
        """Delete what is under the key, if nothing is."""
        key = key_attributes((schema.group_row_partition(self.member_uuid), self.sort_key))
        return [{"Delete": {"TableName": table_name, "Key": key, "ConditionExpression": KEY_IS_FREE}}]


Step = Move | Departure


def unchanged(row: GroupRow) -> Condition:
    """The row still has every attribute that was read, with the same value, and of OPTIONAL none that it had not.

    A member may have left and joined again at the same key.
    """
    first = [name for name in COMPARED_FIRST if name in row.attributes]
    others = sorted(row.attributes.keys() - {*first, schema.PARTITION_KEY, schema.SORT_KEY})
    names = [*first, *others][:MOST_COMPARED]
    return {
        "ConditionExpression": " AND ".join(
            [f"#{number} = :{number}" for number in range(len(names))]
            + [f"attribute_not_exists({name})" for name in OPTIONAL if name not in row.attributes]
        ),
        "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":{number}": row.attributes[name] for number, name in enumerate(names)},
    }


def _tie_offset(message_group_uuid: str, place: int) -> timedelta:
    """How much later than the message's time the next key is, for the first to the 1000th attempt.

    The conversation's id selects the first key and the step, so that many conversations with one time rarely collide.
    """
    chance = zlib.crc32(message_group_uuid.encode())
    step = 10 * (chance // TIE_PLACES % (TIE_PLACES // 10)) + 1
    return ((chance + place * step) % TIE_PLACES + 1) * timestamps.MICROSECOND
