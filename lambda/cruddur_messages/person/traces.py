"""What the table holds of one person, by consistent reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cruddur_messages import conversation_item, schema
from cruddur_messages.conversation_item import ROWS, ConversationItem
from cruddur_messages.dynamodb import READINGS, get_item, get_items, partition_query, query_items, rows_in_index
from cruddur_messages.items import USER_UUID, AttributeMap, GroupRow, group_rows, key_attributes, text_or_empty

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTRIBUTES = (
    schema.PARTITION_KEY,
    schema.SORT_KEY,
    schema.INDEX_PARTITION_KEY,
    schema.PAIR_CONVERSATION,
    USER_UUID,
    ROWS,
)
"""The attributes that `Traces` reads."""


@dataclass
class Traces:
    """Where items of a scan name a person: their conversations, and the others of their pair items."""

    user_uuid: str
    conversations: set[str] = field(default_factory=set)
    partners: set[str] = field(default_factory=set)

    def add(self, items: Iterable[AttributeMap]) -> None:
        """Note those of the items that name the person."""
        for item in items:
            kind, _, rest = text_or_empty(item, schema.PARTITION_KEY).partition("#")
            named = {
                rest,
                *rest.split("#"),
                text_or_empty(item, USER_UUID),
                *ConversationItem.from_attributes(item).rows,
            }
            if self.user_uuid not in named:
                continue
            match f"{kind}#":
                case schema.MESSAGE_PREFIX | schema.CONVERSATION_PREFIX:
                    self.conversations.add(rest)
                case schema.GROUP_ROW_PREFIX:
                    self.conversations.add(text_or_empty(item, schema.INDEX_PARTITION_KEY))
                case schema.PAIR_PREFIX:
                    self.partners |= {*rest.split("#")} - {self.user_uuid}


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person as the table knows them.

    `traces` are those of a scan, for an adopted table: there, neither a row nor a member item may lead to all of a
    person's messages. Raises what the client raises.
    """

    client: "DynamoDBClient"
    table_name: str
    user_uuid: str
    traces: Traces = field(default_factory=lambda: Traces(""))

    def inbox(self) -> Mapping[str, list[AttributeMap]]:
        """Their group rows by conversation; those that name none are under the empty text."""
        found: dict[str, list[AttributeMap]] = {}
        for _ in range(READINGS):
            reading: dict[str, list[AttributeMap]] = {}
            for item in self._partition(schema.group_row_partition(self.user_uuid)):
                reading.setdefault(text_or_empty(item, schema.INDEX_PARTITION_KEY), []).append(item)
            found |= reading
        return found

    def member_items(self) -> Mapping[str, AttributeMap]:
        """What they did with conversations, by conversation."""
        items = self._partition(schema.member_partition(self.user_uuid))
        return {item[schema.SORT_KEY]["S"]: item for item in items}

    def conversations(self) -> list[str]:
        """The conversations that they are in, have left, or are known to be in."""
        return sorted({*self.inbox(), *self.member_items(), *self.traces.conversations} - {""})

    def rows(self, message_group_uuid: str) -> list[GroupRow]:
        """Everybody's rows of a conversation: where its item has them, and where the index shows some."""
        read = get_item(self.client, self.table_name, conversation_item.key(message_group_uuid))
        in_index = rows_in_index(self.client.query, self.table_name, message_group_uuid)
        keys = ConversationItem.from_attributes(read).keys | {row.key for row in in_index}
        found = get_items(self.client.batch_get_item, self.table_name, map(key_attributes, sorted(keys)))
        return list(group_rows(found, message_group_uuid))

    def rows_naming_them(self, message_group_uuid: str) -> list[GroupRow]:
        """The rows of others that name them."""
        rows = self.rows(message_group_uuid)
        return [row for row in rows if self.user_uuid == row.other_uuid != row.member_uuid]

    def messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """Their messages of a conversation, oldest first."""
        return self._partition(schema.message_partition(message_group_uuid), equal=(USER_UUID, self.user_uuid))

    def _partition(self, partition: str, *, equal: tuple[str, str] | None = None) -> Iterator[AttributeMap]:
        return query_items(self.client.query, TableName=self.table_name, **partition_query(partition, equal=equal))
