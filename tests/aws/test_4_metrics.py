"""The metrics of alarms and dashboard, and whether they have data."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.aws.system import System

pytestmark = pytest.mark.only_on_aws("the emulator keeps no metrics of tables, functions and log lines")

ONLY_IN_TROUBLE = re.compile(
    "DestinationDeliveryFailures|DroppedEventCount|(Read|Write)ThrottleEvents|(System|User)Errors"
)
"""Metrics that exist only once what they count has happened."""

ONLY_IF_USED = {"BatchWriteItem", "DeleteItem", "UpdateItem", "Query", "PutItem", "TransactWriteItems"}
"""Operations of the table. A deployment has data for those that its backend calls."""

Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name and dimensions of a metric."""


def test_metrics_have_data(dev: System) -> None:
    """Every metric of an alarm or the dashboard has data, except counts of failures that did not happen."""
    expected = [
        (namespace, name, dimensions)
        for namespace, name, dimensions in sorted({*of_alarms(dev), *of_dashboard(dev)})
        if not ONLY_IN_TROUBLE.fullmatch(name) and dict(dimensions).get("Operation") not in ONLY_IF_USED
    ]
    queries = [query(f"m{number}", series, "SampleCount") for number, series in enumerate(expected)]

    def with_data() -> set[Series]:
        return {expected[int(key[1:])] for key, found in values(dev, queries).items() if found}

    # CloudWatch shows a metric some minutes after its first value.
    with suppress(AssertionError):
        dev.account.within(10, "every metric has data", lambda: with_data() == set(expected))
    assert set(expected) - with_data() == set()


def test_fill_over_nothing(dev: System) -> None:
    """FILL of a metric without any data returns its value wherever the other metrics have data."""
    puts = "AWS/DynamoDB", "SuccessfulRequestLatency", (("TableName", dev.table_name), ("Operation", "PutItem"))
    nothing = "AWS/Lambda", "Invocations", (("FunctionName", f"{dev.stack}-none"),)
    queries = [
        query("puts", puts, "SampleCount"),
        query("nothing", nothing, "Sum") | {"ReturnData": False},
        {"Id": "idle", "Expression": "IF(FILL(puts, 0) > 0 AND FILL(nothing, 0) == 0, 1, 0)"},
    ]
    found = values(dev, queries)
    assert found["puts"], "the table's PutItem metric has no data, so this shows nothing"
    assert 1.0 in found["idle"], "alarms on FILL would never end"


def values(system: System, queries: Sequence[Any]) -> Mapping[str, list[float]]:
    now, found = datetime.now(UTC), dict[str, list[float]]()
    asked = {"MetricDataQueries": list(queries), "StartTime": now - timedelta(hours=3), "EndTime": now}
    for result in system.account.pages("cloudwatch", "get_metric_data", "MetricDataResults", **asked):
        found.setdefault(result["Id"], []).extend(result["Values"])
    return found


def query(key: str, series: Series, statistic: str) -> dict[str, Any]:
    namespace, metric, dimensions = series
    named = [{"Name": name, "Value": value} for name, value in dimensions]
    measured = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": key, "MetricStat": {"Metric": measured, "Period": 300, "Stat": statistic}}


def of_alarms(system: System) -> Iterator[Series]:
    asked = {"AlarmNamePrefix": system.stack}
    for alarm in system.account.pages("cloudwatch", "describe_alarms", "MetricAlarms", **asked):
        metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        for metric in metrics or [alarm]:
            named = sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", []))
            yield metric["Namespace"], metric["MetricName"], tuple(named)


def of_dashboard(system: System) -> Iterator[Series]:
    """Lines of widgets: namespace, name, then dimensions in pairs (CloudWatch, "Dashboard body structure")."""
    name = system.outputs()["DashboardName"]
    body = json.loads(system.account.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            words = [word for word in line if isinstance(word, str)]
            if len(words) > 1:
                yield words[0], words[1], tuple(sorted(zip(words[2::2], words[3::2], strict=True)))
