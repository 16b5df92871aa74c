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
    """What an attacker with the credentials of each identity might try first, by description."""
    table, index = deployed.table_arn, deployed.index_arn
    other_table = table + "-of-others"

    def by(principal: str, action: str, resource: str = table, *keys: str, **more: tuple[str, ...]) -> Request:
        leading = {LEADING_KEYS: keys} if keys else {}
        return Request(principal, f"dynamodb:{action}", resource, {**leading, **origin(principal, deployed), **more})

    found = {
        "write a message": by(PROJECTION, "PutItem", table, "MSG#u", **TRANSACTION),
        "write a message, outside a transaction": by(PROJECTION, "PutItem", table, "MSG#u"),
        "update a message": by(PROJECTION, "UpdateItem", table, "MSG#u", **TRANSACTION),
        "delete a message": by(PROJECTION, "DeleteItem", table, "MSG#u", **TRANSACTION),
        "delete a message, outside a transaction": by(PROJECTION, "DeleteItem", table, "MSG#u"),
        "put a group row outside a transaction": by(PROJECTION, "PutItem", table, "GRP#u"),
        "delete a group row outside a transaction": by(PROJECTION, "DeleteItem", table, "GRP#u"),
        "update a group row": by(PROJECTION, "UpdateItem", table, "GRP#u", **TRANSACTION),
        "put without a key that IAM can see": by(PROJECTION, "PutItem", table, **TRANSACTION),
        "put a pair item": by(PROJECTION, "PutItem", table, "PAIR#u#u", **TRANSACTION),
        "put rows in a batch": by(PROJECTION, "BatchWriteItem", table, "GRP#u"),
        "scan the table": by(PROJECTION, "Scan"),
        "scan the index": by(PROJECTION, "Scan", index),
        "get a group row": by(PROJECTION, "GetItem", table, "GRP#u"),
        "get a message": by(PROJECTION, "GetItem", table, "MSG#u"),
        "get messages in a batch": by(PROJECTION, "BatchGetItem", table, "MSG#u"),
        "get a message beside group rows": by(PROJECTION, "BatchGetItem", table, "GRP#u", "MSG#u"),
        "get conversation items in a batch": by(PROJECTION, "BatchGetItem", table, "CONV#u"),
        "put a conversation item": by(PROJECTION, "PutItem", table, "CONV#u", **TRANSACTION),
        "delete a conversation item": by(PROJECTION, "DeleteItem", table, "CONV#u", **TRANSACTION),
        "delete a conversation item, outside a transaction": by(PROJECTION, "DeleteItem", table, "CONV#u"),
        "update a message beside the conversation item": by(
            PROJECTION, "UpdateItem", table, "CONV#u", "MSG#u", **TRANSACTION
        ),
        "update without a key that IAM can see": by(PROJECTION, "UpdateItem", table),
        "check a message in a transaction": by(PROJECTION, "ConditionCheckItem", table, "MSG#u", **TRANSACTION),
        "list somebody's inbox": by(PROJECTION, "Query", table, "GRP#u"),
        "query another table": by(PROJECTION, "Query", other_table, "MSG#u"),
        "query another index": by(PROJECTION, "Query", f"{table}/index/other", "u"),
        "put into another table": by(PROJECTION, "PutItem", other_table, "GRP#u", **TRANSACTION),
        "delete the table": by(PROJECTION, "DeleteTable"),
        "change the table": by(PROJECTION, "UpdateTable"),
        "export the table": by(PROJECTION, "ExportTableToPointInTime"),
        "back the table up": by(PROJECTION, "CreateBackup"),
        "open the table to others": by(PROJECTION, "PutResourcePolicy"),
        "seed: delete one item": by(SEED, "DeleteItem", table, "MSG#u"),
        "seed: scan": by(SEED, "Scan"),
        "seed: a pair item": by(SEED, "BatchWriteItem", table, "PAIR#u#u"),
        "seed: a foreign item beside one of ours": by(SEED, "BatchWriteItem", table, "MSG#u", "USER#u"),
        "seed: the index": by(SEED, "Query", index, "u"),
        "seed: read the stream": by(SEED, "GetRecords", deployed.stream_arn),
        "canary: read a conversation": by(CANARY, "Query", table, "MSG#u"),
        "canary: list an inbox": by(CANARY, "Query", table, "GRP#u"),
        "canary: find members": by(CANARY, "Query", index, f"{schema.SMOKE_UUID_PREFIX}u"),
        "canary: write a message": by(CANARY, "PutItem", table, "MSG#u"),
        "canary: delete a message": by(CANARY, "DeleteItem", table, "MSG#u"),
        "canary: delete its own row": by(CANARY, "DeleteItem", table, f"GRP#{schema.SMOKE_UUID_PREFIX}u"),
        "canary: move its own row": by(CANARY, "PutItem", table, f"GRP#{schema.SMOKE_UUID_PREFIX}u"),
        "canary: start a conversation with somebody": by(CANARY, "PutItem", table, "PAIR#u#u", **TRANSACTION),
        "backend: read the stream": by(BACKEND, "GetRecords", deployed.stream_arn),
        "backend: find a place in the stream": by(BACKEND, "GetShardIterator", deployed.stream_arn),
        "backend: describe the stream": by(BACKEND, "DescribeStream", deployed.stream_arn),
        "backend: delete a group row outside a transaction": by(BACKEND, "DeleteItem", table, "GRP#u"),
        "backend: put a group row outside a transaction": by(BACKEND, "PutItem", table, "GRP#u"),
        "backend: update a group row": by(BACKEND, "UpdateItem", table, "GRP#u", **TRANSACTION),
        "backend: delete a member item": by(BACKEND, "DeleteItem", table, "MEMBER#u", **TRANSACTION),
        "backend: put a member item": by(BACKEND, "PutItem", table, "MEMBER#u", **TRANSACTION),
        "backend: get a conversation item": by(BACKEND, "GetItem", table, "CONV#u"),
        "backend: get messages in a batch": by(BACKEND, "BatchGetItem", table, "MSG#u"),
        "backend: scan": by(BACKEND, "Scan"),
        "seed: a conversation item": by(SEED, "BatchWriteItem", table, "CONV#u"),
        "backend: query a conversation item": by(BACKEND, "Query", table, "CONV#u"),
        "backend: put a conversation item": by(BACKEND, "PutItem", table, "CONV#u"),
        "backend: put a conversation item in a transaction": by(BACKEND, "PutItem", table, "CONV#u", **TRANSACTION),
        "backend: put conversation items in a batch": by(BACKEND, "BatchWriteItem", table, "CONV#u"),
        "backend: update a conversation item": by(BACKEND, "UpdateItem", table, "CONV#u", **TRANSACTION),
        "backend: a pair item outside a transaction": by(BACKEND, "PutItem", table, "PAIR#u#u"),
        "backend: delete the table": by(BACKEND, "DeleteTable"),
        "operator: delete the table": by(OPERATOR, "DeleteTable"),
        "operator: delete a message, outside a transaction": by(OPERATOR, "DeleteItem", table, "MSG#u"),
        "operator: put a message, outside a transaction": by(OPERATOR, "PutItem", table, "MSG#u"),
        "operator: update a message": by(OPERATOR, "UpdateItem", table, "MSG#u"),
        "operator: write in batches": by(OPERATOR, "BatchWriteItem", table, "GRP#u"),
        "operator: export the table": by(OPERATOR, "ExportTableToPointInTime"),
    }
    for call, request in _allowed_table_calls(deployed).items():
        found[f"{call}, from outside the VPC"] = request.with_key(SOURCE_VPCE).with_key(SOURCE_VPC)
        if SOURCE_VPCE in request.context:
            found[f"{call}, through another endpoint"] = request.with_key(SOURCE_VPCE, "vpce-0f9e8d7c6b5a40312")
            found[f"{call}, by an administrator through our endpoint"] = request.given(principal=ADMINISTRATOR)
        else:
            found[f"{call}, from another VPC"] = request.with_key(SOURCE_VPC, "vpc-0f9e8d7c6b5a40312")
    for request in network_calls():
        found[f"the function's code calls {request.action} on {request.resource}"] = request.with_key(
            SOURCE_FUNCTION, deployed.function_arns[PROJECTION]
        )
    for action in (*STREAM_ACTIONS, "dynamodb:ListStreams"):
        found[f"the function's code calls {action}"] = by(
            PROJECTION, action.removeprefix("dynamodb:"), deployed.stream_arn
        )
    found["the function's code puts a message on the failure queue"] = Request(
        PROJECTION, "sqs:SendMessage", deployed.queue_arn, origin(PROJECTION, deployed)
    )
    for principal in (ADMINISTRATOR, SEED, BACKEND, OPERATOR):
        found[f"{principal} puts a message on the failure queue"] = Request(
            principal, "sqs:SendMessage", deployed.queue_arn
        )
    found["the projection reads the failure queue"] = Request(PROJECTION, "sqs:ReceiveMessage", deployed.queue_arn)
    for action in ("SendMessage", "ReceiveMessage", "DeleteMessage"):
        for principal in (PROJECTION, ADMINISTRATOR):
            found[f"{principal}: {action} without TLS"] = Request(
                principal, f"sqs:{action}", deployed.queue_arn, {SECURE_TRANSPORT: ("false",)}
            )
    found["the projection deletes its logs"] = Request(
        PROJECTION, "logs:DeleteLogStream", log_stream(deployed, PROJECTION)
    )
    return found


