"""One run of the canary: it sends a message and waits until the rows of both members show it, or a later one.

Several runs may overlap: each deletes only messages older than its own, so none takes back what another waits for.
"""

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import CancelledError, partition_query, put_new, query_items, translate
from cruddur_messages.items import (
    AttributeMap,
    GroupRow,
    Message,
    User,
    first_rows,
    group_rows,
    key_attributes,
    pair_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MEMBERS: Final = tuple(
    User(f"{schema.SMOKE_UUID_PREFIX}ca4a-4000-8000-00000000000{number}", f"Canary {number}", f"canary{number}")
    for number in (1, 2)
)
MESSAGE_GROUP_UUID: Final = f"{schema.SMOKE_UUID_PREFIX}ca4a-4000-8000-000000000000"

TEXT: Final = "Is anybody there?"

PAUSE_SECONDS: Final = 0.5

MAX_DELETIONS: Final = 100
"""How many earlier messages a run deletes; there are several only after runs that failed."""

EVENT: Final = "canary_run"


class LateError(Exception):
    """The rows did not show the message in time."""


def run(
    *,
    client: "DynamoDBClient",
    table_name: str,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    seconds_left: Callable[[], float],
    emit: Callable[..., None],
) -> None:
    """Run once, and log the seconds until both rows showed the message, or why they did not.

    `seconds_left` says how long it may still wait. Raises what made the run fail: LateError, or an error of botocore.
    """
    canary = _Canary(client, table_name)
    try:
        sent = canary.send(clock())
        while not canary.is_shown(sent):
            if seconds_left() <= 0:
                raise LateError("the rows do not show the message")
            sleep(PAUSE_SECONDS)
        seconds = (clock() - sent.instant).total_seconds()
        canary.delete_before(sent)
    except Exception as error:
        failure = translate(error) if isinstance(error, ClientError | BotoCoreError) else type(error).__name__
        emit(EVENT, canary_failures=1, failure=str(failure))
        raise
    emit(EVENT, canary_failures=0, canary_seconds=max(seconds, 0.0))


class _Canary:
    """The calls on the table."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table_name = table_name

    def send(self, now: datetime) -> Message:
        """Put a message that is later than what the rows show, also if the clock was ahead; start if nobody has."""
        rows = self._rows()
        shown = [instant for row in rows if (instant := timestamps.parse(row.sort_key))]
        instant = max(now, *(one + timestamps.MICROSECOND for one in shown)) if shown else now
        message_uuid = schema.SMOKE_UUID_PREFIX + str(uuid.uuid4())[len(schema.SMOKE_UUID_PREFIX) :]
        message = Message.new(MESSAGE_GROUP_UUID, instant, message_uuid, TEXT, MEMBERS[0])
        if rows or not self._start(message):
            self._client.put_item(TableName=self._table_name, Item=message.to_attributes())
        return message

    def is_shown(self, message: Message) -> bool:
        """Whether each member has a row, and every row is at the time of the message or later."""
        rows = self._rows()
        instants = [timestamps.parse(row.sort_key) for row in rows]
        return {row.member_uuid for row in rows} == {member.uuid for member in MEMBERS} and all(
            instant is not None and instant >= message.instant for instant in instants
        )

    def delete_before(self, message: Message) -> None:
        """Delete the earlier messages."""
        partition = schema.message_partition(MESSAGE_GROUP_UUID)
        for found in islice(self._query(partition, before=message.sort_key), MAX_DELETIONS):
            key = key_attributes((partition, found[schema.SORT_KEY]["S"]))
            self._client.delete_item(TableName=self._table_name, Key=key)

    def _rows(self) -> list[GroupRow]:
        inboxes = [self._query(schema.group_row_partition(member.uuid)) for member in MEMBERS]
        return list(group_rows(chain(*inboxes), MESSAGE_GROUP_UUID))

    def _query(self, partition: str, *, before: str | None = None) -> Iterator[AttributeMap]:
        return query_items(self._client.query, TableName=self._table_name, **partition_query(partition, before=before))

    def _start(self, message: Message) -> bool:
        """Start the conversation as a backend does (access pattern D); False if that was done before."""
        one, other = MEMBERS
        items = [
            pair_item(one.uuid, other.uuid, MESSAGE_GROUP_UUID),
            message.to_attributes(),
            *(row.attributes for row in first_rows(message, MEMBERS)),
        ]
        try:
            self._client.transact_write_items(TransactItems=[put_new(self._table_name, item) for item in items])
        except ClientError as error:
            if isinstance(translate(error), CancelledError):
                return False
            raise
        return True
