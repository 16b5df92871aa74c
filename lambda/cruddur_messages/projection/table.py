"""The calls that the projection makes, with DynamoDB's errors sorted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages import dynamodb, schema
from cruddur_messages.dynamodb import (
    NO_REASON,
    TRANSIENT_CODES,
    CancelledError,
    OutOfTimeError,
    RefusedError,
    TransientError,
)
from cruddur_messages.items import AttributeMap
from cruddur_messages.projection.transactions import Transaction

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef, TransactWriteItemTypeDef


class ProjectionTable:
    """The table as the projection sees it: two queries and one transaction.

    `has_time` tells whether another call may still be begun; if not, every method raises OutOfTimeError. Each also
    raises TransientError and RefusedError.
    """

    def __init__(self, *, client: "DynamoDBClient", table_name: str, has_time: Callable[[], bool]) -> None:
        self._client = client
        self._table_name = table_name
        self._has_time = has_time

    def member_rows(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """What the index holds of a conversation: possibly outdated, possibly not all."""
        return dynamodb.items(self._query, **dynamodb.of_conversation(message_group_uuid))

    def newest_messages(self, message_group_uuid: str) -> Iterator[AttributeMap]:
        """The messages of a conversation as they are, newest first: one is read, and more only if asked for."""
        messages = dynamodb.of_partition(schema.message_partition(message_group_uuid))
        return dynamodb.items(self._query, first_page=1, ScanIndexForward=False, **messages)

    def make(self, transaction: Transaction) -> None:
        """Make a transaction. Raises CancelledError if a condition does not hold, or in a conflict."""
        with self._sorted_errors():
            actions = cast("list[TransactWriteItemTypeDef]", transaction.actions(self._table_name))
            self._client.transact_write_items(TransactItems=actions)

    def _query(self, **arguments: Any) -> "QueryOutputTypeDef":
        with self._sorted_errors():
            return self._client.query(TableName=self._table_name, **arguments)

    @contextmanager
    def _sorted_errors(self) -> Iterator[None]:
        if not self._has_time():
            raise OutOfTimeError
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown error")
            if code == "TransactionCanceledException":
                reasons = error.response.get("CancellationReasons", [])
                raise CancelledError([str(reason.get("Code", NO_REASON)) for reason in reasons]) from error
            raise (TransientError if code in TRANSIENT_CODES else RefusedError)(code) from error
        except BotoCoreError as error:
            raise TransientError(type(error).__name__) from error
