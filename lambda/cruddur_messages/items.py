"""Messages and group rows, as typed values over DynamoDB's own attribute maps, and what all kinds of items share.

An item keeps every attribute that it was read with, so writing it back loses none that this code does not know.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from cruddur_messages import schema, timestamps

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    AttributeMap = Mapping[str, AttributeValueTypeDef]
else:
    AttributeMap = Mapping[str, Any]

Key = tuple[str, str]
"""Partition key and sort key, the identity of an item."""

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

MESSAGE = "message"
MESSAGE_UUID = "message_uuid"
USER_UUID = "user_uuid"
USER_DISPLAY_NAME = "user_display_name"
USER_HANDLE = "user_handle"

GROUP_MARK: "dict[str, AttributeValueTypeDef]" = {schema.IS_GROUP: {"BOOL": True}}

KEY_IS_FREE = f"attribute_not_exists({schema.PARTITION_KEY})"
"""A condition: no item has the key of the write."""

MAX_MESSAGE_CHARACTERS = 1024
"""The longest message that the app accepts."""

MAX_KEY_BYTES = {schema.PARTITION_KEY: 2048, schema.SORT_KEY: 1024}
"""DynamoDB's limits on the values of a key (Developer Guide, "Quotas")."""

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit on an item, names and values together (Developer Guide, "Quotas")."""


class MalformedItemError(ValueError):
    """An item does not have the shape of its kind; the text says which attribute and why, without its value."""


def text(attributes: AttributeMap, name: str) -> str:
    """The value of a string attribute.

    Raises MalformedItemError if the attribute is missing or has another type.
    """
    value = attributes.get(name)
    found = value.get("S") if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise MalformedItemError(f"{name} is missing or not a string")
    return found


def key_of(attributes: AttributeMap) -> Key:
    """The key of an item that was read."""
    return text(attributes, schema.PARTITION_KEY), text(attributes, schema.SORT_KEY)


def key_attributes(key: Key) -> "dict[str, AttributeValueTypeDef]":
    """The attributes that are an item's key."""
    return {schema.PARTITION_KEY: {"S": key[0]}, schema.SORT_KEY: {"S": key[1]}}


def can_be_key(key: AttributeMap) -> bool:
    """Whether DynamoDB takes a key: it refuses longer ones, also in a read."""
    return all(_value_size(key[name]) <= most for name, most in MAX_KEY_BYTES.items())


def text_or_empty(attributes: AttributeMap, name: str) -> str:
    """The value of a string attribute, or the empty string if it is missing or has another type."""
    try:
        return text(attributes, name)
    except MalformedItemError:
        return ""


@dataclass(frozen=True)
class User:
    """A person, as in the backend's `users` table."""

    uuid: str
    display_name: str
    handle: str

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> Self:
        """The person that a message or a group row names; what is missing or malformed is empty."""
        return cls(*(text_or_empty(attributes, name) for name in (USER_UUID, USER_DISPLAY_NAME, USER_HANDLE)))

    def to_attributes(self) -> "dict[str, AttributeValueTypeDef]":
        """The attributes by which a message names its sender, and a group row the other person."""
        return {
            USER_UUID: {"S": self.uuid},
            USER_DISPLAY_NAME: {"S": self.display_name},
            USER_HANDLE: {"S": self.handle},
        }


ERASED = User(schema.ERASED, schema.ERASED, schema.ERASED)
"""Whom a row names if there is nobody else to name."""


@dataclass(frozen=True)
class Message:
    """A message of a conversation: the partition `MSG#<message_group_uuid>`, sorted by when it was written.

    `edited_at` is empty if it was never edited.
    """

    message_group_uuid: str
    sort_key: str
    instant: datetime
    message_uuid: str
    message: str
    sender: User
    edited_at: str = ""

    @classmethod
    def new(cls, message_group_uuid: str, instant: datetime, message_uuid: str, message: str, sender: User) -> Self:
        """A message as this project writes it: its sort key is its time in the canonical form."""
        return cls(message_group_uuid, timestamps.canonical(instant), instant, message_uuid, message, sender)

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> Self:
        """Read an item of a `MSG#` partition.

        Raises MalformedItemError unless `sk` is a timestamp and `message` and `message_uuid` are strings.
        """
        sort_key = text(attributes, schema.SORT_KEY)
        instant = timestamps.parse(sort_key)
        if instant is None:
            raise MalformedItemError(f"{schema.SORT_KEY} is not an ISO 8601 timestamp")
        return cls(
            message_group_uuid=text(attributes, schema.PARTITION_KEY).removeprefix(schema.MESSAGE_PREFIX),
            sort_key=sort_key,
            instant=instant,
            message_uuid=text(attributes, MESSAGE_UUID),
            message=text(attributes, MESSAGE),
            sender=User.from_attributes(attributes),
            edited_at=text_or_empty(attributes, schema.EDITED_AT),
        )

    def to_attributes(self) -> "dict[str, AttributeValueTypeDef]":
        """The item as DynamoDB takes it."""
        return {
            **key_attributes((schema.message_partition(self.message_group_uuid), self.sort_key)),
            MESSAGE_UUID: {"S": self.message_uuid},
            MESSAGE: {"S": self.message},
            **self.sender.to_attributes(),
            **({schema.EDITED_AT: {"S": self.edited_at}} if self.edited_at else {}),
        }


