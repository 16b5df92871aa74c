"""The metrics that alarms and dashboard look at, as plain values; what each one means stands with AWS or in the log.

Names and dimensions: Lambda Developer Guide, "Types of metrics for Lambda functions"; DynamoDB Developer Guide,
"DynamoDB metrics and dimensions"; SQS Developer Guide, "Available CloudWatch metrics".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cruddur_infra.settings import Settings
from cruddur_messages import schema

LOGGED = (
    "conversations_settled",
    "conversations_failed",
    "records_unusable",
    "records_ignored",
    "rows_moved",
    "duplicates_removed",
    "conflicts",
)
"""Counts in the line that the projection prints for each batch; each becomes a metric of the same name."""

LOGGED_LAG = "lag_seconds"
"""From the change of a message to the rows that show it; left out of the line where nothing was settled."""

LOGGED_EVENT = "batch_settled"

MESSAGE_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
"""How messages come and go; the projection itself only writes in transactions."""

OPERATIONS = (*MESSAGE_WRITES, "Query", "TransactWriteItems")
"""What backend, projection and seed ask of the table."""


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch and the statistic of it that matters."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is watched, by the names under which AWS keeps the metrics of it."""

    settings: Settings
    mapping_id: str
    function_name: str
    log_group_name: str
    queue_name: str

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
        dimensions = {"TableName": self.settings.table_name}
        return Metric(
            "AWS/DynamoDB", name, statistic, dimensions | ({"Operation": operation} if operation is not None else {})
        )

    def of_index(self, name: str) -> Metric:
        """A metric of the index."""
        dimensions = {"TableName": self.settings.table_name, "GlobalSecondaryIndexName": schema.INDEX_NAME}
        return Metric("AWS/DynamoDB", name, "Sum", dimensions)

    def of_account(self, name: str) -> Metric:
        """A metric that DynamoDB keeps for account and region only."""
        return Metric("AWS/DynamoDB", name, "Sum")

    def logged(self, name: str, statistic: str = "Sum") -> Metric:
        """A metric that a metric filter reads off the log."""
        return Metric(log_namespace(self.settings), name, statistic)


def log_namespace(settings: Settings) -> str:
    """Where the metrics from the log lie; a namespace for each stage, since they have no dimension."""
    return f"CruddurMessages/{settings.stage}"


def log_patterns() -> dict[str, str]:
    """For each metric from the log, the filter pattern of the lines that carry it."""
    is_batch = f'$.event = "{LOGGED_EVENT}"'
    return dict.fromkeys(LOGGED, f"{{ {is_batch} }}") | {LOGGED_LAG: f"{{ ({is_batch}) && ($.{LOGGED_LAG} >= 0) }}"}
