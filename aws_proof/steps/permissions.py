"""Permissions: evaluated by AWS's policy simulator, and tried."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from aws_proof import removal
from aws_proof.claims import DiffersError, claim
from aws_proof.journal import Made
from aws_proof.world import TAG, World, is_denied
from cruddur_cli.smoke.talk import smoke_uuid
from cruddur_messages import schema

if TYPE_CHECKING:
    from tests.policies.authorization import Document, Policies, Request
    from tests.policies.conftest import Case
    from tests.policies.deployed import Deployed

ACTIONS_AT_ONCE = 50
EXAMPLES = 3

CONTEXT_TYPES = {
    "dynamodb:LeadingKeys": "stringList",
    "dynamodb:EnclosingOperation": "stringList",
    "aws:SecureTransport": "boolean",
}
"""Of the condition keys whose type is not `string` (Service Authorization Reference)."""

Context = frozenset[tuple[str, tuple[str, ...]]]
Question = tuple[str, str, Context]
"""A policy, a resource and a context: one call of the simulator evaluates many actions for them."""


@claim(
    "AWS's policy simulator allows every call of this app and denies every probe of tests/policies.",
    not_on_emulator="the emulator's policy simulator ignores condition keys",
)
def simulator(world: World) -> str:
    """`iam:SimulateCustomPolicy` on every policy as synthesized, with context keys, for each call and each probe.

    Then `iam:SimulatePrincipalPolicy` on the projection's role as deployed, for those of the projection.
    """
    from aws_proof import probes

    case = probes.cases(world.stage)
    return f"{compare(world.client('iam'), case)}; of the deployed role: {compare_role(world, case)}"


def compare(iam: Any, case: "Case") -> str:
    """Ask the simulator about all requests. Raises DiffersError, with some examples, if a decision differs."""
    return _compared(_judged(iam, case.policies, [*case.allowed, *case.denied]), case.allowed, case.denied)


def compare_role(world: World, case: "Case") -> str:
    """Ask the same of the projection's role, with the names and ids of this deployment in each request."""
    from tests.policies.deployed import PROJECTION

    iam = world.client("iam")
    here = _translation(world, case.deployed)
    role = iam.get_role(RoleName=world.role_name)["Role"]["Arn"]
    simulate = partial(iam.get_paginator("simulate_principal_policy").paginate, PolicySourceArn=role)
    requests = [one for one in (*case.allowed, *case.denied) if one.principal == PROJECTION]
    questions: dict[tuple[str, Context], set[str]] = defaultdict(set)
    for one in requests:
        questions[one.resource, frozenset(one.context.items())].add(one.action)
    decisions = {
        (resource, context, action): decision == "allowed"
        for (resource, context), actions in questions.items()
        for action, decision in _simulate(
            simulate,
            here(resource),
            frozenset((key, tuple(map(here, values))) for key, values in context),
            sorted(actions),
        )
    }
    allowed = {one.identity: decisions[one.resource, frozenset(one.context.items()), one.action] for one in requests}
    # The role alone allows what only the endpoint's or the queue's policy denies.
    may = [one for one in requests if case.policies.passes(PROJECTION, one)]
    return _compared(allowed, may, [one for one in requests if one not in may])


def _compared(allowed: "Mapping[tuple[object, ...], bool]", may: "list[Request]", may_not: "list[Request]") -> str:
    wrong = [f"denied: {request}" for request in may if not allowed[request.identity]]
    wrong += [f"allowed: {request}" for request in may_not if allowed[request.identity]]
    if wrong:
        raise DiffersError(f"{len(wrong)} of {len(allowed)} decisions differ, such as {'; '.join(wrong[:EXAMPLES])}")
    return f"{len(may)} requests allowed, {len(may_not)} denied"


def _translation(world: World, synthesized: "Deployed") -> Callable[[str], str]:
    """Replaces the names and ids of the synthesized deployment by those of this one."""
    from tests.policies.authorization import ACCOUNT, PARTITION, REGION
    from tests.policies.deployed import PROJECTION

    region = world.journal.region
    table = world.client("dynamodb").describe_table(TableName=world.table_name)["Table"]
    names = {
        f"arn:{PARTITION}:": f"arn:{world.session.get_partition_for_region(region)}:",
        ACCOUNT: world.journal.account,
        # Swapped, so that a probe of another region is still about another region.
        region: REGION,
        REGION: region,
        _last(synthesized.table_arn, ":"): f"table/{world.table_name}",
        _last(synthesized.stream_arn, "/"): _last(table["LatestStreamArn"], "/"),
        _last(synthesized.queue_arn, ":"): _last(world.outputs()["FailureQueueUrl"], "/"),
        _last(synthesized.function_arns[PROJECTION], ":"): f"{world.system}-projection",
        synthesized.data_path["aws:SourceVpce"]: world.physical_id("AWS::EC2::VPCEndpoint"),
    }
    pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return lambda text: pattern.sub(lambda found: names[found[0]], text)


