"""The cruddur table, created on an engine exactly as the stacks declare it: keys, index, stream."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from cruddur_messages import schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import ScalarAttributeTypeType
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

REGION = "us-east-1"
_SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}, max_pool_connections=32)


def dynamodb(endpoint: str) -> "DynamoDBClient":
    """A client of the engine, which shows every error at once instead of trying again."""
    return _SESSION.client("dynamodb", endpoint_url=endpoint, config=CONFIG)


def streams(endpoint: str) -> "DynamoDBStreamsClient":
    """A client of the engine's streams."""
    return _SESSION.client("dynamodbstreams", endpoint_url=endpoint, config=CONFIG)


def create_cruddur_table(client: "DynamoDBClient", table_name: str) -> None:
    """Create the table and wait until it is active."""
    string: ScalarAttributeTypeType = "S"
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": string}
            for name in (schema.PARTITION_KEY, schema.SORT_KEY, schema.INDEX_PARTITION_KEY)
        ],
        KeySchema=[
            {"AttributeName": schema.PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": schema.SORT_KEY, "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": schema.INDEX_NAME,
                "KeySchema": [
                    {"AttributeName": schema.INDEX_PARTITION_KEY, "KeyType": "HASH"},
                    {"AttributeName": schema.SORT_KEY, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    client.get_waiter("table_exists").wait(TableName=table_name, WaiterConfig={"Delay": 1})
