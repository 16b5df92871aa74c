"""What must be denied is denied."""

import pytest

from tests.policies.conftest import Case
from tests.policies.deployed import VARIANTS, deployed
from tests.policies.probes import named


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_attacker_is_denied(variant: str) -> None:
    found = deployed(variant)
    attempts = named(found)
    assert [name for name, request in attempts.items() if found.policies.allow(request)] == []
    assert len(attempts) > 50


def test_every_neighbour_of_an_allowed_request_is_denied(case: Case) -> None:
    allowed = [str(request) for request in case.denied if case.policies.allow(request)]
    assert allowed == []
    assert len(case.denied) > 1500
