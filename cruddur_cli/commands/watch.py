"""The command `watch`, which shows an inbox as it changes."""

import math
import time
from typing import Annotated

import typer

from cruddur_cli.commands.arguments import Handle
from cruddur_cli.commands.conversations import TITLE
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.console import Column
from cruddur_cli.context import Context
from cruddur_cli.conversation_output import conversation_as_json, inbox_columns, inbox_rows
from cruddur_messages.store import CONVERSATIONS_ON_A_PAGE, MAX_PAGE, Conversation, Page

SECONDS_WITHOUT_READER = 0.5

watching = CommandGroup(TITLE)


@watching.command("watch", example="watch andrewbrown")
def watch(
    context: Context,
    handle: Handle = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two reads.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", min=0, help="End after this many seconds.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
) -> None:
    """Watch a person's inbox as it changes; Ctrl-C ends it. With --json, one line per change.

    What a change has added is marked with a *.
    """
    user = context.user(handle)
    context.require_table()
    until = math.inf if seconds is None else time.monotonic() + seconds
    shown: Page[Conversation] | None = None
    page = context.store.list_conversations(user.uuid, limit=limit)
    context.output.note(f"{user.handle}'s inbox in {context.target}; Ctrl-C ends it")
    with context.output.live() as draw:
        while True:
            if page != shown and context.output.as_json:
                context.output.json_line([conversation_as_json(line) for line in page.items], flush=True)
            elif page != shown:
                known = page.items if shown is None else shown.items
                marks = ["" if line in known else "*" for line in page.items]
                lines = inbox_rows(context.output, page, context.names(user, page))
                rows = [(mark, *line) for mark, line in zip(marks, lines, strict=True)]
                draw((Column(""), *inbox_columns(context.output)), rows)
            shown = page
            _sleep_while_read(context, min(until, time.monotonic() + every))
            if time.monotonic() >= until:
                return
            page = context.store.list_conversations(user.uuid, limit=limit)


def _sleep_while_read(context: Context, until: float) -> None:
    """Wait. Raises BrokenPipeError soon after the reader of the output is gone."""
    while (left := until - time.monotonic()) > 0:
        context.output.require_reader()
        time.sleep(min(left, SECONDS_WITHOUT_READER))
