"""What of the table must never change, or CloudFormation would replace it and lose its data; what settings change."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cruddur_messages import schema
from tests.templates.fixtures import each_stage
from tools.synthesis import Templates, only, resources

TABLE = "AWS::DynamoDB::Table"

LOCKED = {
    "logical id": "MessagesTable",
    "TableName": "cruddur-messages",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "ImportSourceSpecification": None,
    "index": ("message-group-sk-index", ("message_group_uuid", "HASH"), ("sk", "RANGE")),
    "attribute types": {"pk": "S", "sk": "S", "message_group_uuid": "S"},
}
"""CloudFormation reference, AWS::DynamoDB::Table: what "requires replacement"; and the index."""


def table_of(templates: Callable[..., Templates], stage: str, **overrides: object) -> dict[str, Any]:
    return only(templates(stage, **overrides)["table"], TABLE)


@each_stage
def test_a_deployed_table_is_not_replaced(stage: str, templates: Callable[..., Templates]) -> None:
    ((logical_id, table),) = resources(templates(stage)["table"], TABLE).items()
    properties = table["Properties"]
    (index,) = properties["GlobalSecondaryIndexes"]
    assert {
        "logical id": logical_id,
        "TableName": properties.get("TableName"),
        "KeySchema": properties["KeySchema"],
        "ImportSourceSpecification": properties.get("ImportSourceSpecification"),
        "index": (index["IndexName"], *((key["AttributeName"], key["KeyType"]) for key in index["KeySchema"])),
        "attribute types": {a["AttributeName"]: a["AttributeType"] for a in properties["AttributeDefinitions"]},
    } == LOCKED, "CloudFormation would replace the table or its index, and lose its data"


@each_stage
def test_index_and_stream_have_what_their_readers_need(stage: str, templates: Callable[..., Templates]) -> None:
    properties = table_of(templates, stage)["Properties"]
    assert properties["GlobalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "ALL"}
    assert properties["StreamSpecification"]["StreamViewType"] == schema.STREAM_VIEW_TYPE == "NEW_IMAGE"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


@pytest.mark.parametrize(("stage", "is_protected"), [("local", False), ("dev", False), ("prod", True)])
def test_prod_retains_its_data_and_the_other_stages_delete_theirs(
    stage: str, is_protected: bool, templates: Callable[..., Templates]
) -> None:
    table = table_of(templates, stage)
    assert table["Properties"].get("DeletionProtectionEnabled", False) is is_protected
    policies = ("RetainExceptOnCreate", "Retain") if is_protected else ("Delete", "Delete")
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == policies


def test_on_demand_has_no_limit_in_prod_and_one_in_dev(templates: Callable[..., Templates]) -> None:
    free = table_of(templates, "prod")["Properties"]
    assert free["BillingMode"] == "PAY_PER_REQUEST"
    assert "OnDemandThroughput" not in free
    capped = table_of(templates, "dev")["Properties"]
    ceiling = {"MaxReadRequestUnits": 400, "MaxWriteRequestUnits": 200}
    assert capped["OnDemandThroughput"] == ceiling
    assert capped["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] == ceiling


def test_provisioned_is_five_and_five_as_in_the_bootcamp(templates: Callable[..., Templates]) -> None:
    properties = table_of(templates, "dev", billing="provisioned")["Properties"]
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    assert properties.get("BillingMode", "PROVISIONED") == "PROVISIONED"
    assert properties["ProvisionedThroughput"] == units
    assert properties["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] == units


@pytest.mark.parametrize(
    ("encryption", "expected"),
    [
        ("aws-owned", {"SSEEnabled": False}),
        ("aws-managed", {"SSEEnabled": True}),
        ("customer-managed", {"SSEEnabled": True, "SSEType": "KMS"}),
    ],
)
def test_encryption_is_a_choice(encryption: str, expected: dict[str, Any], templates: Callable[..., Templates]) -> None:
    template = templates("prod", encryption=encryption)["table"]
    specification = only(template, TABLE)["Properties"].get("SSESpecification")
    if encryption == "customer-managed":
        key = only(template, "AWS::KMS::Key")
        assert key["Properties"]["EnableKeyRotation"] is True
        assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
        assert specification.pop("KMSMasterKeyId")["Fn::GetAtt"][1] == "Arn"
    assert specification == expected


def test_an_existing_table_is_used_by_the_arn_of_its_stream(templates: Callable[..., Templates]) -> None:
    arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/cruddur-messages/stream/2022-11-01T12:00:00.000"
    found = templates("dev", stream_arn=arn)
    assert "table" not in found
    assert only(found["main"], "AWS::Lambda::EventSourceMapping")["Properties"]["EventSourceArn"] == arn


def test_only_the_stream_is_exported_to_the_main_stack(templates: Callable[..., Templates]) -> None:
    found = templates("prod", seed="true", seed_protected="true", delivery_repository="owner/name")
    exports = [output for part in found.values() for output in part.get("Outputs", {}).values() if "Export" in output]
    assert [output["Value"] for output in exports] == [{"Fn::GetAtt": ["MessagesTable", "StreamArn"]}]
    mapping = only(found["main"], "AWS::Lambda::EventSourceMapping")["Properties"]
    assert mapping["EventSourceArn"] == {"Fn::ImportValue": exports[0]["Export"]["Name"]}
    assert "Fn::GetStackOutput" not in json.dumps(found)
