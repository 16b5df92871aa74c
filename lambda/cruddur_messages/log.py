"""Structured log lines: one JSON object each, with ids and counts only, never a message text or a name."""

import json
import sys
from datetime import UTC, datetime


def emit(event: str, **fields: object) -> None:
    """Write one line to standard output, which Lambda ships to the function's log group.

    `fields` are what metric filters and Logs Insights queries refer to; fields that are None are left out.
    """
    line: dict[str, object] = {"timestamp": datetime.now(UTC).isoformat(), "event": event}
    line.update({name: value for name, value in fields.items() if value is not None})
    sys.stdout.write(json.dumps(line, separators=(",", ":"), default=str) + "\n")
    sys.stdout.flush()
