"""Moves as transactions: packed within DynamoDB's limits, conditioned on what was read; their reasons explained."""

import pytest

from cruddur_messages.items import GroupRow, Message
from cruddur_messages.projection.moves import plan
from cruddur_messages.projection.steps import MOST_COMPARED, Move
from cruddur_messages.projection.transactions import MAX_BYTES, judge, pack
from tests.unit.projection.case import message, row

pytestmark = pytest.mark.check

NEWEST = Message.from_attributes(message())
FAILED = "ConditionalCheckFailed"


def moves_of(*members: str, size: int = 0) -> list[Move]:
    rows = [GroupRow.from_attributes(row(member, note={"S": "n" * size})) for member in members]
    return plan(rows, NEWEST, is_shown=False)


def test_a_transaction_has_no_more_actions_and_bytes_than_dynamodb_accepts() -> None:
    packed = list(pack(moves_of(*(f"u{number}" for number in range(120))), 100))
    assert [sum(len(move.actions("t")) for move in moves) for moves in packed] == [98, 98, 44]
    packed = list(pack(moves_of(*"abcdefgh", size=390_000), 100))
    assert all(sum(move.size for move in moves) <= MAX_BYTES for moves in packed)
    assert sum(len(moves) for moves in packed) == 8


def test_a_row_of_many_attributes_is_compared_up_to_the_expression_limit() -> None:
    wide = row("a") | {f"x{number}": {"N": "1"} for number in range(400)}
    (move,) = plan([GroupRow.from_attributes(wide)], NEWEST, is_shown=False)
    delete = move.actions("t")[0]["Delete"]
    assert len(delete["ExpressionAttributeNames"]) == MOST_COMPARED
    assert {"message", "message_group_uuid"} <= set(delete["ExpressionAttributeNames"].values())


@pytest.mark.parametrize(
    ("reasons", "outdated", "taken", "refused"),
    [
        ([FAILED, "None", "None", "None", "None"], FAILED, "", ""),
        (["TransactionConflict", "None", "None", "None", FAILED], "TransactionConflict", "b", ""),
        (["None", FAILED, "None", "None", "None"], "a row is no longer as it was read", "", ""),
        (["None", "None", FAILED, "None", "None"], None, "a", ""),
        (["None", "None", FAILED, "None", "ValidationError"], None, "a", "b"),
        (["None", "ThrottlingError", "None", "None", "None"], "ThrottlingError", "", ""),
        (["None"] * 5, "cancelled without a reason", "", ""),
        ([], "cancelled without a reason", "", ""),
    ],
)
def test_cancellation_reasons_are_told_apart(
    reasons: list[str], outdated: str | None, taken: str, refused: str
) -> None:
    verdict = judge(moves_of("a", "b"), reasons)
    assert verdict.outdated == outdated
    assert [move.member_uuid for move in verdict.taken] == [*taken]
    assert [move.member_uuid for move, _ in verdict.refused] == [*refused]
