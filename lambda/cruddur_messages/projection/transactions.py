"""Moves as DynamoDB transactions: how they are packed, conditioned, and read back when one is cancelled. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cruddur_messages import schema
from cruddur_messages.dynamodb import CONDITION_FAILED, MAX_ACTIONS, NO_REASON
from cruddur_messages.items import (
    MEMBER_COUNT,
    MESSAGE,
    MESSAGE_SORT_KEY,
    MESSAGE_UUID,
    AttributeMap,
    GroupRow,
    Message,
)
from cruddur_messages.projection.moves import Move

MAX_ACTIONS_OF_OLD = 10
"""The same limit when transactions were new, to which the DynamoDB Local of that time still holds."""

MAX_BYTES = 3_500_000
"""Kept below DynamoDB's limit of 4 MB on the items of one transaction."""

MOST_COMPARED = 140
"""How many attributes a condition compares: an expression takes 300 operators (Developer Guide, "Constraints")."""

OWN_ATTRIBUTES = frozenset({schema.INDEX_PARTITION_KEY, MESSAGE, MESSAGE_UUID, MESSAGE_SORT_KEY, MEMBER_COUNT})
"""What a condition compares in any case."""


Action = dict[str, Any]
"""One element of TransactItems (API reference, "TransactWriteItem")."""

Condition = dict[str, Any]
"""The part of an action that has to hold for its transaction to be made: the expression, its names and values."""


@dataclass(frozen=True)
class Verdict:
    """What DynamoDB said against the parts of a cancelled transaction.

    `check`: the code against a message that the moves rest on, if any. `contradicted`: the rows that are no longer
    as they were read, and `outdated` the moves that rest on them. `key_taken`: only the key of the target is not
    free. `hindered`: any other reason, with its code. `unopposed`: nothing was said against these.
    """

    check: str | None
    contradicted: tuple[GroupRow, ...]
    outdated: tuple[Move, ...]
    key_taken: tuple[Move, ...]
    hindered: tuple[tuple[Move, str], ...]
    unopposed: tuple[Move, ...]


@dataclass(frozen=True)
class Transaction:
    """Moves of one conversation that are made together or not at all, given its newest message.

    A move that is not needed is confirmed: its row has to be as it was read.
    """

    moves: tuple[Move, ...]
    newest: Message | None

    @property
    def counts_members(self) -> bool:
        """Whether a move of these changes a member count, which makes sense only together with the others."""
        return any(move.counts_anew for move in self.moves)

    def actions(self, table_name: str) -> list[Action]:
        """The actions as TransactWriteItems takes them: the checks, then those of each move."""
        checks = _checks(self.moves, self.newest, table_name)
        return checks + [action for move in self.moves for action in _actions(move, table_name)]

    def judge(self, reasons: Sequence[str]) -> Verdict:
        """Read the codes of the cancellation reasons, of which there is one for each action, in order."""
        codes = iter(reasons)
        of_checks = list(islice(codes, len(_checks(self.moves, self.newest, ""))))
        against = [(move, list(islice(codes, len(_actions(move, ""))))) for move in self.moves]
        contradicted: list[GroupRow] = []
        outdated: list[Move] = []
        key_taken: list[Move] = []
        hindered: list[tuple[Move, str]] = []
        unopposed: list[Move] = []
        for move, own in against:
            contradicted += [row for row, code in zip(_rested_on(move), own, strict=False) if code == CONDITION_FAILED]
            other = next((code for code in own if code not in (NO_REASON, CONDITION_FAILED)), None)
            if other is not None:
                hindered.append((move, other))
            elif CONDITION_FAILED not in own:
                unopposed.append(move)
            elif own.index(CONDITION_FAILED) < len(_rested_on(move)):
                outdated.append(move)
            else:
                key_taken.append(move)
        return Verdict(
            check=next((code for code in of_checks if code != NO_REASON), None),
            contradicted=tuple(contradicted),
            outdated=tuple(outdated),
            key_taken=tuple(key_taken),
            hindered=tuple(hindered),
            unopposed=tuple(unopposed),
        )


def pack(moves: Iterable[Move], newest: Message | None, max_actions: int = MAX_ACTIONS) -> Iterator[Transaction]:
    """Moves in as few transactions as DynamoDB's limits allow."""
    packed: list[Move] = []
    checks: set[str] = set()
    actions = size = 0
    for move in moves:
        move_checks = {row.message_sort_key for row in move.rows}
        move_actions = len(move.leaving) + 1
        too_many = 1 + len(checks | move_checks) + actions + move_actions > max_actions
        if packed and (too_many or size + move.size > MAX_BYTES):
            yield Transaction(tuple(packed), newest)
            packed, checks, actions, size = [], set(), 0, 0
        packed.append(move)
        checks |= move_checks
        actions += move_actions
        size += move.size
    if packed:
        yield Transaction(tuple(packed), newest)


