"""How the time and memory of `verify` and `rebuild` grow with a table, beside a bare parallel scan of it.

Growth is measured on recorded tables, repairs on DynamoDB Local, whose own scan grows more than linearly. Each figure
comes from a process of its own, because of its peak memory. Run: python -m tools.bench.verify
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cruddur_cli import table_definition
from cruddur_cli.maintenance import verify as verifying
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Rebuild
from cruddur_cli.maintenance.scan import scan
from cruddur_cli.target import Target
from cruddur_local import dynamodb_local
from cruddur_messages import schema, timestamps
from cruddur_messages.audit.snapshot import ATTRIBUTES
from cruddur_messages.conversation_item import ROWS, SHOWN, VERSION, fingerprint
from cruddur_messages.items import (
    MESSAGE,
    MESSAGE_UUID,
    AttributeMap,
    Message,
    User,
)
from tools.bench.recorded_table import RecordedTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PORT = 8199
TABLE = "cruddur-messages-bench"
SIZES = (10_000, 100_000, 1_000_000)
REPETITIONS = 2
ITEMS_PER_CONVERSATION = 20
OTHER_ITEMS = 3
"""Items of a conversation of two that are not messages: their rows and the conversation item."""
FEW_CONVERSATIONS = 500
REPAIRED_CONVERSATIONS = (250, 500)
BATCH = 25
ONE_IN = 100
"""In a damaged table, one conversation in this many is damaged."""

START = datetime(2026, 1, 1, tzinfo=UTC)
RESULT = Path("docs/bench/verify.md")
TEXT = "Nobody reads this, and it is about as long as what people write to each other."


@dataclass(frozen=True)
class Figure:
    """The cost of a process: seconds, and peak memory in MiB; `count` is its result."""

    seconds: float
    mebibytes: float
    count: int


def target(table_name: str) -> Target:
    """The table on the engine of this run."""
    return Target(
        table_name,
        f"http://127.0.0.1:{PORT}",
        "us-east-1",
        has_projection=False,
        access_key_id="test",
        secret_access_key="test",  # noqa: S106
    )


def conversation(number: int, messages: int) -> Iterator[AttributeMap]:
    """The items of a settled conversation between two people, the conversation item last."""
    group = str(uuid.UUID(int=number))
    people = [User(str(uuid.UUID(int=2**100 + 2 * number + who)), "Ann Example", "ann") for who in (0, 1)]
    for line in range(messages):
        instant = START + timedelta(seconds=60 * line, microseconds=number)
        sender = people[line % 2]
        message = Message(
            message_group_uuid=group,
            sort_key=timestamps.canonical(instant),
            instant=instant,
            message_uuid=str(uuid.uuid4()),
            message=f"{line}: {TEXT}",
            sender=sender,
        )
        yield message.to_attributes()
    for member, other in (people, people[::-1]):
        yield {
            schema.PARTITION_KEY: {"S": schema.group_row_partition(member.uuid)},
            schema.SORT_KEY: {"S": message.sort_key},
            schema.INDEX_PARTITION_KEY: {"S": group},
            MESSAGE: {"S": message.message},
            MESSAGE_UUID: {"S": message.message_uuid},
            **other.to_attributes(),
        }
    yield {
        schema.PARTITION_KEY: {"S": schema.conversation_partition(group)},
        schema.SORT_KEY: {"S": schema.CONVERSATION_SORT_KEY},
        VERSION: {"S": uuid.uuid4().hex},
        ROWS: {"M": {message.sort_key: {"SS": [person.uuid for person in people]}}},
        SHOWN: {"S": fingerprint(message)},
    }


def load(table_name: str, conversations: int, messages: int) -> None:
    """Fill a new table, one batch after the other: DynamoDB Local is slow with several writers at once."""
    client = target(table_name).dynamodb()
    table_definition.create(client, table_name)
    items = [item for number in range(conversations) for item in conversation(number, messages)]
    for start in range(0, len(items), BATCH):
        client.batch_write_item(
            RequestItems={table_name: [{"PutRequest": {"Item": item}} for item in items[start : start + BATCH]]}
        )


def damage(table_name: str, conversations: int, messages: int) -> None:
    """Damage one conversation in ONE_IN: in turn a missing, a stale and a duplicate row."""
    client = target(table_name).dynamodb()
    for turn, number in enumerate(range(0, conversations, ONE_IN)):
        row = list(conversation(number, messages))[-2]
        old = {**row, schema.SORT_KEY: {"S": "2025-01-01T00:00:00.000000+00:00"}, MESSAGE: {"S": "old"}}
        if turn % 3 < 2:
            key = {name: row[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
            client.delete_item(TableName=table_name, Key=key)
        if turn % 3 > 0:
            client.put_item(TableName=table_name, Item=old)


def bare_scan(client: "DynamoDBClient", table_name: str) -> int:
    """Read every item, and do nothing with it."""
    counts: list[int] = []
    scan(client, table_name, lambda items: counts.append(len(items)))
    return sum(counts)


def verify(client: "DynamoDBClient", table_name: str) -> int:
    """Do what bin/ddb verify does; return the number of findings."""
    return len(verifying.verify(client, table_name).findings)


def rebuild(client: "DynamoDBClient", table_name: str) -> int:
    """Do what bin/ddb rebuild does; return the number of conversations repaired."""
    with TemporaryDirectory() as directory:
        rebuilding = Rebuild(client=client, table_name=table_name, named=lambda _: None)
        outcome = rebuilding.run(Checkpoint(Path(directory) / "left.jsonl"))
    if outcome.findings:
        raise RuntimeError(f"{len(outcome.findings)} promises are still broken")
    return len(outcome.repairs)


WORKS: dict[str, Callable[["DynamoDBClient", str], int]] = {
    "bare_scan": bare_scan,
    "verify": verify,
    "rebuild": rebuild,
}


def measure(work: str, table_name: str, recorded: Path | None) -> Figure:
    """Run the work in this process."""
    client = target(table_name).dynamodb()
    if recorded:
        RecordedTable(recorded).attach(client)
    started = time.perf_counter()
    count = WORKS[work](client, table_name)
    return Figure(
        seconds=time.perf_counter() - started,
        mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        count=count,
    )


def in_a_process(work: str, table_name: str, recorded: Path | None = None) -> Figure:
    """Run the work in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "tools.bench.verify", "--measure", work, "--table", table_name]
        + (["--recorded", str(recorded)] if recorded else []),
        check=True,
        capture_output=True,
        text=True,
    )
    return Figure(**json.loads(result.stdout))


