"""The metrics from the log: the filters match the lines that the handler prints, and read the right number."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from cruddur_messages.items import User
from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.store import MessageStore
from tests.engines.fixtures import CruddurTable
from tests.operations.filter_patterns import matches, value_of
from tools.synthesis import Templates, resources

ANN, BO = (User(str(uuid.uuid4()), name, name.lower()) for name in ("Ann", "Bo"))

LOG_LINES_OF_LAMBDA = [
    '{"time":"2026-11-20T04:57:00.000Z","type":"platform.report","record":{"metrics":{"durationMs":12.5}}}',
    "START RequestId: 1 Version: $LATEST",
    '["batch_settled"]',
]


@pytest.fixture
def log_of(
    dynamodb_local_endpoint: str,
    cruddur_table_on: Callable[[str], CruddurTable],
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., list[str]]:
    """The lines that the handler prints for records; `table_name` may be one that does not exist."""
    table = cruddur_table_on(dynamodb_local_endpoint)
    started = MessageStore(client=table.client, table_name=table.name).start_conversation(
        (ANN, BO), sender=ANN, message="hello"
    )

    def log(*records: dict[str, Any], table_name: str = table.name) -> list[str]:
        capsys.readouterr()
        named = [_named(record, started.message_group_uuid) for record in records]
        stream_handler.respond({"Records": named}, client=table.client, table_name=table_name, seconds=30.0)
        return capsys.readouterr().out.splitlines()

    return log


def _named(record: dict[str, Any], message_group_uuid: str) -> dict[str, Any]:
    named: dict[str, Any] = json.loads(json.dumps(record).replace("<group>", message_group_uuid))
    return named


def change(partition: str, **image: str) -> dict[str, Any]:
    return {
        "eventName": "INSERT",
        "dynamodb": {
            "Keys": {"pk": {"S": partition}},
            "NewImage": {name: {"S": value} for name, value in image.items()},
            "SequenceNumber": "1",
            "ApproximateCreationDateTime": 1_790_000_000.0,
        },
    }


MESSAGE, NAMELESS, OWN_WRITE = change("MSG#<group>"), change("MSG#"), change("GRP#ann", message_uuid="m")


def filters(templates: Callable[..., Templates]) -> dict[str, tuple[str, str]]:
    """For each metric, the pattern and the value's selector of the synthesized filter."""
    found = {}
    main = templates("dev", monitoring="full")["main"]
    for resource in resources(main, "AWS::Logs::MetricFilter").values():
        properties = resource["Properties"]
        (transformation,) = properties["MetricTransformations"]
        watched = main["Resources"][properties["LogGroupName"]["Ref"]]["Properties"]
        part = "canary" if properties["FilterPattern"].count("canary_run") else "projection"
        assert watched["LogGroupName"] == f"/aws/lambda/cruddur-messages-dev-{part}"
        assert transformation["MetricNamespace"] == "cruddur-messages-dev"
        found[transformation["MetricName"]] = (properties["FilterPattern"], transformation["MetricValue"])
    return found


def counted(lines: list[str], templates: Callable[..., Templates]) -> dict[str, float]:
    """The numbers that each metric gets from the lines; a line that matches must have the number."""
    totals: dict[str, float] = {}
    for name, (pattern, selector) in filters(templates).items():
        for line in lines:
            if matches(pattern, line):
                number = value_of(selector, line)
                assert number is not None, (name, line)
                totals[name] = totals.get(name, 0) + number
    return totals


def test_settled_conversations_are_counted_with_their_lag(
    log_of: Callable[..., list[str]], templates: Callable[..., Templates]
) -> None:
    found = counted(log_of(MESSAGE), templates)
    lag = found.pop("lag_seconds")
    assert lag > 0
    assert found == {
        "conversations_settled": 1,
        "conversations_failed": 0,
        "records_unusable": 0,
        "records_ignored": 0,
        "rows_moved": 2,
        "duplicates_removed": 0,
        "conflicts": 0,
    }
    assert set(filters(templates)) == {*found, "lag_seconds", "canary_failures", "canary_seconds"}


def test_failures_unusable_records_and_own_writes_are_counted(
    log_of: Callable[..., list[str]], templates: Callable[..., Templates]
) -> None:
    found = counted(log_of(MESSAGE, table_name="no-such-table"), templates)
    assert (found["conversations_failed"], found["conversations_settled"]) == (1, 0)
    assert "lag_seconds" not in found
    found = counted(log_of(NAMELESS, NAMELESS, OWN_WRITE), templates)
    assert (found["records_unusable"], found["records_ignored"], found["conversations_settled"]) == (2, 1, 0)


def test_other_lines_are_not_counted(templates: Callable[..., Templates]) -> None:
    assert counted(LOG_LINES_OF_LAMBDA, templates) == {}


def test_saved_queries_name_fields_that_lines_have(
    log_of: Callable[..., list[str]], templates: Callable[..., Templates]
) -> None:
    from cruddur_infra.monitoring.log import QUERIES

    lines = [*log_of(MESSAGE, NAMELESS), *log_of(MESSAGE, table_name="no-such-table")]
    printed = {name for line in lines for name in json.loads(line)}
    of_the_code = {
        "event", "message_group_uuid", "failure", "reason", "malformed_messages", "previews_cut", "lag_seconds",
        "records", "conversations_settled", "rows_moved", "conflicts", "ties", "duplicates_removed", "records_ignored",
    }  # fmt: skip
    assert of_the_code <= printed
    deployed = resources(templates("dev")["main"], "AWS::Logs::QueryDefinition").values()
    assert {query["Properties"]["QueryString"] for query in deployed} == set(QUERIES.values())
