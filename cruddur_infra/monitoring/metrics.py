"""The metrics of alarms and dashboard, as plain values.

Names and dimensions: Lambda Developer Guide, "Types of metrics for Lambda functions"; DynamoDB Developer Guide,
"DynamoDB metrics and dimensions"; SQS Developer Guide, "Available CloudWatch metrics".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cruddur_messages import schema

MESSAGE_WRITES = ("PutItem", "DeleteItem", "BatchWriteItem")
"""The operations that write and delete messages. UpdateItem is left out although it edits messages: the projection
writes conversation items with it, so its own writes in a loop would hide the loop."""

OPERATIONS = (*MESSAGE_WRITES, "BatchGetItem", "GetItem", "Query", "TransactWriteItems", "UpdateItem")
"""The operations of backend, projection and seed on the table."""


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch and its statistic."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The watched resources, by their names in the dimensions of metrics."""

    system: str
    function_name: str
    log_group_name: str
    table_name: str
    mapping_id: str
    queue_name: str
    canary_log_group_name: str | None = None

    def of_function(self, name: str, statistic: str = "Sum") -> Metric:
        """A metric of the projection's function."""
        return Metric("AWS/Lambda", name, statistic, {"FunctionName": self.function_name})

    def of_mapping(self, name: str) -> Metric:
        """A count of stream records, by the event source mapping."""
        return Metric("AWS/Lambda", name, "Sum", {"EventSourceMappingUUID": self.mapping_id})

    def of_queue(self, name: str) -> Metric:
        """A metric of the failure queue."""
        return Metric("AWS/SQS", name, "Maximum", {"QueueName": self.queue_name})

    def of_table(self, name: str, *, operation: str | None = None, statistic: str = "Sum") -> Metric:
        """A metric of the table, for all operations or one."""
        dimensions = {"TableName": self.table_name}
        return Metric(
            "AWS/DynamoDB", name, statistic, dimensions | ({"Operation": operation} if operation is not None else {})
        )

    def of_index(self, name: str) -> Metric:
        """A metric of the index."""
        dimensions = {"TableName": self.table_name, "GlobalSecondaryIndexName": schema.INDEX_NAME}
        return Metric("AWS/DynamoDB", name, "Sum", dimensions)

    def of_account(self, name: str) -> Metric:
        """A metric that DynamoDB keeps for account and region only."""
        return Metric("AWS/DynamoDB", name, "Sum")

    def logged(self, name: str, statistic: str = "Sum") -> Metric:
        """A metric from a metric filter on the log. It has no dimension, so each system has a namespace of its own."""
        return Metric(self.system, name, statistic)