def fastest(figures: Sequence[Figure]) -> Figure:
    """The shortest time, since other programs can only lengthen it, and the highest memory."""
    return Figure(
        min(figure.seconds for figure in figures),
        max(figure.mebibytes for figure in figures),
        figures[0].count,
    )


def growth(conversations: int, messages: int) -> str:
    """A line of the page: bare scan, verify and rebuild of a recorded correct table, alternately."""
    with TemporaryDirectory() as directory:
        items = (item for number in range(conversations) for item in conversation(number, messages))
        RecordedTable(Path(directory)).record(items, ATTRIBUTES)
        figures: dict[str, list[Figure]] = {work: [] for work in WORKS}
        for _ in range(REPETITIONS):
            for work in WORKS:
                figures[work].append(in_a_process(work, TABLE, Path(directory)))
    bare, verified, rebuilt = (fastest(figures[work]) for work in ("bare_scan", "verify", "rebuild"))
    return line(
        f"{bare.count:,}",
        f"{conversations:,}",
        f"{bare.seconds:.2f} s",
        f"{verified.seconds:.2f} s",
        f"{verified.seconds / bare.seconds:.2f}",
        f"{rebuilt.seconds:.2f} s",
        f"{rebuilt.seconds / bare.seconds:.2f}",
        f"{1e6 * verified.seconds / bare.count:.1f} µs",
        f"{bare.mebibytes:.0f} MiB",
        f"{verified.mebibytes:.0f} MiB",
    )


