"""Conversations for the benchmarks, as items of the table. All ids and times follow from a number."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cruddur_messages import conversation_item, timestamps
from cruddur_messages.conversation_item import ROWS, SHOWN, VERSION, ConversationItem
from cruddur_messages.items import MESSAGE_UUID, AttributeMap, Message, User
from cruddur_messages.seed.file import SeedConversation

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = "cruddur-messages"
TEXT = "A message of the length that people write to each other, give or take a word or two."


def conversation(number: int, *, messages: int, members: int = 2) -> SeedConversation:
    """Conversation `number`; no message has the time of another conversation's."""
    people = [User(str(uuid.UUID(int=2**100 + 1000 * number + who)), "Ann Example", "ann") for who in range(members)]
    return SeedConversation(
        message_group_uuid=str(uuid.UUID(int=number)),
        members=tuple(people),
        messages=tuple(
            Message(
                message_group_uuid=str(uuid.UUID(int=number)),
                sort_key=timestamps.canonical(instant := START + timedelta(minutes=line, microseconds=number)),
                instant=instant,
                message_uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}/{line}")),
                message=f"{line}: {TEXT}",
                sender=people[line % members],
            )
            for line in range(messages)
        ),
    )


def settled(whole: SeedConversation) -> Iterator[AttributeMap]:
    """The items of a conversation as the projection leaves them: messages, group rows, the conversation item."""
    newest = whole.messages[-1]
    for message in whole.messages:
        yield message.to_attributes()
    for row in replace(whole, messages=(newest,)).group_rows:
        yield {**row.attributes, MESSAGE_UUID: {"S": newest.message_uuid}}
    shows_newest = ConversationItem(
        version={"S": newest.message_uuid},
        rows={member.uuid: newest.sort_key for member in whole.members},
        shown=conversation_item.fingerprint(newest),
    )
    written: Any = conversation_item.update(TABLE, whole.message_group_uuid, read=None, then=shows_newest)
    values = written["ExpressionAttributeValues"]
    yield {**written["Key"], VERSION: values[":version"], ROWS: values[":rows"], SHOWN: values[":shown"]}
