"""The seed: a function that loads made-up conversations, which CloudFormation runs as a custom resource."""

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.function import Function
from cruddur_infra.settings import Settings
from cruddur_infra.statements import only_partitions
from cruddur_messages import schema

PART = "seed"

TIMEOUT_SECONDS = 300


class Seed(Construct):
    """Conversations in the table for as long as the stack exists."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, table_arn: str) -> None:
        super().__init__(scope, construct_id)
        function = Function(
            self,
            "Loader",
            settings=settings,
            part=PART,
            description="Loads and removes made-up conversations",
            handler="seed_handler",
            files=("__init__.py",),
            statements=[
                # Reading what is there already, by partition.
                iam.PolicyStatement(
                    sid="ReadConversations",
                    actions=["dynamodb:Query"],
                    resources=[table_arn],
                    conditions=only_partitions(settings, schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX),
                ),
                # Writing and removing conversations in batches.
                iam.PolicyStatement(
                    sid="WriteConversations",
                    actions=["dynamodb:BatchWriteItem"],
                    resources=[table_arn],
                    conditions=only_partitions(settings, schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX),
                ),
            ],
            timeout=Duration.seconds(TIMEOUT_SECONDS),
        ).function
        CustomResource(
            self,
            "Conversations",
            resource_type="Custom::CruddurConversations",
            service_token=function.function_arn,
            # A function that cannot even answer is waited for no longer than it may run.
            service_timeout=Duration.seconds(TIMEOUT_SECONDS + 60),
            properties={"TableName": settings.table_name},
        )
