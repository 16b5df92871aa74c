"""The projection's work, done by hand where no Lambda does it: DynamoDB Local has a stream and nobody who reads it."""

import math
from collections.abc import Iterable

from cruddur_cli.run import Run
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Projection


def projection(this: Run) -> Projection:
    """The projection of the table, without a deadline."""
    return Projection(client=this.client, table_name=this.target.table_name, seconds_left=lambda: math.inf)


def settle(this: Run, message_group_uuids: Iterable[str]) -> None:
    """Settle conversations, and say of those that could not be."""
    dirty = [DirtyConversation(group) for group in dict.fromkeys(message_group_uuids)]
    for settlement in projection(this).settle_all(dirty):
        if settlement.failure:
            this.output.note(f"conversation {settlement.message_group_uuid} is not settled: {settlement.failure}")