def repairs(conversations: int) -> str:
    """A line of the page: a table on DynamoDB Local, correct, then damaged, then rebuilt."""
    messages = ITEMS_PER_CONVERSATION - OTHER_ITEMS
    table_name = f"{TABLE}-{conversations}"
    load(table_name, conversations, messages)
    bare, verified = (in_a_process(work, table_name) for work in ("bare_scan", "verify"))
    damage(table_name, conversations, messages)
    repaired = in_a_process("rebuild", table_name)
    if in_a_process("verify", table_name).count:
        raise RuntimeError("the table has findings after a rebuild")
    return line(
        f"{bare.count:,}",
        f"{conversations:,}",
        f"{bare.seconds:.2f} s",
        f"{verified.seconds:.2f} s",
        f"{verified.seconds / bare.seconds:.2f}",
        f"{repaired.count:,}",
        f"{repaired.seconds:.2f} s",
    )


def line(*cells: str) -> str:
    """A line of a table, printed at once."""
    drawn = "| " + " | ".join(cells) + " |"
    sys.stderr.write(drawn + "\n")
    return drawn


GROWTH_HEADER = """\
| items | conversations | bare scan | verify | ratio | rebuild | ratio | per item | memory, scan | memory, verify |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""

REPAIR_HEADER = """\
| items | conversations | bare scan | verify | ratio | repaired | rebuild |
|---:|---:|---:|---:|---:|---:|---:|"""


def document(growing: Sequence[str], fixed: Sequence[str], repaired: Sequence[str]) -> str:
    """The page."""
    return "\n".join(
        (
            "# `verify` and `rebuild` as a table grows",
            "",
            f"`python -m tools.bench.verify` wrote this page ({platform.machine()}, {os.cpu_count()} processors, "
            f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}).",
            "",
            f"Times are the shortest of {REPETITIONS} alternating runs, each in a process of its own, on a table",
            "without problems. Memory is the peak of the process, of which about 60 MiB are Python and boto3.",
            "*Per item* is the time of `verify`. *Bare scan* is the same parallel scan, without any work on the items.",
            "",
            "The responses to Scan are recorded: boto3 reads them from a file, without waiting. So all time is the",
            "client's, and the ratio is the worst case: on a real table, the wait for DynamoDB hides a part of it.",
            "",
            f"## Conversations grow with the table: {ITEMS_PER_CONVERSATION} items each",
            "",
            GROWTH_HEADER,
            *growing,
            "",
            f"## The table grows, with the same {FEW_CONVERSATIONS} conversations",
            "",
            GROWTH_HEADER,
            *fixed,
            "",
            "Time grows with the number of items, memory with the number of conversations and not of messages. A ratio",
            "can be below 1, because `verify` reads only the attributes that it needs, and the bare scan reads all.",
            "",
            "## Repair, on DynamoDB Local",
            "",
            f"One conversation in {ONE_IN} was damaged: a row was missing, stale or a duplicate. After `rebuild`,",
            "`verify` found nothing.",
            "",
            REPAIR_HEADER,
            *repaired,
            "",
        )
    )


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.verify", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="ITEMS")
    parser.add_argument("--measure", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    parser.add_argument("--recorded", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stdout.write(json.dumps(vars(measure(arguments.measure, arguments.table, arguments.recorded))))
        return
    growing = [growth(size // ITEMS_PER_CONVERSATION, ITEMS_PER_CONVERSATION - OTHER_ITEMS) for size in arguments.sizes]
    fixed = [growth(FEW_CONVERSATIONS, size // FEW_CONVERSATIONS - OTHER_ITEMS) for size in arguments.sizes]
    with dynamodb_local.running(PORT):
        repaired = [repairs(conversations) for conversations in REPAIRED_CONVERSATIONS]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(document(growing, fixed, repaired))


if __name__ == "__main__":
    main()
