"""Commands that change what people have: edit, delete, leave, and mark as read."""

from typing import Annotated

import typer

from cruddur_cli.commands.arguments import Conversation, Of, Text, Yes, handle_option
from cruddur_cli.commands.conversations import TITLE
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.context import Context
from cruddur_cli.conversation_output import message_as_json
from cruddur_cli.errors import DdbError
from cruddur_messages.items import Message, User
from cruddur_messages.store import MAX_PAGE

Author = Annotated[str | None, handle_option("--from", "The author; by default the first user.")]
Which = Annotated[
    str | None,
    typer.Option(
        "--message", metavar="ID", help="The message's id or the start of it; by default the author's newest."
    ),
]

changes = CommandGroup(TITLE)


@changes.command("edit", example="edit bayko 'On my way!' --from andrewbrown")
def edit(
    context: Context, conversation: Conversation, message: Text, author: Author = None, which: Which = None
) -> None:
    """Replace the text of a message of one's own."""
    user = context.user(author)
    found = _find(context, conversation, user, which)
    context.require_table()
    context.output.note(f"{user.handle} edits the message of {found.sort_key} in {context.target}")
    edited = context.store.edit(
        found.message_group_uuid,
        found.sort_key,
        message_uuid=found.message_uuid,
        editor=user.uuid,
        message=message,
    )
    context.settle_where_no_lambda_does([found.message_group_uuid])
    context.output.result(message_as_json(edited), f"message {edited.message_uuid} is edited")


@changes.command("delete", example="delete bayko --from andrewbrown")
def delete(
    context: Context, conversation: Conversation, author: Author = None, which: Which = None, yes: Yes = False
) -> None:
    """Delete a message of one's own."""
    user = context.user(author)
    found = _find(context, conversation, user, which)
    context.require_table()
    context.output.note(f"{user.handle} deletes the message of {found.sort_key} in {context.target}: {found.message}")
    context.confirm(yes=yes)
    context.store.delete(found.message_group_uuid, found.sort_key, message_uuid=found.message_uuid, by=user.uuid)
    context.settle_where_no_lambda_does([found.message_group_uuid])
    context.output.result(message_as_json(found), f"message {found.message_uuid} is deleted")


@changes.command("leave", example="leave 2c8cfd87 --of mina")
def leave(context: Context, conversation: Conversation, of: Of = None) -> None:
    """Leave a group; add-member brings a person back."""
    user = context.user(of)
    group = context.conversations.resolve(conversation, user)
    context.require_table()
    context.output.note(f"{user.handle} leaves {group} in {context.target}")
    context.store.leave(group, user.uuid)
    _say(context, group, user, "left")


@changes.command("read", example="read bayko --of andrewbrown")
def read(context: Context, conversation: Conversation, of: Of = None) -> None:
    """Mark a conversation as read, up to its newest message."""
    user = context.user(of)
    group = context.conversations.resolve(conversation, user)
    newest = context.store.get_conversation(group, limit=1, reader_uuid=user.uuid).items
    if newest:
        context.store.mark_read(group, user.uuid, up_to=newest[0].sort_key)
    _say(context, group, user, "read")


def _find(context: Context, conversation: str, author: User, which: str | None) -> Message:
    group = context.conversations.resolve(conversation, author)
    context.require_table()
    messages = context.store.get_conversation(group, limit=MAX_PAGE).items
    own = [message for message in messages if message.sender.uuid == author.uuid]
    found = (
        own[-1:] if which is None else [message for message in own if message.message_uuid.startswith(which.lower())]
    )
    if len(found) != 1:
        named = "" if which is None else f" whose id starts with {which!r}"
        raise DdbError(
            f"{len(found) or 'none'} of the newest {MAX_PAGE} messages of {group} is by {author.handle}{named}: "
            "see bin/ddb get-conversation --json"
        )
    return found[0]


def _say(context: Context, group: str, user: User, what: str) -> None:
    document = {"message_group_uuid": group, "user_uuid": user.uuid, what: True}
    context.output.result(document, f"{user.handle} has {what} {group}")
