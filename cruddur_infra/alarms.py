"""Which alarms there are: each on what hurts users, as a plain value. docs/operations.md has a section for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from cruddur_infra.metrics import LOGGED_LAG, MESSAGE_WRITES, OPERATIONS, Metric, Watched

RUNBOOK = "docs/operations.md"

NEAR_THE_TIMEOUT = 0.8

FEWEST_INVOCATIONS_OF_A_LOOP = 100
"""Below this many in five minutes, a loop costs nothing and a ratio says nothing."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Goes off when the value is above `above` in `breaching` of the last `periods`; missing data is no reason.

    `metrics` by the name that the expression gives them; without an expression there is one.
    """

    name: str
    says: str
    metrics: Mapping[str, Metric]
    above: float
    expression: str | None = None
    period_seconds: int = 300
    periods: int = 1
    breaching: int = 1

    @property
    def description(self) -> str:
        """What the person reads who is woken."""
        return f"{self.says} What to do: {RUNBOOK}, {self.name}"


def alarms(watched: Watched) -> list[Alarm]:
    """All alarms of a stage, those first that speak of users. The emulator refuses those on an expression."""
    found = [*_inboxes(watched), *_function(watched), *_records(watched), *_table(watched)]
    return [alarm for alarm in found if alarm.expression is None or not watched.settings.emulator]


def _inboxes(watched: Watched) -> list[Alarm]:
    settings = watched.settings
    return [
        Alarm(
            name="inboxes-behind",
            says=f"The stream is read more than {settings.alarm_age_seconds} s late: inboxes show old messages.",
            metrics={"age": watched.of_function("IteratorAge", "Maximum")},
            above=settings.alarm_age_seconds * 1000,
            period_seconds=60,
            periods=3,
            breaching=3,
        ),
        Alarm(
            name="messages-late",
            says=f"Messages took more than {settings.alarm_age_seconds} s from the table into the inboxes.",
            metrics={"lag": watched.logged(LOGGED_LAG, "Maximum")},
            above=settings.alarm_age_seconds,
            periods=2,
            breaching=2,
        ),
        Alarm(
            name="projection-idle",
            says="Messages are written and the function is not invoked: the mapping is off or cannot read the stream.",
            metrics={
                "puts": watched.of_table("SuccessfulRequestLatency", operation="PutItem", statistic="SampleCount"),
                "invocations": watched.of_function("Invocations"),
            },
            expression="IF(FILL(puts, 0) > 0 AND FILL(invocations, 0) == 0, 1, 0)",
            above=0,
            periods=3,
            breaching=3,
        ),
        Alarm(
            name="conversations-failing",
            says="Conversations could not be settled; they are tried again until the caps of the mapping.",
            metrics={"failed": watched.logged("conversations_failed")},
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
    ]


def _function(watched: Watched) -> list[Alarm]:
    settings = watched.settings
    writes = {
        f"writes{number}": watched.of_table("SuccessfulRequestLatency", operation=operation, statistic="SampleCount")
        for number, operation in enumerate(MESSAGE_WRITES)
    }
    all_writes = " + ".join(f"FILL({name}, 0)" for name in writes)
    return [
        Alarm(
            name="function-errors",
            says="Invocations ended in an error: a crash, a timeout, or memory.",
            metrics={"errors": watched.of_function("Errors")},
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="function-throttled",
            says="Lambda had no concurrency left for the function.",
            metrics={"throttles": watched.of_function("Throttles")},
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="function-slow",
            says=f"Batches take more than {NEAR_THE_TIMEOUT:.0%} of the timeout of {settings.timeout_seconds} s.",
            metrics={"duration": watched.of_function("Duration", "Maximum")},
            above=settings.timeout_seconds * 1000 * NEAR_THE_TIMEOUT,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="self-trigger",
            says=f"More than {settings.alarm_loop_factor} invocations for each write of a message: a loop, or retries.",
            metrics={"invocations": watched.of_function("Invocations"), **writes},
            expression=(
                f"IF(FILL(invocations, 0) > {FEWEST_INVOCATIONS_OF_A_LOOP}, "
                f"FILL(invocations, 0) / ({all_writes} + 1), 0)"
            ),
            above=settings.alarm_loop_factor,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="own-writes-delivered",
            says="Records reach the function that its filters should keep away, such as its own writes.",
            metrics={"ignored": watched.logged("records_ignored")},
            above=0,
        ),
    ]


def _records(watched: Watched) -> list[Alarm]:
    return [
        Alarm(
            name="records-dropped",
            says="The mapping gave up on records, and they are not in the failure queue.",
            metrics={"dropped": watched.of_mapping("DroppedEventCount")},
            above=0,
        ),
        Alarm(
            name="records-unusable",
            says="Records named no conversation, and were passed over: something else writes into the table.",
            metrics={"unusable": watched.logged("records_unusable")},
            above=0,
        ),
        Alarm(
            name="failure-queue",
            says="Records wait in the failure queue; the stream has them for 24 hours.",
            metrics={"waiting": watched.of_queue("ApproximateNumberOfMessagesVisible")},
            above=0,
        ),
        Alarm(
            name="failure-queue-unreachable",
            says="Lambda could not put failed records into the failure queue.",
            metrics={"failures": watched.of_function("DestinationDeliveryFailures")},
            above=0,
        ),
    ]


def _table(watched: Watched) -> list[Alarm]:
    settings = watched.settings
    throttles = {"reads": "ReadThrottleEvents", "writes": "WriteThrottleEvents"}
    either = "FILL(reads, 0) + FILL(writes, 0)"
    system_errors = {
        f"errors{number}": watched.of_table("SystemErrors", operation=operation)
        for number, operation in enumerate(OPERATIONS)
    }
    return [
        Alarm(
            name="table-throttled",
            says="DynamoDB refuses requests on the table for lack of capacity.",
            metrics={name: watched.of_table(metric) for name, metric in throttles.items()},
            expression=either,
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="index-throttled",
            says="DynamoDB refuses requests for lack of capacity of the index; writes of the table with them.",
            metrics={name: watched.of_index(metric) for name, metric in throttles.items()},
            expression=either,
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="table-errors",
            says="DynamoDB itself fails on requests to the table or its index.",
            metrics=system_errors,
            expression=" + ".join(f"FILL({name}, 0)" for name in system_errors),
            above=settings.alarm_failures,
            periods=3,
            breaching=2,
        ),
        Alarm(
            name="user-errors",
            says="DynamoDB rejects requests as wrong; it counts them for the whole account and region.",
            # It counts cancelled transactions too, with which the projection notices that others were faster.
            metrics={"errors": watched.of_account("UserErrors"), "conflicts": watched.logged("conflicts")},
            expression="FILL(errors, 0) - FILL(conflicts, 0)",
            above=settings.alarm_user_errors,
            periods=3,
            breaching=2,
        ),
    ]
