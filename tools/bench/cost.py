"""What the app costs: units measured on the emulator, times the prices of cruddur_infra/monitoring/prices.py.

    make bench-cost

Writes the tables of docs/cost.md.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cruddur_infra import REPOSITORY
from cruddur_infra.monitoring import prices
from cruddur_messages.items import AttributeMap, item_size
from tools import document
from tools.bench.conversations import conversation, settled
from tools.bench.metering import engine
from tools.bench.projection import Load, baseline, measure, projection
from tools.bench.standing import MONITORING, Standing
from tools.synthesis import synthesize

MEMBERS = (2, 10, 50)
MESSAGES_A_DAY = (1_000, 1_000_000, 100_000_000)
DOCUMENT = REPOSITORY / "docs/cost.md"

MILLION = 1_000_000
SECONDS_OF_A_DAY = 86_400
READ_BYTES = 4096
MEMORY_GB = 0.5
LOG_BYTES = 1500
"""Per invocation: the projection's line of about 400 bytes, and Lambda's own start, end and report lines."""
CALL_SECONDS = 0.008
"""Assumed for a call to DynamoDB from Lambda."""
POLLS_A_SECOND = 4
"""How often Lambda polls a shard (Lambda Developer Guide, "Polling and batching streams")."""
SHARD_WRITES = 1000
"""Item writes a second in a shard of the stream; assumed to be as many as in a partition of the table."""
ITEM_OVERHEAD_BYTES = 100
"""Bytes that DynamoDB adds to each item when it bills storage (Developer Guide, "Calculating item sizes")."""

TABLE_GB = (1, 100, 1000)
DPUS = 2
START_HOURS = 2 / 60
AUDITED_GB_HOUR = 80
"""Assumed: what one process checks in an hour (docs/bench/verify.md), for a worker's four processors at half speed."""

NAT_MONTH = prices.NAT_GATEWAY_HOUR * prices.HOURS_OF_A_MONTH


@dataclass(frozen=True)
class Units:
    """What a message that is settled alone consumes: the backend's put, and the move of the rows."""

    moves: float
    reads: float
    calls: float
    put: float = 1

    @property
    def dollars(self) -> float:
        """Dollars of DynamoDB."""
        return (self.put + self.moves) * prices.WRITE_UNIT + self.reads * prices.READ_UNIT


Pairs = Mapping[int, tuple[Units, Units]]
"""The units of the projection and of the bootcamp's handler, by members."""


