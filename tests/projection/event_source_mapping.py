"""How Lambda's event source mapping filters and delivers stream records, as far as AWS documents it.

Lambda Developer Guide: "Using AWS Lambda with Amazon DynamoDB", "Control which events Lambda sends to your function",
"Configuring partial batch response with DynamoDB and Lambda".
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]
Pattern = Mapping[str, Any]


def passes(patterns: Sequence[Pattern], record: Record) -> bool:
    """Whether a record matches one of the filter patterns."""
    return any(_matches(pattern, record) for pattern in patterns)


def _matches(pattern: Pattern, data: Any) -> bool:
    for name, expected in pattern.items():
        value = data.get(name) if isinstance(data, dict) else None
        if isinstance(expected, dict):
            if not _matches(expected, value or {}):
                return False
        elif not any(_satisfies(rule, value) for rule in expected):
            return False
    return True


def _satisfies(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return bool(value == rule)
    ((kind, wanted),) = rule.items()
    if kind == "exists":
        is_leaf = value is not None and not isinstance(value, dict)
        return bool(is_leaf == wanted)
    if kind == "prefix":
        return isinstance(value, str) and value.startswith(wanted)
    raise ValueError(f"a rule that is not supported here: {rule}")


def sequence_number(record: Record) -> str:
    """The number by which a batch response names a record."""
    return str(record["dynamodb"]["SequenceNumber"])


@dataclass
class Batch:
    """Consecutive records of a lane that are delivered together."""

    records: list[Record]
    failures: int = 0


@dataclass(eq=False)
class Lane:
    """One shard, or one of the concurrent batches of a shard: delivers its records in order until none is left.

    `retries` is the number of deliveries after the first, None for no limit; what fails more often is `dropped` (it
    goes to the on-failure queue). A record that is too old, as `is_too_old` says, is dropped without delivery.
    """

    retries: int | None = None
    is_too_old: Callable[[Record], bool] = lambda _record: False
    waiting: deque[Record] = field(default_factory=deque)
    dropped: list[Record] = field(default_factory=list)
    done: list[Record] = field(default_factory=list)
    _batches: deque[Batch] = field(default_factory=deque)

    @property
    def has_work(self) -> bool:
        """Whether a record is left to deliver."""
        return bool(self.waiting or self._batches)

    def next_batch(self, size: int) -> Batch | None:
        """The batch to deliver now; the same until its end is reported. None if nothing is left."""
        while True:
            if not self._batches and self.waiting:
                count = min(size, len(self.waiting))
                self._batches.append(Batch([self.waiting.popleft() for _ in range(count)]))
            if not self._batches:
                return None
            batch = self._batches[0]
            while batch.records and self.is_too_old(batch.records[0]):
                self.dropped.append(batch.records.pop(0))
            if batch.records:
                return batch
            self._batches.popleft()

    def report(self, response: Any) -> None:
        """Record the end of the delivery of the next batch: the handler's response, or CRASHED."""
        batch = self._batches.popleft()
        first_failure = _first_failure(response, batch.records)
        if first_failure is None:
            self.done += batch.records
            return
        self.done += batch.records[:first_failure]
        remaining = batch.records[first_failure:]
        if self.retries is not None and batch.failures >= self.retries:
            self.dropped += remaining
        elif response is _CRASHED and len(remaining) > 1:
            middle = len(remaining) // 2
            self._batches.appendleft(Batch(remaining[middle:], batch.failures))
            self._batches.appendleft(Batch(remaining[:middle], batch.failures))
        else:
            # The lowest failure reported is the checkpoint; everything from there on is delivered again.
            self._batches.appendleft(Batch(remaining, batch.failures + 1))


def _first_failure(response: Any, records: Sequence[Record]) -> int | None:
    """The record at which the retry begins; None for success."""
    if response is _CRASHED:
        return 0
    failures = (response or {}).get("batchItemFailures") or []
    numbers = [sequence_number(record) for record in records]
    reported = [failure.get("itemIdentifier") for failure in failures]
    if any(number not in numbers for number in reported):
        return 0
    return min((numbers.index(number) for number in reported), default=None)


_CRASHED = object()
CRASHED: Any = _CRASHED
"""Reported for an invocation that ended without a response."""
