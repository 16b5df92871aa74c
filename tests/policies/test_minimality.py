"""Nothing in a policy is superfluous or too wide: if a part is removed or widened, a call or a probe notices.

A denied call would hide every removal, and an allowed probe every widening. test_sufficiency.py and test_probes.py show
that there are none.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from tests import report
from tests.policies.authorization import Request
from tests.policies.conftest import Case
from tests.policies.deployed import OURS
from tests.policies.mutants import Mutant, mutants

WIDER_DENY = (
    "A wider Deny denies nothing that anybody needs: the code makes no such call, and Lambda's own calls do not carry "
    "the condition key. It has to deny only what the statements above it allow."
)
SURVIVORS = {
    "projection: ReadStream without dynamodb:ListStreams": (
        "No call of the poller is known to need it. AWS names it in the execution role's permissions (Lambda "
        "Developer Guide, Using AWS Lambda with Amazon DynamoDB), and in the error of a mapping whose role lacks one."
    ),
    "projection: NoNetworkInterfacesForTheCode with *": WIDER_DENY,
    "projection: NoStreamOrQueueForTheCode with *": WIDER_DENY,
    "queue policy: * for arn:aws:sqs:*": "The policy of a queue applies to no other queue.",
}
"""Patterns of the changes that nothing notices, with the reason to accept each."""


@pytest.fixture
def changes(case: Case) -> list[Mutant]:
    return list(mutants(case.policies, _ours(case)))


def test_every_change_is_noticed(
    case: Case, changes: list[Mutant], record_property: Callable[[str, object], None]
) -> None:
    gates = {mutant.gate for mutant in changes}
    asked = {gate: [request for request in case.allowed if gate in case.policies.gates(request)] for gate in gates}
    stopped = {gate: [request for request in case.denied if _is_stopped(gate, request, case)] for gate in gates}
    survivors = [str(mutant) for mutant in changes if not _is_noticed(mutant, asked[mutant.gate], stopped[mutant.gate])]
    by_pattern = {
        pattern: [survivor for survivor in survivors if fnmatchcase(survivor, pattern)] for pattern in SURVIVORS
    }
    record_property(
        report.PRINTED,
        f"Policies of {case.variant}: {len(changes)} changes, {len(changes) - len(survivors)} noticed; "
        f"{len(survivors)} survive, for {len(SURVIVORS)} reasons",
    )
    for pattern, found in by_pattern.items():
        record_property(report.PRINTED, f"  {pattern} ({len(found)}): {SURVIVORS[pattern]}")
    assert len(changes) > 300
    assert [survivor for survivor in survivors if not any(survivor in found for found in by_pattern.values())] == []
    assert [pattern for pattern, found in by_pattern.items() if not found] == []


def _ours(case: Case) -> list[str]:
    return [identity for identity in OURS if identity in case.policies.identities]


def _is_stopped(gate: str, request: Request, case: Case) -> bool:
    return gate in case.policies.gates(request) and not case.policies.passes(gate, request)


def _is_noticed(mutant: Mutant, asked: list[Request], stopped: list[Request]) -> bool:
    """Whether the changed policy denies a call, or allows a probe that it denied before."""
    passes = mutant.policies.passes
    return not all(passes(mutant.gate, request) for request in asked) or any(
        passes(mutant.gate, request) for request in stopped
    )