def measured(endpoint: str, members: int) -> tuple[Units, Units]:
    """A single message in an existing conversation.

    Read units are computed from the sizes of the rows, because the emulator's are wrong.
    """
    ours, theirs = (measure(Load(1, 1, members), handler, endpoint) for handler in (projection, baseline))
    index_query = -(-members * item_size(_items()[1]) // READ_BYTES) * 0.5
    return (
        Units(moves=ours.write_units, reads=index_query + 1, calls=ours.calls),
        Units(moves=theirs.write_units, reads=index_query, calls=theirs.calls),
    )


def month(units: Units, messages_a_day: int) -> tuple[float, float, float]:
    """Dollars a month of DynamoDB on demand, Lambda and logs.

    Every message is settled alone; an invocation has those that arrive between two polls of a shard.
    """
    messages = messages_a_day * prices.DAYS_OF_A_MONTH
    rate = messages_a_day / SECONDS_OF_A_DAY
    shards = max(1, round(rate * (1 + units.moves / 2) / SHARD_WRITES))
    invocations = messages * min(1.0, POLLS_A_SECOND * shards / rate)
    seconds = (messages * units.calls + invocations) * CALL_SECONDS
    compute = invocations * prices.LAMBDA_REQUEST + seconds * MEMORY_GB * prices.LAMBDA_GB_SECOND
    return messages * units.dollars, compute, invocations * LOG_BYTES / 1e9 * prices.LOG_GB


def main() -> None:
    """Measure, compute, and write the document."""
    with engine() as endpoint:
        units = {members: measured(endpoint, members) for members in MEMBERS}
    tables = {
        "| members | write units": _unit_rows(units),
        "| messages per day |": _month_rows(units),
        "| | `none` |": _standing_rows(),
        "| GB |": _audit_rows(),
        "| computed from |": _assumptions(),
    }
    document.write(DOCUMENT, tables)


def _unit_rows(units: Pairs) -> Iterator[tuple[object, ...]]:
    for members, (ours, theirs) in units.items():
        dollars = (f"{MILLION * side.dollars:,.2f}" for side in (ours, theirs))
        yield members, f"{ours.put + ours.moves:g}", f"{ours.put:g}", f"{ours.reads:g}", *dollars


def _month_rows(units: Pairs) -> Iterator[tuple[object, ...]]:
    for a_day in MESSAGES_A_DAY:
        for members, (ours, theirs) in units.items():
            mine = month(ours, a_day)
            dollars = (*mine, sum(mine), sum(month(theirs, a_day)), NAT_MONTH)
            yield f"{a_day:,}", members, *(f"{one:,.2f}" for one in dollars)


def _audit_rows() -> Iterator[tuple[object, ...]]:
    nights = prices.DAYS_OF_A_MONTH
    for size in TABLE_GB:
        exports = nights * size * prices.EXPORTED_GB
        job = nights * DPUS * (START_HOURS + size / AUDITED_GB_HOUR) * prices.GLUE_DPU_HOUR
        bucket = size / 4 * prices.OBJECTS_GB_MONTH
        units = size * 1e9 / READ_BYTES / 2
        dollars = (exports, job, bucket, exports + job + bucket, nights * units * prices.READ_UNIT)
        yield f"{size:,}", f"{units:,.0f}", *(f"{one:,.2f}" for one in dollars)


def _standing_rows() -> Iterator[tuple[str, ...]]:
    columns = [Standing.of(synthesize("prod", monitoring=which)["main"]) for which in MONITORING]
    cells: dict[str, Callable[[Standing], str]] = {
        "alarms, and metrics under alarm": lambda one: f"{one.alarms}, {one.alarm_metrics}",
        "metrics of the log and of the mapping": lambda one: f"{one.log_metrics} + {one.mapping_metrics}",
        "dashboards, keys": lambda one: f"{one.dashboards}, {one.keys}",
        "idle, $ a month within the free tier": lambda one: f"{one.dollars(free_tier=True, is_idle=True):.2f}",
        "idle, $ a month without": lambda one: f"{one.dollars(free_tier=False, is_idle=True):.2f}",
        "at work, $ a month within the free tier": lambda one: f"{one.dollars(free_tier=True):.2f}",
        "at work, $ a month without": lambda one: f"{one.dollars(free_tier=False):.2f}",
    }
    for what, cell in cells.items():
        yield what, *map(cell, columns)


def _assumptions() -> Iterator[tuple[str, str]]:
    message, row = _items()[:2]
    gigabytes = MILLION * (item_size(message) + ITEM_OVERHEAD_BYTES) / 1e9
    yield "a call from Lambda, assumed", f"{1000 * CALL_SECONDS:g} ms"
    yield "the function's memory", f"{MEMORY_GB} GB"
    yield "log per invocation", f"{LOG_BYTES:,} bytes"
    yield "polls of each shard per second", f"{POLLS_A_SECOND}"
    yield "a group row", f"{item_size(row)} bytes"
    yield "a million messages between two people", f"{gigabytes:.2f} GB"
    stored = gigabytes * (prices.STORED_GB_MONTH + prices.RECOVERY_GB_MONTH)
    yield "their storage per month, with point-in-time recovery", f"${stored:.2f}"
    yield "a NAT gateway's traffic, on top of its month", f"${prices.NAT_GATEWAY_GB} per GB"


def _items() -> list[AttributeMap]:
    """A message, a group row of each of two members, and the conversation item."""
    return list(settled(conversation(1, messages=1)))


if __name__ == "__main__":
    main()
