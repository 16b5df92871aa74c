"""One person's data: export it, bring a new name into it, erase it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated

import typer

from cruddur_cli import settlement, users
from cruddur_cli.commands.arguments import Yes, file_option, handle_argument
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.console import json_text, plain_value, summary
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance.scan import scan
from cruddur_cli.output_file import require_writable
from cruddur_messages.items import UUID, AttributeMap, User
from cruddur_messages.person import ATTRIBUTES, Erasure, Person, Traces
from cruddur_messages.person import export as export_person
from cruddur_messages.person import refresh as refresh_person
from cruddur_messages.person.passes import Track

TITLE = "One person's data"
HELP = "Export a person's data, bring their new name into the rows of others, or erase them."
OWNER_ONLY = 0o600

Handle = Annotated[str, handle_argument("The person's handle or uuid.")]
Scan = Annotated[
    bool, typer.Option("--scan", help="Also search the whole table: for an adopted one, whose rows may be incomplete.")
]

person = CommandGroup(TITLE)


@person.command("export", example="person export bayko --to bayko.json", takes=["units_per_second"])
def export(
    context: Context,
    handle: Handle,
    to: Annotated[Path | None, file_option("--to", "Write to a file.")] = None,
    scan_too: Scan = False,
) -> None:
    """Write everything that the table holds of a person, as one JSON document."""
    if to is not None:
        require_writable(to, option="--to")
    user = _user(context, handle)
    context.require_table()
    found = export_person(_person(context, user, scan_too=scan_too), track=_track(context, "export"))
    document = plain_value(found)
    if to is None:
        context.output.json_line(document)
        return
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "w", encoding="utf-8") as file:
        if to.is_file():
            # The mode above is for a new file only.
            os.fchmod(file.fileno(), OWNER_ONLY)
        file.write(json_text(document) + "\n")
    context.output.note(f"{len(document['conversations']):,} conversations of {_name(user)} are in {to}")


@person.command("refresh", example="person refresh bayko --prod", takes=["units_per_second"])
def refresh(context: Context, handle: Handle) -> None:
    """Write the name and handle that users has now into the rows of others. Messages keep the name of their time."""
    user = _user(context, handle)

    def current() -> User | None:
        # Anew: context.users has what it read before.
        return users.open_users(context.target.system.get("users_file")).by_uuid(user.uuid)

    if current() is None:
        raise DdbError(f"nobody in {context.users.name} has the uuid {user.uuid}, and the name comes from there")
    context.require_table()
    context.output.note(f"writing the name of {_name(user)} into {context.target}")
    done = refresh_person(_person(context, user), current, track=_track(context, "refresh"))
    _report(context, user, done)


@person.command("erase", example="person erase bayko --prod", takes=["units_per_second"])
def erase(context: Context, handle: Handle, yes: Yes = False, scan_too: Scan = False) -> None:
    """Erase a person: their messages, rows and marks, and their name in the rows of others. Asks for the handle.

    A new run continues an interrupted one, and ends the same. Disable the login first: docs/person.md.
    """
    user = _user(context, handle)
    context.require_table()

    def settle(message_group_uuid: str) -> str | None:
        failures = settlement.settle(context.client, context.target.table_name, [message_group_uuid])
        return failures.get(message_group_uuid)

    erasing = Erasure(person=_person(context, user, scan_too=scan_too), settle=settle, named=context.users.by_uuid)
    counts = erasing.preview(_track(context, "read"))
    context.output.note(f"erasing {_name(user)} from {context.target}: {summary(counts)}")
    context.confirm(yes=yes, what="the handle", name=user.handle or user.uuid)
    done = erasing.run(_track(context, "erase"))
    context.output.note("what the stream, backups, exports and logs still hold: docs/person.md")
    _report(context, user, done)


def _user(context: Context, name: str) -> User:
    """The user of a handle or a uuid; of a uuid also if nobody in users has it. Raises DdbError."""
    wanted = name.strip().removeprefix("@").lower()
    if UUID.fullmatch(wanted):
        return context.users.by_uuid(wanted) or User(wanted, "", "")
    try:
        return users.resolve(context.users, name)
    except DdbError as unknown:
        raise DdbError(f"{unknown}; a uuid also names somebody who is no user any more") from unknown


def _name(user: User) -> str:
    return f"{user.handle} ({user.uuid})" if user.handle else user.uuid


def _person(context: Context, user: User, *, scan_too: bool = False) -> Person:
    traces = Traces(user.uuid)
    if scan_too:
        lock = Lock()
        with context.output.progress("search", context.item_count()) as bar:

            def receive(items: Sequence[AttributeMap]) -> None:
                with lock:
                    traces.add(items)
                bar.advance(len(items))

            scan(context.client, context.target.table_name, receive, attributes=ATTRIBUTES)
    return Person(client=context.client, table_name=context.target.table_name, user_uuid=user.uuid, traces=traces)


def _track(context: Context, what: str) -> Track:
    def track(groups: Sequence[str]) -> Iterator[str]:
        with context.output.progress(what, len(groups)) as bar:
            for group in groups:
                yield group
                bar.advance(1)

    return track


def _report(context: Context, user: User, done: Mapping[str, int]) -> None:
    context.output.result({"user_uuid": user.uuid, **done}, f"{_name(user)}: {summary(done)}")
