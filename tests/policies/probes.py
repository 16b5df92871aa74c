"""Requests that must be denied: those of the threat model, and the neighbours of every allowed one."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import botocore.session

from cruddur_messages import schema
from tests.policies.authorization import (
    ADMINISTRATOR,
    ENCLOSING_OPERATION,
    LEADING_KEYS,
    LOOK_ALIKES,
    SECURE_TRANSPORT,
    SOURCE_FUNCTION,
    SOURCE_VPC,
    SOURCE_VPCE,
    UNBOUNDED_PROJECTION,
    Request,
    distinct,
)
from tests.policies.deployed import BACKEND, CANARY, OPERATOR, PROJECTION, SEED, Deployed
from tests.policies.recorder import origin, prefixes
from tests.policies.service_calls import STREAM_ACTIONS, log_stream, network_calls

PREFIXES = (
    schema.MESSAGE_PREFIX,
    schema.GROUP_ROW_PREFIX,
    schema.PAIR_PREFIX,
    schema.CONVERSATION_PREFIX,
    schema.MEMBER_PREFIX,
)

FOREIGN_KEYS = ("USER#u", "u", *(prefix.rstrip("#") + "X#u" for prefix in PREFIXES), *(f"x{p}u" for p in PREFIXES))
"""Keys of partitions that this app does not have; some look similar to its own."""

TRANSACTIONAL = frozenset(f"dynamodb:{name}Item" for name in ("ConditionCheck", "Delete", "Put", "Update"))
"""The actions of TransactWriteItems. AWS never evaluates GetItem for it (API reference)."""

WITHOUT_KEYS = frozenset({"dynamodb:DescribeTable", "dynamodb:Scan"})
"""Actions for which AWS has no condition key dynamodb:LeadingKeys (Service Authorization Reference)."""

UNDECIDED = frozenset({"dynamodb:ListStreams"})
"""Allowed, although no known call needs it: see SURVIVORS in test_minimality.py."""

TRANSACTION = {ENCLOSING_OPERATION: ("TransactWriteItems",)}


def named(deployed: Deployed) -> Mapping[str, Request]:
    """What an attacker with the credentials of each identity might try, by description, beside the neighbours below."""
    table, index, stream = deployed.table_arn, deployed.index_arn, deployed.stream_arn

    def by(principal: str, action: str, resource: str = table, *keys: str, **more: tuple[str, ...]) -> Request:
        leading = {LEADING_KEYS: keys} if keys else {}
        return Request(principal, f"dynamodb:{action}", resource, {**leading, **origin(principal, deployed), **more})

    found = {
        "put a pair item": by(PROJECTION, "PutItem", table, "PAIR#u#u", **TRANSACTION),
        "check a message in a transaction": by(PROJECTION, "ConditionCheckItem", table, "MSG#u", **TRANSACTION),
        "query another index": by(PROJECTION, "Query", f"{table}/index/other", "u"),
        "seed: a pair item": by(SEED, "BatchWriteItem", table, "PAIR#u#u"),
        "seed: the index": by(SEED, "Query", index, "u"),
        "canary: find members": by(CANARY, "Query", index, f"{schema.SMOKE_UUID_PREFIX}u"),
        "canary: start a conversation with somebody": by(CANARY, "PutItem", table, "PAIR#u#u", **TRANSACTION),
    }
    on_the_table = ("DeleteTable", "UpdateTable", "ExportTableToPointInTime", "CreateBackup", "PutResourcePolicy")
    for principal in (PROJECTION, SEED, CANARY, BACKEND):
        for action in ("Scan", *on_the_table):
            found[f"{principal}: {action}"] = by(principal, action)
        found[f"{principal}: scan the index"] = by(principal, "Scan", index)
        for action in (*STREAM_ACTIONS, "ListStreams"):
            # The projection's role may do this, but not with the credentials of the function's code.
            found[f"{principal}: {action}"] = by(principal, action.removeprefix("dynamodb:"), stream)
    for request in network_calls():
        found[f"the function's code calls {request.action} on {request.resource}"] = request.with_key(
            SOURCE_FUNCTION, deployed.function_arns[PROJECTION]
        )
    found["the function's code puts a message on the failure queue"] = Request(
        PROJECTION, "sqs:SendMessage", deployed.queue_arn, origin(PROJECTION, deployed)
    )
    for principal in (SEED, BACKEND):
        found[f"{principal} puts a message on the failure queue"] = Request(
            principal, "sqs:SendMessage", deployed.queue_arn
        )
    for action in ("SendMessage", "ReceiveMessage", "DeleteMessage"):
        for principal in (PROJECTION, ADMINISTRATOR):
            found[f"{principal}: {action} without TLS"] = Request(
                principal, f"sqs:{action}", deployed.queue_arn, {SECURE_TRANSPORT: ("false",)}
            )
    found["the projection deletes its logs"] = Request(
        PROJECTION, "logs:DeleteLogStream", log_stream(deployed, PROJECTION)
    )
    return found


def neighbours(deployed: Deployed, allowed: Iterable[Request]) -> list[Request]:
    """Requests that differ from an allowed one in action, resource or one condition key, and that no caller makes."""
    calls = _Calls(allowed)
    found: list[Request] = []
    for request in calls.requests:
        if request.principal != ADMINISTRATOR:
            found += _elsewhere(request, deployed)
            found += _otherwise(request)
    # What a caller does alone, it may also do in a transaction.
    alone = (probe.with_key(ENCLOSING_OPERATION) for probe in found)
    pairs = zip(found, alone, strict=True)
    return distinct(probe for probe, by_itself in pairs if not calls.include(probe) and not calls.include(by_itself))


class _Calls:
    """Tells whether a caller makes a request, in the partitions that it uses."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.requests = list(requests)
        self._partitions: dict[tuple[object, ...], set[str]] = {}
        self._through_endpoint: set[tuple[str, str]] = set()
        for request in self.requests:
            partitions = self._partitions.setdefault(self._but_for_keys(request), set())
            partitions.update(prefixes(_as_aws_asks(request)))
            if SOURCE_VPCE in request.context:
                self._through_endpoint.add((request.action, request.resource))

    def include(self, request: Request) -> bool:
        if request.principal == UNBOUNDED_PROJECTION:
            return (request.action, request.resource) in self._through_endpoint
        known = self._partitions.get(self._but_for_keys(request))
        named = set(prefixes(_as_aws_asks(request)))
        return known is not None and named <= known and bool(named) == bool(known)

    @staticmethod
    def _but_for_keys(request: Request) -> tuple[object, ...]:
        return _as_aws_asks(request).with_key(LEADING_KEYS).identity


