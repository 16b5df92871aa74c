"""The table, its index and its stream."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, ReferenceStrength, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cruddur_infra.constructs.statements import VIA_DYNAMODB
from cruddur_messages import schema

LOGICAL_ID = "MessagesTable"
"""Never change it: CloudFormation would replace the table."""

ENCRYPTION = {
    "aws-owned": dynamodb.TableEncryption.DEFAULT,
    "aws-managed": dynamodb.TableEncryption.AWS_MANAGED,
    "customer-managed": dynamodb.TableEncryption.CUSTOMER_MANAGED,
}


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Units per second of the table and of the index: provisioned, or else the ceilings on demand, if any."""

    reads: int | None
    writes: int | None
    is_provisioned: bool


class MessagesTable(Construct):
    """`cruddur-messages` as the backend knows it: keys, index and stream are fixed, the rest is configurable.

    With `keep`, table and key are retained when their stack is deleted. Only a failed creation removes them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table_name: str,
        throughput: Throughput,
        encryption: str,
        point_in_time_recovery: bool,
        keep: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        removal_policy = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY
        key = self._key(table_name, removal_policy) if encryption == "customer-managed" else None
        reads, writes = throughput.reads, throughput.writes
        units: dict[str, Any] = {"max_read_request_units": reads, "max_write_request_units": writes}
        if throughput.is_provisioned:
            units = {"read_capacity": reads, "write_capacity": writes}
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=table_name,
            partition_key=_string(schema.PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            billing_mode=dynamodb.BillingMode.PROVISIONED
            if throughput.is_provisioned
            else dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType[schema.STREAM_VIEW_TYPE],
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=point_in_time_recovery
            ),
            # Of messages alone, and only if a backend is told to set it: rows and member items never expire.
            time_to_live_attribute=schema.EXPIRES_AT,
            deletion_protection=keep,
            removal_policy=removal_policy,
            encryption=ENCRYPTION[encryption],
            encryption_key=key,
            **units,
        )
        self.table.add_global_secondary_index(
            index_name=schema.INDEX_NAME,
            partition_key=_string(schema.INDEX_PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            projection_type=dynamodb.ProjectionType.ALL,
            **units,
        )
        resource = self.table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)
        resource.override_logical_id(LOGICAL_ID)
        # An export: CloudFormation then orders updates itself, and refuses to delete a stream that is in use.
        self.table.apply_cross_stack_reference_strength(ReferenceStrength.STRONG)
        assert self.table.table_stream_arn is not None
        self.stream_arn = self.table.table_stream_arn

    def _key(self, table_name: str, removal_policy: RemovalPolicy) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description=f"Encrypts the DynamoDB table {table_name}",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        # Everyone who may use the table may use the key through it, so no role needs a statement on the key
        # (DynamoDB Developer Guide, "Using a customer managed key", "Policy for a customer managed key").
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="UseThroughDynamoDB",
                principals=[iam.AnyPrincipal()],
                actions=[
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                    "kms:CreateGrant",
                ],
                resources=["*"],
                conditions={"StringEquals": {"kms:CallerAccount": Aws.ACCOUNT_ID} | VIA_DYNAMODB},
            )
        )
        return key


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
