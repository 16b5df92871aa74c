"""The table, its index and its stream."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, ReferenceStrength, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cruddur_infra.acknowledgements import HIPAA, NIST, acknowledge, in_packs
from cruddur_messages import schema

LOGICAL_ID = "MessagesTable"
"""Never change it: CloudFormation would replace the table."""


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Units per second of the table and of the index: the ceiling on demand, if any; else the provisioned units."""

    on_demand: bool
    read_units: int | None
    write_units: int | None

    @property
    def properties(self) -> dict[str, Any]:
        """As the constructs of table and index take them."""
        names = ("max_read_request_units", "max_write_request_units")
        if not self.on_demand:
            names = ("read_capacity", "write_capacity")
        return dict(zip(names, (self.read_units, self.write_units), strict=True))


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
        billing_mode = dynamodb.BillingMode
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=table_name,
            partition_key=_string(schema.PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            billing_mode=billing_mode.PAY_PER_REQUEST if throughput.on_demand else billing_mode.PROVISIONED,
            stream=dynamodb.StreamViewType[schema.STREAM_VIEW_TYPE],
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=point_in_time_recovery
            ),
            deletion_protection=keep,
            removal_policy=removal_policy,
            **self._encryption(encryption, table_name, removal_policy),
            **throughput.properties,
        )
        self.table.add_global_secondary_index(
            index_name=schema.INDEX_NAME,
            partition_key=_string(schema.INDEX_PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            projection_type=dynamodb.ProjectionType.ALL,
            **throughput.properties,
        )
        resource = self.table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)
        resource.override_logical_id(LOGICAL_ID)
        # An export: CloudFormation then orders updates itself, and refuses to delete a stream that is in use.
        self.table.apply_cross_stack_reference_strength(ReferenceStrength.STRONG)
        assert self.table.table_stream_arn is not None
        self.stream_arn = self.table.table_stream_arn
        acknowledge(
            resource,
            "Point-in-time recovery goes back 35 days. Longer backups are the decision of the account's owner.",
            *in_packs("DynamoDBInBackupPlan", (NIST, HIPAA)),
        )
        if encryption != "customer-managed":
            acknowledge(
                resource,
                "Encrypted; -c encryption=customer-managed creates a key.",
                "CKV_AWS_119",
            )

    def _encryption(self, encryption: str, table_name: str, removal_policy: RemovalPolicy) -> dict[str, Any]:
        if encryption == "aws-owned":
            return {"encryption": dynamodb.TableEncryption.DEFAULT}
        if encryption == "aws-managed":
            return {"encryption": dynamodb.TableEncryption.AWS_MANAGED}
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
                conditions={
                    "StringEquals": {
                        "kms:CallerAccount": Aws.ACCOUNT_ID,
                        "kms:ViaService": f"dynamodb.{Aws.REGION}.{Aws.URL_SUFFIX}",
                    }
                },
            )
        )
        return {"encryption": dynamodb.TableEncryption.CUSTOMER_MANAGED, "encryption_key": key}


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
