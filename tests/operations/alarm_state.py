"""How CloudWatch evaluates an alarm on one metric (User Guide, "Configuring how CloudWatch alarms treat missing data").

It reads some more periods than the alarm has. If these have enough data, what is missing does not count; otherwise the
rest is filled. Its examples with three periods read five; how many it reads in general is not documented.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

MORE_PERIODS = 2

STATISTICS: Mapping[str, Callable[[Iterable[float]], float]] = {"Sum": sum, "Maximum": max}


def states(alarm: Mapping[str, Any], data: Iterable[tuple[float, float]], *, seconds: float) -> list[str]:
    """The states at the end of each period, of an alarm that is created at 0; `data` are values by their second."""
    by_period: dict[int, list[float]] = {}
    for second, value in data:
        by_period.setdefault(int(second // alarm["Period"]), []).append(value)
    points = {period: STATISTICS[alarm["Statistic"]](values) for period, values in by_period.items()}
    warm_up = alarm.get("WarmUpConfiguration", {}).get("WarmUpPeriodDurationInMinutes", 0) * 60
    found, is_warm = [], not warm_up
    for end in range(1, int(seconds // alarm["Period"]) + 1):
        seen = range(max(0, end - alarm["EvaluationPeriods"] - MORE_PERIODS), end)
        real = [points[period] for period in seen if period in points][-alarm["EvaluationPeriods"] :]
        missing = alarm["EvaluationPeriods"] - len(real)
        is_warm = is_warm or not missing or end * alarm["Period"] > warm_up
        breaching = sum(value > alarm["Threshold"] for value in real)
        breaching += missing if alarm["TreatMissingData"] == "breaching" else 0
        state = "ALARM" if breaching >= alarm["DatapointsToAlarm"] else "OK"
        found.append(state if is_warm else "INSUFFICIENT_DATA")
    return found
