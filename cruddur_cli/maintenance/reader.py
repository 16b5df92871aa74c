"""Single conversations, read exactly where it matters: consistent reads of messages and inboxes."""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from cruddur_cli.maintenance.snapshot import MIXED, ConversationSnapshot, TableSnapshot
from cruddur_messages import dynamodb, schema
from cruddur_messages.items import AttributeMap, GroupRow, MalformedItemError, Message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REMEMBERED_INBOXES = 64
READINGS = 2


class ConversationReader:
    """Reads conversations of one table. Safe to share between threads.

    The index is not consistent: it may miss a row that is there. Where that matters, the inbox is read, and the
    inboxes read last are remembered: a row that comes into being later is a backend's, which the projection settles.
    """

    def __init__(self, *, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table_name = table_name
        self._inboxes: OrderedDict[str, Mapping[str, list[GroupRow]]] = OrderedDict()
        self._lock = Lock()

    def rows(self, message_group_uuid: str, known_members: Collection[str]) -> list[GroupRow]:
        """The rows that the index shows, and those of other known members as their inboxes have them."""
        rows = list(self._rows_in_index(message_group_uuid))
        seen = {row.member_uuid for row in rows}
        named = {row.other_uuid for row in rows} - {""}
        for member_uuid in sorted({*known_members, *named} - seen):
            rows += self._inbox(member_uuid).get(message_group_uuid, [])
        return rows

    def messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """The messages of a conversation as they are, newest first, page by page as they are asked for."""
        return self._partition(schema.message_partition(message_group_uuid), ScanIndexForward=False)

    def newest_message(self, message_group_uuid: str) -> Message | None:
        """The newest message that is well formed."""
        newest_first = self._partition(schema.message_partition(message_group_uuid), ScanIndexForward=False, Limit=1)
        for item in newest_first:
            with suppress(MalformedItemError):
                return Message.from_attributes(item)
        return None

    def again(self, message_group_uuid: str, seen: ConversationSnapshot) -> ConversationSnapshot:
        """A conversation of a scan as it is now; all messages are read only where that may matter."""
        now = TableSnapshot()
        now.add([row.attributes for row in self.rows(message_group_uuid, seen.members)])
        if seen.form == MIXED or seen.malformed_keys or seen.malformed_items:
            now.add(self.messages(message_group_uuid))
        elif newest := self.newest_message(message_group_uuid):
            now.add([newest.to_attributes()])
        fresh = now.conversations.get(message_group_uuid) or ConversationSnapshot()
        fresh.known |= seen.known
        return fresh

    def forget_inboxes(self) -> None:
        """Read every inbox anew from now on."""
        with self._lock:
            self._inboxes.clear()

    def _inbox(self, member_uuid: str) -> Mapping[str, list[GroupRow]]:
        """A person's rows by conversation.

        Read oldest first, so that a row which is moved up meanwhile is not missed, and more than once, as a query may
        fall between the delete and the put of a transaction (Developer Guide, "Transactions", read-committed).
        """
        with self._lock:
            if member_uuid in self._inboxes:
                self._inboxes.move_to_end(member_uuid)
                return self._inboxes[member_uuid]
        by_key: dict[tuple[str, str], GroupRow] = {}
        for _ in range(READINGS):
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

    def _rows_in_index(self, message_group_uuid: str) -> Iterator[GroupRow]:
        items = self._query(**dynamodb.of_conversation(message_group_uuid))
        for item in items:
            with suppress(MalformedItemError):
                yield GroupRow.from_attributes(item)

    def _partition(self, partition: str, **arguments: Any) -> Iterator[AttributeMap]:
        return self._query(**dynamodb.of_partition(partition), **arguments)

    def _query(self, **arguments: Any) -> Iterator[AttributeMap]:
        return dynamodb.items(self._client.query, TableName=self._table_name, **arguments)
