"""How long records are delivered again with the default settings: docs/decisions/0013-retries.md.

Time is simulated. How long Lambda waits between deliveries is not documented, hence several spacings.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.projection.event_source_mapping import Lane, Record, sequence_number
from tools.synthesis import Templates, only

pytestmark = pytest.mark.check

MINUTES = 60
HOURS = 60 * MINUTES

each_spacing = pytest.mark.parametrize("spacing", [0.1, 1, 10, 60, 300])
"""Seconds between two deliveries."""


@pytest.fixture(params=["dev", "prod"])
def mapping(request: pytest.FixtureRequest, templates: Callable[..., Templates]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = only(templates(request.param)["main"], "AWS::Lambda::EventSourceMapping")["Properties"]
    return found


@dataclass
class Shard:
    """A shard with a record every `every` seconds for an hour; its records and times are the same numbers."""

    mapping: Mapping[str, Any]
    every: int
    done_at: dict[int, float] = field(default_factory=dict)

    def deliver(self, fails: Callable[[int, float], bool], *, spacing: float) -> list[int]:
        """Deliver until nothing is left; the records that went to the failure queue."""
        now = 0.0
        lane = Lane(
            retries=self.mapping["MaximumRetryAttempts"],
            is_too_old=lambda record: now - time_of(record) > self.mapping["MaximumRecordAgeInSeconds"],
        )
        coming = deque({"dynamodb": {"SequenceNumber": str(second)}} for second in range(0, HOURS, self.every))
        while coming or lane.has_work:
            while coming and time_of(coming[0]) <= now:
                lane.waiting.append(coming.popleft())
            if batch := lane.next_batch(self.mapping["BatchSize"]):
                failed = [record for record in batch.records if fails(time_of(record), now)]
                lane.report({"batchItemFailures": [{"itemIdentifier": sequence_number(one)} for one in failed]})
            self.done_at |= {time_of(record): now for record in lane.done if time_of(record) not in self.done_at}
            now += spacing
        return [time_of(record) for record in lane.dropped]


def time_of(record: Record) -> int:
    return int(sequence_number(record))


@each_spacing
def test_a_moment_of_denial_is_covered(spacing: float, mapping: Mapping[str, Any]) -> None:
    """While a policy follows the function into another network (decision 0005), say a quarter of an hour."""
    shard = Shard(mapping, every=10)
    assert shard.deliver(lambda _, now: now < 15 * MINUTES, spacing=spacing) == []
    assert len(shard.done_at) == HOURS // 10


@pytest.mark.parametrize("spacing", [5, 60, 300])
def test_an_outage_of_a_night_is_covered(spacing: float, mapping: Mapping[str, Any]) -> None:
    """Retries run out before the age only if Lambda waits less than about four seconds."""
    shard = Shard(mapping, every=600)
    assert shard.deliver(lambda _, now: now < 11 * HOURS, spacing=spacing) == []


@each_spacing
def test_a_record_that_always_fails_holds_its_shard_no_longer_than_the_limits(
    spacing: float, mapping: Mapping[str, Any]
) -> None:
    shard = Shard(mapping, every=60)
    poison = 20 * MINUTES
    dropped = shard.deliver(lambda time, _: time == poison, spacing=spacing)
    assert poison in dropped
    # With it go records that are as old by the next delivery or, if the retries run out first, the rest of its batch.
    assert all(time <= poison + spacing for time in dropped) if spacing >= 5 else len(dropped) <= mapping["BatchSize"]
    assert sorted([*shard.done_at, *dropped]) == list(range(0, HOURS, 60))
    assert max(shard.done_at.values()) <= poison + mapping["MaximumRecordAgeInSeconds"] + 2 * spacing
    assert mapping["MaximumRecordAgeInSeconds"] <= 12 * HOURS, "half a day is left to redrive from the stream"


def test_an_operator_who_lowers_the_retries_frees_the_shard(mapping: Mapping[str, Any]) -> None:
    """docs/operations.md, "How long an outage may last"."""
    shard = Shard({**mapping, "MaximumRetryAttempts": 3}, every=60)
    poison = 20 * MINUTES
    assert poison in shard.deliver(lambda time, _: time == poison, spacing=60)
    assert max(shard.done_at.values()) <= HOURS + 2 * MINUTES
