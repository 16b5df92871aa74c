"""The table as `schema-load` creates it: the keys, the index and the stream of the stacks."""

from typing import TYPE_CHECKING, Final

from cruddur_messages import schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import ScalarAttributeTypeType

STRING: "Final[ScalarAttributeTypeType]" = "S"
SECONDS_BETWEEN_LOOKS = 1
MOST_LOOKS = 300


def create(client: "DynamoDBClient", table_name: str) -> None:
    """Create the table, on demand, and wait until it is active. Raises ClientError, WaiterError."""
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": STRING}
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
        StreamSpecification={"StreamEnabled": True, "StreamViewType": schema.STREAM_VIEW_TYPE},
    )
    client.get_waiter("table_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": SECONDS_BETWEEN_LOOKS, "MaxAttempts": MOST_LOOKS}
    )


def drop(client: "DynamoDBClient", table_name: str) -> None:
    """Delete the table and wait until it is gone. Raises ClientError, WaiterError."""
    client.delete_table(TableName=table_name)
    client.get_waiter("table_not_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": SECONDS_BETWEEN_LOOKS, "MaxAttempts": MOST_LOOKS}
    )
