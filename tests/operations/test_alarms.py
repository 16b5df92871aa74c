"""The alarms are on metrics that exist, of deployed resources. They start on failures, and not without failures."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.session import get_session

from cruddur_messages import schema
from tests.operations import metric_math
from tests.operations.cloudwatch_metrics import KEPT
from tests.templates.fixtures import STAGES
from tools.synthesis import Templates, only, resources

ALARM = "AWS::CloudWatch::Alarm"

ESSENTIAL = {
    "inboxes-behind",
    "messages-late",
    "canary",
    "conversations-failing",
    "function-errors",
    "records-dropped",
    "failure-queue",
}

ON_AN_EXPRESSION = {
    "self-trigger",
    "table-throttled",
    "index-throttled",
    "table-errors",
    "user-errors",
}
"""Alarms that the emulator refuses."""

DEMANDED = {
    *ESSENTIAL,
    *ON_AN_EXPRESSION,
    "function-throttled",
    "function-slow",
    "own-writes-delivered",
    "records-unusable",
    "failure-queue-unreachable",
}


def alarms(
    templates: Callable[..., Templates], stage: str, *, monitoring: str = "full", **overrides: object
) -> dict[str, dict[str, Any]]:
    """The properties of each alarm, by its name in the runbook."""
    overrides |= {"monitoring": monitoring}
    prefix = f"cruddur-messages-{stage}-projection-"
    found = (one["Properties"] for one in resources(templates(stage, **overrides)["main"], ALARM).values())
    return {properties["AlarmName"].removeprefix(prefix): properties for properties in found}


def metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The metrics of an alarm, with or without an expression."""
    if "Metrics" not in alarm:
        yield alarm
    for query in alarm.get("Metrics", []):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def dimensions(metric: dict[str, Any]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}


def expression(alarm: dict[str, Any]) -> str:
    (found,) = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
    return str(found)


def test_each_alarm_exists(templates: Callable[..., Templates]) -> None:
    for stage in STAGES:
        found = set(alarms(templates, stage))
        assert found == (DEMANDED - ON_AN_EXPRESSION - {"canary"} if stage == "local" else DEMANDED)


@pytest.mark.parametrize(("stage", "asked_for"), [("dev", {}), ("prod", {"monitoring": "essential"})])
def test_the_essential_ones_stay_within_the_free_tier(
    stage: str, asked_for: dict[str, str], templates: Callable[..., Templates]
) -> None:
    """Ten metrics under alarm, ten metrics of one's own, three dashboards (CloudWatch pricing, "Free tier")."""
    found = alarms(templates, stage, monitoring="essential")
    assert found.keys() == ESSENTIAL
    assert sum(len(list(metrics(alarm))) for alarm in found.values()) <= 10
    main = templates(stage, **asked_for)["main"]
    of_the_mapping = 6
    assert len(resources(main, "AWS::Logs::MetricFilter")) + of_the_mapping <= 10
    for costly in ("AWS::KMS::Key", "AWS::CloudWatch::Dashboard"):
        assert not resources(main, costly)


def test_without_monitoring_there_is_no_alarm_and_no_dashboard(templates: Callable[..., Templates]) -> None:
    main = templates("prod", monitoring="none")["main"]
    types = {resource["Type"] for resource in main["Resources"].values()}
    assert not [found for found in types if found.startswith(("AWS::CloudWatch", "AWS::SNS", "AWS::KMS"))]
    assert not types & {"AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition"}
    assert "AlarmTopicArn" not in main["Outputs"]


@pytest.mark.parametrize(("stage", "monitoring"), [*((stage, "full") for stage in STAGES), ("dev", "essential")])
def test_each_uses_a_metric_that_exists_with_these_dimensions(
    stage: str, monitoring: str, templates: Callable[..., Templates]
) -> None:
    filters = resources(templates(stage, monitoring=monitoring)["main"], "AWS::Logs::MetricFilter").values()
    logged = {
        (transformation["MetricNamespace"], transformation["MetricName"]): {frozenset[str]()}
        for one in filters
        for transformation in one["Properties"]["MetricTransformations"]
    }
    known = KEPT | logged
    for name, alarm in alarms(templates, stage, monitoring=monitoring).items():
        for metric in metrics(alarm):
            assert frozenset(dimensions(metric)) in known.get((metric["Namespace"], metric["MetricName"]), set()), name


