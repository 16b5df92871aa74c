"""Failures are caused, and the runbook (docs/operations.md) is followed to its end.

A missing permission on the deployed system is rehearsed in tests/policies/test_enforced.py; a dead emulator and an
interrupted deployment in tests/end_to_end/test_interruptions.py; a table that an old handler has damaged in
tests/cli/test_repair.py.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cruddur_messages import schema
from tests.access_patterns.people import person
from tests.cli.test_redrive import Queue, notice
from tests.engines import tables
from tests.operations.night import ANN, BO, RETRIES, Night
from tests.operations.test_alarm_states import THROTTLED_CALLS
from tests.operations.test_alarms import alarms, metrics
from tests.operations.test_metric_filters import counted
from tests.projection.event_source_mapping import sequence_number
from tools.synthesis import Templates

pytestmark = pytest.mark.proof


def alarms_in(lines: list[str], templates: Callable[..., Templates]) -> set[str]:
    """The alarms of prod whose threshold these log lines exceed within a period."""
    values = counted(lines, templates)
    return {
        name
        for name, alarm in alarms(templates, "prod").items()
        for metric in metrics(alarm)
        if metric["Namespace"] == "cruddur-messages-prod"
        and name != "messages-late"
        and values.get(metric["MetricName"], 0) > alarm["Threshold"]
    }


def notice_of(night: Night, records: list[Any]) -> str:
    """A message about records that Lambda sends to the failure queue."""
    streams = tables.streams(night.table.endpoint)
    (shard,) = streams.describe_stream(StreamArn=night.stream_arn)["StreamDescription"]["Shards"]
    return notice(night.stream_arn, shard["ShardId"], sequence_number(records[0]), sequence_number(records[-1]))


def test_a_lasting_refusal_ends_in_the_failure_queue_and_redrive_settles_it(night: Night) -> None:
    group = night.store.start_conversation((ANN, BO), sender=ANN, message="first").message_group_uuid
    night.deliver()
    night.client.code = "AccessDeniedException"
    night.store.send(group, sender=BO, message="second")
    lines = night.deliver(times=RETRIES + 1)
    failures = [json.loads(line) for line in lines if '"conversation_failed"' in line]
    assert {line["message_group_uuid"] for line in failures} == {group}
    assert {line["failure"] for line in failures} == {"refused: AccessDeniedException"}
    assert len(night.lane.dropped) == 1
    assert night.preview(group) == "first"

    queue = Queue(night.table)
    queue.put(notice_of(night, night.lane.dropped))
    assert night.ddb("verify").status == 1
    redriven = night.ddb("redrive", "--queue", queue.url, "--yes", "--json")
    assert redriven.status == 0, redriven.err
    assert json.loads(redriven.out)["removed"] == 1
    assert night.preview(group) == "second"
    assert queue.length() == 0
    assert night.ddb("verify").status == 0


def test_malformed_records_are_logged_and_the_records_after_them_are_settled(
    night: Night, templates: Callable[..., Templates]
) -> None:
    group = night.store.start_conversation((ANN, BO), sender=ANN, message="first").message_group_uuid
    night.deliver()
    nameless = {"pk": {"S": schema.MESSAGE_PREFIX}, "sk": {"S": "2026-01-01"}}
    malformed = {"pk": {"S": schema.message_partition(group)}, "sk": {"S": "2999-01-01T00:00:00.000000+00:00"}}
    night.table.client.put_item(TableName=night.table.name, Item=nameless)
    night.table.client.put_item(TableName=night.table.name, Item=malformed)
    night.store.send(group, sender=BO, message="second")
    lines = night.deliver()
    assert night.preview(group) == "second"
    assert night.lane.dropped == []
    assert not night.lane.has_work
    assert alarms_in(lines, templates) == {"records-unusable"}
    events = [json.loads(line) for line in lines]
    (unusable,) = [line for line in events if line["event"] == "record_unusable"]
    assert unusable["sequence_number"] in [sequence_number(record) for record in night.poller.records]
    assert {line["message_group_uuid"] for line in events if line["event"] == "conversation_odd"} == {group}

    assert night.ddb("verify").status == 1
    for item in (nameless, malformed):
        night.table.client.delete_item(TableName=night.table.name, Key={name: item[name] for name in ("pk", "sk")})
    night.deliver(times=2)
    assert night.ddb("verify").status == 0


def test_a_throttled_table_starts_an_alarm_loses_nothing_and_recovers(
    night: Night, templates: Callable[..., Templates]
) -> None:
    groups = [
        night.store.start_conversation((ANN, person(f"friend{number}")), sender=ANN, message="first").message_group_uuid
        for number in range(6)
    ]
    while night.deliver():
        pass
    night.client.code = "ProvisionedThroughputExceededException"
    for group in groups:
        night.store.send(group, sender=ANN, message="second")
    lines = night.deliver()
    assert alarms_in(lines, templates) == {"conversations-failing"}
    assert [night.preview(group) for group in groups] == ["first"] * len(groups)
    night.client.code = None
    while night.lane.has_work:
        lines = night.deliver()
    assert alarms_in(lines, templates) == set()
    assert [night.preview(group) for group in groups] == ["second"] * len(groups)
    assert night.lane.dropped == []
    assert night.ddb("verify").status == 0


def test_each_delivery_of_a_conversation_that_cannot_be_settled_counts_for_the_alarms(
    night: Night, templates: Callable[..., Templates]
) -> None:
    """What test_alarm_states.py takes one delivery to add to the metrics."""
    group = night.store.start_conversation((ANN, BO), sender=ANN, message="first").message_group_uuid
    night.deliver()
    night.store.send(group, sender=BO, message="second")
    for code in ("ValidationException", "ProvisionedThroughputExceededException"):
        night.client.code, night.client.refused = code, 0
        assert counted(night.deliver(), templates)["conversations_failed"] == 1
    assert night.client.refused >= THROTTLED_CALLS
