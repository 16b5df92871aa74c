"""Timestamps in sort keys: every ISO 8601 form is read, one form is written."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)

MAX_TIE_OFFSET = timedelta(milliseconds=1)
"""How much later than its message's time a row's sort key may be, if another row has that key."""


def parse(sort_key: str) -> datetime | None:
    """The instant of a sort key, in UTC, or None if it is not a timestamp.

    A timestamp without an offset is read as UTC: backends that write no offset run in UTC.
    """
    try:
        parsed = datetime.fromisoformat(sort_key)
        if parsed.tzinfo is None:
            return parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def canonical(instant: datetime) -> str:
    """The form that this project writes: UTC, six fraction digits, `+00:00`; text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """The current time in the canonical form."""
    return canonical(datetime.now(UTC))
