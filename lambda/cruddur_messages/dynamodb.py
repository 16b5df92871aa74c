"""What all callers of DynamoDB share: limits, kinds of errors, pauses, and queries."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import schema
from cruddur_messages.items import (
    KEY_IS_FREE,
    AttributeMap,
    GroupRow,
    User,
    can_be_key,
    group_rows,
    key_attributes,
    key_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        BatchGetItemOutputTypeDef,
        QueryOutputTypeDef,
        TransactWriteItemTypeDef,
    )

MAX_ACTIONS = 100
"""DynamoDB's limit on the actions of one transaction (API reference, "TransactWriteItems")."""

MOST_KEYS = 100
"""DynamoDB's limit on the keys of one BatchGetItem (API reference)."""

READINGS = 2
"""How often an inbox is read before a row counts as missing: a query may fall between the delete and the put of a move
(Developer Guide, "Transactions", read-committed)."""

MOST_MESSAGES_FOR_NAMES = 1000
"""How many of the newest messages are searched for the names of members."""

CONDITION_FAILED = "ConditionalCheckFailed"
NO_REASON = "None"
"""Codes of CancellationReasons: an action's condition did not hold; nothing was wrong with an action."""

TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes and cancellation reasons of temporary errors (Developer Guide, "Error handling", "Transactions")."""


class OutOfTimeError(Exception):
    """The deadline is too close to start another call."""


class TransientError(Exception):
    """A retry may help: the text is the code of a temporary error, or says what was written since it was read."""


class RefusedError(Exception):
    """DynamoDB refuses the request, also if retried; the text is its error code."""


class CancelledError(Exception):
    """A transaction was cancelled; `reasons` has a code for each of its actions, in order."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(sorted(set(reasons))))
        self.reasons = reasons


def reasons(error: ClientError) -> list[str]:
    """Why a call failed: a code for each action of a cancelled transaction, in order, else one code."""
    code = error_code(error)
    if code == "ConditionalCheckFailedException":
        return [CONDITION_FAILED]
    if code == "TransactionCanceledException":
        return [str(reason.get("Code", NO_REASON)) for reason in error.response.get("CancellationReasons", [])]
    return [code]


def translate(error: ClientError | BotoCoreError) -> CancelledError | TransientError | RefusedError:
    """What botocore has raised, as one of this module's errors."""
    if not isinstance(error, ClientError):
        return TransientError(type(error).__name__)
    code = error_code(error)
    if code in ("ConditionalCheckFailedException", "TransactionCanceledException"):
        return CancelledError(reasons(error))
    return (TransientError if code in TRANSIENT_CODES else RefusedError)(code)


def backoff(retry: int, *, first: float, longest: float, draw: float) -> float:
    """The seconds to wait before a retry, counted from 1: exponential, with jitter by `draw` (uniform in 0..1)."""
    return min(first * 2.0 ** (retry - 1), longest) * (0.5 + draw / 2)


