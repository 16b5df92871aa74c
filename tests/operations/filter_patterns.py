"""Metric filter patterns for JSON lines, evaluated as CloudWatch Logs does, as far as this app uses them.

CloudWatch Logs User Guide, "Filter pattern syntax for metric filters", "JSON log events".
"""

import json
import re
from typing import Any

_TERM = re.compile(r'\$\.(?P<name>\w+) (?P<operator>=|>=) (?P<value>"[^"]*"|-?\d+(?:\.\d+)?)')


class PatternError(ValueError):
    """The pattern is wrong, or has a form that this module does not support."""


def matches(pattern: str, line: str) -> bool:
    """Whether a filter matches a log line. Raises PatternError."""
    braced = re.fullmatch(r"\{ (.+) \}", pattern)
    if braced is None:
        raise PatternError(pattern)
    terms = [_term(text) for text in braced[1].split(" && ")]
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return isinstance(event, dict) and all(_holds(event, *term) for term in terms)


def value_of(selector: str, line: str) -> float | None:
    """The number that a filter reads from a line; None if there is none."""
    found = json.loads(line).get(selector.removeprefix("$."))
    return float(found) if isinstance(found, int | float) else None


def _term(text: str) -> tuple[str, str, Any]:
    found = _TERM.fullmatch(text.removeprefix("(").removesuffix(")"))
    if found is None:
        raise PatternError(text)
    return found["name"], found["operator"], json.loads(found["value"])


def _holds(event: dict[str, Any], name: str, operator: str, wanted: Any) -> bool:
    found = event.get(name)
    if operator == ">=":
        return isinstance(found, int | float) and not isinstance(found, bool) and found >= wanted
    return bool(found == wanted)
