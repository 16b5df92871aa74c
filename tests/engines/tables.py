"""Clients of the engines, which create the table as `bin/ddb schema-load` does."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

REGION = "us-east-1"
_SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
CONFIG = Config(connect_timeout=60, read_timeout=300, retries={"total_max_attempts": 1}, max_pool_connections=32)


def dynamodb(endpoint: str) -> "DynamoDBClient":
    """A client of the engine that retries nothing, so that every error is visible."""
    return _SESSION.client("dynamodb", endpoint_url=endpoint, config=CONFIG)


def streams(endpoint: str) -> "DynamoDBStreamsClient":
    """A client of the engine's streams."""
    return _SESSION.client("dynamodbstreams", endpoint_url=endpoint, config=CONFIG)
