"""Shell completion of handles, conversations, tables and files.

It never fails and never waits for AWS: if a lookup fails, it offers nothing.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import typer
from typer import _completion_shared

from cruddur_cli import people, target
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.console import Output
from cruddur_cli.context import Context

MOST_OFFERED = 50

Offers = Callable[[typer.Context, str], list[str]]


def _of_this_machine(offers: Callable[[Context, typer.Context], Iterable[str]]) -> Offers:
    """Offer what starts with the typed text, unless the command acts on AWS."""

    @wraps(offers)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            if ctx.params.get("prod"):
                return []
            found = target.resolve(prod=False, table_name=ctx.params.get("table"))
            context = Context(target=found, output=Output(as_json=False), meter=CapacityMeter())
            return [offer for offer in offers(context, ctx) if offer.startswith(incomplete)][:MOST_OFFERED]
        except Exception:
            return []

    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str, "return": list[str]}
    del complete.__wrapped__
    return complete


def handles(incomplete: str) -> list[str]:
    """The users' handles, with an @ if the user typed one."""
    at = "@" if incomplete.startswith("@") else ""
    try:
        users_path = target.resolve(prod=False, table_name=None).system.get("users_file")
    except Exception:
        users_path = None
    try:
        users = people.people(users_path).all()
    except Exception:
        return []
    offered = (at + user.handle for user in users)
    return [handle for handle in offered if handle.lower().startswith(incomplete.lower())][:MOST_OFFERED]


@_of_this_machine
def conversations(context: Context, ctx: typer.Context) -> Iterable[str]:
    """The conversations in the inbox of the command, by the other person and by id."""
    reader = context.user(ctx.params.get("of") or ctx.params.get("sender"))
    lines = context.store.list_conversations(reader.uuid).items
    yield from dict.fromkeys(line.other.handle for line in lines if line.other.handle)
    yield from (line.message_group_uuid for line in lines)


@_of_this_machine
def tables(context: Context, _ctx: typer.Context) -> Iterable[str]:
    """The names of all tables."""
    return context.client.list_tables()["TableNames"]


def files(incomplete: str) -> list[str]:
    """Files and directories."""
    typed = Path(incomplete)
    directory = typed if incomplete.endswith("/") or not incomplete else typed.parent
    try:
        return [f"{path}/" if path.is_dir() else str(path) for path in sorted(directory.iterdir())]
    except OSError:
        return []


def nothing(incomplete: str) -> list[str]:  # noqa: ARG001
    """Nothing, for free text."""
    return []


def offer_no_files_in_bash() -> None:
    """Keep bash from offering files: typer's script falls back to them."""
    scripts: dict[str, Any] = _completion_shared._completion_scripts
    scripts["bash"] = scripts["bash"].replace("complete -o default -F", "complete -F")