@dataclass
class GroupRow:
    """A member's view of a conversation: the partition `GRP#<user_uuid of the member>`, sorted by last message.

    `sort_key` is the time of the last message, in whatever form it was written. `attributes` are never changed. Raises
    MalformedItemError if a key or `message_group_uuid` is missing or not a string.
    """

    attributes: AttributeMap

    def __post_init__(self) -> None:
        self.partition = text(self.attributes, schema.PARTITION_KEY)
        self.member_uuid = self.partition.removeprefix(schema.GROUP_ROW_PREFIX)
        self.sort_key = text(self.attributes, schema.SORT_KEY)
        self.key = self.partition, self.sort_key
        self.message_group_uuid = text(self.attributes, schema.INDEX_PARTITION_KEY)

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> Self:
        """Read an item of a `GRP#` partition.

        Raises MalformedItemError unless member, `sk` and `message_group_uuid` are strings, none empty.
        """
        row = cls(attributes)
        if not row.partition.startswith(schema.GROUP_ROW_PREFIX) or not row.member_uuid:
            raise MalformedItemError(f"{schema.PARTITION_KEY} names no member")
        for name, value in ((schema.SORT_KEY, row.sort_key), (schema.INDEX_PARTITION_KEY, row.message_group_uuid)):
            if not value:
                raise MalformedItemError(f"{name} is empty")
        return row

    @classmethod
    def new(
        cls, owner_uuid: str, message_group_uuid: str, sort_key: str, message: str, other: User, *, is_group: bool
    ) -> Self:
        """A row as a backend puts it: without a `message_uuid`, so that the projection settles it."""
        return cls(
            {
                **key_attributes((schema.group_row_partition(owner_uuid), sort_key)),
                schema.INDEX_PARTITION_KEY: {"S": message_group_uuid},
                MESSAGE: {"S": message},
                **other.to_attributes(),
                **(GROUP_MARK if is_group else {}),
            }
        )

    @property
    def is_group(self) -> bool:
        """Whether the row is marked as one of three or more members."""
        return GROUP_MARK.items() <= self.attributes.items()

    @property
    def other_uuid(self) -> str:
        """The user that the row names as the other person; empty if it names none."""
        return text_or_empty(self.attributes, USER_UUID)


def first_rows(first: Message, members: Sequence[User]) -> list[GroupRow]:
    """The rows of a new conversation, one per member: each shows the first message and names the first other member."""
    return [
        GroupRow.new(
            member.uuid,
            first.message_group_uuid,
            first.sort_key,
            first.message,
            next(user for user in members if user.uuid != member.uuid),
            is_group=len(members) > 2,
        )
        for member in members
    ]


def pair_item(user_uuid: str, other_uuid: str, message_group_uuid: str) -> "dict[str, AttributeValueTypeDef]":
    """The pair item of two people, in either order of the two (docs/decisions/0010)."""
    key = key_attributes((schema.pair_partition(user_uuid, other_uuid), schema.PAIR_SORT_KEY))
    return {**key, schema.PAIR_CONVERSATION: {"S": message_group_uuid}}


def group_rows(found: Iterable[AttributeMap], message_group_uuid: str) -> Iterator[GroupRow]:
    """The group rows of a conversation among items; others, and malformed ones, are skipped."""
    for attributes in found:
        with suppress(MalformedItemError):
            row = GroupRow.from_attributes(attributes)
            if row.message_group_uuid == message_group_uuid:
                yield row


def item_size(attributes: AttributeMap) -> int:
    """An upper bound of an item's size in bytes (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(_value_size(name) + _value_size(value) for name, value in attributes.items())


def _value_size(value: object) -> int:
    match value:
        case {"S": str(text)} | str(text):
            return len(text.encode(errors="surrogatepass"))
        case bytes() | bytearray():
            return len(value)
        case dict():
            return 3 + sum(_value_size(name) + 1 + _value_size(nested) for name, nested in value.items())
        case Iterable():
            return 3 + sum(1 + _value_size(nested) for nested in value)
        case _:
            return 1
