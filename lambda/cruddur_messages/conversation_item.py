"""The conversation item: the version on which the projection locks a conversation, and where its rows are."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cruddur_messages import schema
from cruddur_messages.items import AttributeMap, Key, Message, key_attributes, text_or_empty

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateTypeDef

VERSION = "version"
ROWS = "rows"
SHOWN = "shown"

NO_MESSAGE = "none"
"""The fingerprint of a conversation without a message."""


@dataclass(frozen=True)
class ConversationItem:
    """What the projection stores about a conversation.

    `version` is an attribute value, None if there is no item; each write is conditioned on the one that was read.
    `rows` gives the sort key of each member's group row. `shown` is the fingerprint of the message that all of these
    rows show; None while a settlement is unfinished.
    """

    version: Mapping[str, Any] | None
    rows: Mapping[str, str]
    shown: str | None

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> "ConversationItem":
        """Read an item, or `{}` if there is none. A malformed item counts as an unfinished settlement."""
        rows: dict[str, str] = {}
        is_whole = True
        for sort_key, members in sorted(_map(attributes.get(ROWS)).items()):
            if isinstance(members, Mapping) and isinstance(uuids := members.get("SS"), list | set | tuple):
                rows |= dict.fromkeys(uuids, sort_key)
            else:
                is_whole = False
        is_whole = is_whole and isinstance(attributes.get(ROWS, {}).get("M"), Mapping)
        shown = text_or_empty(attributes, SHOWN) if is_whole else ""
        return cls(attributes.get(VERSION), rows, shown or None)

    @property
    def keys(self) -> set[Key]:
        """The keys of the rows."""
        return {(schema.group_row_partition(member), sort_key) for member, sort_key in self.rows.items()}


def fingerprint(newest: Message | None) -> str:
    """A short value that differs for messages of another key, uuid or text."""
    if newest is None:
        return NO_MESSAGE
    shown = json.dumps([newest.sort_key, newest.message_uuid, newest.message])
    return hashlib.sha256(shown.encode()).hexdigest()[:32]


def key(message_group_uuid: str) -> "dict[str, AttributeValueTypeDef]":
    """The key of a conversation's item, as DynamoDB takes it."""
    return key_attributes((schema.conversation_partition(message_group_uuid), schema.CONVERSATION_SORT_KEY))


def update(
    table_name: str, message_group_uuid: str, *, read: Mapping[str, Any] | None, then: ConversationItem
) -> "UpdateTypeDef":
    """An update that makes the item `then`, conditioned on the version read; None: there was no item."""
    values: dict[str, Any] = {":version": then.version, ":rows": {"M": _by_sort_key(then.rows)}}
    shown = " REMOVE #shown"
    if then.shown is not None:
        shown = ", #shown = :shown"
        values[":shown"] = {"S": then.shown}
    condition = "attribute_not_exists(#version)"
    if read is not None:
        condition = "#version = :read"
        values[":read"] = read
    return {
        "TableName": table_name,
        "Key": key(message_group_uuid),
        "UpdateExpression": f"SET #version = :version, #rows = :rows{shown}",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#version": VERSION, "#rows": ROWS, "#shown": SHOWN},
        "ExpressionAttributeValues": values,
    }


def _by_sort_key(rows: Mapping[str, str]) -> dict[str, Any]:
    """The rows as the item holds them: members by sort key, because nearly all share one."""
    members: dict[str, list[str]] = {}
    for member, sort_key in sorted(rows.items()):
        members.setdefault(sort_key, []).append(member)
    return {sort_key: {"SS": uuids} for sort_key, uuids in members.items()}


def _map(value: object) -> Mapping[str, Any]:
    inner = value.get("M") if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}
