"""What the app costs: units measured on the emulator, times the prices of cruddur_infra/monitoring/prices.py.

    make bench-cost

Writes docs/cost.md and docs/cost.svg.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

from cruddur_cli import table_definition
from cruddur_infra import REPOSITORY
from cruddur_infra.monitoring import prices
from tests.engines import ministack, tables
from tests.engines.fixtures import free_port
from tools.bench.limits import POLLS_A_SECOND, Lag, simulate
from tools.bench.projection import TABLE, TEXT, Load, baseline, measure, projection
from tools.bench.standing import MONITORING, Standing, standing_rows
from tools.synthesis import synthesize

MEMBERS = (2, 10, 50)
MESSAGES_A_DAY = (1_000, 1_000_000, 100_000_000)
DOCUMENT, PLOT = REPOSITORY / "docs/cost.md", REPOSITORY / "docs/cost.svg"

MILLION = 1_000_000
SECONDS_OF_A_DAY = 86_400
KILOBYTE, READ_BYTES = 1024, 4096
CALL_SECONDS = 0.008
"""Assumed for each call from Lambda to DynamoDB, and once for the rest of the invocation."""
MEMORY_GB = 0.5
LOG_BYTES = 1500
"""Per invocation: the projection's line of about 400 bytes, and Lambda's own start, end and report lines."""
SHARD_WRITES = 1000
"""Item writes a second in a shard of the stream; assumed to be as many as in a partition of the table."""
ITEM_OVERHEAD_BYTES = 100
"""Bytes that DynamoDB adds to each item when it bills storage (Developer Guide, "Calculating item sizes")."""

LIMIT_MEMBERS = (2, 10, 50, 100, 250, 500, 1000)
LIMIT_RATES = (0.1, 1.0, 10.0)
WINDOWS = (0, 1, 5)
SEED = 7


NAT_MONTH = prices.NAT_GATEWAY_HOUR * prices.HOURS_OF_A_MONTH

PAGE = """# Cost, and the limits

`make bench-cost` wrote this page: measured units, times the prices of {region} as of {as_of} in
[prices.py](../cruddur_infra/monitoring/prices.py). Sums are without tax, and without the free tier unless the page says
so. The prices agree with price guides of 2026. They were not compared with AWS's own list. Check them before you rely
on a sum.

![Cost by traffic, and lag by members](cost.svg)

## A million messages

Here each message is settled alone, which is the worst case. Messages that arrive in one batch share one move per
conversation ([figures](bench/projection.md)). The bootcamp's design deletes and puts without a transaction. For single
messages it costs less, but a crash can lose a conversation. In bursts it costs several times more.

| members | write units per message | of them the message | read units | $ per million messages | bootcamp's design, $ |
|---:|---:|---:|---:|---:|---:|
{units}

## A month

DynamoDB, Lambda and logs, in dollars. Reads by people cost extra, the same in both designs. A page of 20 rows or
messages is about one read unit, so a million pages cost about $0.13.

| messages per day | members | DynamoDB | Lambda | logs | total | bootcamp's design | a NAT gateway for it |
|---:|---:|---:|---:|---:|---:|---:|---:|
{months}

The last column is the price of one NAT gateway per month, without traffic (${nat_gb} per GB on top). This app needs
none, because the function reaches the table through a gateway endpoint, which is free. The calculation assumes that
Lambda invokes the bootcamp's handler as often.

The next table shows an idle and a busy month, for each value of `-c monitoring=`. The free tier belongs to the account:
ten metrics under alarm, ten custom metrics, three dashboards. The table assumes that only this system uses it. A second
system in the account pays in full.

| | `none` | `essential` (`dev`) | `full` (`prod`) |
|---|---:|---:|---:|
{standing}

A metric costs only in hours in which it has data. While nobody writes, the metrics of the log and of the mapping cost
nothing: **an idle `dev` costs ${idle:.2f} a month within the free tier**, ${idle_without:.2f} without it. The mapping's
counts are priced as custom metrics. Lambda's documentation leaves this open; this is the more
expensive reading.

Storage: a million messages between two people are about {storage_gb:.2f} GB, or ${storage:.2f} a month with
point-in-time recovery.

Assumptions: {call:g} ms per call from Lambda, {memory} GB of memory, {log_bytes:,} bytes of log per invocation, and
Lambda polls each shard {polls} times a second. Write units come from the emulator. It counts those of transactions as
AWS was observed to count them. Read units follow from the size of a row, {row} bytes here. The dashboard shows the
units that AWS measures.

## Past one table

What limits a table:

- A move consumes 2 units of the index and 4 of the table per member. Larger groups also send more messages: if each
  of m members sends the same number, the units grow with **m squared**.
- A conversation is one partition key of the index, which accepts 1,000 write units a second. That is **500 moved
  members per second**: one move of 500, or ten of 50. Its messages are one partition key of the table: 1,000 messages
  of 1 KB a second.
