"""The seed in a table: loads, replaces and removes its conversations, and keeps what others have written.

Each change is planned from what was read, then written, then reported. It calls only Query on the table and
BatchWriteItem, so no write is conditioned on what was read. Therefore a repeated run completes an interrupted one, and
rows that the projection moves meanwhile are read again.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import dynamodb, schema, timestamps
from cruddur_messages.dynamodb import READINGS, OutOfTimeError, TransientError, backoff, translate
from cruddur_messages.items import (
    MESSAGE_UUID,
    USER_UUID,
    AttributeMap,
    GroupRow,
    Message,
    key_attributes,
    key_of,
    text_or_empty,
)
from cruddur_messages.seed.file import LoadedConversation, SeedConversation, message_uuid

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

BATCH_SIZE: Final = 25
"""BatchWriteItem's limit on requests (API Reference)."""

ATTEMPTS: Final = 12
FIRST_BACKOFF_SECONDS: Final = 0.05
LONGEST_BACKOFF_SECONDS: Final = 5.0


class SeedError(Exception):
    """The seed could not be loaded or removed; the text says why."""


class MissingTableError(SeedError):
    """The table does not exist."""


@dataclass
class Progress:
    """How many items were written or deleted, and how many are known to need it."""

    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.done} of {self.total} items"


@dataclass(frozen=True)
class MessagePlan:
    """What the messages of a conversation need: those to write, the seed's others to delete, and how many stay.

    Those that stay are of others, under keys of the seed.
    """

    to_write: list[AttributeMap]
    to_delete: list[AttributeMap]
    others: int


def plan_messages(message_group_uuid: str, wanted: Sequence[Message], found: Iterable[AttributeMap]) -> MessagePlan:
    """Compare the messages that a conversation should have with those found."""
    by_key = {text_or_empty(item, schema.SORT_KEY): item for item in found}
    to_write: list[AttributeMap] = []
    others = 0
    for message in wanted:
        item, there = message.to_attributes(), by_key.pop(message.sort_key, None)
        if there is None:
            to_write.append(item)
        elif not _is_of_the_seed(there, message_group_uuid):
            others += 1
        elif any(there.get(name) != value for name, value in item.items()):
            to_write.append({**there, **item})
    return MessagePlan(
        to_write, [item for item in by_key.values() if _is_of_the_seed(item, message_group_uuid)], others
    )


def missing_rows(rows: Iterable[GroupRow], inbox: Sequence[AttributeMap]) -> Iterator[AttributeMap]:
    """The rows of a member whose conversations the inbox does not list, on keys that are free.

    A row is moved by microseconds if another conversation's row has its key: a put would overwrite that row.
    """
    listed = {text_or_empty(item, schema.INDEX_PARTITION_KEY) for item in inbox}
    taken = {text_or_empty(item, schema.SORT_KEY) for item in inbox}
    for row in rows:
        if row.message_group_uuid in listed:
            continue
        sort_key = row.sort_key
        while sort_key in taken:
            instant = timestamps.parse(sort_key)
            assert instant is not None
            sort_key = timestamps.canonical(instant + timestamps.MICROSECOND)
        taken.add(sort_key)
        yield {**row.attributes, schema.SORT_KEY: {"S": sort_key}}


