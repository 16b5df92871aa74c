"""The canary's alarm starts when messages do not reach the inboxes or the canary dies, and not otherwise.

The canary runs on the emulator's table, beside the projection behind a poller that follows Lambda's rules. While it
waits, records are delivered, and its clock goes on.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_infra.settings import CANARY_MINUTES, Settings
from cruddur_infra.stages import load
from cruddur_messages import schema
from cruddur_messages.canary import RESERVE_SECONDS
from cruddur_messages.canary import run as canary
from tests.access_patterns.people import BetweenCalls
from tests.operations import alarm_state
from tests.operations.night import Night
from tests.operations.test_alarms import alarms
from tests.operations.test_metric_filters import counted
from tools.synthesis import Templates, function, only, resources

WAIT_SECONDS = 60.0
START = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class Runs:
    """Runs the canary; `deliver` is what happens while it waits."""

    night: Night
    client: Any
    deliver: Callable[[], object]
    now: datetime = START
    lines: list[str] = field(default_factory=list)

    def run(self, *, ahead: timedelta = timedelta(0)) -> None:
        """One run, with a clock that is ahead; what it raises is in its log line."""
        ends = self.now + timedelta(seconds=WAIT_SECONDS)

        def sleep(seconds: float) -> None:
            self.now += timedelta(seconds=seconds)
            assert self.now < ends + timedelta(minutes=1), "it never gives up"
            self.deliver()

        try:
            canary.run(
                client=self.client,
                table_name=self.night.table.name,
                clock=lambda: self.now + ahead,
                sleep=sleep,
                seconds_left=lambda: (ends - self.now).total_seconds(),
                emit=lambda event, **fields: self.lines.append(json.dumps({"event": event, **fields})),
            )
        except (canary.LateError, ClientError):
            assert json.loads(self.lines[-1])["canary_failures"] == 1
        self.now += timedelta(minutes=5)

    @property
    def failures(self) -> list[int]:
        """For each run so far, whether it failed."""
        return [json.loads(line)["canary_failures"] for line in self.lines]


@pytest.fixture
def runs(night: Night) -> Runs:
    return Runs(night, night.table.client, night.deliver)


def check_one_message_and_two_rows(night: Night) -> None:
    """Of made-up people alone: the last message, both rows at its time, and the pair item."""
    # The conversation item is the projection's.
    scanned = night.table.client.scan(TableName=night.table.name, ConsistentRead=True)["Items"]
    keys = sorted((item[schema.PARTITION_KEY]["S"], item[schema.SORT_KEY]["S"]) for item in scanned)
    found = [key for key in keys if not key[0].startswith(schema.CONVERSATION_PREFIX)]
    one, other = (member.uuid for member in canary.MEMBERS)
    rows = [schema.group_row_partition(one), schema.group_row_partition(other)]
    message, pair = schema.message_partition(canary.MESSAGE_GROUP_UUID), schema.pair_partition(one, other)
    assert [partition for partition, _ in found] == sorted([*rows, message, pair])
    assert len({time for partition, time in found if partition != pair}) == 1
    assert all(schema.SMOKE_UUID_PREFIX in partition for partition, _ in found)


def test_each_run_measures_deletes_the_message_before_it_and_leaves_all_in_order(
    runs: Runs, templates: Callable[..., Templates]
) -> None:
    for _ in range(3):
        runs.run()
        check_one_message_and_two_rows(runs.night)
    assert runs.failures == [0, 0, 0]
    found = counted(runs.lines, templates)
    assert found["canary_failures"] == 0
    assert 0 < found["canary_seconds"] < 3 * WAIT_SECONDS
    runs.night.deliver(times=3)
    assert runs.night.ddb("verify").status == 0


def test_it_fails_while_the_mapping_is_disabled_and_recovers_with_it(runs: Runs) -> None:
    runs.run()
    delivery, runs.deliver = runs.deliver, lambda: None
    for _ in range(3):
        runs.run()
    runs.deliver = delivery
    runs.run()
    assert runs.failures == [0, 1, 1, 1, 0]
    check_one_message_and_two_rows(runs.night)


@pytest.mark.parametrize("moved", [0, 1])
def test_it_fails_while_only_one_of_the_two_rows_moves(moved: int, runs: Runs) -> None:
    runs.run()
    runs.night.deliver()
    table, client = runs.night.table.name, runs.client

    def items_of(partition: str) -> Any:
        values = {":pk": {"S": partition}}
        return client.query(TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=values)[
            "Items"
        ]

    def move_one_row() -> None:
        newest = items_of(schema.message_partition(canary.MESSAGE_GROUP_UUID))[-1]
        (row,) = items_of(schema.group_row_partition(canary.MEMBERS[moved].uuid))
        client.delete_item(TableName=table, Key={name: row[name] for name in ("pk", "sk")})
        client.put_item(TableName=table, Item=row | {"sk": newest["sk"]})

    runs.deliver = move_one_row
    runs.run()
    assert runs.failures == [0, 1]


@pytest.mark.parametrize("denied", ["query", "transact_write_items"])
def test_it_names_the_error_while_it_lacks_a_permission_itself(runs: Runs, denied: str) -> None:
    def deny(_number: int, name: str) -> None:
        if name == denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, name)

    runs.client = BetweenCalls(runs.client, before=deny)
    runs.run()
    assert json.loads(runs.lines[0])["failure"] == "AccessDeniedException"


def test_the_entry_runs_it_with_the_time_of_the_invocation(
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    templates: Callable[..., Templates],
) -> None:
    """Nobody delivers: the first run starts the conversation with its rows, the second one waits in vain."""
    from cruddur_messages.canary import handler

    class Context:
        def __init__(self) -> None:
            self.remaining = iter([RESERVE_SECONDS * 1000])

        def get_remaining_time_in_millis(self) -> int:
            return next(self.remaining)

    monkeypatch.setenv(schema.TABLE_NAME_VARIABLE, night.table.name)
    monkeypatch.setattr(handler, "_client", night.table.client)
    context: Any = Context()
    handler.handler({}, context)
    assert counted(capsys.readouterr().out.splitlines(), templates)["canary_failures"] == 0
    with pytest.raises(canary.LateError):
        handler.handler({}, context)
    assert counted(capsys.readouterr().out.splitlines(), templates) == {"canary_failures": 1}


def test_a_clock_that_was_ahead_does_not_make_later_runs_succeed_by_themselves(runs: Runs) -> None:
    runs.run(ahead=timedelta(days=1))
    runs.run()
    runs.deliver = lambda: None
    runs.run()
    assert runs.failures == [0, 0, 1]


@pytest.mark.parametrize("runs_before", [0, pytest.param(1, marks=pytest.mark.proof)])
@pytest.mark.parametrize("at", ["query", "transact_write_items", "put_item", "sleep", "delete_item"])
def test_two_at_once_both_succeed(runs: Runs, runs_before: int, at: str) -> None:
    """Another whole run takes place before a call of the first."""
    for _ in range(runs_before):
        runs.run()
    other = Runs(runs.night, runs.client, runs.deliver, runs.now)
    delivery, client = runs.deliver, runs.client

    class Interrupted:
        def __getattr__(self, operation: str) -> Any:
            if operation == at and not other.lines:
                other.run()
            return getattr(client, operation)

    def deliver() -> None:
        if at == "sleep" and not other.lines:
            other.run()
        delivery()

    runs.client, runs.deliver = Interrupted(), deliver
    runs.run()
    assert {*runs.failures, *other.failures} <= {0}
    runs.client, runs.deliver = client, delivery
    runs.run()
    check_one_message_and_two_rows(runs.night)
    runs.night.deliver(times=3)
    assert runs.night.ddb("verify").status == 0


def ran(failures: Sequence[int | None], interval: float) -> list[tuple[float, float]]:
    """The data of runs in the middle of each period; None for a run that did not take place."""
    return [((number + 0.5) * interval, value) for number, value in enumerate(failures) if value is not None]


@pytest.mark.check
@pytest.mark.parametrize(("stage", "minutes"), [("dev", 60), ("prod", 5)])
@pytest.mark.parametrize(
    ("failures", "starts_after"),
    [
        # The first deployment: the first run may take place in the next period, or the one after.
        ([0] * 9, None),
        ([None, *[0] * 9], None),
        ([None, None, *[0] * 9], None),
        # One run is missed, one fails; later also another.
        ([0, 0, 0, None, 0, 0, 0], None),
        ([0, 0, 0, 1, 0, 0, 0], None),
        ([0, 0, 0, 1, 0, 0, None, 0, 0, 1, 0], None),
        # Messages do not reach the inboxes; the canary dies; it never lived.
        ([0, 0, 0, 1, 1], 2),
        ([0, 0, 0, 1, 0, 1], 3),
        ([0, 0, 0, 0, 0, *[None] * 4], 4),
        ([0, 0, 0, 0, 0, 1, *[None] * 4], 4),
        ([*[None] * 5], 5),
        ([1, 1, 1], 3),
    ],
)
def test_its_alarm(
    stage: str, minutes: int, failures: list[int | None], starts_after: int | None, templates: Callable[..., Templates]
) -> None:
    """`starts_after` counts the periods since the first failure."""
    alarm = alarms(templates, stage)["canary"]
    assert alarm["Period"] == minutes * 60
    found = alarm_state.states(
        alarm, {"failures": ran(failures, alarm["Period"])}, seconds=len(failures) * alarm["Period"]
    )
    started = found.index("ALARM") if "ALARM" in found else None
    first = next((number for number, value in enumerate(failures) if value != 0), 0)
    assert started == (None if starts_after is None else first + starts_after - 1)


@pytest.mark.check
@pytest.mark.parametrize(("stage", "cron"), [("dev", "30"), ("prod", "2,7,12,17,22,27,32,37,42,47,52,57")])
def test_it_runs_once_in_each_period_after_the_projection_can(
    stage: str, cron: str, templates: Callable[..., Templates]
) -> None:
    main = templates(stage)["main"]
    rule = only(main, "AWS::Events::Rule")
    assert rule["Properties"]["ScheduleExpression"] == f"cron({cron} * * * ? *)"
    (target,) = rule["Properties"]["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    assert only(main, "AWS::Lambda::EventInvokeConfig")["Properties"]["MaximumRetryAttempts"] == 0
    assert "VpcConfig" not in function(main, "canary")
    (mapping,) = resources(main, "AWS::Lambda::EventSourceMapping")
    assert mapping in rule["DependsOn"]
    assert function(main, "canary")["Timeout"] == load()[stage].canary_wait_seconds + RESERVE_SECONDS


@pytest.mark.check
@pytest.mark.parametrize("minutes", [minutes for minutes in CANARY_MINUTES if minutes])
def test_it_never_runs_into_the_next_period(minutes: int) -> None:
    for age in (1, 300, 86_400):
        settings = Settings(stage="dev", canary_minutes=minutes, alarm_age_seconds=age)
        assert 0 < settings.canary_wait_seconds + RESERVE_SECONDS < min(minutes * 60, 901)


@pytest.mark.check
def test_there_is_none_without_alarms_or_with_0(templates: Callable[..., Templates]) -> None:
    for settings in ({"canary_minutes": "0"}, {"monitoring": "none"}):
        assert not resources(templates("prod", **settings)["main"], "AWS::Events::Rule")
    assert "canary" not in alarms(templates, "prod", canary_minutes="0")
