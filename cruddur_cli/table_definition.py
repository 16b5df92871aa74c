"""The table as `schema-load` creates it: the keys, the index and the stream of the stacks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cruddur_cli.errors import DdbError
from cruddur_messages import schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import ScalarAttributeTypeType
    from mypy_boto3_dynamodb.type_defs import KeySchemaElementTypeDef, TableDescriptionTypeDef, WaiterConfigTypeDef

STRING: "Final[ScalarAttributeTypeType]" = "S"
KEYS: "Final[Sequence[KeySchemaElementTypeDef]]" = (
    {"AttributeName": schema.PARTITION_KEY, "KeyType": "HASH"},
    {"AttributeName": schema.SORT_KEY, "KeyType": "RANGE"},
)
INDEX_KEYS: "Final[Sequence[KeySchemaElementTypeDef]]" = (
    {"AttributeName": schema.INDEX_PARTITION_KEY, "KeyType": "HASH"},
    {"AttributeName": schema.SORT_KEY, "KeyType": "RANGE"},
)
EACH_SECOND: "Final[WaiterConfigTypeDef]" = {"Delay": 1, "MaxAttempts": 300}


def require_layout(table: "TableDescriptionTypeDef") -> None:
    """Raise DdbError unless a table has this project's keys and an active index with all attributes."""
    types = {one["AttributeName"]: one["AttributeType"] for one in table.get("AttributeDefinitions", [])}
    name = table["TableName"]
    found, needed = _keys(table.get("KeySchema", []), types), _keys(KEYS, {})
    if found != needed:
        raise DdbError(f"{name} has the keys {found}, and needs {needed}: name another table with --table")
    indexes = {one["IndexName"]: one for one in table.get("GlobalSecondaryIndexes", [])}
    index = indexes.get(schema.INDEX_NAME)
    needed = f"{_keys(INDEX_KEYS, {})}, with all attributes"
    if index is None:
        raise DdbError(f"{name} has no index {schema.INDEX_NAME}: add it, with the keys {needed}")
    projected = "all" if index.get("Projection", {}).get("ProjectionType") == "ALL" else "some"
    found = f"{_keys(index.get('KeySchema', []), types)}, with {projected} attributes"
    if found != needed:
        raise DdbError(f"the index {schema.INDEX_NAME} of {name} has the keys {found}; it needs {needed}")
    if index.get("IndexStatus", "ACTIVE") == "CREATING":
        raise DdbError(f"the index {schema.INDEX_NAME} of {name} is being created: wait, and see bin/ddb describe")


def _keys(keys: "Sequence[KeySchemaElementTypeDef]", types: Mapping[str, str]) -> str:
    """Keys for people; a key without a known type is a string, as all of this project are."""
    return " and ".join(
        f"{key['AttributeName']} ({key['KeyType'].lower()}, {types.get(key['AttributeName'], STRING)})" for key in keys
    )


def create(client: "DynamoDBClient", table_name: str) -> None:
    """Create the table, on demand, wait until it is active, and name its TTL attribute.

    Raises ClientError, WaiterError.
    """
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": STRING}
            for name in (schema.PARTITION_KEY, schema.SORT_KEY, schema.INDEX_PARTITION_KEY)
        ],
        KeySchema=KEYS,
        GlobalSecondaryIndexes=[
            {
                "IndexName": schema.INDEX_NAME,
                "KeySchema": INDEX_KEYS,
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": schema.STREAM_VIEW_TYPE},
    )
    client.get_waiter("table_exists").wait(TableName=table_name, WaiterConfig=EACH_SECOND)
    client.update_time_to_live(
        TableName=table_name, TimeToLiveSpecification={"Enabled": True, "AttributeName": schema.EXPIRES_AT}
    )


def drop(client: "DynamoDBClient", table_name: str) -> None:
    """Delete the table and wait until it is gone. Raises ClientError, WaiterError."""
    client.delete_table(TableName=table_name)
    client.get_waiter("table_not_exists").wait(TableName=table_name, WaiterConfig=EACH_SECOND)
