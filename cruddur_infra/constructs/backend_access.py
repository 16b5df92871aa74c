"""What the Flask backend needs: the table's name, and a policy for its task role."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.constructs.statements import allow, in_transaction, only_partitions
from cruddur_messages import schema


class BackendAccess(Construct):
    """Parameters, outputs, and a managed policy for the backend's calls.

    Access patterns A to D and new members; with `changes` also edits, deletions, leaving and read marks, and with
    `batch_write` BatchWriteItem.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        table_name: str,
        changes: bool,
        keep_days: int,
        batch_write: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        table_arn = names.table_arn(table_name)
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
                parameter_name=f"/{system}/{parameter}",
                string_value=value,
                description=f"Cruddur messages, for the backend: {parameter}",
            )
            CfnOutput(self, output, value=value).override_logical_id(output)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Cruddur messages: what people do with their conversations, for the backend's task role",
            document=iam.PolicyDocument(
                statements=[
                    *_statements(table_arn),
                    *(_changes(table_arn) if changes else [_join(table_arn)]),
                    *([_batches(table_arn)] if batch_write else []),
                ]
            ),
        )
        CfnOutput(self, "PolicyArn", value=policy.managed_policy_arn).override_logical_id("PolicyArn")


def _statements(table_arn: str) -> list[iam.PolicyStatement]:
    """The calls of cruddur_messages/store for A to D: no delete, no scan, no stream."""
    everywhere = (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX, schema.PAIR_PREFIX)
    return [
        # A, the messages of a conversation; B, the group rows of a person; D, the pair item of two people: Query.
        allow("ReadConversations", ["dynamodb:Query"], [table_arn], only_partitions(*everywhere)),
        # The members of a conversation, for A and C with the member check, D between two, and a new member: Query on
        # the index.
        allow("ReadMemberRows", ["dynamodb:Query"], [f"{table_arn}/index/{schema.INDEX_NAME}"]),
        # Whether a person has left, for the member check, D between two, and a new member: GetItem.
        allow("ReadMembers", ["dynamodb:GetItem"], [table_arn], only_partitions(schema.MEMBER_PREFIX)),
        # C, a message: PutItem.
        allow("SendMessages", ["dynamodb:PutItem"], [table_arn], only_partitions(schema.MESSAGE_PREFIX)),
        # D, a group row for each member, the first message and the pair item; the group row of a new member: Put in
        # TransactWriteItems.
        allow("StartConversations", ["dynamodb:PutItem"], [table_arn], in_transaction() | only_partitions(*everywhere)),
    ]


def _join(table_arn: str) -> iam.PolicyStatement:
    # The member item of a new member, or in D of a sender without a row: Update in TransactWriteItems.
    return allow(
        "NoteMembers", ["dynamodb:UpdateItem"], [table_arn], in_transaction() | only_partitions(schema.MEMBER_PREFIX)
    )


def _changes(table_arn: str) -> list[iam.PolicyStatement]:
    """The calls of cruddur_messages/store for what people do with their conversations."""
    return [
        # An edit; a read mark; the member item of who joins or leaves, in TransactWriteItems: UpdateItem.
        allow(
            "EditAndNote",
            ["dynamodb:UpdateItem"],
            [table_arn],
            only_partitions(schema.MESSAGE_PREFIX, schema.MEMBER_PREFIX),
        ),
        # A deletion: DeleteItem.
        allow("DeleteMessages", ["dynamodb:DeleteItem"], [table_arn], only_partitions(schema.MESSAGE_PREFIX)),
        # Why an edit or a deletion was refused: GetItem.
        allow("ReadMessages", ["dynamodb:GetItem"], [table_arn], only_partitions(schema.MESSAGE_PREFIX)),
        # The group rows of who leaves: Delete in TransactWriteItems.
        allow(
            "LeaveGroups",
            ["dynamodb:DeleteItem"],
            [table_arn],
            in_transaction() | only_partitions(schema.GROUP_ROW_PREFIX),
        ),
        # The read marks of an inbox: BatchGetItem.
        allow("CountUnread", ["dynamodb:BatchGetItem"], [table_arn], only_partitions(schema.MEMBER_PREFIX)),
    ]


def _batches(table_arn: str) -> iam.PolicyStatement:
    # D, as the bootcamp's lib/ddb.py does it: BatchWriteItem. It also permits deletes, so it needs a setting.
    conditions = only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
    return allow("StartConversationsInBatches", ["dynamodb:BatchWriteItem"], [table_arn], conditions)
