"""Settles conversations from the command line: where nothing reads the stream, or beside the deployed projection."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cruddur_messages import conversation_item
from cruddur_messages.dynamodb import RefusedError, TransientError
from cruddur_messages.items import can_be_key
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from cruddur_messages.projection.table import ProjectionTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def projection(client: "DynamoDBClient", table_name: str) -> Settler:
    """The projection of a table, without a deadline."""
    return Settler(client=client, table_name=table_name, seconds_left=lambda: math.inf)


def settle(client: "DynamoDBClient", table_name: str, message_group_uuids: Iterable[str]) -> dict[str, str]:
    """Settle conversations with the rows of the index; returns the reason for each that could not be settled.

    On an engine of this machine the index does not lag. On AWS it may: there the deployed projection settles every
    change too, and an erasure settles again after a pause until nothing changes.
    """
    table = ProjectionTable(client, table_name)
    dirty: list[DirtyConversation] = []
    failures: dict[str, str] = {}
    for group in dict.fromkeys(message_group_uuids):
        if not can_be_key(conversation_item.key(group)):
            continue  # The projection passes over it too.
        try:
            dirty.append(DirtyConversation(group, put_keys=table.keys_in_index(group), must_read_rows=True))
        except (TransientError, RefusedError) as error:
            failures[group] = str(error)
    for settlement in projection(client, table_name).settle_all(dirty):
        if settlement.failure:
            failures[settlement.message_group_uuid] = settlement.failure
    return failures
