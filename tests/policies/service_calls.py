"""What AWS services do under our roles, and operators on our queue: no client of ours makes these calls.

Sources: [1] Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", "Execution role permissions". [2] The
same, "Giving Lambda functions access to resources in an Amazon VPC", "Required IAM permissions". [3] The same, "Sending
Lambda function logs to CloudWatch Logs", "IAM permissions". [4] The same, "Retain discarded batches". [5] VPC guide,
"IAM role for publishing flow logs to CloudWatch Logs". Which of them carry the function's ARN: Lambda Developer Guide,
"Using source function ARN to control function access behavior". Which resource each permission is asked for: Service
Authorization Reference.
"""

from collections.abc import Iterator

from tests.policies.authorization import OPERATOR, SOURCE_FUNCTION, Request
from tests.policies.deployed import FLOW_LOGS, PROJECTION, SEED, Deployed

STREAM_ACTIONS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""[1] without ListStreams, see SURVIVORS in test_minimality.py."""

ANY_INTERFACE = "network-interface/eni-0a1b2c3d4e5f60718"


def service_calls(deployed: Deployed) -> Iterator[Request]:
    """The permissions that these calls ask for."""
    for name in (PROJECTION, SEED):  # [3]
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            # The only ones of Lambda's calls that carry the function's ARN.
            yield Request(name, action, log_stream(deployed, name), {SOURCE_FUNCTION: (deployed.function_arns[name],)})
    for action in STREAM_ACTIONS:
        yield Request(PROJECTION, action, deployed.stream_arn)
    yield Request(PROJECTION, "sqs:SendMessage", deployed.queue_arn)  # [4]
    yield from network_calls(deployed)
    # bin/ddb redrive, and a deployment that changes the queue, under permissions of their own.
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SetQueueAttributes"):
        yield Request(OPERATOR, action, deployed.queue_arn)
    if FLOW_LOGS in deployed.log_groups:  # [5]
        for action in ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"):
            yield Request(FLOW_LOGS, action, log_stream(deployed, FLOW_LOGS))


def network_calls(deployed: Deployed) -> Iterator[Request]:
    """[2]: Lambda makes a network interface in each subnet, which IAM is asked for resource by resource."""
    interface = network_interface(deployed)
    for resource in (interface, *deployed.subnet_arns, deployed.security_group_arn):
        yield Request(PROJECTION, "ec2:CreateNetworkInterface", resource)
    for action in ("AssignPrivateIpAddresses", "DeleteNetworkInterface", "UnassignPrivateIpAddresses"):
        yield Request(PROJECTION, f"ec2:{action}", interface)
    for action in ("DescribeNetworkInterfaces", "DescribeSubnets"):
        yield Request(PROJECTION, f"ec2:{action}", "*")


def network_interface(deployed: Deployed) -> str:
    """Some network interface of the account, such as Lambda makes."""
    return deployed.security_group_arn.rpartition(":")[0] + f":{ANY_INTERFACE}"


def log_stream(deployed: Deployed, name: str) -> str:
    """Some log stream of a function's log group."""
    account = deployed.table_arn.replace(":dynamodb:", ":logs:").rpartition(":")[0]
    return f"{account}:log-group:{deployed.log_groups[name]}:log-stream:2026/11/20/0a1b2c3d"
