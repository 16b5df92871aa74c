"""Where a run writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cruddur_messages import dynamodb
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Place:
    """A table; `settle` does the projection's work for a conversation where no Lambda does it."""

    client: "DynamoDBClient"
    table_name: str
    settle: Callable[[str], None] | None = None

    def read(self, partition: str) -> Iterator[AttributeMap]:
        """The items of a partition, consistent."""
        return dynamodb.query_items(self.client.query, TableName=self.table_name, **dynamodb.partition_query(partition))
