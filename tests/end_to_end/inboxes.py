"""The promises of the projection for a table at rest, checked on all items."""

from collections.abc import Iterable
from typing import Any

from cruddur_local.waiting import wait_until
from cruddur_messages.audit.checks import Finding, check_table
from cruddur_messages.audit.snapshot import TableSnapshot
from cruddur_messages.items import AttributeMap
from tests.access_patterns.people import items_in


def broken_promises(found: Iterable[AttributeMap], message_group_uuid: str = "") -> list[Finding]:
    """What verify would find in a table of these items, in all of it or in one conversation."""
    table = TableSnapshot()
    table.add(found)
    return [one for one in check_table(table) if message_group_uuid in ("", one.message_group_uuid)]


def await_exact(dynamodb: Any) -> list[AttributeMap]:
    """Wait until no promise is broken, and return all items."""
    wait_until(lambda: not broken_promises(items_in(dynamodb)))
    found = items_in(dynamodb)
    assert broken_promises(found) == []
    return found
