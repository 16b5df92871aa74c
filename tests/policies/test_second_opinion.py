"""Two independent evaluators agree, and AWS has every action and condition key that the proof uses."""

from collections.abc import Callable

import pytest

from tests import report
from tests.policies.conftest import Case
from tests.policies.second_opinion import judge

pytestmark = pytest.mark.proof


def test_the_evaluators_agree(case: Case, record_property: Callable[[str, object], None]) -> None:
    requests = [*case.allowed, *case.denied]
    verdicts = judge(case.policies, requests)
    judged = [(request, verdict) for request, verdict in zip(requests, verdicts, strict=True) if not verdict.error]
    differing = [request for request, verdict in judged if verdict.allowed is not case.policies.allow(request)]
    record_property(
        report.PRINTED,
        f"Policies of {case.variant}: {len(judged)} requests evaluated twice, {len(differing)} differently; "
        f"{len(requests) - len(judged)} further probes cannot exist on AWS",
    )
    assert [str(request) for request in differing] == []
    assert len(judged) > 1000


def test_aws_has_every_action_and_every_condition_key_of_it(case: Case) -> None:
    verdicts = judge(case.policies, case.allowed)
    assert [verdict.error for verdict in verdicts if verdict.error] == []
    assert [verdict.ignored for verdict in verdicts if verdict.ignored] == []
