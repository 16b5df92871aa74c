"""Which stream records the event source mapping delivers to the projection."""

from typing import Any

from cruddur_messages import schema
from cruddur_messages.items import MESSAGE_UUID


def patterns() -> list[dict[str, Any]]:
    """The filter patterns; a record must match one of them (Lambda Developer Guide, "Event filtering").

    Every change of a message passes, and every group row that a backend has put: one that the projection has written
    carries `message_uuid`. `exists` looks at leaves, and a record without a `NewImage` has none: a deleted row is
    filtered out by the prefix inside the image.
    """
    return [
        {"dynamodb": {"Keys": _in_partitions(schema.MESSAGE_PREFIX)}},
        {
            "dynamodb": {
                "NewImage": {**_in_partitions(schema.GROUP_ROW_PREFIX), MESSAGE_UUID: {"S": [{"exists": False}]}},
            },
        },
    ]


def _in_partitions(prefix: str) -> dict[str, Any]:
    return {schema.PARTITION_KEY: {"S": [{"prefix": prefix}]}}
