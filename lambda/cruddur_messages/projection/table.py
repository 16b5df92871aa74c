"""The projection's calls to DynamoDB, with errors sorted into temporary, refused and cancelled."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import conversation_item, schema
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.dynamodb import (
    MAX_ACTIONS,
    OutOfTimeError,
    TransientError,
    get_items,
    partition_query,
    query_items,
    rows_in_index,
    translate,
)
from cruddur_messages.items import AttributeMap, Key, key_attributes
from cruddur_messages.projection.steps import Step

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_Given = ParamSpec("_Given")
_Response = TypeVar("_Response")


@dataclass(frozen=True)
class ProjectionTable:
    """The table as the projection sees it.

    `has_time` returns whether another call may start; if not, every method raises OutOfTimeError. Each also raises
    TransientError and RefusedError. A transaction takes `max_actions`, and `new_version` returns a value that was never
    a version before.
    """

    client: "DynamoDBClient"
    table_name: str
    has_time: Callable[[], bool] = lambda: True
    max_actions: int = MAX_ACTIONS
    new_version: Callable[[], str] = lambda: uuid4().hex

    def conversation(self, message_group_uuid: str) -> ConversationItem:
        """The conversation item: GetItem, consistent."""
        key = conversation_item.key(message_group_uuid)
        response = self._call(self.client.get_item, TableName=self.table_name, Key=key, ConsistentRead=True)
        return ConversationItem.from_attributes(response.get("Item", {}))

    def newest_messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """The messages, newest first: Query, consistent. One is read, and more only if needed."""
        query = partial(self._call, self.client.query, TableName=self.table_name)
        messages = partition_query(schema.message_partition(message_group_uuid))
        return query_items(query, first_page=1, ScanIndexForward=False, **messages)

    def get_items(self, keys: Collection[Key]) -> list[AttributeMap]:
        """The items under these keys: BatchGetItem, consistent."""
        found = get_items(
            lambda **request: self._call(self.client.batch_get_item, **request),
            self.table_name,
            map(key_attributes, sorted(keys)),
            when_unprocessed=_at_once_or_later,
        )
        return list(found)

    def keys_in_index(self, message_group_uuid: str) -> set[Key]:
        """The keys of the group rows that the index shows: Query; some may be outdated or missing."""
        query = partial(self._call, self.client.query, TableName=self.table_name)
        return {row.key for row in rows_in_index(query, self.table_name, message_group_uuid)}

    def write(
        self, steps: Sequence[Step], message_group_uuid: str, *, read: AttributeMap | None, then: ConversationItem
    ) -> None:
        """Commit steps and the conversation item, if it has the version read: TransactWriteItems, or a lone UpdateItem.

        Raises CancelledError if a condition does not hold, or in a conflict.
        """
        update = conversation_item.update(self.table_name, message_group_uuid, read=read, then=then)
        if steps:
            actions = [action for step in steps for action in step.actions(self.table_name)]
            self._call(self.client.transact_write_items, TransactItems=[{"Update": update}, *actions])
        else:
            self._call(self.client.update_item, **update)

    def _call(self, operation: Callable[_Given, _Response], *given: _Given.args, **named: _Given.kwargs) -> _Response:
        if not self.has_time():
            raise OutOfTimeError
        try:
            return operation(*given, **named)
        except (ClientError, BotoCoreError) as error:
            raise translate(error) from error


def _at_once_or_later(retry: int) -> None:
    """Ask for unprocessed keys again at once, but the second time in a row after the pause of another attempt."""
    if retry > 1:
        raise TransientError("UnprocessedKeys")
