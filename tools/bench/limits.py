"""A simulation of the lag of one conversation, whose partition of the index is limited in write units a second."""

import random
from dataclasses import dataclass

PARTITION_WRITE_UNITS = 1000.0
"""Write units a second of one partition key (DynamoDB Developer Guide, "Best practices for partition keys")."""

POLLS_A_SECOND = 4
"""How often Lambda polls a shard (Lambda Developer Guide, "Polling and batching streams")."""

MEMBERS_A_TRANSACTION = 49
BATCH_SIZE = 100
CALL_SECONDS = 0.008
"""Assumed for a call to DynamoDB; a batch is two queries and a transaction for every 49 members."""


@dataclass(frozen=True)
class Lag:
    """Seconds from message to row: the median and the 99th percentile."""

    half: float
    slowest: float


def simulate(
    *, members: int, messages_a_second: float, index_units_a_member: float, window: float, seconds: float, seed: int
) -> Lag:
    """Simulate messages that arrive at random, are batched, and whose rows move as fast as the index partition allows.

    `index_units_a_member` are the write units that a move consumes in the index; `window` is the batching window in
    seconds.
    """
    chance = random.Random(seed)  # noqa: S311
    arrivals = _arrivals(chance, messages_a_second, seconds)
    service = CALL_SECONDS * (2 + -(-members // MEMBERS_A_TRANSACTION))
    throttled = members * index_units_a_member / PARTITION_WRITE_UNITS
    lags: list[float] = []
    free = 0.0
    position = 0
    while position < len(arrivals):
        first = arrivals[position]
        poll = (int(first * POLLS_A_SECOND) + 1) / POLLS_A_SECOND
        begin = max(free, poll, first + window)
        batch = [arrival for arrival in arrivals[position : position + BATCH_SIZE] if arrival <= begin]
        free = begin + max(service, throttled)
        lags += [free - arrival for arrival in batch]
        position += len(batch)
    lags.sort()
    return Lag(half=lags[len(lags) // 2], slowest=lags[len(lags) * 99 // 100])


def _arrivals(chance: random.Random, rate: float, seconds: float) -> list[float]:
    found: list[float] = []
    now = chance.expovariate(rate)
    while now < seconds or not found:
        found.append(now)
        now += chance.expovariate(rate)
    return found
