"""The policy simulator's step with the recorded calls and probes, and MiniStack's evaluator as the simulator.

Its responses have the form that AWS documents. What AWS itself decides, only AWS can show.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from aws_proof.claims import DiffersError
from aws_proof.probes import cases
from aws_proof.steps import permissions
from tests.aws_proof.stubbed import ACCOUNT, NAME, REGION, StubbedWorld, world_in
from tests.policies.authorization import QUEUE, Document, Policies, Request
from tests.policies.conftest import Case
from tests.policies.deployed import PROJECTION

ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}-dev-projection-{REGION}"
STREAM = "2026-11-21T00:00:00.000"
SOMEBODY = "somebody"


@pytest.fixture(scope="module")
def recorded() -> Case:
    return cases("dev")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Case) -> Iterator[StubbedWorld]:
    monkeypatch.setattr("aws_proof.probes.cases", lambda _: recorded)
    made = world_in(tmp_path)
    made.responses.add(
        "dynamodb",
        "describe_table",
        {"Table": {"LatestStreamArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}/stream/{STREAM}"}},
    )
    queue = {"OutputKey": "FailureQueueUrl", "OutputValue": f"https://sqs/{ACCOUNT}/failures"}
    stack = {"StackName": made.system, "CreationTime": datetime.now(UTC), "StackStatus": "CREATE_COMPLETE"}
    made.responses.add("cloudformation", "describe_stacks", {"Stacks": [stack | {"Outputs": [queue]}]})
    endpoint = {
        "LogicalResourceId": "Endpoint",
        "PhysicalResourceId": "vpce-1",
        "ResourceType": "AWS::EC2::VPCEndpoint",
        "LastUpdatedTimestamp": datetime.now(UTC),
        "ResourceStatus": "CREATE_COMPLETE",
    }
    made.responses.add("cloudformation", "list_stack_resources", {"StackResourceSummaries": [endpoint]})
    yield made
    made.responses.end()


def deployed_policy(recorded: Case) -> list[dict[str, Any]]:
    """The role's policy, as CloudFormation would deploy it with this deployment's names and ids."""
    synthesized = recorded.deployed
    text = json.dumps(recorded.policies.identities[PROJECTION])
    for before, after in (
        (synthesized.stream_arn, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}/stream/{STREAM}"),
        (synthesized.table_arn, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}"),
        (synthesized.queue_arn, f"arn:aws:sqs:{REGION}:{ACCOUNT}:failures"),
        (synthesized.function_arns[PROJECTION].rpartition(":")[2], f"{NAME}-dev-projection"),
        (synthesized.data_path["aws:SourceVpce"], "vpce-1"),
        ("us-east-1", REGION),
    ):
        text = text.replace(before, after)
    found: list[dict[str, Any]] = json.loads(text)
    return found


def simulate_with(monkeypatch: pytest.MonkeyPatch, role_policy: list[dict[str, Any]]) -> list[str]:
    """Let the evaluator respond to IAM's calls; return the names of the calls made."""
    asked: list[Mapping[str, Any]] = []
    made: list[str] = []
    create: Any = boto3.Session("key", "secret", region_name=REGION).client
    iam = create("iam")

    def answer(model: Any, **_: Any) -> tuple[AWSResponse, Mapping[str, Any]]:
        made.append(model.name)
        parsed: Mapping[str, Any] = {"Role": {"Arn": ROLE}}
        if model.name != "GetRole":
            (text,) = asked[-1].get("PolicyInputList", [json.dumps({"Statement": role_policy})])
            parsed = {"EvaluationResults": list(evaluated(text, asked[-1])), "IsTruncated": False}
        raw: Any = None
        return AWSResponse("", 200, HTTPHeaders(), raw), parsed

    iam.meta.events.register("provide-client-params.iam", lambda params, **_: asked.append(params))
    iam.meta.events.register("before-call.iam", answer)
    stubbed: Callable[[StubbedWorld, str], Any] = StubbedWorld.client
    monkeypatch.setattr(
        StubbedWorld, "client", lambda world, service: iam if service == "iam" else stubbed(world, service)
    )
    return made


def evaluated(text: str, asked: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    context = {one["ContextKeyName"]: tuple(one["ContextKeyValues"]) for one in asked["ContextEntries"]}
    (principal,) = context.pop("aws:PrincipalArn", (ROLE,))
    (resource,) = asked["ResourceArns"]
    policies = Policies({SOMEBODY: document(text)}, {SOMEBODY: principal}, None, None, document(text), "")
    for action in asked["ActionNames"]:
        request = Request(SOMEBODY, action, resource, context)
        denied = "implicitDeny" if policies.passes(QUEUE, request) else "explicitDeny"
        decision = "allowed" if policies.passes(SOMEBODY, request) else denied
        yield {"EvalActionName": action, "EvalDecision": decision}


@functools.cache
def document(text: str) -> Document:
    return tuple({"Condition": {}, **one} for one in json.loads(text)["Statement"])


def test_every_recorded_call_and_every_probe_is_simulated_and_agrees(
    world: StubbedWorld, recorded: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = simulate_with(monkeypatch, deployed_policy(recorded))
    assert {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchGetItem"} <= {one.action for one in recorded.allowed}
    seen = permissions.simulator.step(world)
    assert seen.startswith(f"{len(recorded.allowed)} requests allowed, {len(recorded.denied)} denied; ")
    assert set(made) == {"SimulateCustomPolicy", "GetRole", "SimulatePrincipalPolicy"}
    world.responses.are_used_up()


@pytest.mark.parametrize("fault", ["less", "more"])
def test_a_deployed_role_with_another_policy_is_found(
    fault: str, world: StubbedWorld, recorded: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = deployed_policy(recorded)
    anything = {"Sid": "A", "Effect": "Allow", "Action": ["dynamodb:Scan"], "Resource": ["*"], "Condition": {}}
    allows = next(one for one in policy if one["Effect"] == "Allow")
    changed = [one for one in policy if one is not allows] if fault == "less" else [*policy, anything]
    simulate_with(monkeypatch, changed)
    with pytest.raises(DiffersError, match=f"{'denied' if fault == 'less' else 'allowed'}: {PROJECTION}: "):
        permissions.compare_role(world, recorded)
