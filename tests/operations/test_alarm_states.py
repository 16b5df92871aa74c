"""Each alarm starts on the smallest fault that it is for, with the default settings, however Lambda delivers.

How long Lambda waits between the deliveries of a record that fails is not documented, hence several spacings. What one
delivery adds to a metric is counted in test_rehearsals.py and test_metric_filters.py. The canary is in test_canary.py.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cruddur_messages.projection.handler import reserve_of
from tests.operations.alarm_state import states
from tests.operations.test_alarms import DEMANDED, alarms
from tools.synthesis import Templates, resources

pytestmark = pytest.mark.check

MINUTE = 60
HOUR = 60 * MINUTE

each_stage = pytest.mark.parametrize("stage", ["dev", "prod"])

THROTTLED_CALLS = 6
"""While the projection tries to settle one conversation (test_rehearsals.py)."""

LASTING: Mapping[str, tuple[str, float | None]] = {
    # One conversation cannot be settled: each delivery counts it, and the stream is read later and later.
    "conversations-failing": ("failed", 1),
    "inboxes-behind": ("age", None),
    # The same with a crash, or without concurrency: each delivery is an error, or is throttled.
    "function-errors": ("errors", 1),
    "function-throttled": ("throttles", 1),
    # Each delivery ends when the projection has no time for another call, in milliseconds; each message is five minutes
    # late.
    "function-slow": ("duration", 1000 * (60 - reserve_of(60))),
    "messages-late": ("lag", 301),
    "table-throttled": ("writes", THROTTLED_CALLS),
    "index-throttled": ("writes", THROTTLED_CALLS),
    "table-errors": ("errors4", THROTTLED_CALLS),
}
"""The metric, and what each delivery adds to it while a fault lasts; None: the milliseconds since it began."""

BUSY: Mapping[str, Mapping[str, float]] = {
    # One message in a loop; a backend whose calls are invalid.
    "self-trigger": {"invocations": 1},
    "user-errors": {"errors": 1},
}
"""What each second adds."""

AT_ONCE = ("own-writes-delivered", "records-dropped", "records-unusable", "failure-queue", "failure-queue-unreachable")
"""A single record is enough."""


def test_each_alarm_is_in_one_of_the_tables() -> None:
    assert sorted([*LASTING, *BUSY, *AT_ONCE, "canary"]) == sorted(DEMANDED)


@each_stage
@pytest.mark.parametrize("spacing", [1, 10, 60, 170])
@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_starts_it_and_one_delivery_does_not(
    name: str, spacing: int, stage: str, templates: Callable[..., Templates]
) -> None:
    metric, value = LASTING[name]
    deliveries = range(0, 30 * MINUTE, spacing)
    data = [(second, second * 1000 if value is None else value) for second in deliveries]
    alarm = alarms(templates, stage)[name]
    assert "ALARM" in states(alarm, {metric: data}, seconds=15 * MINUTE)
    assert "ALARM" not in states(alarm, {metric: data[:1]}, seconds=HOUR)


def test_batches_that_are_too_long_start_it_with_the_shortest_timeout_too(templates: Callable[..., Templates]) -> None:
    alarm = alarms(templates, "prod", timeout_seconds="20")["function-slow"]
    assert alarm["Threshold"] < 1000 * (20 - reserve_of(20))


@each_stage
@pytest.mark.parametrize("name", BUSY)
def test_a_caller_that_goes_wrong_starts_it(name: str, stage: str, templates: Callable[..., Templates]) -> None:
    alarm = alarms(templates, stage)[name]
    data = {metric: [(second, value) for second in range(30 * MINUTE)] for metric, value in BUSY[name].items()}
    assert "ALARM" in states(alarm, data, seconds=15 * MINUTE)
    few = {metric: values[::60] for metric, values in data.items()}
    assert "ALARM" not in states(alarm, few, seconds=30 * MINUTE)


@each_stage
@pytest.mark.parametrize("name", AT_ONCE)
def test_a_single_record_starts_it(name: str, stage: str, templates: Callable[..., Templates]) -> None:
    assert states(alarms(templates, stage)[name], {"any": [(10, 1)]}, seconds=5 * MINUTE) == ["ALARM"]


@each_stage
def test_none_starts_while_nothing_happens(stage: str, templates: Callable[..., Templates]) -> None:
    for name, alarm in alarms(templates, stage).items():
        if name != "canary":
            assert set(states(alarm, {}, seconds=2 * HOUR)) == {"OK"}, name


@pytest.mark.parametrize("days", [1, 6])
@pytest.mark.parametrize(
    ("hours_to_success", "starts"),
    [
        # The first run begins with the deployment, and a run takes up to twelve hours.
        ([0.5] * 9, False),
        ([11.5] * 9, False),
        ([0.5, 11.5] * 4, False),
        # No run ever succeeds; none does after the first.
        ([], True),
        ([0.5], True),
    ],
)
def test_the_audit_is_missing_if_no_run_succeeds_for_half_a_day_longer_than_its_interval(
    hours_to_success: list[float], starts: bool, days: int, templates: Callable[..., Templates]
) -> None:
    alarm = audit_alarms(templates, days)["missing"]
    looks_back = 24 * days + 12
    assert alarm["EvaluationPeriods"] * alarm["Period"] == looks_back * HOUR <= 7 * 24 * HOUR, "CloudWatch's limit"
    data = [((number * 24 * days + hours) * HOUR, 1) for number, hours in enumerate(hours_to_success)]
    seen = states(alarm, {"succeeded": data}, seconds=4 * 24 * days * HOUR)
    assert ("ALARM" in seen) is starts
    if starts:
        # Without a success, the warm-up ends after two days at most; what is read beyond the periods: alarm_state.py.
        earliest, latest = (looks_back, looks_back + 3) if data else (min(looks_back, 48), min(looks_back, 48) + 1)
        assert earliest <= seen.index("ALARM") + 1 <= latest


def test_a_finding_of_the_audit_starts_its_alarm_until_a_check_finds_none(templates: Callable[..., Templates]) -> None:
    alarm = audit_alarms(templates, 1)["findings"]
    assert states(alarm, {"findings": [(10, 1)]}, seconds=HOUR) == ["ALARM"]
    assert states(alarm, {"findings": [(10, 0)]}, seconds=HOUR) == ["OK"]
    assert alarm["TreatMissingData"] == "ignore", "between two checks, the state stays"


def audit_alarms(templates: Callable[..., Templates], days: int) -> dict[str, dict[str, Any]]:
    """By the last word of their names."""
    found = resources(templates("dev", audit_days=str(days))["audit"], "AWS::CloudWatch::Alarm").values()
    return {str(one["Properties"]["AlarmName"]).rsplit("-", 1)[1]: one["Properties"] for one in found}
