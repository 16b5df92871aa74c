"""A demonstration of the running system: an inbox, a message, and the same inbox afterwards."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from cruddur_local import paths
from cruddur_local.errors import LocalSystemError
from cruddur_local.waiting import HANG_SECONDS, wait_until
from cruddur_messages import timestamps
from cruddur_messages.items import User
from cruddur_messages.seed.file import SeedConversation
from cruddur_messages.store import Conversation, MessageStore

MESSAGE = "Sent by make up: this conversation is on top now."


def await_projection(store: MessageStore, conversations: Sequence[SeedConversation], *, console: Console) -> None:
    """Wait until every member's inbox shows the newest message of each conversation. Raises LocalSystemError."""
    members = [(conversation, member) for conversation in conversations for member in conversation.members]
    with console.status("The projection settles the seed"):
        _wait(
            lambda: all(_shows(store, conversation, member) for conversation, member in members),
            "the projection did not update every inbox",
        )


def show(store: MessageStore, conversations: Sequence[SeedConversation], *, console: Console) -> None:
    """Print the inbox of the person with the most conversations, send a message to them, and print it again."""
    reader = _busiest(conversations)
    before = store.list_conversations(reader.uuid).items
    others = {
        one.message_group_uuid: ", ".join(member.display_name for member in one.members if member != reader)
        for one in conversations
    }
    _print_inbox(f"{reader.display_name}'s inbox", before, others, console)

    own = {conversation.message_group_uuid: conversation for conversation in conversations}
    last = next(row for row in reversed(before) if row.message_group_uuid in own)
    sender = next(member for member in own[last.message_group_uuid].members if member != reader)
    sent = store.send(last.message_group_uuid, sender=sender, message=MESSAGE)
    console.print(
        f"\n{sender.display_name} sends a message to the last one: {sent.message}\n", highlight=False, soft_wrap=True
    )

    def is_on_top() -> bool:
        top = store.list_conversations(reader.uuid, limit=1).items[0]
        return top.message_group_uuid == last.message_group_uuid and top.last_message_at >= sent.sort_key

    _wait(is_on_top, "the message did not reach the inbox")
    after = store.list_conversations(reader.uuid).items
    _print_inbox(f"{reader.display_name}'s inbox, a moment later", after, others, console)


def _busiest(conversations: Sequence[SeedConversation]) -> User:
    members = [member for conversation in conversations for member in conversation.members]
    return max(members, key=members.count)


def _shows(store: MessageStore, conversation: SeedConversation, member: User) -> bool:
    newest = store.get_conversation(conversation.message_group_uuid, limit=1).items
    rows = store.list_conversations(member.uuid, limit=1000).items
    return bool(newest) and any(
        row.message_group_uuid == conversation.message_group_uuid
        and row.message == newest[0].message
        and row.last_message_at >= timestamps.canonical(newest[0].instant)
        for row in rows
    )


def _wait(is_reached: Callable[[], bool], complaint: str) -> None:
    if not wait_until(is_reached):
        raise LocalSystemError(f"{complaint} within {HANG_SECONDS:.0f} seconds; see {paths.EMULATOR_LOG}")


def _print_inbox(title: str, rows: Sequence[Conversation], others: Mapping[str, str], console: Console) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("last message (UTC)", no_wrap=True, min_width=16)
    table.add_column("with", no_wrap=True, min_width=16)
    table.add_column("", no_wrap=True, ratio=1)
    for row in rows:
        others_or_one = others.get(row.message_group_uuid, row.other.display_name)
        table.add_row(row.last_message_at[:16].replace("T", " "), others_or_one, row.message)
    console.print(table)
