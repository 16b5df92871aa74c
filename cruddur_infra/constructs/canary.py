"""The canary: a small function outside the VPC that a schedule invokes, and that reaches made-up people only."""

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct, IDependable

from cruddur_infra.constructs.function import Function, FunctionSettings
from cruddur_infra.constructs.statements import Conditions, allow, in_transaction, only_partitions
from cruddur_messages import schema
from cruddur_messages.canary import RESERVE_SECONDS

PART = "canary"

MEMORY_MB = 128


class Canary(Construct):
    """The function and its schedule. `wait_seconds` is how long it waits for the inboxes.

    `runs_after` is what its message passes through last on deployment, so that the first run finds all of it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        common: FunctionSettings,
        minutes: int,
        wait_seconds: int,
        runs_after: IDependable,
    ) -> None:
        super().__init__(scope, construct_id)
        function = Function(
            self,
            "Canary",
            common=common,
            part=PART,
            description="Sends a message between made-up people and waits until their inboxes show it",
            entry="canary.handler",
            statements=_statements(common.table_arn),
            memory_mb=MEMORY_MB,
            timeout_seconds=wait_seconds + RESERVE_SECONDS,
            # A retry would hide the failure, and meet the next run.
            at_once=True,
        )
        self.log_group_name = function.log_group_name
        schedule = events.Rule(
            self,
            "Schedule",
            description=f"Runs the canary of {common.system}",
            # In the middle of the alarm's periods, so that each has exactly one run.
            schedule=events.Schedule.cron(minute=",".join(map(str, range(minutes // 2, 60, minutes)))),
            targets=[targets.LambdaFunction(function.function, retry_attempts=0)],
        )
        # Without the first, an event could be retried before retries are turned off.
        schedule.node.add_dependency(function.function.node.find_child("EventInvokeConfig"), runs_after)


def _statements(table_arn: str) -> list[iam.PolicyStatement]:
    def made_up(*prefixes: str) -> Conditions:
        return only_partitions(*(prefix + schema.SMOKE_UUID_PREFIX for prefix in prefixes))

    messages, rows, pair = schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX, schema.PAIR_PREFIX
    return [
        # The rows, and earlier messages: Query.
        allow("ReadOwnConversation", ["dynamodb:Query"], [table_arn], made_up(messages, rows)),
        # The message of each run, and the deletion of earlier ones: PutItem, DeleteItem.
        allow("SendAndDelete", ["dynamodb:PutItem", "dynamodb:DeleteItem"], [table_arn], made_up(messages)),
        # The first run: the pair item, the rows and the message, in TransactWriteItems.
        allow(
            "StartOwnConversation",
            ["dynamodb:PutItem"],
            [table_arn],
            in_transaction() | made_up(messages, rows, pair),
        ),
    ]
