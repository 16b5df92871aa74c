"""What the Flask backend needs: the table's name, and a policy for its task role."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.constructs.statements import in_transaction, only_partitions
from cruddur_messages import schema


class BackendAccess(Construct):
    """Parameters, outputs, and a managed policy for access patterns A to D; with BatchWriteItem if `batch_write`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        table_name: str,
        table_arn: str,
        keep_days: int,
        batch_write: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        for output, parameter, value in (
            ("TableName", "table-name", table_name),
            ("TableArn", "table-arn", table_arn),
            ("IndexName", "index-name", schema.INDEX_NAME),
            # For MessageStore(keep_days=...): a backend that is not told it writes messages that never expire.
            ("KeepDays", "keep-days", str(keep_days)),
        ):
            ssm.StringParameter(
                self,
                f"{output}Parameter",
                parameter_name=names.parameter_name(system, parameter),
                string_value=value,
                description=f"Cruddur messages, for the backend: {parameter}",
            )
            CfnOutput(self, output, value=value).override_logical_id(output)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Cruddur messages: access patterns A to D, for the backend's task role",
            document=iam.PolicyDocument(statements=_statements(table_arn, batch_write=batch_write)),
        )
        CfnOutput(self, "PolicyArn", value=policy.managed_policy_arn).override_logical_id("PolicyArn")


def _statements(table_arn: str, *, batch_write: bool) -> list[iam.PolicyStatement]:
    """The calls of cruddur_messages/store: no update, no delete, no scan, no stream."""
    messages_and_rows = (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
    everywhere = (*messages_and_rows, schema.PAIR_PREFIX)
    return [
        # A, the messages of a conversation; B, the group rows of a person; D, the pair item of two people: Query.
        iam.PolicyStatement(
            sid="ReadConversations",
            actions=["dynamodb:Query"],
            resources=[table_arn],
            conditions=only_partitions(*everywhere),
        ),
        # The members of a conversation, for A and C with the member check, D between two, and a new member: Query on
        # the index.
        iam.PolicyStatement(
            sid="ReadMemberRows",
            actions=["dynamodb:Query"],
            resources=[f"{table_arn}/index/{schema.INDEX_NAME}"],
        ),
        # C, a message, and the group row of a new member: PutItem.
        iam.PolicyStatement(
            sid="SendMessages",
            actions=["dynamodb:PutItem"],
            resources=[table_arn],
            conditions=only_partitions(*messages_and_rows),
        ),
        # D, a group row for each member, the first message and the pair item: Put in TransactWriteItems.
        iam.PolicyStatement(
            sid="StartConversations",
            actions=["dynamodb:PutItem"],
            resources=[table_arn],
            conditions=in_transaction() | only_partitions(*everywhere),
        ),
        *(
            # D, as the bootcamp's lib/ddb.py does it: BatchWriteItem. It also permits deletes, so it needs a setting.
            [
                iam.PolicyStatement(
                    sid="StartConversationsInBatches",
                    actions=["dynamodb:BatchWriteItem"],
                    resources=[table_arn],
                    conditions=only_partitions(*messages_and_rows),
                )
            ]
            if batch_write
            else []
        ),
    ]
