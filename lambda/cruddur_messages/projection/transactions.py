"""Moves as DynamoDB transactions: packing, conditions, and cancellation reasons. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cruddur_messages import schema
from cruddur_messages.dynamodb import CONDITION_FAILED, NO_REASON, TRANSIENT_CODES
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, AttributeMap, GroupRow
from cruddur_messages.projection.moves import Departure, Move

MAX_BYTES = 3_500_000
"""Kept below DynamoDB's limit of 4 MB on the items of one transaction."""

MOST_COMPARED = 140
"""The most attributes that a condition compares: an expression takes 300 operators (Developer Guide, "Constraints")."""

COMPARED_FIRST = (schema.INDEX_PARTITION_KEY, MESSAGE, MESSAGE_UUID)

Step = Move | Departure
Action = dict[str, Any]
"""One element of TransactItems (API reference, "TransactWriteItem")."""


@dataclass(frozen=True)
class Verdict:
    """The meaning of the cancellation reasons of a transaction.

    `outdated`: why everything must be read again, None if it need not. `taken`: moves whose key another row has.
    `refused`: moves that DynamoDB will never make, with the code.
    """

    outdated: str | None
    taken: tuple[Move, ...]
    refused: tuple[tuple[Step, str], ...]


def pack(moves: Iterable[Step], max_actions: int) -> Iterator[tuple[Step, ...]]:
    """Moves in as few transactions as DynamoDB's limits allow; at least one, to update the conversation item."""
    packed: list[Step] = []
    actions, size = 1, 0
    for move in moves:
        if packed and (actions + len(move.deleted) + 1 > max_actions or size + move.size > MAX_BYTES):
            yield tuple(packed)
            packed, actions, size = [], 1, 0
        packed.append(move)
        actions += len(move.deleted) + 1
        size += move.size
    yield tuple(packed)


def actions_of(moves: Sequence[Step], update: Action, table_name: str) -> list[Action]:
    """The actions of a transaction as TransactWriteItems takes them: the conversation item, then each move's."""
    return [{"Update": {"TableName": table_name, **update}}] + [
        action for move in moves for action in _actions(move, table_name)
    ]


def judge(moves: Sequence[Step], reasons: Sequence[str]) -> Verdict:
    """Read the codes of the cancellation reasons, of which there is one for each action, in order."""
    codes = iter(reasons)
    outdated = {next(codes, NO_REASON)} - {NO_REASON}
    taken: list[Move] = []
    refused: list[tuple[Step, str]] = []
    for move in moves:
        own = [next(codes, NO_REASON) for _ in range(len(move.deleted) + 1)]
        for code in set(own) - {NO_REASON, CONDITION_FAILED}:
            if code in TRANSIENT_CODES:
                outdated.add(code)
            else:
                refused.append((move, code))
        if own[-1] == CONDITION_FAILED and isinstance(move, Move) and move.replaced is None:
            taken.append(move)
            own = own[:-1]
        if CONDITION_FAILED in own:
            outdated.add("a row is no longer as it was read")
    if not (outdated or taken or refused):
        outdated.add("cancelled without a reason")
    return Verdict(", ".join(sorted(outdated)) or None, tuple(taken), tuple(refused))


def _actions(move: Step, table_name: str) -> list[Action]:
    """Delete the old rows and put the target, if each row is still as it was read and the target's key is free."""
    if isinstance(move, Departure):
        key = _key(schema.group_row_partition(move.member_uuid), move.sort_key)
        return [{"Delete": {"TableName": table_name, "Key": key, **_KEY_IS_FREE}}]
    replaced = move.replaced
    return [
        *({"Delete": {"TableName": table_name, "Key": _key(*row.key), **_unchanged(row)}} for row in move.deleted),
        {
            "Put": {
                "TableName": table_name,
                "Item": move.target.attributes,
                **(_unchanged(replaced) if replaced else _KEY_IS_FREE),
            }
        },
    ]


def _key(partition: str, sort_key: str) -> AttributeMap:
    return {schema.PARTITION_KEY: {"S": partition}, schema.SORT_KEY: {"S": sort_key}}


_KEY_IS_FREE: Action = {
    "ConditionExpression": "attribute_not_exists(#pk)",
    "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY},
}


def _unchanged(row: GroupRow) -> Action:
    """The row still has every attribute that was read, with the same value."""
    first = [name for name in COMPARED_FIRST if name in row.attributes]
    others = sorted(row.attributes.keys() - {*first, schema.PARTITION_KEY, schema.SORT_KEY})
    names = [*first, *others][:MOST_COMPARED]
    return {
        "ConditionExpression": " AND ".join(f"#{number} = :{number}" for number in range(len(names))),
        "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":{number}": row.attributes[name] for number, name in enumerate(names)},
    }
