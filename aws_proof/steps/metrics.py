"""The metrics of alarms and dashboard, and whether they have data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_proof.claims import DiffersError, claim
from aws_proof.world import World

ONLY_IN_TROUBLE = frozenset(
    {
        "DestinationDeliveryFailures",
        "DroppedEventCount",
        "ReadThrottleEvents",
        "SystemErrors",
        "UserErrors",
        "WriteThrottleEvents",
    }
)
"""Metrics that exist only once what they count has happened."""

ONLY_IF_USED = frozenset({"BatchWriteItem", "DeleteItem", "UpdateItem", "Query", "PutItem", "TransactWriteItems"})
"""Operations of the table. A deployment has data for those that its backend calls."""

SINCE = timedelta(hours=3)
AT_ONCE = 500
"""The most queries in one GetMetricData."""

NO_METRICS = "the emulator keeps no metrics of tables, functions and log lines"


@dataclass(frozen=True)
class Series:
    """A metric with its dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" + "".join(f" {name}={value}" for name, value in self.dimensions)


@claim(
    "Every metric of an alarm or the dashboard has data, except counts of failures that did not happen.",
    not_on_emulator=NO_METRICS,
)
def metrics_have_data(world: World) -> str:
    """The metrics are read from the deployed alarms and dashboard. `GetMetricData` returns the last three hours."""
    named = sorted(set(_of_alarms(world)) | set(_of_dashboard(world)), key=str)

    def missing() -> list[Series] | None:
        # CloudWatch shows a metric some minutes after its first value.
        return _expected_but_empty(world, named) or None

    empty = missing()
    if empty:
        try:
            world.wait("the last metrics appear", lambda: None if missing() else True, minutes=10)
        except DiffersError:
            raise DiffersError(f"without data: {', '.join(map(str, missing() or []))}") from None
    silent = [one for one in named if not _data(world, [one])[one]]
    return f"{len(named) - len(silent)} of {len(named)} have data; the others count what did not happen"


@claim(
    "FILL of a metric without any data returns its value wherever the other metrics have data.",
    not_on_emulator=NO_METRICS,
)
def fill_over_nothing(world: World) -> str:
    """`IF(FILL(puts, 0) > 0 AND FILL(nothing, 0) == 0, 1, 0)`, of this table and of a function that does not exist."""
    queries = [
        _query(
            "puts",
            Series(
                "AWS/DynamoDB", "SuccessfulRequestLatency", (("TableName", world.table_name), ("Operation", "PutItem"))
            ),
            "SampleCount",
            shown=True,
        ),
        _query(
            "nothing",
            Series("AWS/Lambda", "Invocations", (("FunctionName", f"{world.system}-none"),)),
            "Sum",
            shown=False,
        ),
        {"Id": "idle", "Expression": "IF(FILL(puts, 0) > 0 AND FILL(nothing, 0) == 0, 1, 0)"},
    ]
    found = {one["Id"]: one["Values"] for one in _ask(world, queries)}
    if not found.get("puts"):
        raise DiffersError("the table's PutItem metric has no data, so this shows nothing")
    if 1.0 not in found.get("idle", []):
        raise DiffersError(f"the expression gives {found.get('idle') or 'nothing'}: projection-idle would never start")
    return f"{found['idle'].count(1.0)} of {len(found['idle'])} periods are 1"


def _expected_but_empty(world: World, named: Sequence[Series]) -> list[Series]:
    data = _data(world, named)
    return [one for one in named if not data[one] and not _may_be_empty(one)]


def _may_be_empty(series: Series) -> bool:
    return series.name in ONLY_IN_TROUBLE or dict(series.dimensions).get("Operation") in ONLY_IF_USED


def _data(world: World, named: Sequence[Series]) -> Mapping[Series, bool]:
    found: dict[Series, bool] = {}
    for first in range(0, len(named), AT_ONCE):
        some = {f"m{number}": one for number, one in enumerate(named[first : first + AT_ONCE])}
        for result in _ask(world, [_query(key, one, "SampleCount", shown=True) for key, one in some.items()]):
            found[some[result["Id"]]] = bool(result["Values"])
    return found


def _ask(world: World, queries: Sequence[Any]) -> Iterator[Any]:
    now = datetime.now(UTC)
    pages = (
        world.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=list(queries), StartTime=now - SINCE, EndTime=now)
    )
    values: dict[str, list[float]] = {}
    for page in pages:
        for result in page["MetricDataResults"]:
            values.setdefault(result["Id"], []).extend(result["Values"])
    return iter([{"Id": key, "Values": one} for key, one in values.items()])


def _query(key: str, series: Series, statistic: str, *, shown: bool) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    metric = {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": 300, "Stat": statistic}, "ReturnData": shown}


def _of_alarms(world: World) -> Iterator[Series]:
    pages = world.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=world.system)
    for page in pages:
        for alarm in page["MetricAlarms"]:
            if "MetricName" in alarm:
                yield _series(alarm)
            for query in alarm.get("Metrics", []):
                if "MetricStat" in query:
                    yield _series(query["MetricStat"]["Metric"])


def _series(metric: Mapping[str, Any]) -> Series:
    dimensions = tuple(sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", [])))
    return Series(metric["Namespace"], metric["MetricName"], dimensions)


def _of_dashboard(world: World) -> Iterator[Series]:
    """Lines of widgets: namespace, name, then dimensions in pairs (CloudWatch, "Dashboard body structure")."""
    name = world.outputs()["DashboardName"]
    body = json.loads(world.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            words = [word for word in line if isinstance(word, str)]
            if len(words) > 1:
                yield Series(words[0], words[1], tuple(sorted(zip(words[2::2], words[3::2], strict=True))))