def _last(text: str, separator: str) -> str:
    return text.rpartition(separator)[2]


def _judged(iam: Any, policies: "Policies", requests: "Iterable[Request]") -> "dict[tuple[object, ...], bool]":
    """Whether all policies allow each request: those of the caller, of the endpoint and of the resource."""
    requests = list(requests)
    questions: dict[Question, set[str]] = defaultdict(set)
    for request in requests:
        for gate in policies.gates(request):
            questions[gate, request.resource, _context(policies, request)].add(request.action)
    paginate = iam.get_paginator("simulate_custom_policy").paginate
    decisions = {
        ((gate, resource, context), action): decision
        for (gate, resource, context), actions in questions.items()
        for action, decision in _simulate(
            partial(paginate, PolicyInputList=[_policy(policies.document(gate))]), resource, context, sorted(actions)
        )
    }

    def passes(request: "Request", gate: str) -> bool:
        decision = decisions[(gate, request.resource, _context(policies, request)), request.action]
        # The queue's own policy can only deny to identities whose own policies allow.
        return decision != "explicitDeny" if gate == "queue policy" else decision == "allowed"

    return {request.identity: all(passes(request, gate) for gate in policies.gates(request)) for request in requests}


def _context(policies: "Policies", request: "Request") -> Context:
    who = {"aws:PrincipalArn": (policies.arns[request.principal],)}
    return frozenset((dict(request.context) | who).items())


def _policy(document: "Document") -> str:
    """A policy's text. An identity policy has no principal: the context names the caller."""
    statements = [{name: part for name, part in one.items() if name != "Principal"} for one in document]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _simulate(
    paginate: Callable[..., Iterable[Any]], resource: str, context: Context, actions: list[str]
) -> Iterator[tuple[str, str]]:
    for first in range(0, len(actions), ACTIONS_AT_ONCE):
        pages = paginate(
            ActionNames=actions[first : first + ACTIONS_AT_ONCE],
            ResourceArns=[resource],
            ContextEntries=[
                {
                    "ContextKeyName": key,
                    "ContextKeyValues": list(values),
                    "ContextKeyType": CONTEXT_TYPES.get(key, "string"),
                }
                for key, values in sorted(context)
            ],
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                yield result["EvalActionName"], result["EvalDecision"]


@claim(
    "DynamoDB tells IAM that an action is part of a transaction (dynamodb:EnclosingOperation).",
)
def enclosing_operation(world: World) -> str:
    """A role with the projection's statements, without their network conditions, deletes a row that does not exist.

    In a transaction this must be allowed, outside a transaction denied.
    """
    with _role_like_the_projections(world, anywhere=True) as dynamodb:
        row = _key(schema.GROUP_ROW_PREFIX)
        _require_allowed(world, "a transaction", lambda: _delete_in_transaction(world, dynamodb, row))
        _require_denied(
            "a delete outside a transaction", lambda: dynamodb.delete_item(TableName=world.table_name, Key=row)
        )
    return "allowed in a transaction, denied outside"


@claim(
    "In a transaction, dynamodb:LeadingKeys holds only the keys of the elements with the action that is evaluated.",
    not_on_emulator="the emulator does not enforce dynamodb:LeadingKeys",
)
def leading_keys(world: World) -> str:
    """The same role, in transactions: two rows, and a row with an update of a conversation item, must be allowed.

    A message, and a row with a message, must be denied.
    """
    with _role_like_the_projections(world, anywhere=True) as dynamodb:
        row, other = _key(schema.GROUP_ROW_PREFIX), _key(schema.GROUP_ROW_PREFIX)
        conversation, message = _key(schema.CONVERSATION_PREFIX), _key(schema.MESSAGE_PREFIX)
        _require_allowed(world, "two rows", lambda: _delete_in_transaction(world, dynamodb, row, other))
        _require_allowed(
            world, "a row and a conversation item", lambda: _update_and_delete(world, dynamodb, conversation, row)
        )
        # The update has made it, and the projection may not delete it.
        world.client("dynamodb").delete_item(TableName=world.table_name, Key=conversation)
        _require_denied("a message", lambda: _delete_in_transaction(world, dynamodb, message))
        _require_denied("a row and a message", lambda: _delete_in_transaction(world, dynamodb, row, message))
    return "two rows, and a row with a conversation item, are allowed; a message, alone or with a row, is denied"


@claim(
    "The projection's permissions work only through its endpoint, and nobody else can send to its failure queue.",
    not_on_emulator="the emulator has no endpoint and does not enforce the queue's policy",
)
def outside_callers(world: World) -> str:
    """A role with exactly the projection's policy calls DynamoDB from here. An administrator sends to the queue."""
    with _role_like_the_projections(world, anywhere=False) as dynamodb:
        index = {"TableName": world.table_name, "IndexName": schema.INDEX_NAME}
        partition = schema.MESSAGE_PREFIX + smoke_uuid()
        for what, call in {
            "a query of messages": lambda: dynamodb.query(TableName=world.table_name, **_equals("pk", partition)),
            "a query of the index": lambda: dynamodb.query(**index, **_equals("message_group_uuid", partition)),
            "a transaction": lambda: _delete_in_transaction(world, dynamodb, _key(schema.GROUP_ROW_PREFIX)),
        }.items():
            _require_denied(what, call)
    queue = world.outputs()["FailureQueueUrl"]
    _require_denied(
        "a message of an administrator", lambda: world.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    )
    return "queries, a transaction, and a message to the failure queue: all denied"


@contextmanager
def _role_like_the_projections(world: World, *, anywhere: bool) -> Iterator[Any]:
    """DynamoDB under a role that this account may assume, with the projection's policy.

    With `anywhere`, without its network conditions.
    """
    iam = world.client("iam")
    _, document = world.role_policy()
    statements = [_from_anywhere(one) if anywhere else one for one in document["Statement"]]
    # Added for this test: the call that shows that the policy is in force.
    statements.append({"Sid": "Arrived", "Effect": "Allow", "Action": "dynamodb:DescribeTable", "Resource": "*"})
    name = world.probe_name
    world.journal.make("role", name)
    trust = {
        "Effect": "Allow",
        "Principal": {
            "AWS": f"arn:{world.session.get_partition_for_region(world.journal.region)}:iam::"
            f"{world.journal.account}:root"
        },
        "Action": "sts:AssumeRole",
    }
    try:
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            Tags=[{"Key": TAG, "Value": world.journal.name}],
        )["Role"]
        iam.put_role_policy(
            RoleName=name,
            PolicyName="probe",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        yield world.wait("the probe's role can be used", lambda: _assumed(world, role["Arn"]), minutes=3)
    finally:
        removal.remove(world, Made("role", name))


def _assumed(world: World, arn: str) -> Any:
    try:
        given = world.client("sts").assume_role(RoleArn=arn, RoleSessionName="aws-proof")["Credentials"]
        session = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=world.journal.region
        )
        dynamodb = world.client_of(session, "dynamodb")
        return None if is_denied(lambda: dynamodb.describe_table(TableName=world.table_name)) else dynamodb
    except ClientError as error:
        if "AccessDenied" in str(error) or "InvalidClientTokenId" in str(error):
            return None
        raise


