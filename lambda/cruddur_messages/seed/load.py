"""The seed in the table: loads, replaces and removes its conversations, and keeps what others have written.

It calls only Query on the table and BatchWriteItem, so no write is conditioned on what was read. Therefore a repeated
run completes an interrupted one, and rows that the projection moves meanwhile are read again.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from cruddur_messages import dynamodb, schema, timestamps
from cruddur_messages.dynamodb import TRANSIENT_CODES, OutOfTimeError
from cruddur_messages.items import MESSAGE_UUID, USER_UUID, AttributeMap, GroupRow, Message, text_or_empty
from cruddur_messages.seed.file import LoadedConversation, SeedConversation, message_uuid

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BATCH_SIZE: Final = 25
"""BatchWriteItem's limit on requests (API Reference)."""

ATTEMPTS: Final = 12
FIRST_BACKOFF_SECONDS: Final = 0.05
LONGEST_BACKOFF_SECONDS: Final = 5.0

READINGS: Final = 2
"""How often an inbox is read before a row counts as missing: a query can miss a row that is moved meanwhile."""


class SeedError(Exception):
    """The seed could not be loaded or removed; the text says why."""


class MissingTableError(SeedError):
    """The table does not exist."""


@dataclass
class Progress:
    """How many items were written or deleted, and how many are known to need it."""

    done: int = 0
    total: int = 0


class Seed:
    """Loads and removes the conversations of the seed in one table.

    `sleep` and `draw` (uniform in 0..1) are for the backoff; `has_time` is checked before each call. Every method
    returns counts for the log. It raises SeedError if DynamoDB refuses a request or ATTEMPTS attempts fail,
    MissingTableError if there is no table, and OutOfTimeError.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        has_time: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._sleep = sleep
        self._draw = draw
        self._has_time = has_time
        self.progress = Progress()

    def load(self, conversations: Sequence[SeedConversation]) -> Counter[str]:
        """Write the group rows, then the messages, that are missing or differ.

        A member's existing row of a conversation is kept, wherever the projection has moved it. A message of somebody
        else under the key of a message of the seed is kept too.
        """
        counts: Counter[str] = Counter()
        rows = self._missing_rows(conversations)
        messages = [item for conversation in conversations for item in self._missing_messages(conversation, counts)]
        self.progress.total += len(rows) + len(messages)
        self._write([{"PutRequest": {"Item": item}} for item in rows])
        self._write([{"PutRequest": {"Item": item}} for item in messages])
        counts.update(rows_written=len(rows), messages_written=len(messages))
        return counts

    def remove(self, conversations: Sequence[LoadedConversation]) -> Counter[str]:
        """Delete the seed's messages, then the members' group rows of the conversations that have no message left."""
        counts = self._remove_messages({conversation.message_group_uuid: () for conversation in conversations})
        for conversation in conversations:
            if self._is_without_messages(conversation):
                counts.update(self._remove_rows(conversation))
        return counts

    def replace(self, old: Sequence[LoadedConversation], new: Sequence[SeedConversation]) -> Counter[str]:
        """Load `new`, then remove the seed's other messages in `new`, and the conversations that are only in `old`."""
        counts = self.load(new)
        counts.update(
            self._remove_messages({conversation.message_group_uuid: conversation.messages for conversation in new})
        )
        kept = {conversation.message_group_uuid for conversation in new}
        counts.update(
            self.remove([conversation for conversation in old if conversation.message_group_uuid not in kept])
        )
        return counts

    def _missing_rows(self, conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
        by_member: dict[str, list[GroupRow]] = {}
        for row in (row for conversation in conversations for row in conversation.group_rows):
            by_member.setdefault(row.member_uuid, []).append(row)
        return [item for member, rows in by_member.items() for item in self._missing_from_inbox(member, rows)]

    def _missing_from_inbox(self, member_uuid: str, rows: Sequence[GroupRow]) -> Iterator[AttributeMap]:
        inbox = [item for _ in range(READINGS) for item in self._inbox(member_uuid)]
        listed = {text_or_empty(item, schema.INDEX_PARTITION_KEY) for item in inbox}
        taken = {text_or_empty(item, schema.SORT_KEY) for item in inbox}
        for row in rows:
            if row.message_group_uuid not in listed:
                placed = _on_a_free_key(row, taken)
                taken.add(text_or_empty(placed, schema.SORT_KEY))
                yield placed

    def _missing_messages(self, conversation: SeedConversation, counts: Counter[str]) -> Iterator[AttributeMap]:
        found = {text_or_empty(item, schema.SORT_KEY): item for item in self._messages(conversation.message_group_uuid)}
        for message in conversation.messages:
            wanted = message.to_attributes()
            there = found.get(message.sort_key)
            if there is None:
                yield wanted
            elif not _is_of_the_seed(there, conversation.message_group_uuid):
                counts["messages_of_others_kept"] += 1
            elif any(there.get(name) != value for name, value in wanted.items()):
                yield {**there, **wanted}

    def _remove_messages(self, kept: Mapping[str, Sequence[Message]]) -> Counter[str]:
        """Delete the seed's messages in the given conversations, except those to keep of each."""
        stale = [item for group, messages in kept.items() for item in self._messages_of_the_seed(group, messages)]
        self._delete(stale)
        return Counter(messages_removed=len(stale))

    def _messages_of_the_seed(self, message_group_uuid: str, but_for: Sequence[Message]) -> Iterator[AttributeMap]:
        kept = {message.sort_key for message in but_for}
        for item in self._messages(message_group_uuid):
            if text_or_empty(item, schema.SORT_KEY) not in kept and _is_of_the_seed(item, message_group_uuid):
                yield item

    def _remove_rows(self, conversation: LoadedConversation) -> Counter[str]:
        """Delete the rows until none is found, as the projection may be moving them.

        If somebody sends a message meanwhile, the rows are put back for the projection to settle.
        """
        patience = self._patience()
        removed: dict[str, AttributeMap] = {}
        count = readings_without = 0
        while readings_without < READINGS:
            rows = [
                item
                for member in conversation.member_uuids
                for item in self._inbox(member)
                if _is_row_of(item, conversation.message_group_uuid)
            ]
            if not rows:
                readings_without += 1
                continue
            if count:
                patience.wait("rows of a conversation to remove are put back each time")
            self._delete(rows)
            removed.update({text_or_empty(item, schema.PARTITION_KEY): item for item in rows})
            count += len(rows)
            readings_without = 0
        if removed and not self._is_without_messages(conversation):
            self.progress.total += len(removed)
            self._write([{"PutRequest": {"Item": _unsettled(item)}} for item in removed.values()])
            return Counter()
        return Counter(rows_removed=count)

    def _inbox(self, member_uuid: str) -> Iterator[AttributeMap]:
        return self._query(schema.group_row_partition(member_uuid))

    def _messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        return self._query(schema.message_partition(message_group_uuid))

    def _is_without_messages(self, conversation: LoadedConversation) -> bool:
        return not any(True for _ in self._query(schema.message_partition(conversation.message_group_uuid), Limit=1))

    def _query(self, partition: str, **arguments: Any) -> Iterator[AttributeMap]:
        def ask(**page: Any) -> Any:
            return self._call(self._patience(), self._client.query, TableName=self._table_name, **page)

        return dynamodb.items(ask, **dynamodb.of_partition(partition), **arguments)

    def _delete(self, items: Sequence[AttributeMap]) -> None:
        self.progress.total += len(items)
        keys = [{name: item[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)} for item in items]
        self._write([{"DeleteRequest": {"Key": key}} for key in keys])

    def _write(self, requests: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(requests), BATCH_SIZE):
            pending = list(requests[start : start + BATCH_SIZE])
            patience = self._patience()
            while pending:
                response = self._call(patience, self._client.batch_write_item, RequestItems={self._table_name: pending})
                left = response.get("UnprocessedItems", {}).get(self._table_name, [])
                self.progress.done += len(pending) - len(left)
                if len(left) < len(pending):
                    patience.renew()
                if left:
                    patience.wait("items stay unprocessed")
                pending = left

    def _call(self, patience: "_Patience", operation: Callable[..., Any], **arguments: Any) -> Any:
        while True:
            if not self._has_time():
                raise OutOfTimeError
            try:
                return operation(**arguments)
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "unknown error")
                if code == "ResourceNotFoundException":
                    raise MissingTableError(f"there is no table {self._table_name}") from error
                if code not in TRANSIENT_CODES:
                    raise SeedError(f"DynamoDB refuses: {error}") from error
                patience.wait(code)
            except (NoConnectionError, HTTPClientError) as error:
                patience.wait(type(error).__name__)
            except BotoCoreError as error:
                raise SeedError(f"DynamoDB is not reachable: {error}") from error

    def _patience(self) -> "_Patience":
        return _Patience(self._sleep, self._draw)


