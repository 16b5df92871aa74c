"""The log of the projection in the running system."""

import json
import time

from rich.console import Console

from cruddur_local import paths
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError

PAUSE_SECONDS = 1.0


def show(emulator: Emulator, *, follow: bool, console: Console) -> None:
    """Print the log, oldest line first; with `follow`, go on with what is new. Raises LocalSystemError."""
    client = emulator.session.client("logs", endpoint_url=emulator.endpoint, verify=emulator.certificate)
    log_group_name = _log_group_name()
    printed = 0
    while True:
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=log_group_name)
        events = [event for page in pages for event in page["events"]]
        for event in events[printed:]:
            console.print(event["message"].rstrip(), highlight=False, markup=False, soft_wrap=True)
        printed = len(events)
        if not follow:
            return
        time.sleep(PAUSE_SECONDS)


def _log_group_name() -> str:
    try:
        return str(json.loads(paths.SYSTEM.read_text())["log_group_name"])
    except FileNotFoundError:
        raise LocalSystemError("nothing is deployed yet; run make up") from None