@dataclass(kw_only=True)
class SeedLoader:
    """Loads and removes the conversations of the seed in one table.

    `sleep` and `draw` (uniform in 0..1) are for the backoff; `has_time` is checked before each call. Every method
    returns counts for the log. It raises SeedError if DynamoDB refuses a request or ATTEMPTS attempts fail,
    MissingTableError if there is no table, and OutOfTimeError.
    """

    client: "DynamoDBClient"
    table_name: str
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    has_time: Callable[[], bool] = lambda: True
    progress: Progress = field(default_factory=Progress, init=False)

    def load(self, conversations: Sequence[SeedConversation]) -> Counter[str]:
        """Write the group rows, then the messages, that are missing or differ.

        A member's existing row of a conversation is kept, wherever the projection has moved it. A message of somebody
        else under the key of a message of the seed is kept too.
        """
        return self._load(self._missing_rows(conversations), self._message_plans(conversations))

    def remove(self, conversations: Sequence[LoadedConversation]) -> Counter[str]:
        """Delete the seed's messages, then the members' group rows of the conversations that have no message left."""
        groups = [conversation.message_group_uuid for conversation in conversations]
        counts = self._delete_messages([plan_messages(group, (), self._messages(group)) for group in groups])
        for conversation in conversations:
            if self._is_without_messages(conversation):
                counts.update(self._remove_rows(conversation))
        return counts

    def replace(self, old: Sequence[LoadedConversation], new: Sequence[SeedConversation]) -> Counter[str]:
        """Load `new`, then remove the seed's other messages in `new`, and the conversations that are only in `old`."""
        plans = self._message_plans(new)
        kept = {conversation.message_group_uuid for conversation in new}
        counts = self._load(self._missing_rows(new), plans)
        counts.update(self._delete_messages(plans))
        counts.update(
            self.remove([conversation for conversation in old if conversation.message_group_uuid not in kept])
        )
        return counts

    def _message_plans(self, conversations: Sequence[SeedConversation]) -> list[MessagePlan]:
        return [
            plan_messages(one.message_group_uuid, one.messages, self._messages(one.message_group_uuid))
            for one in conversations
        ]

    def _missing_rows(self, conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
        by_member: dict[str, list[GroupRow]] = {}
        for row in (row for conversation in conversations for row in conversation.group_rows):
            by_member.setdefault(row.member_uuid, []).append(row)
        return [
            item
            for member, rows in by_member.items()
            for item in missing_rows(rows, [item for _ in range(READINGS) for item in self._inbox(member)])
        ]

    def _load(self, rows: Sequence[AttributeMap], plans: Sequence[MessagePlan]) -> Counter[str]:
        messages = [item for plan in plans for item in plan.to_write]
        self._write(_puts(rows), _puts(messages))
        return Counter(
            rows_written=len(rows),
            messages_written=len(messages),
            messages_of_others_kept=sum(plan.others for plan in plans),
        )

    def _delete_messages(self, plans: Sequence[MessagePlan]) -> Counter[str]:
        stale = [item for plan in plans for item in plan.to_delete]
        self._write(_deletes(stale))
        return Counter(messages_removed=len(stale))

    def _remove_rows(self, conversation: LoadedConversation) -> Counter[str]:
        """Delete the rows until none is found, as the projection may be moving them.

        If somebody sends a message meanwhile, the rows are put back for the projection to settle.
        """
        removed: dict[str, AttributeMap] = {}
        failures = readings_without = 0
        while readings_without < READINGS:
            rows = {
                member: item
                for member in conversation.member_uuids
                for item in self._inbox(member)
                if text_or_empty(item, schema.INDEX_PARTITION_KEY) == conversation.message_group_uuid
            }
            if rows and removed:
                failures = self._wait(failures, "rows of a conversation to remove are put back each time")
            self._write(_deletes(list(rows.values())))
            removed |= rows
            readings_without = 0 if rows else readings_without + 1
        if self._is_without_messages(conversation):
            return Counter(rows_removed=len(removed))
        # Without the id of the message that it shows, the projection settles a row.
        self._write(_puts([{n: value for n, value in item.items() if n != MESSAGE_UUID} for item in removed.values()]))
        return Counter()

    def _inbox(self, member_uuid: str) -> Iterator[AttributeMap]:
        return self._query(schema.group_row_partition(member_uuid))

    def _messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        return self._query(schema.message_partition(message_group_uuid))

    def _is_without_messages(self, conversation: LoadedConversation) -> bool:
        return next(self._messages(conversation.message_group_uuid), None) is None

    def _query(self, partition: str) -> Iterator[AttributeMap]:
        def query(**page: Any) -> Any:
            return self._call(self.client.query, TableName=self.table_name, **page)

        return dynamodb.query_items(query, **dynamodb.partition_query(partition))

    def _write(self, *steps: "Sequence[WriteRequestTypeDef]") -> None:
        """Write the steps one after the other, each of them completely."""
        self.progress.total += sum(map(len, steps))
        for requests in steps:
            for start in range(0, len(requests), BATCH_SIZE):
                self._write_batch(requests[start : start + BATCH_SIZE])

    def _write_batch(self, pending: "Sequence[WriteRequestTypeDef]") -> None:
        failures = 0
        while pending:
            response = self._call(self.client.batch_write_item, RequestItems={self.table_name: pending})
            left = response.get("UnprocessedItems", {}).get(self.table_name, [])
            self.progress.done += len(pending) - len(left)
            if len(left) < len(pending):
                failures = 0
            if left:
                failures = self._wait(failures, "items stay unprocessed")
            pending = left

    def _call(self, operation: Callable[..., Any], **arguments: Any) -> Any:
        failures = 0
        while True:
            if not self.has_time():
                raise OutOfTimeError(f"after {self.progress}")
            try:
                return operation(**arguments)
            except (ClientError, BotoCoreError) as error:
                failure = translate(error)
                if str(failure) == "ResourceNotFoundException":
                    raise MissingTableError(f"there is no table {self.table_name}") from error
                if not isinstance(failure, TransientError):
                    raise SeedError(f"DynamoDB refuses: {error}") from error
                failures = self._wait(failures, str(failure))

    def _wait(self, failures: int, reason: str) -> int:
        """Wait after another attempt without progress; returns how many there were. Raises SeedError at ATTEMPTS."""
        failures += 1
        if failures >= ATTEMPTS:
            raise SeedError(f"given up after {ATTEMPTS} attempts: {reason}")
        first, longest = FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS
        self.sleep(backoff(failures, first=first, longest=longest, draw=self.draw()))
        return failures


def _is_of_the_seed(item: AttributeMap, message_group_uuid: str) -> bool:
    expected = message_uuid(message_group_uuid, text_or_empty(item, schema.SORT_KEY), text_or_empty(item, USER_UUID))
    return text_or_empty(item, MESSAGE_UUID) == expected


def _puts(items: Sequence[AttributeMap]) -> "list[WriteRequestTypeDef]":
    return [{"PutRequest": {"Item": item}} for item in items]


def _deletes(items: Sequence[AttributeMap]) -> "list[WriteRequestTypeDef]":
    return [{"DeleteRequest": {"Key": key_attributes(key_of(item))}} for item in items]
