"""The dashboard: whether inboxes are current, how late they are, what failed, and what it costs per day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cruddur_infra.monitoring import prices
from cruddur_infra.monitoring.log import CANARY_SECONDS, LOGGED_LAG
from cruddur_infra.monitoring.metrics import Metric, Watched

COLUMNS = 24
MINUTE, DAY = 60, 86_400


@dataclass(frozen=True)
class Widget:
    """A widget with metrics by label; `width` is of 24 columns. With an expression, only its value is shown.

    A widget with `alarms`, which are names, shows their states.
    """

    title: str
    width: int
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    height: int = 6
    expression: str | None = None
    period_seconds: int = MINUTE
    single_value: bool = False
    alarms: tuple[str, ...] = ()


class Dashboard(Construct):
    """The dashboard of a system, with the states of its alarms; `memory_mb` is the function's memory."""

    def __init__(
        self, scope: Construct, construct_id: str, *, watched: Watched, alarm_names: Sequence[str], memory_mb: int
    ) -> None:
        super().__init__(scope, construct_id)
        self.dashboard_name = watched.function_name
        cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=self.dashboard_name,
            dashboard_body=Stack.of(self).to_json_string(body(watched, alarm_names, memory_mb)),
        )


def body(watched: Watched, alarm_names: Sequence[str], memory_mb: int) -> dict[str, Any]:
    """The dashboard body (CloudWatch API Reference, "Dashboard body structure and syntax")."""
    placed: list[dict[str, Any]] = []
    x = y = 0
    for widget in _widgets(watched, alarm_names, memory_mb):
        if x + widget.width > COLUMNS:
            x, y = 0, max(other["y"] + other["height"] for other in placed)
        size = {"x": x, "y": y, "width": widget.width, "height": widget.height}
        kind = "alarm" if widget.alarms else "metric"
        placed.append({"type": kind, **size, "properties": _properties(widget, watched)})
        x += widget.width
    # With `start`, CloudWatch would choose the periods itself. Dollars per day need a period of a day.
    return {"start": "-PT24H", "periodOverride": "inherit", "widgets": placed}


def _widgets(watched: Watched, alarm_names: Sequence[str], memory_mb: int) -> list[Widget]:
    return [
        Widget("Is anything wrong?", 24, height=4, alarms=tuple(alarm_names)),
        Widget(
            "How far behind are inboxes? (seconds)",
            12,
            {
                "half of the batches": watched.logged(LOGGED_LAG, "p50"),
                "the slowest": watched.logged(LOGGED_LAG, "Maximum"),
                **({"the canary": watched.logged(CANARY_SECONDS, "Maximum")} if watched.canary_log_group_name else {}),
            },
        ),
        Widget(
            "Are they being brought up to date?",
            12,
            {
                "conversations settled": watched.logged("conversations_settled"),
                "rows moved": watched.logged("rows_moved"),
                "conflicts": watched.logged("conflicts"),
                "duplicates removed": watched.logged("duplicates_removed"),
            },
        ),
        Widget(
            "What failed?",
            12,
            {
                "invocations in error": watched.of_function("Errors"),
                "invocations throttled": watched.of_function("Throttles"),
                "conversations to be tried again": watched.logged("conversations_failed"),
                "records unusable": watched.logged("records_unusable"),
                "records dropped": watched.of_mapping("DroppedEventCount"),
            },
        ),
        Widget(
            "What did DynamoDB refuse?",
            6,
            {
                "table, reads": watched.of_table("ReadThrottleEvents"),
                "table, writes": watched.of_table("WriteThrottleEvents"),
                "index, reads": watched.of_index("ReadThrottleEvents"),
                "index, writes": watched.of_index("WriteThrottleEvents"),
            },
        ),
        Widget(
            "Batches in the failure queue",
            6,
            {"waiting": watched.of_queue("ApproximateNumberOfMessagesVisible")},
            single_value=True,
        ),
        Widget(
            "Where do records go?",
            12,
            {
                "from the stream": watched.of_mapping("PolledEventCount"),
                "filtered out": watched.of_mapping("FilteredOutEventCount"),
                "to the function": watched.of_mapping("InvokedEventCount"),
            },
        ),
        Widget(
            "What does it cost? ($ a day)",
            6,
            _cost_metrics(watched),
            expression=cost(memory_mb),
            period_seconds=DAY,
            single_value=True,
        ),
        Widget(
            "Write units",
            6,
            {
                "table": watched.of_table("ConsumedWriteCapacityUnits"),
                "index": watched.of_index("ConsumedWriteCapacityUnits"),
            },
        ),
    ]


def _cost_metrics(watched: Watched) -> dict[str, Metric]:
    return {
        "table_writes": watched.of_table("ConsumedWriteCapacityUnits"),
        "index_writes": watched.of_index("ConsumedWriteCapacityUnits"),
        "table_reads": watched.of_table("ConsumedReadCapacityUnits"),
        "index_reads": watched.of_index("ConsumedReadCapacityUnits"),
        "invocations": watched.of_function("Invocations"),
        "milliseconds": watched.of_function("Duration"),
    }


def cost(memory_mb: int) -> str:
    """The expression for the dollars of on-demand use; docs/cost.md has the monthly prices."""
    gigabytes = memory_mb / 1024
    return (
        f"(FILL(table_writes, 0) + FILL(index_writes, 0)) * {prices.WRITE_UNIT:.9f}"
        f" + (FILL(table_reads, 0) + FILL(index_reads, 0)) * {prices.READ_UNIT:.9f}"
        f" + FILL(invocations, 0) * {prices.LAMBDA_REQUEST:.9f}"
        f" + FILL(milliseconds, 0) / 1000 * {gigabytes * prices.LAMBDA_GB_SECOND:.12f}"
    )


def _properties(widget: Widget, watched: Watched) -> dict[str, Any]:
    if widget.alarms:
        arn = f"arn:{Aws.PARTITION}:cloudwatch:{Aws.REGION}:{Aws.ACCOUNT_ID}:alarm:{watched.function_name}"
        return {"title": widget.title, "alarms": [f"{arn}-{name}" for name in widget.alarms]}
    lines: list[list[Any]] = [
        _line(metric, {"id": label, "visible": False} if widget.expression else {"label": label})
        for label, metric in widget.metrics.items()
    ]
    if widget.expression:
        lines.append([{"id": "result", "expression": widget.expression, "label": widget.title}])
    return {
        "title": widget.title,
        "region": Aws.REGION,
        "view": "singleValue" if widget.single_value else "timeSeries",
        "period": widget.period_seconds,
        "metrics": lines,
    }


def _line(metric: Metric, rendering: Mapping[str, Any]) -> list[Any]:
    named = [part for dimension in metric.dimensions.items() for part in dimension]
    return [metric.namespace, metric.name, *named, {"stat": metric.statistic, **rendering}]
