"""Steps as DynamoDB transactions: how they are packed, and what the reasons of a cancellation mean. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cruddur_messages.dynamodb import CONDITION_FAILED, NO_REASON, TRANSIENT_CODES
from cruddur_messages.projection.steps import Move, Step

MAX_BYTES = 3_500_000
"""Kept below DynamoDB's limit of 4 MB on the items of one transaction."""


@dataclass(frozen=True)
class Verdict:
    """The meaning of the cancellation reasons of a transaction.

    `outdated`: why everything must be read again, None if it need not. `taken`: moves whose key another row has.
    `refused`: steps that DynamoDB will never make, with the code.
    """

    outdated: str | None
    taken: tuple[Move, ...]
    refused: tuple[tuple[Step, str], ...]


def pack(steps: Iterable[Step], max_actions: int) -> Iterator[tuple[Step, ...]]:
    """Steps in as few transactions as DynamoDB's limits allow; at least one, to update the conversation item."""
    packed: list[Step] = []
    actions, size = 1, 0
    for step in steps:
        if packed and (actions + step.action_count > max_actions or size + step.size > MAX_BYTES):
            yield tuple(packed)
            packed, actions, size = [], 1, 0
        packed.append(step)
        actions += step.action_count
        size += step.size
    yield tuple(packed)


def judge(steps: Sequence[Step], reasons: Sequence[str]) -> Verdict:
    """Read the codes of the cancellation reasons: the conversation item's, then one for each action of each step."""
    codes = iter(reasons)
    outdated = {next(codes, NO_REASON)} - {NO_REASON}
    taken: list[Move] = []
    refused: list[tuple[Step, str]] = []
    for step in steps:
        own = [next(codes, NO_REASON) for _ in range(step.action_count)]
        for code in set(own) - {NO_REASON, CONDITION_FAILED}:
            if code in TRANSIENT_CODES:
                outdated.add(code)
            else:
                refused.append((step, code))
        if own[-1] == CONDITION_FAILED and isinstance(step, Move) and step.replaced is None:
            taken.append(step)
            own = own[:-1]
        if CONDITION_FAILED in own:
            outdated.add("a row is no longer as it was read")
    if not (outdated or taken or refused):
        outdated.add("cancelled without a reason")
    return Verdict(", ".join(sorted(outdated)) or None, tuple(taken), tuple(refused))


def retry(steps: Sequence[Step], verdict: Verdict) -> tuple[tuple[Step, ...], dict[str, str]]:
    """The steps to commit instead of those judged: ties at their next key; and why the members left out are refused."""
    refused = {step.member_uuid: code for step, code in verdict.refused}
    elsewhere = {move.member_uuid: move.to_next_place() for move in verdict.taken}
    for member, move in elsewhere.items():
        if move is None:
            refused[member] = "every sort key within a millisecond of the message is taken"
    again = [elsewhere.get(step.member_uuid) or step for step in steps]
    return tuple(step for step in again if step.member_uuid not in refused), refused
