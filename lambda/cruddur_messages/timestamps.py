"""Sort keys as points in time: any ISO 8601 form is read, one form is written."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)


def parse(sort_key: str) -> datetime | None:
    """The instant that a sort key names, in UTC, or None where it is no timestamp.

    A timestamp without an offset is taken as UTC, which is what the backends that write none run on.
    """
    try:
        parsed = datetime.fromisoformat(sort_key)
        if parsed.tzinfo is None:
            return parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def canonical(instant: datetime) -> str:
    """The one form that this project writes: UTC, six fraction digits, `+00:00`; text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """The present instant in the canonical form."""
    return canonical(datetime.now(UTC))
