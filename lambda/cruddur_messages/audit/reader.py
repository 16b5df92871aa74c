"""Single conversations, read exactly where it matters: consistent reads of messages and inboxes."""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from cruddur_messages import conversation_item, dynamodb, member_item, schema
from cruddur_messages.audit.snapshot import ConversationSnapshot, InboxSnapshot, TableSnapshot
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.items import (
    AttributeMap,
    GroupRow,
    MalformedItemError,
    Message,
    can_be_key,
    group_rows,
    key_attributes,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REMEMBERED_INBOXES = 64


class ConversationReader:
    """Reads conversations of one table. Safe to share between threads.

    The index is eventually consistent: it may miss a row, or show one that has moved. So it only says where to read.
    The inboxes read last are cached: a row that a backend writes later is settled by the projection.
    """

    def __init__(self, *, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table_name = table_name
        self._inboxes: OrderedDict[str, Mapping[str, list[GroupRow]]] = OrderedDict()
        self._lock = Lock()

    def rows(self, message_group_uuid: str, known_members: Collection[str]) -> list[GroupRow]:
        """The rows under the keys that the index shows, and those of other known members as their inboxes have them."""
        in_index = list(dynamodb.rows_in_index(self._client.query, self._table_name, message_group_uuid))
        keys = sorted({row.key for row in in_index})
        found = dynamodb.get_items(self._client.batch_get_item, self._table_name, map(key_attributes, keys))
        rows = list(group_rows(found, message_group_uuid))
        seen = {row.member_uuid for row in rows}
        named = {uuid for row in in_index for uuid in (row.member_uuid, row.other_uuid)} - {""}
        for member_uuid in sorted({*known_members, *named} - seen):
            rows += self._inbox(member_uuid).get(message_group_uuid, [])
        return rows

    def messages(self, message_group_uuid: str, *, first_page: int | None = None) -> Iterator[AttributeMap]:
        """The messages of a conversation, newest first, by consistent reads; each page is read when it is needed."""
        partition = schema.message_partition(message_group_uuid)
        return self._partition(partition, first_page=first_page, ScanIndexForward=False)

    def messages_since(self, message_group_uuid: str, sort_key: str | None) -> list[Message]:
        """The well-formed messages that are newer than a sort key, newest first; at least the newest, if there is one.

        Without a sort key, the newest alone.
        """
        found: list[Message] = []
        for item in self.messages(message_group_uuid, first_page=1):
            with suppress(MalformedItemError):
                message = Message.from_attributes(item)
                if found and sort_key is not None and message.sort_key <= sort_key:
                    break
                found.append(message)
                if sort_key is None or message.sort_key <= sort_key:
                    break
        return found

    def item(self, message_group_uuid: str) -> ConversationItem:
        """The conversation item."""
        return ConversationItem.from_attributes(self._item(message_group_uuid))

    def member_items(self, message_group_uuid: str, members: Collection[str]) -> Iterator[AttributeMap]:
        """What people did with a conversation, as far as they did something: BatchGetItem, consistent."""
        keys = [member_item.key(message_group_uuid, member) for member in sorted(members)]
        return dynamodb.get_items(self._client.batch_get_item, self._table_name, keys)

    def left(self, message_group_uuid: str, members: Collection[str]) -> frozenset[str]:
        """Those of the members who have left."""
        return frozenset(
            item[schema.PARTITION_KEY]["S"].removeprefix(schema.MEMBER_PREFIX)
            for item in self.member_items(message_group_uuid, members)
            if schema.LEFT_AT in item
        )

    def again(
        self, message_group_uuid: str, known_members: Collection[str], *, all_messages: bool
    ) -> ConversationSnapshot:
        """The current state of a conversation; without `all_messages`, of these the newest alone."""
        now = TableSnapshot()
        now.conversations[message_group_uuid] = fresh = ConversationSnapshot(known=set(known_members))
        if item := self._item(message_group_uuid):
            now.add([item])
        if all_messages:
            now.add(self.messages(message_group_uuid))
        else:
            now.add([message.to_attributes() for message in self.messages_since(message_group_uuid, None)])
        now.add([row.attributes for row in self.rows(message_group_uuid, fresh.members)])
        now.add(self.member_items(message_group_uuid, {*fresh.members, *known_members}))
        return fresh

    def inbox_again(self, member_uuid: str) -> InboxSnapshot:
        """The current state of an inbox."""
        now = TableSnapshot()
        now.add(self._partition(schema.group_row_partition(member_uuid)))
        return now.inboxes.get(member_uuid, InboxSnapshot())

    def forget_inboxes(self) -> None:
        """Clear the cache of inboxes."""
        with self._lock:
            self._inboxes.clear()

    def _inbox(self, member_uuid: str) -> Mapping[str, list[GroupRow]]:
        """A person's rows by conversation.

        Read oldest first, so that a row that moves up meanwhile is not missed. Read more than once, as a query may fall
        between the delete and the put of a transaction (Developer Guide, "Transactions", read-committed).
        """
        with self._lock:
            if member_uuid in self._inboxes:
                self._inboxes.move_to_end(member_uuid)
                return self._inboxes[member_uuid]
        by_key: dict[tuple[str, str], GroupRow] = {}
        for _ in range(dynamodb.READINGS):
            for item in self._partition(schema.group_row_partition(member_uuid), ScanIndexForward=True):
                with suppress(MalformedItemError):
                    row = GroupRow.from_attributes(item)
                    by_key[row.key] = row
        rows: dict[str, list[GroupRow]] = {}
        for row in by_key.values():
            rows.setdefault(row.message_group_uuid, []).append(row)
        with self._lock:
            self._inboxes[member_uuid] = rows
            while len(self._inboxes) > REMEMBERED_INBOXES:
                self._inboxes.popitem(last=False)
        return rows

    def _item(self, message_group_uuid: str) -> AttributeMap:
        return dynamodb.get_item(self._client, self._table_name, conversation_item.key(message_group_uuid))

    def _partition(self, partition: str, **arguments: Any) -> Iterator[AttributeMap]:
        if not can_be_key(key_attributes((partition, ""))):
            return iter(())  # A row may name anything as the other person.
        arguments |= dynamodb.partition_query(partition)
        return dynamodb.query_items(self._client.query, TableName=self._table_name, **arguments)
