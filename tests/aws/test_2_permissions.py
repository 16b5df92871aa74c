"""The permissions of the projection: evaluated by AWS's policy simulator, and tried."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from cruddur_cli.smoke.talk import smoke_uuid
from cruddur_messages import schema
from tests.aws import removal
from tests.aws.account import TAG, Account, is_denied
from tests.aws.system import System, policy
from tests.policies import aws_simulator
from tests.policies.authorization import SOURCE_VPC, SOURCE_VPCE
from tests.policies.conftest import case_of
from tests.policies.scenarios import Recording
from tools.synthesis import resources, synthesize


@pytest.mark.only_on_aws("the emulator's policy simulator ignores condition keys")
@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_simulator_agrees(account: Account, recording: Recording, stage: str) -> None:
    """AWS's policy simulator allows every call of this app and denies every probe of tests/policies."""
    assert aws_simulator.differences(account.client("iam"), case_of(stage, recording)) == []


def test_enclosing_operation(dev: System) -> None:
    """DynamoDB tells IAM that an action is part of a transaction (dynamodb:EnclosingOperation)."""
    with role_with(dev, [from_anywhere(one) for one in dev.role_policy()[1]["Statement"]]) as dynamodb:
        row = key(schema.GROUP_ROW_PREFIX)
        dev.account.within(1, "a transaction is allowed", lambda: not is_denied(lambda: delete(dev, dynamodb, row)))
        assert is_denied(lambda: dynamodb.delete_item(TableName=dev.table_name, Key=row))


@pytest.mark.only_on_aws("the emulator does not enforce dynamodb:LeadingKeys")
def test_leading_keys(dev: System) -> None:
    """In a transaction, dynamodb:LeadingKeys holds only the keys of the elements with the action that is evaluated."""
    with role_with(dev, [from_anywhere(one) for one in dev.role_policy()[1]["Statement"]]) as dynamodb:
        row, other = key(schema.GROUP_ROW_PREFIX), key(schema.GROUP_ROW_PREFIX)
        conversation, message = key(schema.CONVERSATION_PREFIX), key(schema.MESSAGE_PREFIX)
        # Policies take a moment to be in force everywhere, so a first denial proves nothing.
        dev.account.within(1, "two rows are allowed", lambda: not is_denied(lambda: delete(dev, dynamodb, row, other)))
        here = {"TableName": dev.table_name}
        # Only the condition fails, so this is allowed and leaves nothing.
        never = {"UpdateExpression": "REMOVE shown", "ConditionExpression": "attribute_exists(shown)"}
        both = [{"Update": here | {"Key": conversation} | never}, {"Delete": here | {"Key": row}}]
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            dynamodb.transact_write_items(TransactItems=both)
        assert is_denied(lambda: delete(dev, dynamodb, message))
        assert is_denied(lambda: delete(dev, dynamodb, row, message))


