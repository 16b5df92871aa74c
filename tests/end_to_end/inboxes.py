"""The promises of the projection for a table at rest, checked on all items."""

from typing import Any

from cruddur_local.waiting import wait_until
from cruddur_messages import schema
from cruddur_messages.audit.checks import Finding, check_table
from cruddur_messages.audit.snapshot import TableSnapshot


def items(dynamodb: Any, table_name: str = schema.TABLE_NAME) -> list[dict[str, Any]]:
    """Every item of the table, strongly consistent."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def broken_promises(found: list[dict[str, Any]]) -> list[Finding]:
    """What verify would find in a table of these items."""
    table = TableSnapshot()
    table.add(found)
    return list(check_table(table))


def await_exact(dynamodb: Any) -> list[dict[str, Any]]:
    """Wait until no promise is broken, and return all items."""
    wait_until(lambda: not broken_promises(items(dynamodb)))
    found = items(dynamodb)
    assert broken_promises(found) == []
    return found
