"""A poller that delivers a real stream to the handler, as an event source mapping would (event_source_mapping.py)."""

import base64
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.projection.event_source_mapping import CRASHED, Lane, Pattern, passes

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

Handler = Callable[[dict[str, object]], Any]


class Poller:
    """Follows all shards of a stream, and delivers what passes the filter in concurrent lanes.

    A record goes to the lane of its item, so that order holds per item and for nothing else. A handler that raises
    counts as crashed.
    """

    def __init__(
        self,
        *,
        streams: "DynamoDBStreamsClient",
        stream_arn: str,
        patterns: Sequence[Pattern],
        lanes: Sequence[Lane],
        batch_size: int,
    ) -> None:
        self.records: list[Any] = []
        self.lanes = lanes
        self._streams = streams
        self._stream_arn = stream_arn
        self._patterns = patterns
        self._batch_size = batch_size
        self._iterators: dict[str, str] = {}
        self._seen_shards: set[str] = set()

    def poll(self) -> int:
        """Fetch new records from the stream; returns their number, filtered or not."""
        for shard in self._streams.describe_stream(StreamArn=self._stream_arn)["StreamDescription"]["Shards"]:
            if shard["ShardId"] not in self._seen_shards:
                self._seen_shards.add(shard["ShardId"])
                self._iterators[shard["ShardId"]] = self._streams.get_shard_iterator(
                    StreamArn=self._stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
        return sum([self._poll_shard(shard) for shard in list(self._iterators)])

    def deliver(self, handler: Handler) -> None:
        """Deliver one batch of each lane that has work, at the same time."""
        with ThreadPoolExecutor(len(self.lanes)) as pool:
            list(pool.map(lambda lane: self._deliver(lane, handler), self.lanes))

    def drain(self, handler: Handler, *, is_done: Callable[[], bool]) -> None:
        """Fetch and deliver until the writers are done and nothing is left."""
        while True:
            done = is_done()
            fetched = self.poll()
            self.deliver(handler)
            if done and not fetched and not any(lane.has_work for lane in self.lanes):
                return

    def _poll_shard(self, shard: str) -> int:
        page = self._streams.get_records(ShardIterator=self._iterators[shard], Limit=1000)
        if "NextShardIterator" in page:
            self._iterators[shard] = page["NextShardIterator"]
        else:
            del self._iterators[shard]
        for fetched in page["Records"]:
            record = _as_lambda_gives_it(fetched)
            if passes(self._patterns, record):
                self.records.append(record)
                key = "".join(value["S"] for value in record["dynamodb"]["Keys"].values())
                self.lanes[sum(map(ord, key)) % len(self.lanes)].waiting.append(record)
        return len(page["Records"])

    def _deliver(self, lane: Lane, handler: Handler) -> None:
        batch = lane.next_batch(self._batch_size)
        if batch is None:
            return
        try:
            response = handler({"Records": batch.records})
        except CrashError:
            response = CRASHED
        lane.report(response)


class CrashError(BaseException):
    """The invocation crashes here; the handler cannot catch this exception."""


def _as_lambda_gives_it(record: Any) -> dict[str, Any]:
    """A record in the form of a Lambda event: binary data as base64 text, the time in seconds."""
    change = json.loads(json.dumps(record["dynamodb"], default=_plain))
    return {"eventName": record["eventName"], "eventSource": "aws:dynamodb", "dynamodb": change}


def _plain(value: bytes | datetime) -> str | float:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()
