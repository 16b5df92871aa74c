"""The projection's work where no Lambda does it: DynamoDB Local has a stream, and nothing that reads it."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def projection(client: "DynamoDBClient", table_name: str) -> Projection:
    """The projection of a table, without a deadline."""
    return Projection(client=client, table_name=table_name, seconds_left=lambda: math.inf)


def settle(client: "DynamoDBClient", table_name: str, message_group_uuids: Iterable[str]) -> dict[str, str]:
    """Settle conversations; returns why not, for each that could not be."""
    dirty = [DirtyConversation(group) for group in dict.fromkeys(message_group_uuids)]
    settlements = projection(client, table_name).settle_all(dirty)
    return {settlement.message_group_uuid: settlement.failure for settlement in settlements if settlement.failure}
