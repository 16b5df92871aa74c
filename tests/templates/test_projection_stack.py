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


def test_the_mapping_has_the_settings(templates: Callable[..., Templates]) -> None:
    asked = {
        "batch_size": ("BatchSize", 500),
        "batching_window_seconds": ("MaximumBatchingWindowInSeconds", 3),
        "parallelization_factor": ("ParallelizationFactor", 4),
        "retry_attempts": ("MaximumRetryAttempts", 5),
        "record_age_seconds": ("MaximumRecordAgeInSeconds", 120),
    }
    mapping = mapping_of(templates, "dev", **{name: str(value) for name, (_, value) in asked.items()})
    assert {name: mapping[name] for name, _ in asked.values()} == dict(asked.values())


@each_stage
def test_every_function_is_new_small_and_logs_to_its_own_group(stage: str, templates: Callable[..., Templates]) -> None:
    parts = {"projection": "main", "canary": "main", "seed": "seed"}
    for name, part in parts.items():
        if part not in templates(stage) or (name, stage) == ("canary", "local"):
            continue
        template = templates(stage)[part]
        found, group, its_role = function(template, name), log_group(template, name), role(template, name)
        assert found["Runtime"] == "python3.14"
        assert found["Architectures"] == ["arm64"]
        assert found["LoggingConfig"]["LogFormat"] == "JSON"
        assert template["Resources"][found["LoggingConfig"]["LogGroup"]["Ref"]] == group
        assert template["Resources"][found["Role"]["Fn::GetAtt"][0]] == its_role
        assert group["Properties"]["LogGroupName"] == f"/aws/lambda/{found['FunctionName']}"
        assert group["Properties"]["RetentionInDays"] == {"local": 1, "dev": 14, "prod": 365}[stage]
        assert found["Environment"]["Variables"] == {"TABLE_NAME": "cruddur-messages"}
        assert len(its_role["Properties"]["Policies"]) == 1
        granted = resources(template, "AWS::IAM::Policy")
        ours = ("FlowLog", "MessagesTablePolicy")
        assert all(any(name in policy for name in ours) for policy in granted), "CDK has added a permission of its own"


@each_stage
def test_the_projection_runs_in_the_isolated_subnets(stage: str, templates: Callable[..., Templates]) -> None:
    configuration = function(templates(stage)["main"], "projection")["VpcConfig"]
    assert len(configuration["SubnetIds"]) == 2
    assert len(configuration["SecurityGroupIds"]) == 1


def test_the_seed_is_loaded_after_the_mapping_exists_and_never_hangs(templates: Callable[..., Templates]) -> None:
    seed = templates("dev", seed="true")["seed"]
    resource = only(seed, "Custom::CruddurConversations")["Properties"]
    assert function(seed, "seed")["Timeout"] < int(resource["ServiceTimeout"]) <= 300
    assert len(resource["Fingerprint"]) == 64
    waits_for = only(seed, "Custom::CruddurConversations")["DependsOn"]
    assert {seed["Resources"][name]["Type"] for name in waits_for} == {"AWS::Lambda::EventInvokeConfig"}
    assert len(resource["Conversations"]) >= 4
