"""A batch of stream records: its dirty conversations are settled, logged, and reported to Lambda if that fails."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from cruddur_messages.projection.records import DirtyConversation, FoldedBatch, fold
from cruddur_messages.projection.settlement import Settlement

LOGGED_COUNTS = ("rows_moved", "duplicates_removed", "ties", "conflicts", "malformed_messages", "previews_cut")

SettleAll = Callable[[Sequence[DirtyConversation]], Sequence[Settlement]]


Emit = Callable[..., None]
"""Writes one log line: an event by name, and its fields."""

StreamResponse = dict[str, list[dict[str, str]]]
"""What an event source mapping with ReportBatchItemFailures expects."""


def handle_batch(
    event: Mapping[str, object], *, settle_all: SettleAll, emit: Emit, clock: Callable[[], float]
) -> StreamResponse:
    """Settle the dirty conversations of an event, log them, and report the records of those that could not be settled.

    `clock` returns the seconds since 1970.
    """
    records = event.get("Records")
    batch = fold(records if isinstance(records, list) else [])
    settlements = settle_all(batch.dirty)
    _log(batch, settlements, emit, clock())
    failed = {settlement.message_group_uuid for settlement in settlements if settlement.failure}
    return {
        "batchItemFailures": [
            {"itemIdentifier": sequence_number}
            for conversation in batch.dirty
            if conversation.message_group_uuid in failed
            for sequence_number in conversation.sequence_numbers
        ]
    }


def _log(batch: FoldedBatch, settlements: Sequence[Settlement], emit: Emit, now: float) -> None:
    """One line for the batch, and one for each record, conversation or member that needs attention."""
    for sequence_number, reason in batch.unusable:
        emit("record_unusable", sequence_number=sequence_number, reason=reason)
    for settlement in settlements:
        if settlement.failure or settlement.counts["malformed_messages"] or settlement.counts["previews_cut"]:
            emit(
                "conversation_failed" if settlement.failure else "conversation_odd",
                message_group_uuid=settlement.message_group_uuid,
                failure=settlement.failure,
                **settlement.counts,
            )
        for user_uuid in sorted(settlement.without_row) if settlement.failure is None else ():
            emit("member_left", message_group_uuid=settlement.message_group_uuid, user_uuid=user_uuid)
    settled = {settlement.message_group_uuid for settlement in settlements if not settlement.failure}
    changes = [
        dirty.newest_change
        for dirty in batch.dirty
        if dirty.message_group_uuid in settled and dirty.newest_change is not None
    ]
    totals = sum((settlement.counts for settlement in settlements), Counter[str]())
    emit(
        "batch_settled",
        records=sum(len(conversation.sequence_numbers) for conversation in batch.dirty),
        records_ignored=batch.ignored,
        records_unusable=len(batch.unusable),
        conversations_settled=len(settled),
        conversations_failed=len(settlements) - len(settled),
        members_left=sum(len(settlement.without_row) for settlement in settlements if not settlement.failure),
        # The time that the oldest settled change took from the table to the rows.
        lag_seconds=round(now - min(changes), 3) if changes else None,
        **{name: totals[name] for name in LOGGED_COUNTS},
    )
