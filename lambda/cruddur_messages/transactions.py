"""Moves as DynamoDB transactions: how they are packed, conditioned, and read back when one is cancelled. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cruddur_messages import schema
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, AttributeMap, GroupRow, Message, text_or_empty
from cruddur_messages.moves import Move, item_size

MAX_ACTIONS = 100
"""DynamoDB's limit on the actions of one transaction (API reference, "TransactWriteItems")."""

MAX_BYTES = 3_500_000
"""Kept below DynamoDB's limit of 4 MB on the items of one transaction."""

NOTHING_AGAINST = "None"
CONDITION_FAILED = "ConditionalCheckFailed"


Action = dict[str, Any]
"""One element of TransactItems (API reference, "TransactWriteItem")."""

Condition = dict[str, Any]
"""The part of an action that has to hold for its transaction to be made: the expression, its names and values."""


@dataclass(frozen=True)
class Verdict:
    """What DynamoDB said against the parts of a cancelled transaction.

    `check`: the code against a message that the moves rest on, if any. `outdated`: rows are no longer as they were
    read. `key_taken`: only the key of the target is not free. `hindered`: any other reason, with its code.
    `unopposed`: nothing was said against these.
    """

    check: str | None
    outdated: tuple[Move, ...]
    key_taken: tuple[Move, ...]
    hindered: tuple[tuple[Move, str], ...]
    unopposed: tuple[Move, ...]


@dataclass(frozen=True)
class Transaction:
    """Moves of one conversation that are made together or not at all, given its newest message."""

    moves: tuple[Move, ...]
    newest: Message | None

    def actions(self, table_name: str) -> list[Action]:
        """The actions as TransactWriteItems takes them: the checks, then those of each move."""
        checks = _checks(self.moves, self.newest, table_name)
        return checks + [action for move in self.moves for action in _actions(move, table_name)]

    def judge(self, reasons: Sequence[str]) -> Verdict:
        """Read the codes of the cancellation reasons, of which there is one for each action, in order."""
        codes = iter(reasons)
        of_checks = list(islice(codes, len(_checks(self.moves, self.newest, ""))))
        of_moves = [(move, list(islice(codes, len(_actions(move, ""))))) for move in self.moves]
        against = [(move, [code for code in own if code != NOTHING_AGAINST]) for move, own in of_moves]
        failed = [(move, codes) for move, codes in against if codes and set(codes) == {CONDITION_FAILED}]
        taken = [move for move, own in of_moves if _is_only_key_taken(move, own)]
        return Verdict(
            check=next((code for code in of_checks if code != NOTHING_AGAINST), None),
            outdated=tuple(move for move, _ in failed if move not in taken),
            key_taken=tuple(taken),
            hindered=tuple(
                (move, next(code for code in codes if code != CONDITION_FAILED))
                for move, codes in against
                if set(codes) - {CONDITION_FAILED}
            ),
            unopposed=tuple(move for move, codes in against if not codes),
        )


def pack(moves: Iterable[Move], newest: Message | None) -> Iterator[Transaction]:
    """Moves in as few transactions as DynamoDB's limits allow."""
    packed: list[Move] = []
    checks: set[str] = set()
    actions = size = 0
    for move in moves:
        move_checks = {row.message_sort_key for row in move.rows}
        move_actions = len(move.leaving) + 1
        move_size = sum(item_size(row.attributes) for row in (*move.rows, move.target))
        too_many = 1 + len(checks | move_checks) + actions + move_actions > MAX_ACTIONS
        if packed and (too_many or size + move_size > MAX_BYTES):
            yield Transaction(tuple(packed), newest)
            packed, checks, actions, size = [], set(), 0, 0
        packed.append(move)
        checks |= move_checks
        actions += move_actions
        size += move_size
    if packed:
        yield Transaction(tuple(packed), newest)


def _is_only_key_taken(move: Move, codes: Sequence[str]) -> bool:
    *of_leaving, of_target = codes or [NOTHING_AGAINST]
    return (
        move.replaced_in_place is None
        and of_target == CONDITION_FAILED
        and all(code == NOTHING_AGAINST for code in of_leaving)
    )


def _actions(move: Move, table_name: str) -> list[Action]:
    """Delete what leaves and put the target, if each row still is what was read and the target's key is free."""
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
    shown_newer: dict[str, set[tuple[str, str]]] = {}
    for row in (row for move in moves for row in move.rows):
        if row.message_sort_key > (newest.sort_key if newest else ""):
            shown = text_or_empty(row.attributes, MESSAGE_UUID), text_or_empty(row.attributes, MESSAGE)
            shown_newer.setdefault(row.message_sort_key, set()).add(shown)
    conditions = {sort_key: _shows_none_of(sorted(shown)) for sort_key, shown in shown_newer.items()}
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
    """The row still has every attribute that was read, with the same value."""
    names = sorted(row.attributes.keys() - {schema.PARTITION_KEY, schema.SORT_KEY})
    return {
        "ConditionExpression": " AND ".join(f"#{number} = :{number}" for number in range(len(names))),
        "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":{number}": row.attributes[name] for number, name in enumerate(names)},
    }


_MESSAGE_NAMES = {"#uuid": MESSAGE_UUID, "#message": MESSAGE}


def _shows(message: Message) -> Condition:
    return {
        "ConditionExpression": "#uuid = :uuid AND #message = :message",
        "ExpressionAttributeNames": _MESSAGE_NAMES,
        "ExpressionAttributeValues": {
            ":uuid": {"S": message.message_uuid},
            ":message": {"S": message.message},
        },
    }


def _shows_none_of(shown: Sequence[tuple[str, str]]) -> Condition:
    values = {
        name: {"S": value}
        for number, pair in enumerate(shown)
        for name, value in zip((f":uuid{number}", f":message{number}"), pair, strict=True)
    }
    return {
        "ConditionExpression": " AND ".join(
            f"NOT (#uuid = :uuid{number} AND #message = :message{number})" for number in range(len(shown))
        ),
        "ExpressionAttributeNames": _MESSAGE_NAMES,
        "ExpressionAttributeValues": values,
    }
