"""Commands that use the table as the app does: access patterns A to D."""

from typing import Annotated

import typer

from cruddur_cli.commands.arguments import (
    CONVERSATION,
    MESSAGE,
    Before,
    Conversation,
    Handle,
    Of,
    Sender,
    Text,
    conversation_argument,
    handle_argument,
    handle_option,
)
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.context import Context
from cruddur_cli.conversation_output import (
    MESSAGE_COLUMNS,
    conversation_as_json,
    inbox_columns,
    inbox_rows,
    message_as_json,
    message_rows,
)
from cruddur_cli.errors import DdbError, WrongUseError
from cruddur_messages import timestamps
from cruddur_messages.items import User
from cruddur_messages.store import CONVERSATIONS_ON_A_PAGE, MAX_PAGE, MESSAGES_ON_A_PAGE
from cruddur_messages.store.errors import NotAMemberError

TITLE = "Conversations"

conversations = CommandGroup(TITLE)


@conversations.command("list-conversations", example="list-conversations andrewbrown")
def list_conversations(
    context: Context,
    handle: Handle = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = CONVERSATIONS_ON_A_PAGE,
    before: Before = None,
) -> None:
    """List a person's conversations, newest first, with what is unread (pattern B)."""
    user = context.user(handle)
    _check_cursor(before)
    page = context.store.list_conversations(user.uuid, limit=limit, before=before)
    names, unread = context.names(user, page), context.store.unread(user.uuid, page.items)
    if context.output.as_json:
        lines = [
            {
                **conversation_as_json(line),
                "members": [user.handle, *others],
                "unread": unread[line.message_group_uuid],
            }
            for line, others in zip(page.items, names, strict=True)
        ]
        context.output.document({"conversations": lines, "cursor": page.cursor})
    elif page.items:
        context.output.table(
            inbox_columns(context.output, unread=True), inbox_rows(context.output, page, names, unread)
        )
        _say_cursor(context, page.cursor)
    elif before is not None:
        context.output.note(f"{user.handle} has no older conversation")
    else:
        context.require_table()
        context.output.note(
            f"{user.handle} has no conversation in {context.target}: "
            "bin/ddb start starts one, bin/ddb seed loads the project's"
        )


@conversations.command("get-conversation", example="get-conversation bayko --of andrewbrown --limit 10")
def get_conversation(
    context: Context,
    conversation: Annotated[
        str | None, conversation_argument("CONVERSATION", f"{CONVERSATION} By default the newest.")
    ] = None,
    of: Of = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = MESSAGES_ON_A_PAGE,
    before: Before = None,
) -> None:
    """Read a conversation: its newest messages, oldest of them first (pattern A)."""
    reader = context.user(of)
    _check_cursor(before)
    group = (
        _newest_conversation(context, reader)
        if conversation is None
        else context.conversations.resolve(conversation, reader)
    )
    # Membership is checked only for a person who is named: an operator may read any conversation.
    page = context.store.get_conversation(group, limit=limit, before=before, reader_uuid=reader.uuid if of else None)
    if not page.items and before is None:
        context.require_table()
        raise DdbError(f"conversation {group} has no message in {context.target}: see bin/ddb list-conversations")
    if context.output.as_json:
        messages = [message_as_json(message) for message in page.items]
        context.output.document({"message_group_uuid": group, "messages": messages, "cursor": page.cursor})
        return
    if page.items:
        context.output.table(MESSAGE_COLUMNS, message_rows(context.output, page))
    else:
        context.output.note("there is no older message")
    _say_cursor(context, page.cursor)


