"""The fixtures of the proofs: the recorded calls, and for each variant its allowed requests and its probes."""

from dataclasses import dataclass

import pytest

from tests.policies.authorization import ENCLOSING_OPERATION, Policies, Request, distinct
from tests.policies.deployed import VARIANTS, Deployed, deployed
from tests.policies.probes import TRANSACTIONAL, named, neighbours
from tests.policies.recorder import requests
from tests.policies.scenarios import Recording
from tests.policies.service_calls import service_calls


@dataclass(frozen=True)
class Case:
    """A variant of the deployment: its policies, the requests that they must allow, and those that they must deny."""

    variant: str
    deployed: Deployed
    allowed: list[Request]
    denied: list[Request]

    @property
    def policies(self) -> Policies:
        """All policies of the variant."""
        return self.deployed.policies


# Each statement of dev is in one of the other two.
@pytest.fixture(scope="session", params=[pytest.param("dev", marks=pytest.mark.proof), *VARIANTS[1:]])
def case(request: pytest.FixtureRequest, recording: Recording) -> Case:
    """Each variant."""
    return case_of(request.param, recording)


def case_of(variant: str, recording: Recording) -> Case:
    found = deployed(variant)
    # In prod, backend_batch_write is off; in the existing VPC, backend_changes is.
    calls = [*recording.own, *(() if variant == "prod" else recording.bootcamp)]
    changes = [asked for call in recording.changes for asked in requests(call, found)]
    # What is allowed alone, without a condition on the transaction, is allowed in one too.
    alone = [asked for asked in changes if asked.action in TRANSACTIONAL and ENCLOSING_OPERATION not in asked.context]
    changes += [asked.with_key(ENCLOSING_OPERATION, "TransactWriteItems") for asked in alone]
    allowed = distinct([*(asked for call in calls for asked in requests(call, found)), *service_calls(found)])
    denied: list[Request] = []
    if variant == "dev in an existing VPC":
        denied = [asked for asked in distinct(changes) if asked not in allowed]
        assert {asked.action for asked in denied} > {"dynamodb:DeleteItem", "dynamodb:UpdateItem"}
    else:
        allowed = distinct([*allowed, *changes])
    return Case(variant, found, allowed, distinct([*denied, *named(found).values(), *neighbours(found, allowed)]))
