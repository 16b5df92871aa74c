"""The seed: a custom resource with a function that loads made-up conversations."""

from pathlib import Path

from aws_cdk import CustomResource, Duration
from constructs import Construct

from cruddur_infra.constructs.function import EVENT_SECONDS, Function, FunctionSettings
from cruddur_infra.constructs.statements import allow, only_partitions
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
        common: FunctionSettings,
        conversations_file: Path,
        users_file: Path,
        memory_mb: int,
    ) -> None:
        super().__init__(scope, construct_id)
        conversations = seed_file.load(conversations_file, users_file)
        keys = only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
        function = Function(
            self,
            "Loader",
            common=common,
            part=PART,
            description="Loads and removes made-up conversations",
            entry="seed.handler",
            data={seed_file.CONVERSATIONS_PATH: conversations_file, seed_file.USERS_PATH: users_file},
            statements=[
                # What the table already has: Query, partition by partition.
                allow("ReadConversations", ["dynamodb:Query"], [common.table_arn], keys),
                # Loading and removing: BatchWriteItem.
                allow("WriteConversations", ["dynamodb:BatchWriteItem"], [common.table_arn], keys),
            ],
            memory_mb=memory_mb,
            timeout_seconds=TIMEOUT_SECONDS,
            # A late Create could load what a rollback has just removed. The function retries its response only.
            at_once=True,
        ).function
        invocation = function.node.find_child("EventInvokeConfig")
        resource = CustomResource(
            self,
            "Conversations",
            resource_type="Custom::CruddurConversations",
            service_token=function.function_arn,
            # If the function sends no response, CloudFormation waits no longer than until it must have ended.
            service_timeout=Duration.seconds(EVENT_SECONDS + TIMEOUT_SECONDS),
            properties={"TableName": common.table_name, **seed_file.resource_properties(conversations)},
        )
        # Without this dependency the function could be invoked before retries are turned off.
        resource.node.add_dependency(invocation)
