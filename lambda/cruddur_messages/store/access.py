"""What the store's calls share: consistent reads, and attempts with backoff."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from botocore.exceptions import ClientError

from cruddur_messages import member_item, schema
from cruddur_messages.dynamodb import (
    CONDITION_FAILED,
    NO_REASON,
    READINGS,
    TRANSIENT_CODES,
    backoff,
    get_item,
    get_items,
    partition_query,
    query_items,
    reasons,
    rows_in_index,
)
from cruddur_messages.items import AttributeMap, GroupRow, MalformedItemError, Message, group_rows
from cruddur_messages.store import errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 10
FIRST_BACKOFF_SECONDS = 0.02
LONGEST_BACKOFF_SECONDS = 1.0

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class ConditionFailedError(Exception):
    """The condition of a write does not hold; if `is_retry`, an attempt whose response was lost may have written."""

    def __init__(self, *, is_retry: bool) -> None:
        super().__init__(CONDITION_FAILED)
        self.is_retry = is_retry


@dataclass
class Attempts:
    """The failed attempts of one call, and the pauses after them. After ATTEMPTS, it raises ContendedError."""

    sleep: Callable[[float], None]
    draw: Callable[[], float]
    failed: int = 0

    def wait_after(self, error: ClientError) -> None:
        """Wait before the next attempt, unless a condition alone has failed; raise the error if none helps."""
        codes = set(reasons(error)) - {NO_REASON}
        if not codes <= TRANSIENT_CODES | {CONDITION_FAILED}:
            raise error
        self.wait(is_temporary=not codes <= {CONDITION_FAILED})

    def wait(self, *, is_temporary: bool = True) -> None:
        """Count a failed attempt; wait if the error is a temporary one."""
        self.failed += 1
        if self.failed == ATTEMPTS:
            raise errors.ContendedError(ATTEMPTS)
        if is_temporary:
            first, longest = FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS
            self.sleep(backoff(self.failed, first=first, longest=longest, draw=self.draw()))


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

    def write(
        self, call: Callable[_Arguments, _Answer], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Answer:
        """Call until there is no temporary error. Raises ConditionFailedError and ContendedError."""
        attempts = self.attempts()
        while True:
            try:
                return call(*arguments, **named)
            except ClientError as error:
                if reasons(error) == [CONDITION_FAILED]:
                    by_botocore = error.response.get("ResponseMetadata", {}).get("RetryAttempts")
                    raise ConditionFailedError(is_retry=bool(attempts.failed or by_botocore)) from error
                attempts.wait_after(error)

    def newest_first(self, partition: str, **how: Any) -> Iterator[AttributeMap]:
        """The items of a partition; `how` are the arguments of `partition_query`."""
        arguments = partition_query(partition, ScanIndexForward=False, **how)
        return query_items(self.client.query, TableName=self.table_name, **arguments)

    def messages(self, message_group_uuid: str, **how: Any) -> Iterator[Message]:
        """The messages of a conversation, newest first, as `newest_first` reads them; malformed ones are skipped."""
        for attributes in self.newest_first(schema.message_partition(message_group_uuid), **how):
            with suppress(MalformedItemError):
                yield Message.from_attributes(attributes)

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
        return get_item(self.client, self.table_name, key) or key

    def member_items(self, message_group_uuids: Collection[str], user_uuid: str) -> Iterator[AttributeMap]:
        """A person's member items of some conversations, as far as there are: BatchGetItem, not consistent."""
        keys = [member_item.key(group, user_uuid) for group in sorted(set(message_group_uuids))]
        attempts = self.attempts()
        return get_items(
            self.client.batch_get_item,
            self.table_name,
            keys,
            is_consistent=False,
            when_unprocessed=lambda _: attempts.wait(),
        )