def _from_anywhere(statement: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        operator: {key: values for key, values in keys.items() if key not in ("aws:SourceVpce", "aws:SourceVpc")}
        for operator, keys in statement.get("Condition", {}).items()
    }
    conditions = {operator: keys for operator, keys in kept.items() if keys}
    return {name: part for name, part in statement.items() if name != "Condition"} | (
        {"Condition": conditions} if conditions else {}
    )


def _delete_in_transaction(world: World, dynamodb: Any, *keys: Mapping[str, Any]) -> object:
    elements = [{"Delete": {"TableName": world.table_name, "Key": key}} for key in keys]
    return dynamodb.transact_write_items(TransactItems=elements)


def _update_and_delete(world: World, dynamodb: Any, updated: Mapping[str, Any], deleted: Mapping[str, Any]) -> object:
    update = {
        "TableName": world.table_name,
        "Key": updated,
        "UpdateExpression": "SET #version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": {"S": "none"}},
    }
    delete = {"TableName": world.table_name, "Key": deleted}
    return dynamodb.transact_write_items(TransactItems=[{"Update": update}, {"Delete": delete}])


def _key(prefix: str) -> dict[str, Any]:
    """The key of no item: a delete of it causes no stream record."""
    return {schema.PARTITION_KEY: {"S": prefix + smoke_uuid()}, schema.SORT_KEY: {"S": "nothing"}}


def _equals(name: str, value: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "#name = :value",
        "ExpressionAttributeNames": {"#name": name},
        "ExpressionAttributeValues": {":value": {"S": value}},
    }


def _require_denied(what: str, call: Callable[[], object]) -> None:
    if not is_denied(call):
        raise DiffersError(f"{what} is allowed")


def _require_allowed(world: World, what: str, call: Callable[[], object]) -> None:
    """Policies take a moment to be in force everywhere, so a first denial proves nothing."""
    world.wait(f"{what} is allowed", lambda: None if is_denied(call) else True, minutes=1)