- A person's inbox is one partition key of the table. A move takes 4 units, so one person can be in **250 moves per
  second**.
- The messages of a conversation come through one shard. Lambda processes one batch of a shard at a time, or
  `parallelization_factor` batches.
- An on-demand table begins at 4,000 write units a second, and doubles with its traffic. AWS raises the quota of
  40,000 per table on request.

The next table simulates a single conversation for ten minutes. It shows the seconds from a message to its row, median /
99th percentile, for three batching windows.

| members | messages per second |{windows}
|---:|---:|{rule}
{lags}

A busy group stays current, because the messages that arrive during one move share the next move. But no inbox is faster
than one move, and each move of a large group is expensive. Do this, in this order:

| at | do | what it costs |
|---|---|---|
| bursts, `table-throttled` | `-c batching_window_seconds=1`: one move per second and conversation | that second |
| `inboxes-behind`, many conversations | `-c parallelization_factor=4`, then 10 | nothing; conflicts are retried |
| an inbox with 250 moves a second | a longer `-c batching_window_seconds`: fewer moves per conversation | lag |
| groups of more than about 100 | **fan-out on read**, see below | a query for each large group and page |
| more than one region | global tables, with only one projection: two would conflict | each write in each region |
| more than the quota of a table | **several tables**, see below | the backend queries each table |

**Fan-out on read**: the rows of a large group do not move. The backend merges a member's rows with the newest message
of each large group. This changes schema and backend. **Several tables**: one system for each (`-c name=...`), by a
hash of the conversation. The backend merges the inboxes. Neither is built.
"""


@dataclass(frozen=True)
class Units:
    """What a message consumes: the backend's put, and the move of the rows."""

    put: float
    moves: float
    reads: float
    calls: float

    @property
    def dollars(self) -> float:
        """Dollars of DynamoDB for one message that is settled alone."""
        return (self.put + self.moves) * prices.WRITE_UNIT + self.reads * prices.READ_UNIT


@dataclass(frozen=True)
class Month:
    """Dollars a month, by service."""

    dynamodb: float
    compute: float
    logs: float

    @property
    def total(self) -> float:
        """The sum."""
        return self.dynamodb + self.compute + self.logs


