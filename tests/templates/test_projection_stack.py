"""The function and the event source mapping, as the design and AWS's rules for streams require."""

from collections.abc import Callable
from typing import Any

from tests.templates.fixtures import each_stage
from tools.synthesis import Templates, function, log_group, only, resources, role

MAPPING = "AWS::Lambda::EventSourceMapping"


def mapping_of(templates: Callable[..., Templates], stage: str, **overrides: object) -> dict[str, Any]:
    properties: dict[str, Any] = only(templates(stage, **overrides)["main"], MAPPING)["Properties"]
    return properties


@each_stage
def test_nothing_is_lost_between_stream_and_function(stage: str, templates: Callable[..., Templates]) -> None:
    mapping = mapping_of(templates, stage)
    template = templates(stage)["main"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["Enabled"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == 10_000
    assert mapping["MaximumRecordAgeInSeconds"] == 12 * 3600
    assert mapping["MetricsConfig"] == {"Metrics": ["EventCount"]}
    (queue,) = resources(template, "AWS::SQS::Queue")
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}
    assert template["Resources"][queue]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


@each_stage
def test_every_function_logs_to_its_own_group_under_a_role_of_its_own(
    stage: str, templates: Callable[..., Templates]
) -> None:
    parts = {"projection": "main", "canary": "main", "seed": "seed"}
    found = templates(stage, seed="true", seed_protected=str(stage == "prod").lower())
    for name, part in parts.items():
        if (name, stage) == ("canary", "local"):
            continue
        template = found[part]
        one, group, its_role = function(template, name), log_group(template, name), role(template, name)
        assert one["LoggingConfig"]["LogFormat"] == "JSON"
        assert template["Resources"][one["LoggingConfig"]["LogGroup"]["Ref"]] == group
        assert template["Resources"][one["Role"]["Fn::GetAtt"][0]] == its_role
        assert group["Properties"]["LogGroupName"] == f"/aws/lambda/{one['FunctionName']}"
        assert one["Environment"]["Variables"] == {"TABLE_NAME": "cruddur-messages"}
        assert len(its_role["Properties"]["Policies"]) == 1
        assert "ManagedPolicyArns" not in its_role["Properties"]
        (trust,) = its_role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert (trust["Action"], trust["Principal"]) == ("sts:AssumeRole", {"Service": "lambda.amazonaws.com"})
        granted = resources(template, "AWS::IAM::Policy")
        ours = ("FlowLog", "MessagesTablePolicy")
        assert all(any(name in policy for name in ours) for policy in granted), "CDK has added a permission of its own"
        assert not resources(template, "AWS::Lambda::Url")


def test_only_its_schedule_invokes_a_function(templates: Callable[..., Templates]) -> None:
    main = templates("prod")["main"]
    (rule,) = resources(main, "AWS::Events::Rule")
    permission = only(main, "AWS::Lambda::Permission")["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": [rule, "Arn"]}
    invoked = main["Resources"][permission["FunctionName"]["Fn::GetAtt"][0]]["Properties"]
    assert invoked == function(main, "canary")


def test_the_seed_is_loaded_after_the_mapping_exists_and_never_hangs(templates: Callable[..., Templates]) -> None:
    seed = templates("dev", seed="true")["seed"]
    resource = only(seed, "Custom::CruddurConversations")["Properties"]
    never_late = only(seed, "AWS::Lambda::EventInvokeConfig")["Properties"]
    assert never_late["MaximumRetryAttempts"] == 0
    latest_end = never_late["MaximumEventAgeInSeconds"] + function(seed, "seed")["Timeout"]
    assert latest_end <= int(resource["ServiceTimeout"]) <= 300
    assert len(resource["Fingerprint"]) == 64
    waits_for = only(seed, "Custom::CruddurConversations")["DependsOn"]
    assert {seed["Resources"][name]["Type"] for name in waits_for} == {"AWS::Lambda::EventInvokeConfig"}
    assert len(resource["Conversations"]) >= 4
