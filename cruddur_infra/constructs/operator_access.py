"""What those need who keep the table right: a policy for `bin/ddb verify`, `rebuild`, `redrive` and `person`."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.constructs.statements import allow, in_transaction, only_partitions
from cruddur_messages import schema


class OperatorAccess(Construct):
    """A managed policy: read the whole table, write what a repair writes, and empty the failure queue."""

    def __init__(self, scope: Construct, construct_id: str, *, table_arn: str, failure_queue_arn: str) -> None:
        super().__init__(scope, construct_id)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Cruddur messages: bin/ddb verify, rebuild, redrive and person",
            document=iam.PolicyDocument(
                statements=[
                    *_table_statements(table_arn),
                    # redrive, the records of a failed batch: GetShardIterator, GetRecords. A message names the stream
                    # of its time, which has another label than one that was enabled since.
                    allow(
                        "ReadFailedRecords",
                        ["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
                        [f"{table_arn}/stream/*"],
                    ),
                    # redrive: ReceiveMessage, DeleteMessage; ChangeMessageVisibility for what stays in the queue.
                    allow(
                        "EmptyFailureQueue",
                        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
                        [failure_queue_arn],
                    ),
                ]
            ),
        )
        CfnOutput(self, "OperatorPolicyArn", value=policy.managed_policy_arn).override_logical_id("OperatorPolicyArn")


def _table_statements(table_arn: str) -> list[iam.PolicyStatement]:
    """The calls of cruddur_cli/maintenance and, to settle a conversation, of the projection."""
    return [
        # verify and rebuild, the whole table: Scan; its size, for the progress: DescribeTable.
        allow("ReadTable", ["dynamodb:Scan", "dynamodb:DescribeTable"], [table_arn]),
        # What looks wrong is read again, messages and inboxes; person, also what they did with conversations: Query.
        allow(
            "ReadAgain",
            ["dynamodb:Query"],
            [table_arn],
            only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX, schema.MEMBER_PREFIX),
        ),
        # The rows to settle, and who has left; person erase, pair items: BatchGetItem.
        allow(
            "ReadMembers",
            ["dynamodb:BatchGetItem"],
            [table_arn],
            only_partitions(schema.GROUP_ROW_PREFIX, schema.MEMBER_PREFIX, schema.PAIR_PREFIX),
        ),
        # The version of a conversation: GetItem, and UpdateItem with the next one, alone or beside rows.
        allow(
            "LockConversation",
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            [table_arn],
            only_partitions(schema.CONVERSATION_PREFIX),
        ),
        # Rows that are older than the conversation item: Query on the index.
        allow("FindGroupRows", ["dynamodb:Query"], [f"{table_arn}/index/{schema.INDEX_NAME}"]),
        # rebuild, a missing row of who has not left: ConditionCheck in TransactWriteItems, and Put, as below. AWS has
        # no EnclosingOperation for it (Service Authorization Reference): only transactions have condition checks.
        allow("CheckMembers", ["dynamodb:ConditionCheckItem"], [table_arn], only_partitions(schema.MEMBER_PREFIX)),
        # Moves of rows, and of messages to canonical timestamps: Put and Delete in TransactWriteItems.
        allow(
            "MoveItems",
            ["dynamodb:PutItem", "dynamodb:DeleteItem"],
            [table_arn],
            in_transaction() | only_partitions(schema.GROUP_ROW_PREFIX, schema.MESSAGE_PREFIX),
        ),
        # person refresh and erase, whom the rows of others name: UpdateItem.
        allow("RenameInRows", ["dynamodb:UpdateItem"], [table_arn], only_partitions(schema.GROUP_ROW_PREFIX)),
        # person erase, who has left: Update in TransactWriteItems.
        allow(
            "EraseMarks", ["dynamodb:UpdateItem"], [table_arn], in_transaction() | only_partitions(schema.MEMBER_PREFIX)
        ),
        # person erase, beside messages and rows: Delete in TransactWriteItems.
        allow(
            "ErasePairItems",
            ["dynamodb:DeleteItem"],
            [table_arn],
            in_transaction() | only_partitions(schema.PAIR_PREFIX),
        ),
    ]
