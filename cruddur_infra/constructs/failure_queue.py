"""The on-failure destination of the event source mapping."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class FailureQueue(Construct):
    """An encrypted queue that accepts messages over TLS only, and from one role only; `keep` retains it."""

    def __init__(self, scope: Construct, construct_id: str, *, sender_role_arn: str, keep: bool) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            # The longest retention of SQS (SQS Developer Guide, "Quotas"), so that there is time to react.
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY,
        )
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OnlyTheProjectionSends",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": sender_role_arn}},
            )
        )
