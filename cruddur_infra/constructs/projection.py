"""The projection: the function, its permissions line by line, and the event source mapping that feeds it."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.constructs.failure_queue import FailureQueue
from cruddur_infra.constructs.function import Function, FunctionSettings
from cruddur_infra.constructs.network import Network
from cruddur_infra.constructs.statements import Conditions, allow, in_transaction, only_partitions
from cruddur_messages import schema
from cruddur_messages.projection import filters as stream_filters

PART = "projection"

STREAM_ACTIONS = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)
"""Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", "Execution role permissions"."""

NETWORK_INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC", "Required permissions"."""


@dataclass(frozen=True, kw_only=True)
class Polling:
    """How Lambda polls the stream: batches, retries, and when it gives up on a record."""

    batch_size: int
    batching_window_seconds: int
    parallelization_factor: int
    retry_attempts: int
    record_age_seconds: int


class ProjectionFunction(Construct):
    """The stream function with its role, event source mapping and failure queue."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        common: FunctionSettings,
        network: Network,
        stream_arn: str,
        memory_mb: int,
        timeout_seconds: int,
        polling: Polling,
        keep_failures: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        system = common.system
        self.failure_queue = FailureQueue(
            self, "Failures", sender_role_arn=names.role_arn(system, PART), keep=keep_failures
        ).queue
        queue_arn = self.failure_queue.queue_arn
        function = Function(
            self,
            "Projection",
            common=common,
            part=PART,
            description="Keeps every member's group row on the newest message of the conversation",
            entry="projection.handler",
            statements=_lambda_statements(names.function_arn(system, PART), stream_arn, queue_arn),
            memory_mb=memory_mb,
            timeout_seconds=timeout_seconds,
            network=network,
        )
        self.function = function.function
        # Beside the role and after the function: if the network changes, the function moves first, and meanwhile the
        # statements still name the endpoint that it calls through (docs/decisions/0005).
        table_policy = iam.Policy(
            self,
            "TablePolicy",
            policy_name="table",
            roles=[function.role],
            statements=_table_statements(common.table_arn, network.data_path),
        )
        table_policy.node.add_dependency(self.function)
        self.log_group_name = function.log_group_name
        self.event_source_mapping = lambda_.CfnEventSourceMapping(
            self,
            "EventSourceMapping",
            # Explicit, so that a deployment that changes the mapping enables it again if somebody has disabled it.
            enabled=True,
            function_name=self.function.function_arn,
            event_source_arn=stream_arn,
            # LATEST would skip records that are written while the mapping is created or changed.
            starting_position="TRIM_HORIZON",
            batch_size=polling.batch_size,
            maximum_batching_window_in_seconds=polling.batching_window_seconds,
            parallelization_factor=polling.parallelization_factor,
            function_response_types=["ReportBatchItemFailures"],
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=polling.retry_attempts,
            maximum_record_age_in_seconds=polling.record_age_seconds,
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=queue_arn)
            ),
            filter_criteria=lambda_.CfnEventSourceMapping.FilterCriteriaProperty(
                filters=[dict(lambda_.FilterCriteria.filter(pattern)) for pattern in stream_filters.patterns()]
            ),
            metrics_config=lambda_.CfnEventSourceMapping.MetricsConfigProperty(metrics=["EventCount"]),
        )
        self.event_source_mapping.node.add_dependency(table_policy)


def _table_statements(table_arn: str, data_path: Mapping[str, str]) -> list[iam.PolicyStatement]:
    """The permissions of the function's own code; each statement names the call that needs it."""
    from_our_network: Conditions = {"StringEquals": dict(data_path)}
    on_group_rows = only_partitions(schema.GROUP_ROW_PREFIX)
    return [
        # The version of the conversation and where its rows are: GetItem. The next version: UpdateItem, in
        # TransactWriteItems beside the moves of rows, and alone where no row moves.
        allow(
            "LockConversation",
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            [table_arn],
            from_our_network | only_partitions(schema.CONVERSATION_PREFIX),
        ),
        # The newest message: Query on the partition of a conversation's messages.
        allow(
            "ReadNewestMessage",
            ["dynamodb:Query"],
            [table_arn],
            from_our_network | only_partitions(schema.MESSAGE_PREFIX),
        ),
        # The current rows: BatchGetItem by their keys.
        allow("ReadGroupRows", ["dynamodb:BatchGetItem"], [table_arn], from_our_network | on_group_rows),
        # Rows that are older than the conversation item: Query on the index.
        allow("FindGroupRows", ["dynamodb:Query"], [f"{table_arn}/index/{schema.INDEX_NAME}"], from_our_network),
        # Moves of rows: Put and Delete in TransactWriteItems.
        allow(
            "MoveGroupRows",
            ["dynamodb:PutItem", "dynamodb:DeleteItem"],
            [table_arn],
            from_our_network | in_transaction() | on_group_rows,
        ),
    ]


def _lambda_statements(function_arn: str, stream_arn: str, queue_arn: str) -> list[iam.PolicyStatement]:
    """The permissions of Lambda itself, which uses the function's role from outside the VPC, and a Deny for the code.

    Lambda's own requests do not carry the function's ARN. Those of the code do (Lambda Developer Guide, "Using source
    function ARN to control function access behavior").
    """
    by_the_code: Conditions = {"ArnEquals": {"lambda:SourceFunctionArn": [function_arn]}}
    return [
        # Lambda's poller, and the check when the mapping is created (for ListStreams see docs/security.md).
        allow("ReadStream", list(STREAM_ACTIONS), [stream_arn]),
        # Lambda, for records that it gives up on.
        allow("SendFailures", ["sqs:SendMessage"], [queue_arn]),
        # Lambda, to connect the function to the VPC. It requires these on `*`, and refuses to create a function whose
        # role names interfaces or subnets instead (docs/decisions/0005).
        allow("ManageNetworkInterfaces", list(NETWORK_INTERFACE_ACTIONS), ["*"]),
        # The function's own code must not use Lambda's permissions.
        iam.PolicyStatement(
            sid="NoStreamOrQueueForTheCode",
            effect=iam.Effect.DENY,
            actions=[*STREAM_ACTIONS, "sqs:SendMessage"],
            resources=[stream_arn, queue_arn],
            conditions=by_the_code,
        ),
        iam.PolicyStatement(
            sid="NoNetworkInterfacesForTheCode",
            effect=iam.Effect.DENY,
            actions=list(NETWORK_INTERFACE_ACTIONS),
            resources=["*"],
            conditions=by_the_code,
        ),
    ]