def partition_query(
    partition: str,
    *,
    before: str | None = None,
    up_to: str | None = None,
    after: str | None = None,
    equal: tuple[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The arguments of a query for the items of a partition, consistent unless `more` says otherwise.

    `before` or `after` is the sort key before or after which they must be, `up_to` the last one, `equal` a string
    attribute that they must have and its value.
    """
    names, values = {"#pk": schema.PARTITION_KEY}, {":pk": {"S": partition}}
    arguments: dict[str, Any] = {"ConsistentRead": True, "KeyConditionExpression": "#pk = :pk"}
    for sign, bound in (("<", before), ("<=", up_to), (">", after)):
        if bound is not None:
            arguments["KeyConditionExpression"] += f" AND #sk {sign} :bound"
            names["#sk"], values[":bound"] = schema.SORT_KEY, {"S": bound}
    if equal is not None:
        arguments["FilterExpression"] = "#equal = :equal"
        names["#equal"], values[":equal"] = equal[0], {"S": equal[1]}
    return {**arguments, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values, **more}


def query_items(
    query: Callable[..., "QueryOutputTypeDef"], *, first_page: int | None = None, **arguments: Any
) -> Iterator[AttributeMap]:
    """All items of a query; each page is read when it is needed. `first_page` limits the first page's items."""
    paging: dict[str, Any] = {} if first_page is None else {"Limit": first_page}
    while True:
        page = query(**arguments, **paging)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        paging = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def get_item(client: "DynamoDBClient", table_name: str, key: "dict[str, AttributeValueTypeDef]") -> AttributeMap:
    """The item under a key: GetItem, consistent; {} if there is none, or if DynamoDB takes no such key."""
    if not can_be_key(key):
        return {}
    return client.get_item(TableName=table_name, Key=key, ConsistentRead=True).get("Item", {})


def pause(retry: int) -> None:
    """Wait before keys that came back unprocessed are asked again (API reference, "BatchGetItem")."""
    time.sleep(backoff(retry, first=0.05, longest=5.0, draw=random.random()))  # noqa: S311


def get_items(
    batch_get_item: Callable[..., "BatchGetItemOutputTypeDef"],
    table_name: str,
    keys: Iterable[AttributeMap],
    *,
    is_consistent: bool = True,
    when_unprocessed: Callable[[int], object] = pause,
) -> Iterator[AttributeMap]:
    """The items under these keys, as far as they can be keys: BatchGetItem.

    If keys come back unprocessed, `when_unprocessed` may wait or raise before they are asked again; it is told how many
    responses in a row had such keys.
    """
    pending: list[Any] = [*filter(can_be_key, keys)]
    retry = 0
    while pending:
        asked, pending = pending[:MOST_KEYS], pending[MOST_KEYS:]
        page = batch_get_item(RequestItems={table_name: {"Keys": asked, "ConsistentRead": is_consistent}})
        yield from page["Responses"].get(table_name, [])
        unprocessed = page.get("UnprocessedKeys", {}).get(table_name)
        retry = retry + 1 if unprocessed else 0
        if unprocessed:
            pending += unprocessed["Keys"]
            when_unprocessed(retry)


def put_new(table_name: str, item: AttributeMap) -> "TransactWriteItemTypeDef":
    """An action that puts an item, on condition that its key is free."""
    return {"Put": {"TableName": table_name, "Item": item, "ConditionExpression": KEY_IS_FREE}}


def delete_read(
    table_name: str, item: AttributeMap, unchanged: str = schema.PARTITION_KEY
) -> "TransactWriteItemTypeDef":
    """An action that deletes an item, on condition that the attribute `unchanged` is as it was read."""
    return {
        "Delete": {
            "TableName": table_name,
            "Key": key_attributes(key_of(item)),
            "ConditionExpression": "#unchanged = :read",
            "ExpressionAttributeNames": {"#unchanged": unchanged},
            "ExpressionAttributeValues": {":read": item[unchanged]},
        }
    }


def rows_in_index(
    query: Callable[..., "QueryOutputTypeDef"], table_name: str, message_group_uuid: str
) -> Iterator[GroupRow]:
    """The group rows of a conversation as the index shows them: some may be outdated or missing."""
    found = query_items(
        query,
        TableName=table_name,
        IndexName=schema.INDEX_NAME,
        KeyConditionExpression="#group = :group",
        ExpressionAttributeNames={"#group": schema.INDEX_PARTITION_KEY},
        ExpressionAttributeValues={":group": {"S": message_group_uuid}},
    )
    return group_rows(found, message_group_uuid)


def senders(query: Callable[..., "QueryOutputTypeDef"], table_name: str, message_group_uuid: str) -> Iterator[User]:
    """Who has sent the newest messages of a conversation, newest first, if the message has their handle."""
    partition = partition_query(schema.message_partition(message_group_uuid), ScanIndexForward=False)
    newest = islice(query_items(query, TableName=table_name, **partition), MOST_MESSAGES_FOR_NAMES)
    return (sender for sender in map(User.from_attributes, newest) if sender.handle)


def error_code(error: ClientError) -> str:
    """The error code of a response."""
    return error.response.get("Error", {}).get("Code", "unknown error")