def pack_and_count(moves: Sequence[Move], newest: Message | None, max_actions: int) -> Iterator[Transaction]:
    """The moves of all members, in transactions that count those who have not been counted.

    Each of these also raises the count of one who has been, the first by name: then whoever still takes the members
    of before for everyone rests on a row that has changed. The first transaction of all begins with those whom
    others name, so that two of them get in each other's way (docs/decisions/0004).
    """
    counted = sorted((move for move in moves if move.is_counted), key=_member)
    if counted and max(move.target.member_count or 0 for move in counted) < len(counted):
        # They have been counted apart from each other.
        counted[0] = counted[0].with_member_count(len(counted))
    named = {move.target.other_uuid for move in moves}
    uncounted = sorted(
        (move.with_member_count(len(moves)) for move in moves if not move.is_counted),
        key=lambda move: (move.target.member_uuid not in named, move.target.member_uuid),
    )
    if not uncounted:
        yield from pack(counted, newest, max_actions)
        return
    known = len(counted)
    witness, others = [move.with_member_count(len(moves)) for move in counted[:1]], counted[1:]
    while True:
        fitting = next(pack([*witness, *uncounted], newest, max_actions)).moves
        newcomers = fitting[len(witness) :] or uncounted[:1]
        known += len(newcomers)
        together = [move.with_member_count(known) for move in (*witness, *newcomers)]
        uncounted = uncounted[len(newcomers) :]
        if not uncounted:
            break
        yield Transaction(tuple(together), newest)
        witness = [min(together, key=_member).afterwards().with_member_count(len(moves))]
    last = next(pack([*together, *others], newest, max_actions)).moves
    if len(last) < len(together):
        last = tuple(together)
    yield Transaction(last, newest)
    yield from pack([*together, *others][len(last) :], newest, max_actions)


def _member(move: Move) -> str:
    return move.target.member_uuid


def _rested_on(move: Move) -> tuple[GroupRow, ...]:
    """The rows that have to be as they were read, in the order of the actions that say so."""
    replaced = move.replaced_in_place
    return (*move.leaving, replaced) if replaced else move.leaving


def _actions(move: Move, table_name: str) -> list[Action]:
    """Delete what leaves and put the target, if each row still is what was read and the target's key is free."""
    target_key = _key(move.target.partition, move.target.sort_key)
    if not move.is_needed:
        return [{"ConditionCheck": {"TableName": table_name, "Key": target_key, **_unchanged(move.target)}}]
    replaced = move.replaced_in_place
    return [
        *(
            {"Delete": {"TableName": table_name, "Key": _key(row.partition, row.sort_key), **_unchanged(row)}}
            for row in move.leaving
        ),
        {
            "Put": {
                "TableName": table_name,
                "Item": move.target.attributes,
                **(_unchanged(replaced) if replaced else _KEY_IS_FREE),
            }
        },
    ]


def _checks(moves: Sequence[Move], newest: Message | None, table_name: str) -> list[Action]:
    """The newest message is as it was read, and newer ones that rows still show are gone (docs/decisions/0004).

    Without them, an invocation that stands still between reading and writing could bring back a deleted message
    after another one has found nothing left to do.
    """
    partition = schema.message_partition(moves[0].target.message_group_uuid)
    shown = {row.message_sort_key for move in moves for row in move.rows}
    conditions = {
        sort_key: _SHOWS_NOTHING for sort_key in sorted(shown) if sort_key > (newest.sort_key if newest else "")
    }
    if newest is not None:
        conditions[newest.sort_key] = _shows(newest)
    return [
        {"ConditionCheck": {"TableName": table_name, "Key": _key(partition, sort_key), **condition}}
        for sort_key, condition in conditions.items()
    ]


def _key(partition: str, sort_key: str) -> AttributeMap:
    return {schema.PARTITION_KEY: {"S": partition}, schema.SORT_KEY: {"S": sort_key}}


_KEY_IS_FREE: Condition = {
    "ConditionExpression": "attribute_not_exists(#pk)",
    "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY},
}


def _unchanged(row: GroupRow) -> Condition:
    """The row still has every attribute that was read, with the same value; the projection's own come first."""
    own = sorted(row.attributes.keys() & OWN_ATTRIBUTES)
    others = sorted(row.attributes.keys() - OWN_ATTRIBUTES - {schema.PARTITION_KEY, schema.SORT_KEY})
    names = [*own, *others][:MOST_COMPARED]
    return {
        "ConditionExpression": " AND ".join(f"#{number} = :{number}" for number in range(len(names))),
        "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":{number}": row.attributes[name] for number, name in enumerate(names)},
    }


_MESSAGE_NAMES = {"#uuid": MESSAGE_UUID, "#message": MESSAGE}

_SHOWS_NOTHING: Condition = {
    "ConditionExpression": "NOT (attribute_type(#uuid, :string) AND attribute_type(#message, :string))",
    "ExpressionAttributeNames": _MESSAGE_NAMES,
    "ExpressionAttributeValues": {":string": {"S": "S"}},
}
"""Under a key there is no message, or none that can be shown."""


def _shows(message: Message) -> Condition:
    return {
        "ConditionExpression": "#uuid = :uuid AND #message = :message",
        "ExpressionAttributeNames": _MESSAGE_NAMES,
        "ExpressionAttributeValues": {
            ":uuid": {"S": message.message_uuid},
            ":message": {"S": message.message},
        },
    }
