"""Lambda entry of the projection: parses the event and the environment, calls the library, maps the result."""

import os
import time
from collections import Counter
from typing import Protocol, TypedDict

import boto3

from cruddur_messages import log, schema
from cruddur_messages.projection.records import DirtyConversation, FoldedBatch, fold
from cruddur_messages.projection.settlement import CLIENT_CONFIG, LONGEST_CALL_SECONDS, Projection, Settlement

_dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)

LOGGED_COUNTS = ("rows_moved", "rows_healed", "rows_nudged", "conflicts", "malformed_messages", "previews_cut")

SECONDS_TO_ANSWER = 1.0

SECONDS_WITHOUT_CONTEXT = 30.0
"""The time that a call by hand has, where no Lambda context tells it."""


class LambdaContext(Protocol):
    """What the entry uses of the context object that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class BatchItemFailure(TypedDict):
    """A record to be delivered again, with all that follow it."""

    itemIdentifier: str


class StreamResponse(TypedDict):
    """What an event source mapping with ReportBatchItemFailures expects."""

    batchItemFailures: list[BatchItemFailure]


def handler(event: dict[str, object], context: LambdaContext | None = None) -> StreamResponse:
    """Settle every conversation that the batch concerns; report the records of those that could not be."""
    available = context.get_remaining_time_in_millis() / 1000 if context else SECONDS_WITHOUT_CONTEXT
    deadline = time.monotonic() + available
    records = event.get("Records")
    batch = fold(records if isinstance(records, list) else [])
    projection = Projection(
        client=_dynamodb,
        table_name=os.environ[schema.TABLE_NAME_VARIABLE],
        seconds_left=lambda: deadline - time.monotonic(),
        reserve_seconds=reserve_of(available),
    )
    settlements = projection.settle_all(batch.dirty)
    _log(batch, settlements)
    failed = {settlement.message_group_uuid for settlement in settlements if settlement.failure}
    return {
        "batchItemFailures": [
            {"itemIdentifier": sequence_number}
            for conversation in batch.dirty
            if conversation.message_group_uuid in failed
            for sequence_number in conversation.sequence_numbers
        ]
    }


def reserve_of(available: float) -> float:
    """How many of the available seconds are left for the call that is under way, and for the answer."""
    return min(LONGEST_CALL_SECONDS + SECONDS_TO_ANSWER, available / 2)


def _log(batch: FoldedBatch, settlements: list[Settlement]) -> None:
    """One line for the batch, and one for each record or conversation that somebody may have to look at."""
    for record in batch.unusable:
        log.emit("record_unusable", sequence_number=record.sequence_number, reason=record.reason)
    for settlement in settlements:
        if settlement.failure or settlement.counts["malformed_messages"] or settlement.counts["previews_cut"]:
            log.emit(
                "conversation_failed" if settlement.failure else "conversation_odd",
                message_group_uuid=settlement.message_group_uuid,
                failure=settlement.failure,
                **settlement.counts,
            )
    settled = {settlement.message_group_uuid for settlement in settlements if not settlement.failure}
    totals = sum((settlement.counts for settlement in settlements), Counter[str]())
    log.emit(
        "batch_settled",
        records=sum(len(conversation.sequence_numbers) for conversation in batch.dirty),
        records_ignored=batch.ignored,
        records_unusable=len(batch.unusable),
        conversations_settled=len(settled),
        conversations_failed=len(settlements) - len(settled),
        lag_seconds=_lag_seconds([c for c in batch.dirty if c.message_group_uuid in settled]),
        **{name: totals[name] for name in LOGGED_COUNTS},
    )


def _lag_seconds(settled: list[DirtyConversation]) -> float | None:
    """How long the oldest of the settled changes took from the table to the rows."""
    changes = [conversation.newest_change for conversation in settled if conversation.newest_change is not None]
    return round(time.time() - min(changes), 3) if changes else None
