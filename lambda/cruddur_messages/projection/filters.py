"""Which stream records the event source mapping lets through to the projection."""

from typing import Any

from cruddur_messages import schema
from cruddur_messages.items import MESSAGE_UUID


def patterns(*, emulator: bool) -> list[dict[str, Any]]:
    """The filter patterns, of which a record has to match one (Lambda Developer Guide, "Event filtering").

    Every change of a message passes, and every group row that a backend has put: one that the projection has
    written carries `message_uuid`. On AWS, `exists` looks at leaves; the emulator looks at the attribute itself.
    """
    is_absent = [{"exists": False}]
    return [
        {"dynamodb": {"Keys": _in_partitions(schema.MESSAGE_PREFIX)}},
        {
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": {
                "Keys": _in_partitions(schema.GROUP_ROW_PREFIX),
                "NewImage": {MESSAGE_UUID: is_absent if emulator else {"S": is_absent}},
            },
        },
    ]


def _in_partitions(prefix: str) -> dict[str, Any]:
    return {schema.PARTITION_KEY: {"S": [{"prefix": prefix}]}}
