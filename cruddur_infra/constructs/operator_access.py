"""What those need who keep the table right: a policy for `bin/ddb verify`, `rebuild`, `redrive` and `person`."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.constructs.statements import in_transaction, only_partitions
from cruddur_messages import schema


class OperatorAccess(Construct):
    """A managed policy: read the whole table, write what a repair writes, and empty the failure queue."""

    def __init__(
        self, scope: Construct, construct_id: str, *, table_arn: str, stream_arn: str, failure_queue_arn: str
    ) -> None:
        super().__init__(scope, construct_id)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Cruddur messages: bin/ddb verify, rebuild, redrive and person",
            document=iam.PolicyDocument(
                statements=[
                    *_table_statements(table_arn),
                    # redrive, the records of a failed batch: GetShardIterator, GetRecords.
                    iam.PolicyStatement(
                        sid="ReadFailedRecords",
                        actions=["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
                        resources=[stream_arn],
                    ),
                    # redrive: ReceiveMessage, DeleteMessage; ChangeMessageVisibility for what stays in the queue.
                    iam.PolicyStatement(
                        sid="EmptyFailureQueue",
                        actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
                        resources=[failure_queue_arn],
                    ),
                ]
            ),
        )
        CfnOutput(self, "OperatorPolicyArn", value=policy.managed_policy_arn).override_logical_id("OperatorPolicyArn")


def _table_statements(table_arn: str) -> list[iam.PolicyStatement]:
    """The calls of cruddur_cli/maintenance and, to settle a conversation, of the projection."""

    def statement(
        sid: str, *actions: str, conditions: dict[str, dict[str, object]] | None = None
    ) -> iam.PolicyStatement:
        names = [f"dynamodb:{action}" for action in actions]
        return iam.PolicyStatement(sid=sid, actions=names, resources=[table_arn], conditions=conditions)

    return [
        # verify and rebuild, the whole table: Scan; its size, for the progress: DescribeTable.
        statement("ReadTable", "Scan", "DescribeTable"),
        # What looks wrong is read again, messages and inboxes; person, also what they did with conversations: Query.
        statement(
            "ReadAgain",
            "Query",
            conditions=only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX, schema.MEMBER_PREFIX),
        ),
        # The rows to settle, and who has left; person erase, pair items: BatchGetItem.
        statement(
            "ReadMembers",
            "BatchGetItem",
            conditions=only_partitions(schema.GROUP_ROW_PREFIX, schema.MEMBER_PREFIX, schema.PAIR_PREFIX),
        ),
        # The version of a conversation: GetItem, and UpdateItem with the next one, alone or beside rows.
        statement("LockConversation", "GetItem", "UpdateItem", conditions=only_partitions(schema.CONVERSATION_PREFIX)),
        # Rows that are older than the conversation item: Query on the index.
        iam.PolicyStatement(
            sid="FindGroupRows", actions=["dynamodb:Query"], resources=[f"{table_arn}/index/{schema.INDEX_NAME}"]
        ),
        # rebuild, a missing row of who has not left: ConditionCheck in TransactWriteItems, and Put, as below. AWS has
        # no EnclosingOperation for it (Service Authorization Reference): only transactions have condition checks.
        statement("CheckMembers", "ConditionCheckItem", conditions=only_partitions(schema.MEMBER_PREFIX)),
        # Moves of rows, and of messages to canonical timestamps: Put and Delete in TransactWriteItems.
        statement(
            "MoveItems",
            "PutItem",
            "DeleteItem",
            conditions=in_transaction() | only_partitions(schema.GROUP_ROW_PREFIX, schema.MESSAGE_PREFIX),
        ),
        # person refresh and erase, whom the rows of others name: UpdateItem.
        statement("RenameInRows", "UpdateItem", conditions=only_partitions(schema.GROUP_ROW_PREFIX)),
        # person erase, who has left: Update in TransactWriteItems.
        statement("EraseMarks", "UpdateItem", conditions=in_transaction() | only_partitions(schema.MEMBER_PREFIX)),
        # person erase, beside messages and rows: Delete in TransactWriteItems.
        statement("ErasePairItems", "DeleteItem", conditions=in_transaction() | only_partitions(schema.PAIR_PREFIX)),
    ]
