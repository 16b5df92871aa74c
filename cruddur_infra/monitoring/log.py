"""The metrics that come from the logs of projection and canary, and the saved queries of Logs Insights.

docs/operations.md says when to run which query.
"""

LOGGED = (
    "conversations_settled",
    "conversations_failed",
    "records_unusable",
    "records_ignored",
    "rows_moved",
    "duplicates_removed",
    "conflicts",
)
"""Counts in the log line of a batch; each becomes a metric of the same name."""

LOGGED_LAG = "lag_seconds"
"""Seconds from a message's change to the rows that show it; absent where nothing was settled."""

LOGGED_EVENT = "batch_settled"

CANARY_FAILURES, CANARY_SECONDS = "canary_failures", "canary_seconds"
"""In the log line of a canary's run: 1 if the message did not reach the inboxes, else 0; how long it took."""

CANARY_EVENT = "canary_run"

BATCH = f'filter event = "{LOGGED_EVENT}"'

QUERIES = {
    "what happens": "fields @timestamp, event, message_group_uuid, failure, reason | sort @timestamp desc | limit 200",
    "failed conversations": (
        'filter event = "conversation_failed"'
        " | stats count() as times, max(@timestamp) as last by message_group_uuid, failure | sort times desc"
    ),
    "odd conversations": (
        'filter event = "conversation_odd"'
        " | stats max(malformed_messages) as malformed, max(previews_cut) as cut by message_group_uuid"
    ),
    "unusable records": 'filter event = "record_unusable" | stats count() as times by reason',
    "lag by minute": (
        f"{BATCH} | stats pct(lag_seconds, 50) as half, pct(lag_seconds, 99) as slowest, sum(records) as records"
        " by bin(1m)"
    ),
    "work by minute": (
        f"{BATCH} | stats sum(conversations_settled) as settled, sum(rows_moved) as moved, sum(conflicts) as conflicts,"
        " sum(ties) as tied, sum(duplicates_removed) as duplicates, sum(records_ignored) as ignored by bin(1m)"
    ),
    "crashes and timeouts": (
        'filter type = "platform.report" and record.status != "success"'
        " | fields @timestamp, record.status, record.metrics.durationMs, record.metrics.maxMemoryUsedMB"
    ),
    "slowest batches": (
        'filter type = "platform.report" | sort record.metrics.durationMs desc | limit 20'
        " | fields @timestamp, record.requestId, record.metrics.durationMs, record.metrics.maxMemoryUsedMB"
    ),
}
"""By title. Fields without an @ are those of a log line; lines with a `type` are Lambda's own."""


def log_patterns() -> dict[str, str]:
    """For each metric from the projection's log, the filter pattern of the lines that carry it."""
    counts = dict.fromkeys(LOGGED, f'{{ $.event = "{LOGGED_EVENT}" }}')
    return counts | {LOGGED_LAG: _pattern_with(LOGGED_EVENT, LOGGED_LAG)}


def canary_patterns() -> dict[str, str]:
    """The same for the canary's log."""
    return {name: _pattern_with(CANARY_EVENT, name) for name in (CANARY_FAILURES, CANARY_SECONDS)}


def _pattern_with(event: str, number: str) -> str:
    return f'{{ ($.event = "{event}") && ($.{number} >= 0) }}'
