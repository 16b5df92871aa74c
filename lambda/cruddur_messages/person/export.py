"""Everything that the table holds of a person, as JSON has it."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from cruddur_messages import schema
from cruddur_messages.items import AttributeMap
from cruddur_messages.person.passes import Track
from cruddur_messages.person.traces import Person

_deserialize = TypeDeserializer().deserialize


def export(person: Person, *, track: Track = iter) -> Mapping[str, Any]:
    """A person's conversations, also those left: inbox rows, own messages, and what they did with each.

    Items have the attributes of the table, without the partition key; numbers are Decimal, binary data is boto3's
    Binary. Of others there is only what the person's own inbox shows.
    """
    inbox, member_items = person.inbox(), person.member_items()
    conversations = [
        {
            schema.INDEX_PARTITION_KEY: group,
            "inbox": [_plain(row) for row in inbox.get(group, [])],
            "member": _plain(member_items.get(group, {})),
            "messages": [_plain(message) for message in person.messages(group)],
        }
        for group in track(sorted({*inbox, *member_items, *person.traces.conversations} - {""}))
    ]
    return {
        "user_uuid": person.user_uuid,
        "conversations": conversations,
        "other_rows": [*map(_plain, inbox.get("", []))],
    }


def _plain(item: AttributeMap) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items() if name != schema.PARTITION_KEY}