@conversations.command("send", example="send bayko 'On my way' --from andrewbrown")
def send(
    context: Context,
    words: Annotated[
        list[str], conversation_argument(f"[CONVERSATION] {MESSAGE}", f"{CONVERSATION} Leave it out with --to.")
    ],
    to: Annotated[
        str | None, handle_option("--to", "The recipient: the message goes to the conversation of the two.")
    ] = None,
    sender: Sender = None,
    check_member: Annotated[
        bool, typer.Option("--check-member/--no-check-member", help="Refuse a sender who is not a member.")
    ] = True,
) -> None:
    """Send a message to a conversation (pattern C)."""
    user = context.named_user(sender)
    if to is not None:
        if len(words) != 1:
            raise WrongUseError("with --to, give only the message; more than one word needs quotation marks")
        group = context.conversations.between(user, context.user(to))
    elif len(words) == 1:
        raise WrongUseError("no conversation is named: name one before the message, or a person with --to HANDLE")
    elif len(words) > 2:
        raise WrongUseError(f"{len(words)} words are too many: put the message in quotation marks")
    else:
        group = context.conversations.resolve(words[0], user)
    context.require_table()
    (others,) = context.conversations.others(user.uuid, [group])
    context.output.note(f"{user.handle} writes to {', '.join(others) or group} in {context.target}")
    sent = context.store.send(group, sender=user, message=words[-1], check_member=check_member)
    context.settle_where_no_lambda_does([group])
    context.output.result(message_as_json(sent), f"sent at {sent.sort_key} as {sent.message_uuid}")


@conversations.command("start", example="start 'Lunch?' --from andrewbrown --to bayko --to mina")
def start(
    context: Context,
    message: Text,
    others: Annotated[list[str], handle_option("--to", "A recipient; may be repeated.")],
    sender: Sender = None,
) -> None:
    """Start a conversation (pattern D); two people who already have one continue it."""
    user = context.named_user(sender)
    members = [user, *(context.named_user(other) for other in others)]
    context.require_table()
    context.output.note(f"{user.handle} writes to {', '.join(one.handle for one in members[1:])} in {context.target}")
    started = context.store.start_conversation(members, sender=user, message=message)
    context.settle_where_no_lambda_does([started.message_group_uuid])
    context.output.result(
        {**message_as_json(started.message), "is_new": started.is_new},
        f"conversation {started.message_group_uuid} is started"
        if started.is_new
        else f"they already have conversation {started.message_group_uuid}: the message is there",
    )


@conversations.command("add-member", example="add-member 2c8cfd87 mina --of andrewbrown")
def add_member(
    context: Context,
    conversation: Conversation,
    handle: Annotated[str, handle_argument(None)],
    of: Of = None,
) -> None:
    """Add a person to a conversation."""
    user = context.named_user(handle)
    group = context.conversations.resolve(conversation, context.user(of))
    is_new = not _is_member(context, group, user)
    if is_new:
        context.require_table()
        context.output.note(f"adding {user.handle} to {group} in {context.target}")
    joined = context.store.add_member(group, user)
    if is_new:
        context.settle_where_no_lambda_does([group])
    context.output.result(
        {**conversation_as_json(joined), "is_new": is_new},
        f"{user.handle} is a member of {group}"
        if is_new
        else f"{user.handle} is already a member of {group}: nothing has changed",
    )


def _check_cursor(before: str | None) -> None:
    """Raise DdbError unless a cursor can be the sort key of an item."""
    if before is not None and timestamps.parse(before) is None:
        raise DdbError(f"{before[:80]!r} is not a cursor from a page: start again without --before")


def _newest_conversation(context: Context, user: User) -> str:
    newest = context.store.list_conversations(user.uuid, limit=1).items
    if not newest:
        context.require_table()
        raise DdbError(f"{user.handle} has no conversation in {context.target}: name one, or run bin/ddb seed")
    return newest[0].message_group_uuid


def _is_member(context: Context, group: str, user: User) -> bool:
    try:
        context.store.require_member(group, user.uuid)
    except NotAMemberError:
        return False
    return True


def _say_cursor(context: Context, cursor: str | None) -> None:
    if cursor is not None:
        context.output.note(f"older ones: --before {cursor}")
