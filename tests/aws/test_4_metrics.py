"""The metrics of alarms and dashboard, and whether they have data."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.aws.system import System

pytestmark = pytest.mark.only_on_aws("the emulator keeps no metrics of tables, functions and log lines")

ONLY_IN_TROUBLE = {"DestinationDeliveryFailures", "DroppedEventCount", "SystemErrors", "UserErrors"}
ONLY_IN_TROUBLE |= {"ReadThrottleEvents", "WriteThrottleEvents"}
"""Metrics that exist only once what they count has happened."""

ONLY_IF_USED = {"BatchWriteItem", "DeleteItem", "UpdateItem", "Query", "PutItem", "TransactWriteItems"}
"""Operations of the table. A deployment has data for those that its backend calls."""

Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name and dimensions of a metric."""


def test_metrics_have_data(dev: System) -> None:
    """Every metric of an alarm or the dashboard has data, except counts of failures that did not happen."""
    expected = {
        (namespace, name, dimensions)
        for namespace, name, dimensions in (*of_alarms(dev), *of_dashboard(dev))
        if name not in ONLY_IN_TROUBLE and dict(dimensions).get("Operation") not in ONLY_IF_USED
    }

    def without_data() -> set[Series]:
        listed = dev.account.pages("cloudwatch", "list_metrics", "Metrics", RecentlyActive="PT3H")
        return expected - {series_of(metric) for metric in listed}

    # CloudWatch lists a metric up to fifteen minutes after its first value (CloudWatch API reference, "ListMetrics").
    with suppress(AssertionError):
        dev.account.within(20, "every metric has data", lambda: not without_data())
    assert without_data() == set()


def test_fill_over_nothing(dev: System) -> None:
    """FILL of a metric without any data returns its value wherever the other metrics have data."""
    puts = {"TableName": dev.table_name, "Operation": "PutItem"}
    queries: list[Any] = [
        query("puts", "AWS/DynamoDB", "SuccessfulRequestLatency", puts),
        query("nothing", "AWS/Lambda", "Invocations", {"FunctionName": f"{dev.stack}-none"}) | {"ReturnData": False},
        {"Id": "idle", "Expression": "IF(FILL(puts, 0) > 0 AND FILL(nothing, 0) == 0, 1, 0)"},
    ]
    now = datetime.now(UTC)
    asked = {"MetricDataQueries": queries, "StartTime": now - timedelta(hours=3), "EndTime": now}
    results = dev.account.client("cloudwatch").get_metric_data(**asked)["MetricDataResults"]
    found = {result["Id"]: result["Values"] for result in results}
    assert found["puts"], "the table's PutItem metric has no data, so this shows nothing"
    assert 1.0 in found["idle"], "alarms on FILL would never end"


def query(key: str, namespace: str, name: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": named}
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": 300, "Stat": "SampleCount"}}


def series_of(metric: Mapping[str, Any]) -> Series:
    named = sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", []))
    return metric["Namespace"], metric["MetricName"], tuple(named)


def of_alarms(system: System) -> Iterator[Series]:
    for alarm in system.account.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=system.stack):
        metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        yield from map(series_of, metrics or [alarm])


def of_dashboard(system: System) -> Iterator[Series]:
    """Lines of widgets: namespace, name, then dimensions in pairs (CloudWatch, "Dashboard body structure")."""
    name = system.outputs()["DashboardName"]
    body = json.loads(system.account.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            words = [word for word in line if isinstance(word, str)]
            if len(words) > 1:
                yield words[0], words[1], tuple(sorted(zip(words[2::2], words[3::2], strict=True)))
