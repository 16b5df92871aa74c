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

from bench.limits import POLLS_A_SECOND, Lag, simulate
from bench.projection import TABLE, TEXT, Load, baseline, measure, projection
from bench.standing import MONITORING, Standing, standing_rows
from cruddur_cli import table_definition
from cruddur_infra import REPOSITORY
from cruddur_infra.monitoring import prices
from drawings.synthesis import synthesize
from tests.engines import ministack, tables
from tests.engines.fixtures import free_port

MEMBERS = (2, 10, 50)
MESSAGES_A_DAY = (1_000, 1_000_000, 100_000_000)
DOCUMENT, PLOT = REPOSITORY / "docs/cost.md", REPOSITORY / "docs/cost.svg"

MILLION = 1_000_000
SECONDS_OF_A_DAY = 86_400
KILOBYTE, READ_BYTES = 1024, 4096
CALL_SECONDS = 0.008
"""Assumed for a call from Lambda to DynamoDB, and once more for what the function does besides."""
MEMORY_GB = 0.5
LOG_BYTES = 1500
"""Of an invocation: our line of about 400 bytes, and Lambda's own start, end and report."""
SHARD_WRITES = 1000
"""Item writes a second that DynamoDB is assumed to put on a shard of the stream, as on a partition of the table."""
ITEM_OVERHEAD_BYTES = 100
"""What DynamoDB adds to an item where it bills storage (Developer Guide, "Calculating item sizes")."""

LIMIT_MEMBERS = (2, 10, 50, 100, 250, 500, 1000)
LIMIT_RATES = (0.1, 1.0, 10.0)
WINDOWS = (0, 1, 5)
SEED = 7


NAT_MONTH = prices.NAT_GATEWAY_HOUR * prices.HOURS_OF_A_MONTH

PAGE = """# Cost, and the limits

Made by `make bench-cost`: units measured, times the prices of {region} as written down on {as_of} in
[prices.py](../cruddur_infra/monitoring/prices.py), without tax, and without free tier where it is not named. They
agree with price guides of 2026; AWS's own list was not at hand, so check them before you rely on a sum.

![Cost by traffic, and lag by members](cost.svg)

## A million messages

Each handled alone, which is the worst case: messages that meet in a batch share one move per conversation
([the projection's figures](bench/projection.md)). The bootcamp's design deletes and puts without a transaction, and
loses conversations for what it saves here; in bursts it costs several times more.

| members | write units a message | of them the message | read units | $ a million messages | bootcamp's design, $ |
|---:|---:|---:|---:|---:|---:|
{units}

## A month

DynamoDB, Lambda and logs, in dollars. What readers read comes on top, the same with either design: a page of 20 rows
or messages is about one read unit, so a million pages are about $0.13.

| messages a day | members | DynamoDB | Lambda | logs | together | bootcamp's design | a NAT gateway for it |
|---:|---:|---:|---:|---:|---:|---:|---:|
{months}

The last column is what one NAT gateway asks a month before the first byte (${nat_gb} a GB after). The function needs
none, since its way to the table is a gateway endpoint, which is free. The bootcamp's handler is taken to be called
as often.

Whether there are messages or not, by `-c monitoring=`. The free tier is the account's: ten metrics under alarm, ten
metrics of one's own, three dashboards. It is taken to be this system's alone; a second one in the account pays in full.

| | `none` | `essential` (`dev`) | `full` (`prod`) |
|---|---:|---:|---:|
{standing}

A metric costs only in the hours in which it has data, so that while nobody writes, the metrics of the log and of the
mapping cost nothing: **`dev` idle is ${idle:.2f} a month within the free tier**, ${idle_without:.2f} without. The
mapping's counts are taken to be metrics of one's own, as the cautious reading of Lambda's documentation has it.

Storage: a million messages of two are about {storage_gb:.2f} GB, ${storage:.2f} a month with point-in-time recovery.

Assumed: {call:g} ms a call from Lambda, {memory} GB of memory, {log_bytes:,} bytes of log an invocation, and Lambda
looking into each shard {polls} times a second. Write units are the emulator's, which counts those of transactions as
AWS has been seen to; read units follow from the size of a row, {row} bytes here. The bill is the proof: the dashboard
shows what the meters of AWS say.

## Past one table

What grows with what:

- A move consumes 2 units of the index and 4 of the table a member; the messages that members send grow with them
  too: where each of m members sends as much, units grow with **m squared**.
- A conversation is one partition key of the index, which takes 1,000 write units a second: **500 members moved a
  second**, as one move of 500 or ten of 50. Its messages are one partition key of the table: 1,000 of 1 KB a second.
- A person's inbox is one partition key of the table: 4 units a move, **250 moves a second** for one person in many
  busy conversations.
- A conversation's messages come through one shard. A shard is worked off one batch at a time,
  `parallelization_factor` times that.
- The table itself: on demand begins at 4,000 write units a second and doubles what it has seen; the quota of 40,000 a
  table is raised on request.

Simulated for a single conversation, ten minutes: seconds from message to row, half of the messages / the slowest
hundredth, for three batching windows.

| members | messages a second |{windows}
|---:|---:|{rule}
{lags}

Folding keeps even a busy group current: while one move waits for the index, messages gather for the next. What it
cannot do is be quicker than one move, and every move of a large group is dear. So, in this order:

| at | then | what it costs |
|---|---|---|
| bursts, `table-throttled` | `-c batching_window_seconds=1`: at most one move a second and conversation | that second |
| `inboxes-behind`, many conversations | `-c parallelization_factor=4`, then 10 | nothing; conflicts are settled |
| an inbox of 250 moves a second | the window again: moves fold with their conversations | lag |
| groups of more than about 100 | **fan-out on read**, see below | a query for each large group and page |
| more than one region | global tables, the projection in one region: two would race | each write in each region |
| more than a table's quota | tables by a hash of the conversation, see below | the backend asks each table |

**Fan-out on read**: no rows move for a large group; a member's inbox merges the rows with the newest message of each
large group that the member is in. It changes schema and backend. **Several tables**: an instance of this app for each
(`-c table_name=...` in stages or accounts of their own), and inboxes merged on read. Neither is built here.
"""


@dataclass(frozen=True)
class Units:
    """What a message consumes: of the backend's put and of moving the rows."""

    put: float
    moves: float
    reads: float
    calls: float

    @property
    def dollars(self) -> float:
        """Of DynamoDB, for one message that is handled alone."""
        return (self.put + self.moves) * prices.WRITE_UNIT + self.reads * prices.READ_UNIT


@dataclass(frozen=True)
class Month:
    """Dollars a month, by what they are for."""

    dynamodb: float
    compute: float
    logs: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.dynamodb + self.compute + self.logs


def measured(endpoint: str, members: int) -> tuple[Units, Units]:
    """A lone message in a conversation that goes on: the projection's units, and those of the bootcamp's handler.

    Reads follow from the sizes of the rows, for the emulator's read units are wrong.
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
    """On demand, every message handled alone, as many to an invocation as arrive between two looks at a shard."""
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
    # Deleting an entry of an index and putting another.
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
