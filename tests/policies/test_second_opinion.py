"""Two judges that have nothing in common say the same, and AWS knows every call and condition that the proof uses."""

from collections.abc import Callable

import pytest

from tests import report
from tests.policies.conftest import Case
from tests.policies.second_opinion import judge

pytestmark = pytest.mark.proof

DISPUTED_ACTION = "dynamodb:ConditionCheckItem"
DISPUTED_KEY = "dynamodb:EnclosingOperation"
"""The Service Authorization Reference, which the simulator goes by, has the key for PutItem and DeleteItem alone; the
DynamoDB Developer Guide ("Using IAM with DynamoDB transactions", Example 2) uses it with ConditionCheckItem too."""


def test_the_judges_agree(case: Case, record_property: Callable[[str, object], None]) -> None:
    requests = [*case.allowed, *case.denied]
    verdicts = judge(case.policies, requests)
    judged = [(request, verdict) for request, verdict in zip(requests, verdicts, strict=True) if not verdict.error]
    differing = [request for request, verdict in judged if verdict.allowed is not case.policies.allow(request)]
    record_property(
        report.PRINTED,
        f"Policies of {case.variant}: {len(judged)} requests judged twice, the same but for {len(differing)} with "
        f"{DISPUTED_KEY} on {DISPUTED_ACTION}; {len(requests) - len(judged)} further probes cannot exist on AWS",
    )
    assert {request.action for request in differing} == {DISPUTED_ACTION}
    assert all(DISPUTED_KEY in request.context for request in differing)
    assert len(judged) > 1000


def test_aws_has_every_call_and_every_condition_key_of_it(case: Case) -> None:
    verdicts = judge(case.policies, case.allowed)
    assert [verdict.error for verdict in verdicts if verdict.error] == []
    unknown = {
        (request.action, key)
        for request, verdict in zip(case.allowed, verdicts, strict=True)
        for key in verdict.ignored
    }
    assert unknown == {(DISPUTED_ACTION, DISPUTED_KEY)}
