"""The log of the projection in the running system."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from cruddur_local import system
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError

PAUSE_SECONDS = 1.0

OF_LAMBDA = re.compile(r"(START|END|REPORT|INIT_START) ")
"""Lines that Lambda itself writes around each invocation."""

UNNAMED = frozenset({"event", "timestamp"})


def show(emulator: Emulator, *, follow: bool, as_json: bool, console: Console) -> None:
    """Print the log, oldest line first, for people or unchanged; with `follow`, continue with new lines.

    Raises LocalSystemError.
    """
    client = emulator.session.client("logs", endpoint_url=emulator.endpoint, verify=emulator.certificate)
    log_group_name = system.description().get("log_group_name")
    if log_group_name is None:
        raise LocalSystemError("nothing is deployed yet; run make up")
    printed = 0
    while True:
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=log_group_name)
        messages = [event["message"].rstrip() for page in pages for event in page["events"]]
        for message in messages[printed:]:
            line = message if as_json else for_people(message)
            if line is not None:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        printed = len(messages)
        if not follow:
            return
        time.sleep(PAUSE_SECONDS)


def for_people(message: str) -> str | None:
    """A log line for people: time, event, and the counts that are not 0; None for Lambda's own lines."""
    if OF_LAMBDA.match(message):
        return None
    try:
        logged = json.loads(message)
    except ValueError:
        return message
    if not isinstance(logged, dict) or "event" not in logged:
        return message
    when = str(logged.get("timestamp", ""))[11:19]
    return f"{when}  {_words(str(logged['event']))}: {', '.join(_counts(logged)) or 'nothing to do'}"


def _counts(logged: Mapping[str, Any]) -> list[str]:
    parts: list[str] = []
    for name, value in logged.items():
        if name in UNNAMED or value in (0, None, ""):
            continue
        is_count = isinstance(value, int) and not isinstance(value, bool)
        parts.append(f"{value:,} {_words(name)}" if is_count else f"{_words(name)} {value}")
    return parts


def _words(name: str) -> str:
    return name.replace("_", " ")
