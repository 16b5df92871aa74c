"""The redrive of the failure queue: settles what Lambda could not settle."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cruddur_cli.maintenance.repair import Repairer, Suspect
from cruddur_cli.settlement import projection
from cruddur_messages.dynamodb import error_code
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
REMAINING = "left in the queue"
GONE = frozenset({"ResourceNotFoundException", "TrimmedDataAccessException"})
VISIBLE = frozenset({"InvalidParameterValue", "AWS.SimpleQueueService.MessageNotInflight", "ReceiptHandleIsInvalid"})
"""What SQS says of a message whose visibility timeout has ended, or that somebody else has received since."""


@dataclass(frozen=True)
class FailedBatch:
    """A batch in Lambda's on-failure destination: the position of its records, not their contents.

    Lambda Developer Guide, "Retain discarded batches".
    """

    stream_arn: str
    shard_id: str
    first: str
    last: int

    @classmethod
    def from_body(cls, body: str) -> "FailedBatch":
        """Read a message body. Raises ValueError, KeyError or TypeError for another one."""
        batch = json.loads(body)["DDBStreamBatchInfo"]
        first, last = str(batch["startSequenceNumber"]), str(batch["endSequenceNumber"])
        if not (first.isdecimal() and last.isdecimal()):
            raise ValueError("a sequence number is no number")
        return cls(stream_arn=str(batch["streamArn"]), shard_id=str(batch["shardId"]), first=first, last=int(last))

    @property
    def table_name(self) -> str:
        """The table that the stream belongs to: arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>."""
        parts = self.stream_arn.split("/")
        return parts[1] if len(parts) > 1 else ""


def read_batch(streams: "DynamoDBStreamsClient", batch: FailedBatch) -> FoldedBatch | None:
    """The conversations of a failed batch; None if the stream no longer has its records (24 hours)."""
    try:
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
            records += [record for number, record in numbered if number <= batch.last]
            if numbered and numbered[-1][0] >= batch.last:
                return fold(records)
            empty_pages = 0 if numbered else empty_pages + 1
            iterator = page.get("NextShardIterator")
    except streams.exceptions.ClientError as error:
        if error_code(error) not in GONE:
            raise
    return None


class Redrive:
    """Settles what is in the failure queue, where the mapping sends its failed batches.

    `note` is called for each message that remains there.
    `counts` is what was done so far. `too_old` are messages with records that the stream no longer has: their
    conversations are unknown, so the whole table has to be rebuilt.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        streams: "DynamoDBStreamsClient",
        queues: "SQSClient",
        queue_url: str,
        table_name: str,
        repairer: Repairer,
        note: Callable[[str], None],
    ) -> None:
        self._streams = streams
        self._table_name = table_name
        self._queues = queues
        self._queue_url = queue_url
        self._repairer = repairer
        self._note = note
        self._projection = projection(client, table_name)
        self.counts: Counter[str] = Counter()
        self.too_old: list[MessageTypeDef] = []

    def run(self) -> None:
        """Receive every message, and delete it once its conversations are settled."""
        while taken := self._take():
            for message in taken:
                self.counts["messages"] += 1
                self._redrive(message)

    def end(self, *, is_rebuilt: bool) -> None:
        """Delete the messages that were too old, or make them visible again unless the table is rebuilt and right."""
        for message in self.too_old:
            if is_rebuilt:
                self._remove(message)
            else:
                self._make_visible(message)
                self.counts[REMAINING] += 1

    def _take(self) -> "list[MessageTypeDef]":
        """Receive some messages, which nobody else receives for SECONDS_TO_SETTLE; none if the queue is empty."""
        return self._queues.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            VisibilityTimeout=SECONDS_TO_SETTLE,
            WaitTimeSeconds=1,
        ).get("Messages", [])

    def _redrive(self, message: "MessageTypeDef") -> None:
        try:
            failed = FailedBatch.from_body(message.get("Body", ""))
        except (ValueError, KeyError, TypeError, RecursionError):
            self._keep(message, "it is not a notice of a failed stream batch")
            return
        if failed.table_name != self._table_name:
            self._keep(message, f"it is about {failed.table_name}")
            return
        batch = read_batch(self._streams, failed)
        if batch is None:
            self.too_old.append(message)
        elif self._settle(batch):
            self._remove(message)
        else:
            self.counts[REMAINING] += 1

    def _settle(self, batch: FoldedBatch) -> bool:
        self.counts["unusable records"] += len(batch.unusable)
        is_settled = True
        for settlement in self._projection.settle_all(batch.dirty):
            self.counts["conversations"] += 1
            group = settlement.message_group_uuid
            if settlement.failure and (failure := self._repairer.repair(Suspect(group, ())).failure):
                self._note(f"conversation {group} is not settled: {failure}")
                is_settled = False
        return is_settled

    def _keep(self, message: "MessageTypeDef", why: str) -> None:
        self._note(f"message {message.get('MessageId')} is left in the queue: {why}")
        self.counts[REMAINING] += 1

    def _make_visible(self, message: "MessageTypeDef") -> None:
        """Let it be received again, if it cannot be already."""
        receipt = message["ReceiptHandle"]
        try:
            self._queues.change_message_visibility(QueueUrl=self._queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)
        except self._queues.exceptions.ClientError as error:
            if error_code(error) not in VISIBLE:
                raise

    def _remove(self, message: "MessageTypeDef") -> None:
        self._queues.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        self.counts["removed"] += 1
