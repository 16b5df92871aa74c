"""When the network changes, calls are denied for one step of the update at most, and never while the function moves.

CloudFormation updates a resource after those that it names or depends on. The function's update is the long step:
until it ends, Lambda connects invocations to the previous VPC (Lambda Developer Guide, "Giving Lambda functions access
to resources in an Amazon VPC").
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.policies.authorization import SOURCE_VPCE, Policies
from tests.policies.conftest import Case
from tests.policies.deployed import PROJECTION
from tools.synthesis import Template, Templates, resources

OLD, NEW = "vpce-old", "vpce-new"
FUNCTION, POLICY, MAPPING, ROLE = "Function", "TablePolicy", "EventSourceMapping", "Role"


def needs(template: Template, name: str) -> set[str]:
    """The resources that are updated before a resource: all that it names or depends on, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        resource = template["Resources"][waiting.pop()]
        text = json.dumps({**resource, "DependsOn": [{"Ref": other} for other in resource.get("DependsOn", [])]})
        named = set(re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', text)) & template["Resources"].keys() - found
        found |= named
        waiting += named
    return found


def part(template: Template, word: str) -> str:
    pattern = re.compile(rf"Messages(Projection)?{word}[0-9A-F]{{8}}|Messages{word}")
    (found,) = filter(pattern.fullmatch, template["Resources"])
    return str(found)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_function_moves_first_then_its_permissions_then_the_mapping(
    stage: str, templates: Callable[..., Templates]
) -> None:
    template = templates(stage)["main"]
    function, policy, mapping, role = (part(template, word) for word in (FUNCTION, POLICY, MAPPING, ROLE))
    (endpoint,) = resources(template, "AWS::EC2::VPCEndpoint")
    assert {function, endpoint} <= needs(template, policy)
    assert policy in needs(template, mapping)
    assert not {endpoint, policy} & needs(template, role), "the role would change before the function moves"
    assert policy not in needs(template, function)


def bound_to(policies: Policies, endpoint_id: str) -> Policies:
    text = json.dumps(policies.identities[PROJECTION]).replace(str(policies.endpoint_id), endpoint_id)
    statements: list[dict[str, Any]] = json.loads(text)
    return replace(policies, identities={**policies.identities, PROJECTION: tuple(statements)})


def test_calls_are_denied_only_while_the_policy_follows(case: Case) -> None:
    """The projection's own calls, during an update to another endpoint."""
    if case.policies.endpoint_id is None:
        pytest.skip("the endpoint is not ours")
    calls = [one for one in case.allowed if one.principal == PROJECTION and SOURCE_VPCE in one.context]
    assert len(calls) > 5
    called_from, permitted, denied = OLD, OLD, []
    for step in (FUNCTION, POLICY, MAPPING):
        policies = bound_to(case.policies, permitted)
        if not all(policies.passes(PROJECTION, call.with_key(SOURCE_VPCE, called_from)) for call in calls):
            denied.append(step)
        called_from = NEW if step == FUNCTION else called_from
        permitted = NEW if step == POLICY else permitted
    assert denied == [POLICY]