@pytest.mark.only_on_aws("the emulator does not enforce dynamodb:LeadingKeys")
def test_leading_keys_of_an_index(dev: System) -> None:
    """On an index, dynamodb:LeadingKeys holds the partition key of the index: smoke can query made-up groups alone."""
    delivery = synthesize("dev", delivery_repository="owner/name")["delivery"]
    (smoke,) = [role for name, role in resources(delivery, "AWS::IAM::Role").items() if "Smoke" in name]
    statements = smoke["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (of_index,) = [one for one in statements if one["Sid"] == "FindGroupRows"]
    index = f"{dev.table()['TableArn']}/index/{schema.INDEX_NAME}"
    with role_with(dev, [of_index | {"Resource": index}]) as dynamodb:
        made_up = partial(query_index, dev, dynamodb, smoke_uuid())
        dev.account.within(1, "a made-up group is allowed", lambda: not is_denied(made_up))
        assert is_denied(lambda: query_index(dev, dynamodb, str(uuid4())))


@pytest.mark.only_on_aws("the emulator has no endpoint and does not enforce the queue's policy")
def test_outside_callers(dev: System) -> None:
    """The projection's permissions work only through its endpoint, and nobody else can send to its failure queue."""
    with role_with(dev, dev.role_policy()[1]["Statement"]) as dynamodb:
        assert is_denied(lambda: query(dev, dynamodb, schema.PARTITION_KEY, schema.MESSAGE_PREFIX + smoke_uuid()))
        assert is_denied(lambda: query_index(dev, dynamodb, smoke_uuid()))
        assert is_denied(lambda: delete(dev, dynamodb, key(schema.GROUP_ROW_PREFIX)))
    # As an administrator.
    queue = dev.outputs()["FailureQueueUrl"]
    assert is_denied(lambda: dev.account.client("sqs").send_message(QueueUrl=queue, MessageBody="{}"))


@pytest.mark.only_on_aws("the emulator does not enforce the policy of an endpoint")
def test_endpoint_policy(dev: System) -> None:
    """The endpoint's policy is enforced: what it denies, the projection cannot do."""
    ec2, (endpoint,) = dev.account.client("ec2"), dev.account.physical_ids(dev.stack, "AWS::EC2::VPCEndpoint")
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    deny_all = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    try:
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=policy(deny_all))
        dev.account.within(5, "a message stays out", lambda: dev.smoke(messages=1, limit_seconds=20).problems)
    finally:
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=found["PolicyDocument"])
    dev.account.within(10, "messages arrive again", lambda: not dev.smoke(messages=1).problems)


@contextmanager
def role_with(system: System, permissions: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """DynamoDB under a role with these statements."""
    account, name = system.account, f"{system.stack}-probe"
    iam, sts = account.client("iam"), account.client("sts")
    # Added for this test: the call that shows that the policy is in force.
    arrived = {"Sid": "Arrived", "Effect": "Allow", "Action": "dynamodb:DescribeTable", "Resource": "*"}
    root = f"arn:{account.session.get_partition_for_region(account.region)}:iam::{account.number}:root"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}

    def assumed() -> Any:
        """DynamoDB under the role; None as long as IAM does not know role and policy everywhere."""
        try:
            given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="tests")["Credentials"]
            keys = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
            dynamodb = account.client("dynamodb", boto3.Session(*keys, region_name=account.region))
            dynamodb.describe_table(TableName=system.table_name)
        except ClientError as error:
            if "AccessDenied" in str(error) or "InvalidClientTokenId" in str(error):
                return None
            raise
        return dynamodb

    try:
        tags = [{"Key": TAG, "Value": account.name}]
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust), Tags=tags)["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=policy(*permissions, arrived))
        yield account.within(3, "the probe's role can be used", assumed)
    finally:
        removal.remove(account, "role", name)


def from_anywhere(statement: Mapping[str, Any]) -> dict[str, Any]:
    """A statement without its network conditions."""
    conditions = {
        operator: {key: one for key, one in keys.items() if key not in (SOURCE_VPC, SOURCE_VPCE)}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return {**statement, "Condition": {operator: keys for operator, keys in conditions.items() if keys}}


def query_index(system: System, dynamodb: Any, group: str) -> object:
    """Query the index for the rows of a conversation."""
    return query(system, dynamodb, schema.INDEX_PARTITION_KEY, group, IndexName=schema.INDEX_NAME)


def query(system: System, dynamodb: Any, name: str, value: str, **index: str) -> object:
    """Query for the items with a partition key."""
    asked = {"KeyConditionExpression": f"{name} = :value", "ExpressionAttributeValues": {":value": {"S": value}}}
    return dynamodb.query(TableName=system.table_name, **asked, **index)


def delete(system: System, dynamodb: Any, *keys: Mapping[str, Any]) -> object:
    """Delete items in one transaction."""
    elements = [{"Delete": {"TableName": system.table_name, "Key": one}} for one in keys]
    return dynamodb.transact_write_items(TransactItems=elements)


def key(prefix: str) -> dict[str, Any]:
    """The key of no item: a delete of it causes no stream record."""
    return {schema.PARTITION_KEY: {"S": prefix + smoke_uuid()}, schema.SORT_KEY: {"S": "nothing"}}
