"""The alarms, as plain values, on conditions that affect users. docs/operations.md has a section for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cruddur_infra.monitoring.log import CANARY_FAILURES, LOGGED_LAG
from cruddur_infra.monitoring.metrics import MESSAGE_WRITES, OPERATIONS, Metric, Watched

RUNBOOK = "docs/operations.md"

NEAR_THE_TIMEOUT = 0.8
SECONDS_NEAR_THE_TIMEOUT = 12
"""More than the projection keeps free (projection/handler.py): a batch that is too long ends before its timeout."""

FEWEST_INVOCATIONS_OF_A_LOOP = 100
"""With fewer invocations in five minutes, a loop costs next to nothing and the ratio is meaningless."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The limits above which alarms trigger."""

    age_seconds: int
    failures: int
    user_errors: int
    loop_factor: int
    timeout_seconds: int
    canary_minutes: int
    canary_wait_seconds: int


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Triggers when the value is above `above`, or below `below`, in `breaching` of the last `periods`.

    By default, it must last. `missing` is how CloudWatch treats missing data; if that is breaching, the alarm waits
    `warm_up_minutes` for the first data.
    `is_essential` marks alarms that show wrong or late inboxes. `metrics` are keyed by their names in the expression;
    without an expression there is exactly one.
    """

    name: str
    says: str
    metrics: Mapping[str, Metric]
    above: float = 0
    below: float | None = None
    expression: str | None = None
    period_seconds: int = 300
    periods: int = 3
    breaching: int = 2
    is_essential: bool = False
    missing: Literal["notBreaching", "breaching", "ignore"] = "notBreaching"
    warm_up_minutes: int | None = None

    @property
    def description(self) -> str:
        """The text of the notification."""
        return f"{self.says} What to do: {RUNBOOK}, {self.name}"


def alarms(watched: Watched, thresholds: Thresholds, *, full: bool) -> list[Alarm]:
    """All alarms, or the essential ones; those that affect users first.

    The essential ones stay within CloudWatch's free tier of ten alarm metrics and ten custom metrics.
    """
    found = [
        *_inboxes(watched, thresholds),
        *_function(watched, thresholds),
        *_records(watched),
        *_table(watched, thresholds),
    ]
    return [alarm for alarm in found if full or alarm.is_essential]


def _inboxes(watched: Watched, thresholds: Thresholds) -> list[Alarm]:
    return [
        *([_canary(watched, thresholds)] if watched.canary_log_group_name else []),
        Alarm(
            name="inboxes-behind",
            is_essential=True,
            says=f"The stream is read more than {thresholds.age_seconds} s late: inboxes show old messages.",
            metrics={"age": watched.of_function("IteratorAge", "Maximum")},
            above=thresholds.age_seconds * 1000,
            period_seconds=60,
            # A record that is delivered again and again gives data in some minutes only.
            periods=10,
            breaching=3,
        ),
        Alarm(
            name="messages-late",
            is_essential=True,
            says=f"Messages took more than {thresholds.age_seconds} s from the table into the inboxes.",
            metrics={"lag": watched.logged(LOGGED_LAG, "Maximum")},
            above=thresholds.age_seconds,
        ),
        Alarm(
            name="conversations-failing",
            is_essential=True,
            says="Conversations could not be settled. They are retried up to the limits of the mapping.",
            # A single conversation must start it, however seldom Lambda delivers its record again.
            metrics={"failed": watched.logged("conversations_failed")},
        ),
    ]


def _canary(watched: Watched, thresholds: Thresholds) -> Alarm:
    minutes = thresholds.canary_minutes
    return Alarm(
        name="canary",
        is_essential=True,
        says=f"The canary did not run, or its message took over {thresholds.canary_wait_seconds} s to the inboxes.",
        metrics={"failures": watched.logged(CANARY_FAILURES, "Maximum")},
        period_seconds=minutes * 60,
        missing="breaching",
        # By then there are three runs, or it never ran (CloudWatch User Guide, "Alarm warm-up periods").
        warm_up_minutes=minutes * 4,
    )


def _function(watched: Watched, thresholds: Thresholds) -> list[Alarm]:
    writes = {
        f"writes{number}": watched.of_table("SuccessfulRequestLatency", operation=operation, statistic="SampleCount")
        for number, operation in enumerate(MESSAGE_WRITES)
    }
    all_writes = " + ".join(f"FILL({name}, 0)" for name in writes)
    seconds = thresholds.timeout_seconds
    slow_seconds = min(seconds * NEAR_THE_TIMEOUT, seconds - SECONDS_NEAR_THE_TIMEOUT)
    return [
        Alarm(
            name="function-errors",
            is_essential=True,
            says="Invocations ended in an error: a crash, a timeout, or memory.",
            metrics={"errors": watched.of_function("Errors")},
        ),
        Alarm(
            name="function-throttled",
            says="Lambda throttled the function: no concurrency was left.",
            metrics={"throttles": watched.of_function("Throttles")},
        ),
        Alarm(
            name="function-slow",
            says=f"Batches take more than {slow_seconds:g} s of the timeout of {seconds} s.",
            metrics={"duration": watched.of_function("Duration", "Maximum")},
            above=slow_seconds * 1000,
        ),
        Alarm(
            name="self-trigger",
            says=f"More than {thresholds.loop_factor} invocations for each write of a message: a loop, or retries.",
            metrics={"invocations": watched.of_function("Invocations"), **writes},
            expression=(
                f"IF(FILL(invocations, 0) > {FEWEST_INVOCATIONS_OF_A_LOOP}, "
                f"FILL(invocations, 0) / ({all_writes} + 1), 0)"
            ),
            above=thresholds.loop_factor,
        ),
        Alarm(
            name="own-writes-delivered",
            says="The function receives records that its filters should remove, such as its own writes.",
            metrics={"ignored": watched.logged("records_ignored")},
            periods=1,
            breaching=1,
        ),
    ]


def _records(watched: Watched) -> list[Alarm]:
    return [
        Alarm(
            name="records-dropped",
            is_essential=True,
            says="The mapping gave up on records, and they are not in the failure queue.",
            metrics={"dropped": watched.of_mapping("DroppedEventCount")},
            periods=1,
            breaching=1,
        ),
        Alarm(
            name="records-unusable",
            says="Records named no conversation and were skipped: something else writes to the table.",
            metrics={"unusable": watched.logged("records_unusable")},
            periods=1,
            breaching=1,
        ),
        Alarm(
            name="failure-queue",
            is_essential=True,
            says="Records are in the failure queue. The stream keeps them for 24 hours.",
            metrics={"waiting": watched.of_queue("ApproximateNumberOfMessagesVisible")},
            periods=1,
            breaching=1,
        ),
        Alarm(
            name="failure-queue-unreachable",
            says="Lambda could not put failed records into the failure queue.",
            metrics={"failures": watched.of_function("DestinationDeliveryFailures")},
            periods=1,
            breaching=1,
        ),
    ]


def _table(watched: Watched, thresholds: Thresholds) -> list[Alarm]:
    throttles = {"reads": "ReadThrottleEvents", "writes": "WriteThrottleEvents"}
    either = "FILL(reads, 0) + FILL(writes, 0)"
    system_errors = {
        f"errors{number}": watched.of_table("SystemErrors", operation=operation)
        for number, operation in enumerate(OPERATIONS)
    }
    return [
        Alarm(
            name="table-throttled",
            says="DynamoDB throttles requests on the table: its capacity is exhausted.",
            metrics={name: watched.of_table(metric) for name, metric in throttles.items()},
            expression=either,
            above=thresholds.failures,
        ),
        Alarm(
            name="index-throttled",
            says="DynamoDB throttles requests, also writes to the table: the index's capacity is exhausted.",
            metrics={name: watched.of_index(metric) for name, metric in throttles.items()},
            expression=either,
            above=thresholds.failures,
        ),
        Alarm(
            name="table-errors",
            says="DynamoDB returns system errors for requests to the table or its index.",
            metrics=system_errors,
            expression=" + ".join(f"FILL({name}, 0)" for name in system_errors),
            above=thresholds.failures,
        ),
        Alarm(
            name="user-errors",
            says="DynamoDB rejects requests as invalid. It counts them for the whole account and region.",
            # The metric includes cancelled transactions, which the projection expects when others commit first.
            metrics={"errors": watched.of_account("UserErrors"), "conflicts": watched.logged("conflicts")},
            expression="FILL(errors, 0) - FILL(conflicts, 0)",
            above=thresholds.user_errors,
        ),
    ]