class _Patience:
    """Exponential backoff with jitter, which gives up after ATTEMPTS without progress."""

    def __init__(self, sleep: Callable[[float], None], draw: Callable[[], float]) -> None:
        self._sleep = sleep
        self._draw = draw
        self._failures = 0

    def renew(self) -> None:
        self._failures = 0

    def wait(self, reason: str) -> None:
        self._failures += 1
        if self._failures >= ATTEMPTS:
            raise SeedError(f"given up after {ATTEMPTS} attempts: {reason}")
        longest = min(FIRST_BACKOFF_SECONDS * 2 ** (self._failures - 1), LONGEST_BACKOFF_SECONDS)
        self._sleep(longest * (0.5 + self._draw() / 2))


def _is_row_of(item: AttributeMap, message_group_uuid: str) -> bool:
    return text_or_empty(item, schema.INDEX_PARTITION_KEY) == message_group_uuid


def _is_of_the_seed(item: AttributeMap, message_group_uuid: str) -> bool:
    expected = message_uuid(message_group_uuid, text_or_empty(item, schema.SORT_KEY), text_or_empty(item, USER_UUID))
    return text_or_empty(item, MESSAGE_UUID) == expected


def _on_a_free_key(row: GroupRow, taken: set[str]) -> AttributeMap:
    """The row, moved by microseconds if another conversation's row has its key: a put would overwrite that row."""
    sort_key = row.sort_key
    while sort_key in taken:
        instant = timestamps.parse(sort_key)
        assert instant is not None
        sort_key = timestamps.canonical(instant + timestamps.MICROSECOND)
    return {**row.attributes, schema.SORT_KEY: {"S": sort_key}}


def _unsettled(item: AttributeMap) -> AttributeMap:
    """The row without the id of the message that it shows, so that the projection settles it."""
    return {name: value for name, value in item.items() if name != MESSAGE_UUID}
