"""Records the calls of a client, and translates each into the permissions that it needs.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB"; DynamoDB
Developer Guide, "Using IAM policy conditions for fine-grained access control" and "Using IAM with DynamoDB
transactions".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cruddur_messages import schema
from cruddur_messages.items import UUID
from tests.policies.authorization import ENCLOSING_OPERATION, LEADING_KEYS, Context, Request
from tests.policies.deployed import BACKEND, OPERATOR, PROJECTION, Deployed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_EQUALITY = re.compile(r"\s*(#?\w+)\s*=\s*(:\w+)")

_ACTIONS = {
    "Put": "dynamodb:PutItem",
    "Delete": "dynamodb:DeleteItem",
    "Update": "dynamodb:UpdateItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


@dataclass(frozen=True)
class Call:
    """A call: the caller, the operation and its parameters."""

    principal: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass
class Recorder:
    """Collects the calls of the attached clients."""

    calls: list[Call] = field(default_factory=list)

    def attach(self, client: "DynamoDBClient", principal: str) -> "DynamoDBClient":
        """Record every call of the client, by operation, before it is sent."""

        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            self.calls.append(Call(principal, model.name, params))

        client.meta.events.register("provide-client-params.dynamodb", note)
        return client


def requests(call: Call, deployed: Deployed) -> list[Request]:
    """The permissions that a call on the deployed table needs. Raises AssertionError for an unknown operation.

    Ids in keys become the same letter, behind the prefix of made-up people: policies have no more of them. Whether IAM
    sees the key of one element of a transaction, or those of all elements with the same action, is not documented: both
    must be allowed.
    """
    parameters = call.parameters

    def request(action: str, resource: str, keys: Sequence[str], **context: tuple[str, ...]) -> Request:
        return Request(
            call.principal,
            action,
            resource,
            {LEADING_KEYS: _canonical(keys), **context, **origin(call.principal, deployed)},
        )

    match call.operation:
        case "Query":
            name, value = _partition_asked_for(parameters)
            if "IndexName" in parameters:
                assert (parameters["IndexName"], name) == (schema.INDEX_NAME, schema.INDEX_PARTITION_KEY)
                return [request("dynamodb:Query", deployed.index_arn, [value])]
            assert name == schema.PARTITION_KEY
            return [request("dynamodb:Query", deployed.table_arn, [value])]
        case "Scan" | "DescribeTable":
            assert "IndexName" not in parameters
            return [Request(call.principal, f"dynamodb:{call.operation}", deployed.table_arn)]
        case "PutItem":
            return [request("dynamodb:PutItem", deployed.table_arn, [_partition(parameters["Item"])])]
        case "GetItem" | "UpdateItem" | "DeleteItem" as operation:
            return [request(f"dynamodb:{operation}", deployed.table_arn, [_partition(parameters["Key"])])]
        case "BatchGetItem":
            (asked_for,) = parameters["RequestItems"].values()
            keys = [_partition(key) for key in asked_for["Keys"]]
            return [request("dynamodb:BatchGetItem", deployed.table_arn, keys)]
        case "BatchWriteItem":
            (written,) = parameters["RequestItems"].values()
            keys = [_partition(_item_or_key(next(iter(element.values())))) for element in written]
            return [request("dynamodb:BatchWriteItem", deployed.table_arn, keys)]
        case "TransactWriteItems":
            enclosing = {ENCLOSING_OPERATION: ("TransactWriteItems",)}
            elements = [next(iter(element.items())) for element in parameters["TransactItems"]]
            by_action: dict[str, list[str]] = {}
            for kind, element in elements:
                by_action.setdefault(_ACTIONS[kind], []).append(_partition(_item_or_key(element)))
            return [
                # AWS has no such key for condition checks, which only transactions have.
                request(action, deployed.table_arn, keys, **({} if action == _ACTIONS["ConditionCheck"] else enclosing))
                for action, all_keys in by_action.items()
                for keys in (*([key] for key in all_keys), all_keys)
            ]
    raise AssertionError(f"{call.principal} calls {call.operation}, and the recorder does not know its permissions")


def origin(principal: str, deployed: Deployed) -> Context:
    """The context of all calls of a principal's own code: the network path and the credentials."""
    if principal in (BACKEND, OPERATOR):
        return {}
    function = {"lambda:SourceFunctionArn": (deployed.function_arns[principal],)}
    if principal != PROJECTION:
        return function
    return function | {key: (value,) for key, value in deployed.data_path.items()}


def _partition_asked_for(parameters: Mapping[str, Any]) -> tuple[str, str]:
    found = _EQUALITY.match(parameters["KeyConditionExpression"])
    assert found, f"cannot read {parameters['KeyConditionExpression']!r}"
    name, value = found.groups()
    return parameters.get("ExpressionAttributeNames", {}).get(name, name), parameters["ExpressionAttributeValues"][
        value
    ]["S"]


def _item_or_key(element: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = element.get("Item") or element["Key"]
    return found


def _partition(attributes: Mapping[str, Any]) -> str:
    partition: str = attributes[schema.PARTITION_KEY]["S"]
    return partition


def _canonical(keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({UUID.sub(_letter, key) for key in keys}))


def _letter(found: re.Match[str]) -> str:
    return schema.SMOKE_UUID_PREFIX + "u" if found[0].startswith(schema.SMOKE_UUID_PREFIX) else "u"


def prefixes(request: Request) -> Iterator[str]:
    """The prefixes of the partitions that a request names, such as `MSG#`, also of made-up ids; or else whole keys."""
    for key in request.context.get(LEADING_KEYS, ()):
        prefix, has_prefix, rest = key.partition("#")
        made_up = schema.SMOKE_UUID_PREFIX if rest.startswith(schema.SMOKE_UUID_PREFIX) else ""
        yield f"{prefix}#{made_up}" if has_prefix else key
