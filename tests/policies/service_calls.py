"""Calls that no client of this app makes: those of AWS services under its roles, and of operators on its queue.

Sources: [1] Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", "Execution role permissions". [2] The
same, "Giving Lambda functions access to resources in an Amazon VPC", "Required IAM permissions". [3] The same, "Sending
Lambda function logs to CloudWatch Logs", "IAM permissions". [4] The same, "Retain discarded batches". [5] VPC guide,
"IAM role for publishing flow logs to CloudWatch Logs". Which of them carry the function's ARN: Lambda Developer Guide,
"Using source function ARN to control function access behavior". Which resource each permission is asked for: Service
Authorization Reference.
"""

from collections.abc import Iterator

from cruddur_infra.constructs.projection import NETWORK_INTERFACE_ACTIONS
from tests.policies.authorization import ADMINISTRATOR, SOURCE_FUNCTION, Request
from tests.policies.deployed import CANARY, FLOW_LOGS, OPERATOR, PROJECTION, SEED, Deployed

STREAM_ACTIONS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""[1] without ListStreams, see SURVIVORS in test_minimality.py."""


def service_calls(deployed: Deployed) -> Iterator[Request]:
    """The permissions that these calls need."""
    for name in (PROJECTION, SEED, CANARY):  # [3]
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            # The only ones of Lambda's calls that carry the function's ARN.
            yield Request(name, action, log_stream(deployed, name), {SOURCE_FUNCTION: (deployed.function_arns[name],)})
    for action in STREAM_ACTIONS:
        yield Request(PROJECTION, action, deployed.stream_arn)
    yield Request(PROJECTION, "sqs:SendMessage", deployed.queue_arn)  # [4]
    yield from network_calls()
    # A deployment that changes the queue, with its own permissions.
    yield Request(ADMINISTRATOR, "sqs:SetQueueAttributes", deployed.queue_arn)
    # bin/ddb redrive.
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        yield Request(OPERATOR, action, deployed.queue_arn)
    for action in ("dynamodb:GetShardIterator", "dynamodb:GetRecords"):
        yield Request(OPERATOR, action, deployed.stream_arn)
        yield Request(OPERATOR, action, f"{deployed.table_arn}/stream/2020-01-01T00:00:00.000")  # an earlier one
    if FLOW_LOGS in deployed.log_groups:  # [5]
        for action in ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"):
            yield Request(FLOW_LOGS, action, log_stream(deployed, FLOW_LOGS))


def network_calls() -> Iterator[Request]:
    """[2]: Lambda needs the network interface actions on every resource, and checks this when it creates a function."""
    for action in sorted(NETWORK_INTERFACE_ACTIONS):
        yield Request(PROJECTION, action, "*")


def log_stream(deployed: Deployed, name: str) -> str:
    """A log stream of a function's log group."""
    account = deployed.table_arn.replace(":dynamodb:", ":logs:").rpartition(":")[0]
    return f"{account}:log-group:{deployed.log_groups[name]}:log-stream:2026/11/20/0a1b2c3d"
