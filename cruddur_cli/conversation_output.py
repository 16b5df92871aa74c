"""Conversations and messages as columns and rows for people, and as JSON for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from cruddur_cli.console import Column, Cut, Output
from cruddur_cli.conversation_names import beginnings
from cruddur_messages import timestamps
from cruddur_messages.items import Message
from cruddur_messages.store import Conversation, Page

MESSAGE_COLUMNS = (Column("from", Cut.ELLIPSIS), Column("message", Cut.WRAP, grows=True), Column("time (UTC)"))


def inbox_columns(output: Output, *, unread: bool = False) -> tuple[Column, ...]:
    """The columns of an inbox; a narrow output has no time."""
    when = () if output.is_narrow else (Column("last message (UTC)"),)
    count = (Column("unread"),) if unread else ()
    return Column("with", Cut.ELLIPSIS), *count, Column("message", Cut.ELLIPSIS, grows=True), *when, Column("id")


def inbox_rows(
    output: Output, page: Page[Conversation], names: Sequence[Sequence[str]], unread: Mapping[str, int] | None = None
) -> list[tuple[str, ...]]:
    """The rows of an inbox, with the names of the others; a terminal shows only the start of each id."""
    uuids = [line.message_group_uuid for line in page.items]
    shown = beginnings(uuids) if output.is_terminal else dict(zip(uuids, uuids, strict=True))
    return [
        (
            ", ".join(others) or line.other.handle,
            *(() if unread is None else (str(unread[line.message_group_uuid] or ""),)),
            line.message,
            *(() if output.is_narrow else (_time(output, line.last_message_at),)),
            shown[line.message_group_uuid],
        )
        for line, others in zip(page.items, names, strict=True)
    ]


def message_rows(output: Output, page: Page[Message]) -> list[tuple[str, ...]]:
    """The rows of a conversation."""
    return [
        (message.sender.handle, message.message, _time(output, message.sort_key, seconds=True))
        for message in page.items
    ]


def conversation_as_json(line: Conversation) -> dict[str, Any]:
    """A conversation as a line of an inbox."""
    return {
        "message_group_uuid": line.message_group_uuid,
        "last_message_at": line.last_message_at,
        "message": line.message,
        "user_uuid": line.other.uuid,
        "user_display_name": line.other.display_name,
        "user_handle": line.other.handle,
        "is_group": line.is_group,
    }


def message_as_json(message: Message) -> dict[str, Any]:
    """A message, with the time at which it was sent."""
    return {
        "message_group_uuid": message.message_group_uuid,
        "message_uuid": message.message_uuid,
        "created_at": message.sort_key,
        "message": message.message,
        "user_uuid": message.sender.uuid,
        "user_display_name": message.sender.display_name,
        "user_handle": message.sender.handle,
        **({"edited_at": message.edited_at} if message.edited_at else {}),
    }


def _time(output: Output, sort_key: str, *, seconds: bool = False) -> str:
    """A timestamp for people, in UTC; --json has the whole timestamp, as it was written."""
    instant = timestamps.parse(sort_key)
    whole = (timestamps.canonical(instant) if instant else sort_key)[: 19 if seconds else 16].replace("T", " ")
    return whole[5:16] if output.is_narrow else whole
