"""The forms in which timestamps are written: among those of one form, the order of texts is that of instants."""

import re

UTC_OFFSET = "+00:00"
NO_OFFSET = ""
MIXED = "mixed"

_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?([+-].+)?")


def form_of(sort_key: str) -> str:
    """The form of a timestamp: the offset as it is written, or nothing.

    Where a shorter time would not come first (`...:29Z` is later than `...:29.5Z` as text), or the date is written
    otherwise, it is the whole pattern of the digits.
    """
    if usual := _USUAL.fullmatch(sort_key):
        return usual[1] or NO_OFFSET
    date, rest = sort_key[:8], sort_key[8:]
    sign = max(rest.rfind("+"), rest.rfind("-"))
    time, offset = (rest[:sign], rest[sign:]) if sign > 2 else (rest, "")
    return re.sub(r"\d", "0", date + time) + offset


def joint_form(one: str | None, other: str | None) -> str | None:
    """The form of two parts together: None < a form < MIXED."""
    if one is None or one == other:
        return other
    return one if other is None else MIXED
