"""The table, its index and its stream."""

from typing import Any

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cruddur_infra.acknowledgements import HIPAA, NIST, acknowledge, in_packs
from cruddur_infra.settings import Settings
from cruddur_messages import schema

LOGICAL_ID = "MessagesTable"
"""Stable by decree: if it changed, CloudFormation would replace the table."""


class MessagesTable(Construct):
    """`cruddur-messages` as the backend knows it: keys, index and stream are fixed, the rest is a setting."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        removal_policy = RemovalPolicy.RETAIN if settings.protect else RemovalPolicy.DESTROY
        on_demand = settings.billing == "on-demand"
        ceilings: dict[str, Any] = {
            "max_read_request_units": settings.max_read_units,
            "max_write_request_units": settings.max_write_units,
        }
        capacity: dict[str, Any] = {
            "read_capacity": settings.provisioned_read_units,
            "write_capacity": settings.provisioned_write_units,
        }
        throughput = ceilings if on_demand else capacity
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=settings.table_name,
            partition_key=_string(schema.PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST if on_demand else dynamodb.BillingMode.PROVISIONED,
            stream=dynamodb.StreamViewType[schema.STREAM_VIEW_TYPE],
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=settings.point_in_time_recovery
            ),
            deletion_protection=settings.protect,
            removal_policy=removal_policy,
            **self._encryption(settings, removal_policy),
            **throughput,
        )
        self.table.add_global_secondary_index(
            index_name=schema.INDEX_NAME,
            partition_key=_string(schema.INDEX_PARTITION_KEY),
            sort_key=_string(schema.SORT_KEY),
            projection_type=dynamodb.ProjectionType.ALL,
            **throughput,
        )
        resource = self.table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)
        resource.override_logical_id(LOGICAL_ID)
        acknowledge(
            resource,
            "Point-in-time recovery goes back 35 days; which backups an account keeps beyond is its owner's plan.",
            *in_packs("DynamoDBInBackupPlan", (NIST, HIPAA)),
        )
        if settings.encryption != "customer-managed":
            acknowledge(resource, "Encrypted; -c encryption=customer-managed makes a key of its own.", "CKV_AWS_119")

    def _encryption(self, settings: Settings, removal_policy: RemovalPolicy) -> dict[str, Any]:
        if settings.encryption == "aws-owned":
            return {"encryption": dynamodb.TableEncryption.DEFAULT}
        if settings.encryption == "aws-managed":
            return {"encryption": dynamodb.TableEncryption.AWS_MANAGED}
        key = kms.Key(
            self,
            "Key",
            description=f"Encrypts the DynamoDB table {settings.table_name}",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        # Whoever may use the table may use the key through it, so that no role needs a statement on the key
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
