"""The seed: a custom resource with a function that loads made-up conversations."""

from pathlib import Path

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.constructs.function import Function
from cruddur_infra.constructs.statements import only_partitions
from cruddur_messages import schema
from cruddur_messages.seed import file as seed_file

PART = "seed"

TIMEOUT_SECONDS = 180


class SeedData(Construct):
    """Conversations that are in the table as long as the stack exists. Raises SeedFileError for wrong files."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        table_name: str,
        table_arn: str,
        conversations_file: Path,
        users_file: Path,
        runtime: str,
        architecture: str,
        memory_mb: int,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        conversations = seed_file.load(conversations_file, users_file)
        keys = only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
        function = Function(
            self,
            "Loader",
            system=system,
            part=PART,
            description="Loads and removes made-up conversations",
            entry="seed.handler",
            data={seed_file.CONVERSATIONS_PATH: conversations_file, seed_file.USERS_PATH: users_file},
            statements=[
                # What the table already has: Query, partition by partition.
                iam.PolicyStatement(
                    sid="ReadConversations", actions=["dynamodb:Query"], resources=[table_arn], conditions=keys
                ),
                # Loading and removing: BatchWriteItem.
                iam.PolicyStatement(
                    sid="WriteConversations",
                    actions=["dynamodb:BatchWriteItem"],
                    resources=[table_arn],
                    conditions=keys,
                ),
            ],
            table_name=table_name,
            runtime=runtime,
            architecture=architecture,
            memory_mb=memory_mb,
            timeout_seconds=TIMEOUT_SECONDS,
            log_retention_days=log_retention_days,
            # A retried Create could load what a rollback has just removed. The function retries its response only.
            retry_attempts=0,
        ).function
        invocation = function.node.find_child("EventInvokeConfig")
        resource = CustomResource(
            self,
            "Conversations",
            resource_type="Custom::CruddurConversations",
            service_token=function.function_arn,
            # If the function sends no response, CloudFormation waits no longer than the function may run.
            service_timeout=Duration.seconds(TIMEOUT_SECONDS + 60),
            properties={"TableName": table_name, **seed_file.resource_properties(conversations)},
        )
        # Without this dependency the function could be invoked before its retries are turned off.
        resource.node.add_dependency(invocation)
