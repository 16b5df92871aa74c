"""The member item: what a person did with a conversation, each attribute only once it has happened.

It is in no index and matches no filter of the stream, so that writing it costs no settlement (docs/decisions/0012).
"""

from typing import TYPE_CHECKING, Any

from cruddur_messages import schema
from cruddur_messages.items import AttributeMap, key_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

STAYS_A_MEMBER = f"attribute_not_exists({schema.LEFT_AT})"
"""A condition: the person has not left."""


def key(message_group_uuid: str, user_uuid: str) -> "dict[str, AttributeValueTypeDef]":
    """The key of a member item, as DynamoDB takes it."""
    return key_attributes((schema.member_partition(user_uuid), message_group_uuid))


def joining(table_name: str, read: AttributeMap, *, at: str) -> "TransactWriteItemTypeDef":
    """An action that notes a join, on condition that nobody has noted a join or a leave since the item was read."""
    return _transition(table_name, read, f"SET {schema.JOINED_AT} = :at REMOVE {schema.LEFT_AT}", at)


def leaving(table_name: str, read: AttributeMap, *, at: str) -> "TransactWriteItemTypeDef":
    """An action that notes a leave, on the same condition."""
    return _transition(table_name, read, f"SET {schema.LEFT_AT} = :at", at)


def staying(table_name: str, message_group_uuid: str, user_uuid: str) -> "TransactWriteItemTypeDef":
    """An action that does nothing, on condition that the person has not left."""
    item_key = key(message_group_uuid, user_uuid)
    return {"ConditionCheck": {"TableName": table_name, "Key": item_key, "ConditionExpression": STAYS_A_MEMBER}}


def _transition(table_name: str, read: AttributeMap, update: str, at: str) -> "TransactWriteItemTypeDef":
    conditions: list[str] = []
    values: dict[str, Any] = {":at": {"S": at}}
    for name in (schema.JOINED_AT, schema.LEFT_AT):
        conditions.append(f"{name} = :{name}" if name in read else f"attribute_not_exists({name})")
        if name in read:
            values[f":{name}"] = read[name]
    return {
        "Update": {
            "TableName": table_name,
            "Key": {name: read[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)},
            "UpdateExpression": update,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": values,
        }
    }
