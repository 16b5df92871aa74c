"""Commands that use the table as the app does: access patterns A to D, and an inbox to watch."""

import time
from typing import Annotated, Any

import typer

from cruddur_cli import people
from cruddur_cli.errors import DdbError
from cruddur_cli.run import AsJson, Capacity, Prod, Run, TableName, run
from cruddur_cli.settling import settle
from cruddur_messages.items import Message, User
from cruddur_messages.store import (
    CONVERSATIONS_ON_A_PAGE,
    MAX_PAGE,
    MESSAGES_ON_A_PAGE,
    Conversation,
    Page,
)

Before = Annotated[
    str | None, typer.Option("--before", metavar="CURSOR", help="Go on where an earlier page has ended.")
]
Group = Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its message_group_uuid.", show_default=False)]
Sender = Annotated[
    str | None, typer.Option("--from", metavar="HANDLE", help="Who writes; the first user, if nobody is named.")
]

INBOX_COLUMNS = ("last message", "conversation", "with", "message")
CONVERSATION_COLUMNS = ("time", "from", "message")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command("list-conversations", epilog="Example: bin/ddb list-conversations andrewbrown")(list_conversations)
    app.command("get-conversation", epilog="Example: bin/ddb get-conversation --of andrewbrown --limit 10")(
        get_conversation
    )
    app.command(epilog="Example: bin/ddb send 2c8cfd87-e3c0-5ade-a324-c64f93c6000e 'On my way' --from bayko")(send)
    app.command(epilog="Example: bin/ddb start 'Lunch?' --from andrewbrown --to bayko --to mina")(start)
    app.command("add-member", epilog="Example: bin/ddb add-member 2c8cfd87-e3c0-5ade-a324-c64f93c6000e mina")(
        add_member
    )
    app.command(epilog="Example: bin/ddb watch andrewbrown")(watch)


def list_conversations(
    handle: Annotated[
        str | None, typer.Argument(metavar="[HANDLE]", help="Whose; the first user's, if nobody is named.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
    before: Before = None,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """List a person's conversations, newest first (pattern B)."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        user = _user(this, handle)
        page = this.store.list_conversations(user.uuid, limit=limit, before=before)
        if as_json:
            this.output.document({"conversations": [_line_of(line) for line in page.items], "cursor": page.cursor})
            return
        this.output.table(INBOX_COLUMNS, _inbox(page))
        _say_cursor(this, page.cursor)


def get_conversation(
    group: Annotated[
        str | None,
        typer.Argument(metavar="[CONVERSATION]", help="Its message_group_uuid; else the newest of --of's inbox."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="HANDLE", help="Whose newest conversation; the first user's.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = MESSAGES_ON_A_PAGE,
    before: Before = None,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Read a conversation: its newest messages, oldest of them first (pattern A)."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        if group is None:
            group = _newest_conversation(this, _user(this, of))
        page = this.store.get_conversation(group, limit=limit, before=before)
        if not page.items and before is None:
            raise DdbError(f"conversation {group} has no message in {this.target}: see bin/ddb list-conversations")
        if as_json:
            messages = [_message(message) for message in page.items]
            this.output.document({"message_group_uuid": group, "messages": messages, "cursor": page.cursor})
            return
        this.output.table(
            CONVERSATION_COLUMNS,
            [(_time(message.sort_key), message.user_handle, message.message) for message in page.items],
        )
        _say_cursor(this, page.cursor)


def send(
    group: Group,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", show_default=False)],
    sender: Sender = None,
    check_member: Annotated[bool, typer.Option(help="Refuse a sender who is not a member.")] = True,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Send a message into a conversation (pattern C)."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        user = _user(this, sender)
        this.announce_write("sending a message to")
        sent = this.store.send(group, sender=user, message=message, check_member=check_member)
        _settle_by_hand(this, group)
        if as_json:
            this.output.document(_message(sent))
        else:
            this.output.line(f"sent at {sent.sort_key} as {sent.message_uuid}")


def start(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", show_default=False)],
    others: Annotated[list[str], typer.Option("--to", metavar="HANDLE", help="Whom to; may be said again.")],
    sender: Sender = None,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Start a conversation (pattern D); two people who have one already go on with it."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        user = _user(this, sender)
        members = [user, *(_user(this, other) for other in others)]
        this.announce_write("starting a conversation in")
        started = this.store.start_conversation(members, sender=user, message=message)
        _settle_by_hand(this, started.message_group_uuid)
        if as_json:
            this.output.document({**_message(started.message), "is_new": started.is_new})
        elif started.is_new:
            this.output.line(f"conversation {started.message_group_uuid} has begun")
        else:
            this.output.line(f"they have conversation {started.message_group_uuid} already: the message is there")


def add_member(
    group: Group,
    handle: Annotated[str, typer.Argument(metavar="HANDLE", show_default=False)],
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Give somebody the conversation."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        user = _user(this, handle)
        this.announce_write("adding a member in")
        joined = this.store.add_member(group, user)
        _settle_by_hand(this, group)
        if as_json:
            this.output.document(_line_of(joined))
        else:
            this.output.line(f"{user.handle} is a member of {group}")


def watch(
    handle: Annotated[
        str | None, typer.Argument(metavar="[HANDLE]", help="Whose; the first user's, if nobody is named.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", min=0, help="End after so many seconds.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Watch a person's inbox as it changes; Ctrl-C ends it. With --json, one line per change."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        user = _user(this, handle)
        until = None if seconds is None else time.monotonic() + seconds
        shown: Page[Conversation] | None = None
        with this.output.live() as live:
            while True:
                this.output.require_reader()
                page = this.store.list_conversations(user.uuid, limit=limit)
                if page != shown and as_json:
                    this.output.json_line([_line_of(line) for line in page.items], flush=True)
                elif page != shown:
                    live(INBOX_COLUMNS, _inbox(page))
                shown = page
                if until is not None and time.monotonic() >= until:
                    return
                time.sleep(every)


def _user(this: Run, name: str | None) -> User:
    return people.first(this.people) if name is None else people.resolve(this.people, name)


def _newest_conversation(this: Run, user: User) -> str:
    newest = this.store.list_conversations(user.uuid, limit=1).items
    if not newest:
        raise DdbError(f"{user.handle} has no conversation in {this.target}: name one, or run bin/ddb seed")
    return newest[0].message_group_uuid


def _settle_by_hand(this: Run, group: str) -> None:
    if not this.target.has_projection:
        settle(this, [group])


def _say_cursor(this: Run, cursor: str | None) -> None:
    if cursor is not None:
        this.output.note(f"older ones: --before {cursor}")


def _inbox(page: Page[Conversation]) -> list[tuple[str, str, str, str]]:
    return [(_time(line.last_message_at), line.message_group_uuid, _with(line), line.message) for line in page.items]


def _time(sort_key: str) -> str:
    """A timestamp as people read it; --json has the whole."""
    return sort_key[:19].replace("T", " ")


def _with(line: Conversation) -> str:
    return line.other.handle


def _line_of(line: Conversation) -> dict[str, Any]:
    return {
        "message_group_uuid": line.message_group_uuid,
        "last_message_at": line.last_message_at,
        "message": line.message,
        "user_uuid": line.other.uuid,
        "user_display_name": line.other.display_name,
        "user_handle": line.other.handle,
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "message_group_uuid": message.message_group_uuid,
        "message_uuid": message.message_uuid,
        "created_at": message.sort_key,
        "message": message.message,
        "user_uuid": message.user_uuid,
        "user_display_name": message.user_display_name,
        "user_handle": message.user_handle,
    }
