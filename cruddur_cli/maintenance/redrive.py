"""The redrive of the failure queue: settles what Lambda could not settle."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cruddur_cli.maintenance.repair import Repairer, Suspect
from cruddur_cli.settlement import projection
from cruddur_messages.projection.records import FoldedBatch, fold

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SECONDS_TO_SETTLE = 900
"""The visibility timeout of a received message."""

MOST_EMPTY_PAGES = 100
MESSAGES_AT_ONCE = 10
LEFT = "left in the queue"
GONE = frozenset({"ResourceNotFoundException", "TrimmedDataAccessException"})


class UnknownNoticeError(Exception):
    """A message of the queue is not a notice of a failed batch; the text says why."""


@dataclass(frozen=True)
class FailedBatch:
    """A batch in Lambda's on-failure destination: the position of its records, not their contents.

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
            raise UnknownNoticeError("it is not a notice of a failed stream batch") from error

    @property
    def table_name(self) -> str:
        """The table that the stream belongs to: arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>."""
        parts = self.stream_arn.split("/")
        return parts[1] if len(parts) > 1 else ""


def read_batch(streams: "DynamoDBStreamsClient", batch: FailedBatch) -> FoldedBatch | None:
    """The conversations of a failed batch; None if the stream no longer has its records (24 hours)."""
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
            records += [record for number, record in numbered if number <= last]
            if numbered and numbered[-1][0] >= last:
                return fold(records)
            empty_pages = 0 if numbered else empty_pages + 1
            iterator = page.get("NextShardIterator")
    except streams.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") not in GONE:
            raise
    return None


class FailureQueue:
    """The queue that the event source mapping sends its failed batches to."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def take(self) -> "list[MessageTypeDef]":
        """Receive some messages, which nobody else receives for SECONDS_TO_SETTLE; none if the queue is empty."""
        return self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            VisibilityTimeout=SECONDS_TO_SETTLE,
            WaitTimeSeconds=1,
        ).get("Messages", [])

    def remove(self, message: "MessageTypeDef") -> None:
        """Delete a message from the queue."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def give_back(self, message: "MessageTypeDef") -> None:
        """Make a message visible again."""
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )


class Redrive:
    """Settles the conversations of the failure queue's messages; `note` is called for each message that stays there.

    `counts` is what was done so far. `too_old` are messages with records that the stream no longer has: their
    conversations are unknown, so the whole table has to be rebuilt.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        streams: "DynamoDBStreamsClient",
        table_name: str,
        queue: FailureQueue,
        repairer: Repairer,
        note: Callable[[str], None],
    ) -> None:
        self._streams = streams
        self._table_name = table_name
        self._queue = queue
        self._repairer = repairer
        self._note = note
        self._projection = projection(client, table_name)
        self.counts: Counter[str] = Counter()
        self.too_old: list[MessageTypeDef] = []

    def run(self) -> None:
        """Receive every message, and delete it once its conversations are settled."""
        while taken := self._queue.take():
            for message in taken:
                self.counts["messages"] += 1
                self._redrive(message)

    def table_is_rebuilt(self, *, is_right: bool) -> None:
        """Delete the messages that were too old, or make them visible again if the table is still not right."""
        for message in self.too_old:
            if is_right:
                self._remove(message)
            else:
                self._queue.give_back(message)
                self.counts[LEFT] += 1

    def _redrive(self, message: "MessageTypeDef") -> None:
        try:
            failed = FailedBatch.from_body(message.get("Body", ""))
        except UnknownNoticeError as unknown:
            self._leave(message, str(unknown))
            return
        if failed.table_name != self._table_name:
            self._leave(message, f"it is about {failed.table_name}")
            return
        batch = read_batch(self._streams, failed)
        if batch is None:
            self.too_old.append(message)
        elif self._settle(batch):
            self._remove(message)
        else:
            self.counts[LEFT] += 1

    def _settle(self, batch: FoldedBatch) -> bool:
        self.counts["unusable records"] += len(batch.unusable)
        failures: dict[str, str] = {}
        for settlement in self._projection.settle_all(batch.dirty):
            self.counts["conversations"] += 1
            group = settlement.message_group_uuid
            if settlement.failure and (failure := self._repairer.repair(Suspect(group, ())).failure):
                failures[group] = failure
        for group, failure in failures.items():
            self._note(f"conversation {group} is not settled: {failure}")
        return not failures

    def _leave(self, message: "MessageTypeDef", why: str) -> None:
        self._note(f"message {message.get('MessageId')} is left in the queue: {why}")
        self.counts[LEFT] += 1

    def _remove(self, message: "MessageTypeDef") -> None:
        self._queue.remove(message)
        self.counts["removed"] += 1
