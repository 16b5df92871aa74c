"""The queries that the access patterns and the projection ask, and their pages as one list."""

from collections.abc import Callable, Iterator
from typing import Any

from cruddur_messages import schema
from cruddur_messages.items import AttributeMap


def of_conversation(message_group_uuid: str) -> dict[str, Any]:
    """The arguments of a query for the member rows of a conversation, as far as the index shows them."""
    return {
        "IndexName": schema.INDEX_NAME,
        "KeyConditionExpression": "#group = :group",
        "ExpressionAttributeNames": {"#group": schema.INDEX_PARTITION_KEY},
        "ExpressionAttributeValues": {":group": {"S": message_group_uuid}},
    }


def of_partition(partition: str) -> dict[str, Any]:
    """The arguments of a query for the items of a partition, as they are."""
    return {
        "ConsistentRead": True,
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY},
        "ExpressionAttributeValues": {":pk": {"S": partition}},
    }


def items(ask: Callable[..., Any], *, first_page: int | None = None, **arguments: Any) -> Iterator[AttributeMap]:
    """All items that a query finds, page by page as they are asked for; `first_page` bounds the first."""
    paging: dict[str, Any] = {} if first_page is None else {"Limit": first_page}
    while True:
        page = ask(**arguments, **paging)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        paging = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
