"""Commands that use the table as the app does: access patterns A to D, and an inbox to watch."""

import time
from typing import Annotated, Any

import typer

from cruddur_cli import people
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError
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


conversations = CommandGroup("Conversations")


@conversations.command("list-conversations", example="list-conversations andrewbrown")
def list_conversations(
    context: Context,
    handle: Annotated[
        str | None, typer.Argument(metavar="[HANDLE]", help="Whose; the first user's, if nobody is named.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
    before: Before = None,
) -> None:
    """List a person's conversations, newest first (pattern B)."""
    user = _user(context, handle)
    page = context.store.list_conversations(user.uuid, limit=limit, before=before)
    if context.output.as_json:
        context.output.document({"conversations": [_line_of(line) for line in page.items], "cursor": page.cursor})
        return
    context.output.table(INBOX_COLUMNS, _inbox(page))
    _say_cursor(context, page.cursor)


@conversations.command("get-conversation", example="get-conversation --of andrewbrown --limit 10")
def get_conversation(
    context: Context,
    group: Annotated[
        str | None,
        typer.Argument(metavar="[CONVERSATION]", help="Its message_group_uuid; else the newest of --of's inbox."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="HANDLE", help="Whose newest conversation; the first user's.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = MESSAGES_ON_A_PAGE,
    before: Before = None,
) -> None:
    """Read a conversation: its newest messages, oldest of them first (pattern A)."""
    if group is None:
        group = _newest_conversation(context, _user(context, of))
    page = context.store.get_conversation(group, limit=limit, before=before)
    if not page.items and before is None:
        raise DdbError(f"conversation {group} has no message in {context.target}: see bin/ddb list-conversations")
    if context.output.as_json:
        messages = [_message(message) for message in page.items]
        context.output.document({"message_group_uuid": group, "messages": messages, "cursor": page.cursor})
        return
    context.output.table(
        CONVERSATION_COLUMNS,
        [(_time(message.sort_key), message.user_handle, message.message) for message in page.items],
    )
    _say_cursor(context, page.cursor)


@conversations.command("send", example="send 2c8cfd87-e3c0-5ade-a324-c64f93c6000e 'On my way' --from bayko")
def send(
    context: Context,
    group: Group,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", show_default=False)],
    sender: Sender = None,
    check_member: Annotated[bool, typer.Option(help="Refuse a sender who is not a member.")] = True,
) -> None:
    """Send a message into a conversation (pattern C)."""
    user = _user(context, sender)
    context.announce_write("sending a message to")
    sent = context.store.send(group, sender=user, message=message, check_member=check_member)
    context.settle_where_no_lambda_does([group])
    if context.output.as_json:
        context.output.document(_message(sent))
    else:
        context.output.line(f"sent at {sent.sort_key} as {sent.message_uuid}")


@conversations.command("start", example="start 'Lunch?' --from andrewbrown --to bayko --to mina")
def start(
    context: Context,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", show_default=False)],
    others: Annotated[list[str], typer.Option("--to", metavar="HANDLE", help="Whom to; may be said again.")],
    sender: Sender = None,
) -> None:
    """Start a conversation (pattern D); two people who have one already go on with it."""
    user = _user(context, sender)
    members = [user, *(_user(context, other) for other in others)]
    context.announce_write("starting a conversation in")
    started = context.store.start_conversation(members, sender=user, message=message)
    context.settle_where_no_lambda_does([started.message_group_uuid])
    if context.output.as_json:
        context.output.document({**_message(started.message), "is_new": started.is_new})
    elif started.is_new:
        context.output.line(f"conversation {started.message_group_uuid} has begun")
    else:
        context.output.line(f"they have conversation {started.message_group_uuid} already: the message is there")


@conversations.command("add-member", example="add-member 2c8cfd87-e3c0-5ade-a324-c64f93c6000e mina")
def add_member(
    context: Context,
    group: Group,
    handle: Annotated[str, typer.Argument(metavar="HANDLE", show_default=False)],
) -> None:
    """Give somebody the conversation."""
    user = _user(context, handle)
    context.announce_write("adding a member in")
    joined = context.store.add_member(group, user)
    context.settle_where_no_lambda_does([group])
    if context.output.as_json:
        context.output.document(_line_of(joined))
    else:
        context.output.line(f"{user.handle} is a member of {group}")


@conversations.command("watch", example="watch andrewbrown")
def watch(
    context: Context,
    handle: Annotated[
        str | None, typer.Argument(metavar="[HANDLE]", help="Whose; the first user's, if nobody is named.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", min=0, help="End after so many seconds.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
) -> None:
    """Watch a person's inbox as it changes; Ctrl-C ends it. With --json, one line per change."""
    user = _user(context, handle)
    until = None if seconds is None else time.monotonic() + seconds
    shown: Page[Conversation] | None = None
    with context.output.live() as live:
        while True:
            context.output.require_reader()
            page = context.store.list_conversations(user.uuid, limit=limit)
            if page != shown and context.output.as_json:
                context.output.json_line([_line_of(line) for line in page.items], flush=True)
            elif page != shown:
                live(INBOX_COLUMNS, _inbox(page))
            shown = page
            if until is not None and time.monotonic() >= until:
                return
            time.sleep(every)


def _user(context: Context, name: str | None) -> User:
    return people.first(context.people) if name is None else people.resolve(context.people, name)


def _newest_conversation(context: Context, user: User) -> str:
    newest = context.store.list_conversations(user.uuid, limit=1).items
    if not newest:
        raise DdbError(f"{user.handle} has no conversation in {context.target}: name one, or run bin/ddb seed")
    return newest[0].message_group_uuid


def _say_cursor(context: Context, cursor: str | None) -> None:
    if cursor is not None:
        context.output.note(f"older ones: --before {cursor}")


def _inbox(page: Page[Conversation]) -> list[tuple[str, str, str, str]]:
    return [(_time(line.last_message_at), line.message_group_uuid, _with(line), line.message) for line in page.items]


def _time(sort_key: str) -> str:
    """A timestamp as people read it; --json has the whole."""
    return sort_key[:19].replace("T", " ")


def _with(line: Conversation) -> str:
    others = (line.member_count or 2) - 2
    return f"{line.other.handle} and {others} more" if others > 0 else line.other.handle


def _line_of(line: Conversation) -> dict[str, Any]:
    return {
        "message_group_uuid": line.message_group_uuid,
        "last_message_at": line.last_message_at,
        "message": line.message,
        "user_uuid": line.other.uuid,
        "user_display_name": line.other.display_name,
        "user_handle": line.other.handle,
        "member_count": line.member_count,
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
