"""What the store's calls share: consistent reads, and attempts with backoff."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cruddur_messages import member_item, schema
from cruddur_messages.dynamodb import (
    CONDITION_FAILED,
    NO_REASON,
    TRANSIENT_CODES,
    backoff,
    partition_query,
    query_items,
    reasons,
    rows_in_index,
)
from cruddur_messages.items import AttributeMap, GroupRow, group_rows
from cruddur_messages.store import errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 10
FIRST_BACKOFF_SECONDS = 0.02
LONGEST_BACKOFF_SECONDS = 1.0

READINGS = 2
"""How often an inbox is read for a row: a query may fall between the delete and the put of a move (Developer Guide,
"Transactions", read-committed)."""

MOST_KEYS = 100
"""DynamoDB's limit on the keys of one BatchGetItem (API reference)."""


class Attempts:
    """The attempts of one call, counted from 0, with a pause after a temporary error. Iterate it once.

    After the last attempt it raises ContendedError.
    """

    def __init__(self, sleep: Callable[[float], None], draw: Callable[[], float]) -> None:
        self._sleep = sleep
        self._draw = draw
        self._number = 0
        self._pause = 0.0

    def __iter__(self) -> Iterator[int]:
        for self._number in range(ATTEMPTS):
            if self._pause:
                self._sleep(self._pause)
            self._pause = 0.0
            yield self._number
        raise errors.ContendedError(ATTEMPTS)

    def failed(self, error: ClientError) -> None:
        """Prepare the next attempt, without a pause after a condition that failed; raise the error if none helps."""
        codes = set(reasons(error)) - {NO_REASON}
        if not codes <= TRANSIENT_CODES | {CONDITION_FAILED}:
            raise error
        if not codes <= {CONDITION_FAILED}:
            self.pause()

    def pause(self) -> None:
        """Wait before the next attempt."""
        self._pause = backoff(
            self._number + 1, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_BACKOFF_SECONDS, draw=self._draw()
        )


@dataclass(frozen=True)
class Access:
    """The table as the store's calls see it."""

    client: "DynamoDBClient"
    table_name: str
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    draw: Callable[[], float]

    def attempts(self) -> Attempts:
        """The attempts of one call."""
        return Attempts(self.sleep, self.draw)

    def newest_first(
        self,
        partition: str,
        *,
        before: str | None = None,
        after: str | None = None,
        equal: tuple[str, str] | None = None,
        **more: Any,
    ) -> Iterator[AttributeMap]:
        """The items of a partition: Query, consistent unless `more` says otherwise."""
        arguments = partition_query(partition, before=before, after=after, equal=equal) | more
        return query_items(self.client.query, TableName=self.table_name, ScanIndexForward=False, **arguments)

    def rows(self, message_group_uuid: str) -> Iterator[GroupRow]:
        """The group rows of a conversation as the index shows them."""
        return rows_in_index(self.client.query, self.table_name, message_group_uuid)

    def rows_of(self, message_group_uuid: str, user_uuid: str) -> Iterator[GroupRow]:
        """A member's group rows of a conversation, by consistent reads of the inbox; READINGS if it has none."""
        found = False
        for _ in range(READINGS):
            equal = (schema.INDEX_PARTITION_KEY, message_group_uuid)
            for row in group_rows(
                self.newest_first(schema.group_row_partition(user_uuid), equal=equal), message_group_uuid
            ):
                found = True
                yield row
            if found:
                return

    def member_item(self, message_group_uuid: str, user_uuid: str) -> AttributeMap:
        """A member item, its key alone if there is none yet: GetItem, consistent."""
        key = member_item.key(message_group_uuid, user_uuid)
        return self.client.get_item(TableName=self.table_name, Key=key, ConsistentRead=True).get("Item", key)

    def member_items(self, message_group_uuids: Collection[str], user_uuid: str) -> Iterator[AttributeMap]:
        """A person's member items of some conversations, as far as there are: BatchGetItem, consistent."""
        pending: list[Any] = [member_item.key(group, user_uuid) for group in sorted(set(message_group_uuids))]
        attempts = self.attempts()
        for _ in attempts:
            while pending:
                asked, pending = pending[:MOST_KEYS], pending[MOST_KEYS:]
                page = self.client.batch_get_item(
                    RequestItems={self.table_name: {"Keys": asked, "ConsistentRead": True}}
                )
                yield from page["Responses"].get(self.table_name, [])
                if unprocessed := page.get("UnprocessedKeys", {}).get(self.table_name):
                    pending += unprocessed["Keys"]
                    break
            else:
                return
            attempts.pause()
