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
    printed: set[str] = set()
    while True:
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=log_group_name):
            for event in page["events"]:
                if event["eventId"] not in printed:
                    printed.add(event["eventId"])
                    console.print(event["message"].rstrip(), highlight=False, markup=False, soft_wrap=True)
        if not follow:
            return
        time.sleep(PAUSE_SECONDS)


def _log_group_name() -> str:
    try:
        return str(json.loads(paths.SYSTEM.read_text())["log_group_name"])
    except FileNotFoundError:
        raise LocalSystemError("nothing is deployed yet; run make up") from None
