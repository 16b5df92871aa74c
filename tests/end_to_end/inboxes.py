"""The promises of the projection for a table at rest, checked on all items."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from cruddur_local.waiting import wait_until
from cruddur_messages import schema, timestamps


def items(dynamodb: Any, table_name: str = schema.TABLE_NAME) -> list[dict[str, Any]]:
    """Every item of the table, strongly consistent."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def broken_promises(found: list[dict[str, Any]]) -> Iterator[str]:
    """The broken promises: each member must have one row per conversation, which shows the newest message."""
    newest: dict[str, dict[str, Any]] = {}
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for item in sorted(found, key=lambda item: str(item["sk"]["S"])):
        partition = item["pk"]["S"]
        if partition.startswith(schema.MESSAGE_PREFIX):
            newest[partition.removeprefix(schema.MESSAGE_PREFIX)] = item
        elif partition.startswith(schema.GROUP_ROW_PREFIX):
            rows[partition, item["message_group_uuid"]["S"]].append(item)
    for (partition, group), own in rows.items():
        if len(own) != 1:
            yield f"{partition} has {len(own)} rows of {group}"
        if group in newest:
            shown, message = own[0], newest[group]
            instant = timestamps.parse(message["sk"]["S"])
            assert instant is not None
            for name in ("message", "message_uuid"):
                if shown.get(name) != message[name]:
                    yield f"{partition} shows another {name} of {group} than the newest"
            if not shown["sk"]["S"].startswith(timestamps.canonical(instant)[:23]):
                yield f"the row of {group} in {partition} has another time than the newest message"
    for group in newest.keys() - {group for _, group in rows}:
        yield f"{group} has messages and no row"


def await_exact(dynamodb: Any) -> list[dict[str, Any]]:
    """Wait until no promise is broken, and return all items."""
    wait_until(lambda: not list(broken_promises(items(dynamodb))))
    found = items(dynamodb)
    assert list(broken_promises(found)) == []
    return found