def _allowed_table_calls(deployed: Deployed) -> Mapping[str, Request]:
    def by_projection(action: str, resource: str, key: str, enclosing: Mapping[str, tuple[str, ...]]) -> Request:
        context = {LEADING_KEYS: (key,), **enclosing, **origin(PROJECTION, deployed)}
        return Request(PROJECTION, f"dynamodb:{action}", resource, context)

    return {
        "query the index": by_projection("Query", deployed.index_arn, "u", {}),
        "query messages": by_projection("Query", deployed.table_arn, "MSG#u", {}),
        "put a group row": by_projection("PutItem", deployed.table_arn, "GRP#u", TRANSACTION),
        "delete a group row": by_projection("DeleteItem", deployed.table_arn, "GRP#u", TRANSACTION),
        "get group rows": by_projection("BatchGetItem", deployed.table_arn, "GRP#u", {}),
        "get a conversation item": by_projection("GetItem", deployed.table_arn, "CONV#u", {}),
        "update a conversation item": by_projection("UpdateItem", deployed.table_arn, "CONV#u", {}),
        "update a conversation item in a transaction": by_projection(
            "UpdateItem", deployed.table_arn, "CONV#u", TRANSACTION
        ),
    }


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
    """The request without the condition keys that AWS does not have for this action and resource."""
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