def _as_aws_asks(request: Request) -> Request:
    """The request without the condition keys that AWS does not have for this action and resource.

    An operator may read every stream of the table, so that all are one.
    """
    if request.principal == OPERATOR and "/stream/" in request.resource:
        request = request.given(resource=f"{request.resource.partition('/stream/')[0]}/stream/*")
    if "/index/" in request.resource or request.action in WITHOUT_KEYS:
        request = request.with_key(LEADING_KEYS)
    is_transaction = request.action in TRANSACTIONAL
    if not is_transaction or request.context.get(ENCLOSING_OPERATION) != ("TransactWriteItems",):
        request = request.with_key(ENCLOSING_OPERATION)
    return request.given(resource="*") if request.action.startswith("ec2:Describe") else request


def _elsewhere(request: Request, deployed: Deployed) -> Iterator[Request]:
    """The same action on other resources, other actions on the same, and for shared resources other callers."""
    changed = [
        *(request.given(resource=resource) for resource in other_resources(request.resource, deployed)),
        *(request.given(action=action) for action in other_actions(request.action) if _is_asked(action, request)),
    ]
    yield from changed
    if request.context.get(SOURCE_VPCE) == (deployed.policies.endpoint_id,):
        yield from (probe.given(principal=UNBOUNDED_PROJECTION) for probe in changed)
    if request.action == "sqs:SendMessage" or SOURCE_VPCE in request.context:
        yield from (request.given(principal=stranger) for stranger in (ADMINISTRATOR, *LOOK_ALIKES))


def _is_asked(action: str, request: Request) -> bool:
    """Whether AWS evaluates an action on the resource of a request; for `*`, only in EC2, as Lambda does."""
    if request.resource == "*" and not action.startswith("ec2:"):
        return False
    return action not in UNDECIDED


def _otherwise(request: Request) -> Iterator[Request]:
    """The same request with other values of each condition key, or without it."""
    for key in (SOURCE_VPCE, SOURCE_VPC):
        if key in request.context:
            yield request.with_key(key)
            yield request.with_key(key, request.context[key][0] + "0")
    if ENCLOSING_OPERATION in request.context:
        yield request.with_key(ENCLOSING_OPERATION)
        yield request.with_key(ENCLOSING_OPERATION, "TransactGetItems")
    keys = request.context.get(LEADING_KEYS)
    if keys and "/index/" not in request.resource:
        yield request.with_key(LEADING_KEYS)
        for key in (*(f"{prefix}u" for prefix in PREFIXES), *FOREIGN_KEYS):
            yield request.with_key(LEADING_KEYS, key)
            yield request.with_key(LEADING_KEYS, *keys, key)


@cache
def other_actions(action: str) -> tuple[str, ...]:
    """Every other operation of the service of an action, and the permissions without an operation."""
    service = action.partition(":")[0]
    models = {"dynamodb": ("dynamodb", "dynamodbstreams")}.get(service, (service,))
    session = botocore.session.get_session()
    operations = {name for model in models for name in session.get_service_model(model).operation_names}
    if service == "sqs":
        # Batch operations need the permissions of those on one message (SQS Developer Guide, "API permissions").
        operations = {name for name in operations if not name.endswith("Batch")}
    if service == "ec2":
        operations = {name for name in operations if re.search("NetworkInterface|Subnet|PrivateIp|SecurityGroup", name)}
    if service == "dynamodb":
        operations |= {"ConditionCheckItem", "PartiQLDelete", "PartiQLInsert", "PartiQLSelect", "PartiQLUpdate"}
    return tuple(f"{service}:{name}" for name in sorted(operations) if f"{service}:{name}" != action)


def other_resources(resource: str, deployed: Deployed) -> Iterator[str]:
    """Resources of the same service with names similar to an allowed one."""
    if resource == "*":
        return
    arn, partition, service, region, account, rest = resource.split(":", 5)
    yield ":".join((arn, partition, service, "eu-west-1", account, rest))
    yield ":".join((arn, partition, service, region, "999988887777", rest))
    for other in _other_names(service, rest):
        yield ":".join((arn, partition, service, region, account, other))
    if service == "dynamodb":
        everything = {deployed.table_arn, deployed.index_arn, deployed.stream_arn}
        yield from sorted(everything - {resource})


def _other_names(service: str, name: str) -> tuple[str, ...]:
    match service:
        case "dynamodb":
            _, table, *_ = name.split("/")
            beside = (name.replace(table, f"{table}-of-others"), name.replace(table, "others"))
            return (*beside, *((f"{name}/backup/1",) if "/" not in name.partition("/")[2] else (f"{name}-2",)))
        case "sqs":
            return (f"{name}-2", "others")
        case "logs":
            return ("log-group:others:log-stream:s", name.replace(":log-stream:", "-2:log-stream:"))
    return ()
