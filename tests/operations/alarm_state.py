"""How CloudWatch evaluates an alarm (User Guide, "Configuring how CloudWatch alarms treat missing data").

It reads some more periods than the alarm has. If these have enough data, what is missing does not count; otherwise the
rest is filled. Its examples with three periods read five; how many it reads in general is not documented.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import gt, lt
from typing import Any

from tests.operations import metric_math

MORE_PERIODS = 2

STATISTICS: Mapping[str, Callable[[Iterable[float]], float]] = {"Sum": sum, "Maximum": max}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {"GreaterThanThreshold": gt, "LessThanThreshold": lt}

Data = Sequence[tuple[float, float]]
"""Values of a metric by the second in which they are reported."""


def states(alarm: Mapping[str, Any], data: Mapping[str, Data], *, seconds: float) -> list[str]:
    """The states at the end of each period, of an alarm that is created at 0.

    `data` are those of each metric, by its id in the alarm's expression; without an expression, of any one name.
    """
    period_seconds, points = _points(alarm, data)
    periods = alarm["EvaluationPeriods"]
    warm_up = alarm.get("WarmUpConfiguration", {}).get("WarmUpPeriodDurationInMinutes", 0) * 60
    found, is_warm = [], not warm_up
    for end in range(1, int(seconds // period_seconds) + 1):
        seen = range(max(0, end - periods - MORE_PERIODS), end)
        real = [points[period] for period in seen if period in points][-periods:]
        missing = periods - len(real)
        is_warm = is_warm or not missing or end * period_seconds > warm_up
        breaching = sum(COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"]) for value in real)
        breaching += missing if alarm["TreatMissingData"] == "breaching" else 0
        state = "ALARM" if breaching >= alarm.get("DatapointsToAlarm", periods) else "OK"
        found.append(state if is_warm else "INSUFFICIENT_DATA")
    return found


def _points(alarm: Mapping[str, Any], data: Mapping[str, Data]) -> tuple[int, dict[int, float]]:
    """The period in seconds, and the value in each period that has one."""
    if "Metrics" not in alarm:
        values = [value for found in data.values() for value in found]
        return alarm["Period"], _by_period(values, alarm["Period"], alarm["Statistic"])
    metrics = {query["Id"]: query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query}
    (expression,) = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
    (period_seconds,) = {metric["Period"] for metric in metrics.values()}
    by_metric = {name: _by_period(found, period_seconds, metrics[name]["Stat"]) for name, found in data.items()}
    return period_seconds, {
        period: metric_math.value(expression, {name: by_metric.get(name, {}).get(period) for name in metrics})
        for period in {period for found in by_metric.values() for period in found}
    }


def _by_period(data: Data, period_seconds: int, statistic: str) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for second, value in data:
        values.setdefault(int(second // period_seconds), []).append(value)
    return {period: STATISTICS[statistic](found) for period, found in values.items()}
