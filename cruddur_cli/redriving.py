"""The failure queue worked off: what a stream record could not settle is settled now, or rebuilt."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cruddur_messages.projection.records import FoldedBatch, fold

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SECONDS_TO_SETTLE = 900
"""For how long a message that has been taken stays out of others' hands."""

MOST_EMPTY_PAGES = 100
MESSAGES_AT_ONCE = 10
GONE = frozenset({"ResourceNotFoundException", "TrimmedDataAccessException"})


class UnknownNoticeError(Exception):
    """A message of the queue is no notice of a failed batch; the text says why."""


@dataclass(frozen=True)
class FailedBatch:
    """What Lambda's on-failure destination tells of a batch: where its records are, not what they are.

    Lambda Developer Guide, "Retain discarded batches".
    """

    stream_arn: str
    shard_id: str
    first: str
    last: str

    @classmethod
    def from_body(cls, body: str) -> "FailedBatch":
        """Read a message body. Raises UnknownNoticeError."""
        try:
            notice: Mapping[str, Any] = json.loads(body)
            batch = notice["DDBStreamBatchInfo"]
            return cls(
                stream_arn=str(batch["streamArn"]),
                shard_id=str(batch["shardId"]),
                first=str(batch["startSequenceNumber"]),
                last=str(batch["endSequenceNumber"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnknownNoticeError("it is no notice of a failed stream batch") from error

    @property
    def table_name(self) -> str:
        """The table that the stream belongs to: arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>."""
        parts = self.stream_arn.split("/")
        return parts[1] if len(parts) > 1 else ""


def read_batch(streams: "DynamoDBStreamsClient", batch: FailedBatch) -> FoldedBatch | None:
    """The conversations that a failed batch concerns; None where the stream no longer has its records (24 hours)."""
    try:
        last = int(batch.last)
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=batch.stream_arn,
            ShardId=batch.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.first,
        )["ShardIterator"]
        records: list[Any] = []
        empty_pages = 0
        while iterator and empty_pages < MOST_EMPTY_PAGES:
            page = streams.get_records(ShardIterator=iterator)
            numbered = [(int(record["dynamodb"]["SequenceNumber"]), record) for record in page["Records"]]
            records += [as_event(record) for number, record in numbered if number <= last]
            if numbered and numbered[-1][0] >= last:
                return fold(records)
            empty_pages = 0 if numbered else empty_pages + 1
            iterator = page.get("NextShardIterator")
    except streams.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") not in GONE:
            raise
    return None


def as_event(value: Any) -> Any:
    """A record as Lambda hands it over: with binary data as base64 text."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: as_event(nested) for name, nested in value.items()}
        case list():
            return [as_event(nested) for nested in value]
    return value


class FailureQueue:
    """The queue that the event source mapping sends its failed batches to."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def take(self) -> "list[MessageTypeDef]":
        """Some of the messages, which nobody else gets for SECONDS_TO_SETTLE; none where the queue is empty."""
        return self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            VisibilityTimeout=SECONDS_TO_SETTLE,
            WaitTimeSeconds=1,
        ).get("Messages", [])

    def remove(self, message: "MessageTypeDef") -> None:
        """Take a message off the queue for good."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def give_back(self, message: "MessageTypeDef") -> None:
        """Let the next one have a message."""
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