@pytest.mark.parametrize(("stage", "overrides"), [("local", {}), ("dev", {"table_name": "mine"}), ("prod", {})])
def test_each_is_about_a_deployed_resource(
    stage: str, overrides: dict[str, str], templates: Callable[..., Templates]
) -> None:
    found = templates(stage, **overrides, monitoring="full")
    main, table = found["main"], only(found["table"], "AWS::DynamoDB::Table")["Properties"]
    names = {
        "FunctionName": [
            one["Properties"]["FunctionName"] for one in resources(main, "AWS::Lambda::Function").values()
        ],
        "TableName": [table["TableName"]],
        "GlobalSecondaryIndexName": [index["IndexName"] for index in table["GlobalSecondaryIndexes"]],
        "Operation": get_session().get_service_model("dynamodb").operation_names,
        "QueueName": [{"Fn::GetAtt": [name, "QueueName"]} for name in resources(main, "AWS::SQS::Queue")],
        "EventSourceMappingUUID": [{"Ref": name} for name in resources(main, "AWS::Lambda::EventSourceMapping")],
    }
    for name, alarm in alarms(templates, stage, **overrides).items():
        for metric in metrics(alarm):
            for dimension, value in dimensions(metric).items():
                assert value in names[dimension], name


@pytest.mark.parametrize("stage", STAGES)
def test_each_notifies_the_topic(stage: str, templates: Callable[..., Templates]) -> None:
    (topic,) = resources(templates(stage, monitoring="full")["main"], "AWS::SNS::Topic")
    for name, alarm in alarms(templates, stage).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}], name


@pytest.mark.parametrize(
    ("name", "values", "goes_off"),
    [
        # One message per batch, some of them three times.
        ("self-trigger", {"invocations": 3000, "writes0": 1000}, False),
        # Little traffic: a single conversation that is retried.
        ("self-trigger", {"invocations": 60, "writes0": 1}, False),
        ("self-trigger", {"invocations": 5000, "writes0": 3}, True),
        ("self-trigger", {"invocations": 5000}, True),
        ("self-trigger", {"invocations": 5000, "writes0": 200, "writes1": 200, "writes2": 200}, False),
        ("table-throttled", {"reads": 3, "writes": 2}, False),
        ("table-throttled", {"reads": 3, "writes": 3}, True),
        ("index-throttled", {"writes": 6}, True),
        ("table-errors", {"errors0": 2, "errors5": 4}, True),
    ],
)
def test_each_expression_distinguishes_failures_from_traffic(
    name: str, values: dict[str, float | None], goes_off: bool, templates: Callable[..., Templates]
) -> None:
    alarm = alarms(templates, "prod")[name]
    given = dict.fromkeys(metric_math.names(expression(alarm))) | values
    assert (metric_math.value(expression(alarm), given) > alarm["Threshold"]) is goes_off


def test_the_topic_is_encrypted_and_takes_alarms_of_this_account_only(templates: Callable[..., Templates]) -> None:
    monitoring = templates("prod", alarm_email="team@example.com")["main"]
    ((key_id, key),) = resources(monitoring, "AWS::KMS::Key").items()
    ((topic_id, topic),) = resources(monitoring, "AWS::SNS::Topic").items()
    (policy,) = resources(monitoring, "AWS::SNS::TopicPolicy").values()
    (subscription,) = resources(monitoring, "AWS::SNS::Subscription").values()
    assert topic["Properties"]["KmsMasterKeyId"] == {"Ref": key_id}
    assert key["Properties"]["EnableKeyRotation"] is True
    of_this_account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    for document in (key["Properties"]["KeyPolicy"], policy["Properties"]["PolicyDocument"]):
        of_services = [one for one in document["Statement"] if "Service" in one["Principal"]]
        assert [(one["Principal"], one["Condition"]) for one in of_services] == [
            ({"Service": "cloudwatch.amazonaws.com"}, of_this_account)
        ]
    assert subscription["Properties"] == {
        "Endpoint": "team@example.com",
        "Protocol": "email",
        "TopicArn": {"Ref": topic_id},
    }
    assert not resources(templates("prod")["main"], "AWS::SNS::Subscription")


def test_the_dashboard_shows_metrics_that_exist_and_the_state_of_every_alarm(
    templates: Callable[..., Templates],
) -> None:
    (dashboard,) = resources(templates("dev", monitoring="full")["main"], "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else "<reference>" for part in parts))
    assert body["periodOverride"] == "inherit", "the cost of a day needs the period of its widget"
    states = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
    names = {arn.rsplit("cruddur-messages-dev-projection-", 1)[1] for arn in states[0]["properties"]["alarms"]}
    assert names == DEMANDED
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            if isinstance(line[0], dict):
                hidden = [other[-1]["id"] for other in widget["properties"]["metrics"] if other is not line]
                assert metric_math.names(line[0]["expression"]) == set(hidden)
                continue
            namespace, name, *named, _rendering = line
            if namespace == "cruddur-messages-dev":
                assert not named
            else:
                assert frozenset(named[::2]) in KEPT[namespace, name]
    taken = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken)), "widgets overlap"
    assert max(x for x, _ in taken) < 24
    assert schema.INDEX_NAME in json.dumps(body)
