"""What all callers of DynamoDB share: limits, kinds of errors, and queries."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import schema
from cruddur_messages.items import AttributeMap

MAX_ACTIONS = 100
"""DynamoDB's limit on the actions of one transaction (API reference, "TransactWriteItems")."""

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
    """DynamoDB failed temporarily, so a retry may help; the text is its error code."""


class RefusedError(Exception):
    """DynamoDB refuses the request, also if retried; the text is its error code."""


class CancelledError(Exception):
    """A transaction was cancelled; `reasons` has a code for each of its actions, in order."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(sorted(set(reasons))))
        self.reasons = reasons


def translated(error: ClientError | BotoCoreError) -> CancelledError | TransientError | RefusedError:
    """What botocore has raised, as one of this module's errors."""
    if not isinstance(error, ClientError):
        return TransientError(type(error).__name__)
    code = error.response.get("Error", {}).get("Code", "unknown error")
    if code == "ConditionalCheckFailedException":
        return CancelledError([CONDITION_FAILED])
    if code == "TransactionCanceledException":
        reasons = error.response.get("CancellationReasons", [])
        return CancelledError([str(reason.get("Code", NO_REASON)) for reason in reasons])
    return (TransientError if code in TRANSIENT_CODES else RefusedError)(code)


def of_conversation(message_group_uuid: str) -> dict[str, Any]:
    """The arguments of a query for the member rows of a conversation, as far as the index shows them."""
    return {
        "IndexName": schema.INDEX_NAME,
        "KeyConditionExpression": "#group = :group",
        "ExpressionAttributeNames": {"#group": schema.INDEX_PARTITION_KEY},
        "ExpressionAttributeValues": {":group": {"S": message_group_uuid}},
    }


def of_partition(partition: str) -> dict[str, Any]:
    """The arguments of a consistent query for the items of a partition."""
    return {
        "ConsistentRead": True,
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY},
        "ExpressionAttributeValues": {":pk": {"S": partition}},
    }


def items(ask: Callable[..., Any], *, first_page: int | None = None, **arguments: Any) -> Iterator[AttributeMap]:
    """All items of a query; each page is read when it is needed. `first_page` limits the first page's items."""
    paging: dict[str, Any] = {} if first_page is None else {"Limit": first_page}
    while True:
        page = ask(**arguments, **paging)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        paging = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
