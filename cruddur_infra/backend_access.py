"""What the Flask backend needs: where the table is, and a policy for its task role."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.settings import Settings
from cruddur_infra.statements import only_partitions
from cruddur_messages import schema


class BackendAccess(Construct):
    """Parameters, outputs, and a managed policy for access patterns A to D."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, table_arn: str) -> None:
        super().__init__(scope, construct_id)
        for output, parameter, value in (
            ("TableName", "table-name", settings.table_name),
            ("TableArn", "table-arn", table_arn),
            ("IndexName", "index-name", schema.INDEX_NAME),
        ):
            ssm.StringParameter(
                self,
                f"{output}Parameter",
                parameter_name=names.parameter_name(settings, parameter),
                string_value=value,
                description=f"Cruddur messages, for the backend: {parameter}",
            )
            CfnOutput(self, output, value=value).override_logical_id(output)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Cruddur messages: access patterns A to D, for the backend's task role",
            document=iam.PolicyDocument(statements=_statements(settings, table_arn)),
        )
        CfnOutput(self, "PolicyArn", value=policy.managed_policy_arn).override_logical_id("PolicyArn")


def _statements(settings: Settings, table_arn: str) -> list[iam.PolicyStatement]:
    """Reading and writing; no update, no scan, nothing on the index or the stream."""
    keys = only_partitions(settings, schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
    return [
        # A, the messages of a conversation, and B, the group rows of a person: Query.
        iam.PolicyStatement(
            sid="ReadConversations", actions=["dynamodb:Query"], resources=[table_arn], conditions=keys
        ),
        # C, a message: PutItem. D, a group row for each member and the first message: Put in TransactWriteItems
        # (cruddur_messages/access_patterns.py).
        iam.PolicyStatement(
            sid="WriteConversations", actions=["dynamodb:PutItem"], resources=[table_arn], conditions=keys
        ),
        *(
            # D, as the bootcamp's lib/ddb.py does it: BatchWriteItem. It could also delete, hence the setting.
            [
                iam.PolicyStatement(
                    sid="WriteConversationsInBatches",
                    actions=["dynamodb:BatchWriteItem"],
                    resources=[table_arn],
                    conditions=keys,
                )
            ]
            if settings.backend_batch_write
            else []
        ),
    ]