def measured(endpoint: str, members: int) -> tuple[Units, Units]:
    """A single message in an existing conversation: the projection's units, and those of the bootcamp's handler.

    Read units are computed from the sizes of the rows, because the emulator's are wrong.
    """
    load = Load(1, 1, members)
    ours = measure(load, projection, endpoint, share=1)
    theirs = measure(load, baseline, endpoint, share=1)
    index_query = -(-members * row_bytes(endpoint) // READ_BYTES) * 0.5
    return (
        Units(put=1, moves=ours.write_units, reads=index_query + 1, calls=ours.calls),
        Units(put=1, moves=theirs.write_units, reads=index_query, calls=theirs.calls),
    )


def row_bytes(endpoint: str) -> int:
    """The size of the largest group row in the table (Developer Guide, "Item sizes and formats")."""
    items = tables.dynamodb(endpoint).scan(TableName=TABLE)["Items"]
    return max(_size(item) for item in items if item["pk"]["S"].startswith("GRP#"))


def month(units: Units, messages_a_day: int) -> Month:
    """On demand. Every message is settled alone; an invocation has those that arrive between two polls of a shard."""
    messages = messages_a_day * prices.DAYS_OF_A_MONTH
    rate = messages_a_day / SECONDS_OF_A_DAY
    shards = max(1, round(rate * (1 + units.moves / 2) / SHARD_WRITES))
    invocations = messages * min(1.0, POLLS_A_SECOND * shards / rate)
    seconds = messages * units.calls * CALL_SECONDS + invocations * CALL_SECONDS
    return Month(
        dynamodb=messages * units.dollars,
        compute=invocations * prices.LAMBDA_REQUEST + seconds * MEMORY_GB * prices.LAMBDA_GB_SECOND,
        logs=invocations * LOG_BYTES / 1e9 * prices.LOG_GB,
    )


def limits(index_units_a_member: float) -> dict[tuple[int, float, int], Lag]:
    """The lag of one conversation by members, messages a second and batching window."""
    return {
        (members, rate, window): simulate(
            members=members,
            messages_a_second=rate,
            index_units_a_member=index_units_a_member,
            window=window,
            seconds=600,
            seed=SEED,
        )
        for members in LIMIT_MEMBERS
        for rate in LIMIT_RATES
        for window in WINDOWS
    }


def main() -> None:
    """Measure, compute, and write the page and the plot."""
    with tempfile.TemporaryDirectory() as directory, ministack.running(free_port(), Path(directory)) as endpoint:
        table_definition.create(tables.dynamodb(endpoint), TABLE)
        units = {members: measured(endpoint, members) for members in MEMBERS}
        row = row_bytes(endpoint)
    # A delete of an entry of the index and a put of another.
    lags = limits(index_units_a_member=2 * -(-row // KILOBYTE))
    standing = {which: Standing.of(synthesize("prod", monitoring=which)["main"]) for which in MONITORING}
    DOCUMENT.write_text(page(units, standing, lags, row))
    plot(units, lags)
    sys.stdout.write(f"{DOCUMENT.relative_to(REPOSITORY)}, {PLOT.relative_to(REPOSITORY)}\n")


def page(
    units: Mapping[int, tuple[Units, Units]],
    standing: Mapping[str, Standing],
    lags: Mapping[tuple[int, float, int], Lag],
    row: int,
) -> str:
    """The document."""
    windows = "".join(f" window {window} s |" for window in WINDOWS)
    return PAGE.format(
        as_of=prices.AS_OF,
        region=prices.REGION,
        units="\n".join(_unit_rows(units)),
        months="\n".join(_month_rows(units)),
        nat_gb=prices.NAT_GATEWAY_GB,
        standing="\n".join(standing_rows(standing)),
        idle=standing["essential"].idle_dollars(free_tier=True),
        idle_without=standing["essential"].idle_dollars(free_tier=False),
        storage_gb=_storage_gb(),
        storage=_storage_gb() * (prices.STORED_GB_MONTH + prices.RECOVERY_GB_MONTH),
        call=1000 * CALL_SECONDS,
        memory=MEMORY_GB,
        log_bytes=LOG_BYTES,
        polls=POLLS_A_SECOND,
        row=row,
        windows=windows,
        rule="---:|" * len(WINDOWS),
        lags="\n".join(_lag_rows(lags)),
    )


def _unit_rows(units: Mapping[int, tuple[Units, Units]]) -> Iterator[str]:
    for members, (ours, theirs) in units.items():
        yield (
            f"| {members} | {ours.put + ours.moves:g} | {ours.put:g} | {ours.reads:g} "
            f"| {MILLION * ours.dollars:,.2f} | {MILLION * theirs.dollars:,.2f} |"
        )


def _month_rows(units: Mapping[int, tuple[Units, Units]]) -> Iterator[str]:
    for a_day in MESSAGES_A_DAY:
        for members, (ours, theirs) in units.items():
            mine, other = month(ours, a_day), month(theirs, a_day)
            yield (
                f"| {a_day:,} | {members} | {mine.dynamodb:,.2f} | {mine.compute:,.2f} | {mine.logs:,.2f} "
                f"| {mine.total:,.2f} | {other.total:,.2f} | +{NAT_MONTH:,.2f} |"
            )


def _lag_rows(lags: Mapping[tuple[int, float, int], Lag]) -> Iterator[str]:
    for members in LIMIT_MEMBERS:
        for rate in LIMIT_RATES:
            cells = [lags[members, rate, window] for window in WINDOWS]
            yield (
                f"| {members} | {rate:g} | " + " | ".join(f"{lag.half:.2f} / {lag.slowest:.2f}" for lag in cells) + " |"
            )


def plot(units: Mapping[int, tuple[Units, Units]], lags: Mapping[tuple[int, float, int], Lag]) -> None:
    """Dollars a month by messages a day; lag by members."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cost"
    from matplotlib import pyplot as plt

    figure, (money, lag) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    a_day = [10**power for power in range(2, 9)]
    for color, (members, (ours, theirs)) in zip(("tab:blue", "tab:orange", "tab:green"), units.items(), strict=True):
        money.plot(a_day, [month(ours, m).total for m in a_day], color=color, label=f"this app, {members} members")
        money.plot(a_day, [month(theirs, m).total for m in a_day], "--", color=color, label=f"bootcamp's, {members}")
    money.axhline(NAT_MONTH, color="grey", linestyle=":", label="a NAT gateway, idle")
    money.set(xscale="log", yscale="log", xlabel="messages a day", title="dollars a month, without what is fixed")
    money.legend(fontsize=7)
    for color, rate in zip(("tab:blue", "tab:orange", "tab:green"), LIMIT_RATES, strict=True):
        for window, style in zip(WINDOWS[:2], ("-o", "--x"), strict=True):
            slowest = [lags[members, rate, window].slowest for members in LIMIT_MEMBERS]
            lag.plot(LIMIT_MEMBERS, slowest, style, color=color, label=f"{rate:g} messages/s, window {window} s")
    lag.set(xscale="log", yscale="log", xlabel="members of one conversation", title="lag of the slowest 1 %, seconds")
    lag.legend(fontsize=7)
    figure.savefig(PLOT, metadata={"Date": None})


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + len(str(next(iter(value.values()))).encode()) for name, value in item.items())


def _storage_gb() -> float:
    return MILLION * (len(TEXT) + 200 + ITEM_OVERHEAD_BYTES) / 1e9


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    main()
