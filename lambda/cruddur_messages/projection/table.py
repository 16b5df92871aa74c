"""The projection's calls to DynamoDB, with errors sorted into temporary, refused and cancelled."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import dynamodb, schema
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.dynamodb import OutOfTimeError, TransientError, translated
from cruddur_messages.items import AttributeMap, GroupRow, Key, MalformedItemError
from cruddur_messages.projection.transactions import Action, Step, actions_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_KEYS = 100
"""DynamoDB's limit on the keys of one BatchGetItem (API reference)."""


class ProjectionTable:
    """The table as the projection sees it.

    `has_time` returns whether another call may start; if not, every method raises OutOfTimeError. Each also raises
    TransientError and RefusedError.
    """

    def __init__(self, *, client: "DynamoDBClient", table_name: str, has_time: Callable[[], bool]) -> None:
        self._client = client
        self._table_name = table_name
        self._has_time = has_time

    def conversation(self, message_group_uuid: str) -> ConversationItem:
        """The conversation item: GetItem, consistent."""
        key = {
            schema.PARTITION_KEY: {"S": schema.conversation_partition(message_group_uuid)},
            schema.SORT_KEY: {"S": schema.CONVERSATION_SORT_KEY},
        }
        return ConversationItem.from_attributes(self._call("get_item", Key=key, ConsistentRead=True).get("Item", {}))

    def newest_messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """The messages, newest first: Query, consistent. One is read, and more only if needed."""
        messages = dynamodb.of_partition(schema.message_partition(message_group_uuid))
        return dynamodb.items(self._query, first_page=1, ScanIndexForward=False, **messages)

    def items(self, keys: Collection[Key]) -> list[AttributeMap]:
        """The items under these keys: BatchGetItem, consistent."""
        found: list[AttributeMap] = []
        pending = [
            {schema.PARTITION_KEY: {"S": partition}, schema.SORT_KEY: {"S": sort_key}}
            for partition, sort_key in sorted(keys)
        ]
        while pending:
            asked, pending = pending[:MOST_KEYS], pending[MOST_KEYS:]
            request = {self._table_name: {"Keys": asked, "ConsistentRead": True}}
            page = self._call("batch_get_item", RequestItems=request)
            found += page["Responses"].get(self._table_name, [])
            unprocessed = page.get("UnprocessedKeys", {}).get(self._table_name, {}).get("Keys", [])
            if len(unprocessed) == len(asked):
                raise TransientError("UnprocessedKeys")
            pending += unprocessed
        return found

    def keys_in_index(self, message_group_uuid: str) -> set[Key]:
        """The keys of the group rows that the index shows: Query; some may be outdated or missing."""
        found = dynamodb.items(self._query, **dynamodb.of_conversation(message_group_uuid))
        return {row.key for row in rows_of(message_group_uuid, found)}

    def write(self, steps: Sequence[Step], update: Action) -> None:
        """Commit steps and the update of the conversation item together: TransactWriteItems, or a lone UpdateItem.

        Raises CancelledError if a condition does not hold, or in a conflict.
        """
        if steps:
            self._call("transact_write_items", TransactItems=actions_of(steps, update, self._table_name))
        else:
            self._call("update_item", **update)

    def _query(self, **arguments: Any) -> Any:
        return self._call("query", **arguments)

    def _call(self, operation: str, **arguments: Any) -> Any:
        if not self._has_time():
            raise OutOfTimeError
        if operation not in ("batch_get_item", "transact_write_items"):
            arguments["TableName"] = self._table_name
        try:
            return getattr(self._client, operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise translated(error) from error


def rows_of(message_group_uuid: str, items: Iterable[AttributeMap]) -> list[GroupRow]:
    """The items that are group rows of the conversation; others are ignored."""
    rows: list[GroupRow] = []
    for attributes in items:
        with suppress(MalformedItemError):
            row = GroupRow.from_attributes(attributes)
            if row.message_group_uuid == message_group_uuid:
                rows.append(row)
    return rows
