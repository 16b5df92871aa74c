"""The projection beside the bootcamp's handler: time, API calls and capacity units, and how each grows.

Both get the same load on the same engine in the same run. Run: python -m bench.projection
"""

import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from cruddur_cli import table_definition
from cruddur_messages import schema, timestamps
from cruddur_messages.projection import handler as stream_handler
from tests.engines import ministack, tables
from tests.engines.fixtures import free_port

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MESSAGES = (1, 10, 100, 1000)
CONVERSATIONS = (1, 10, 100)
MEMBERS = (2, 10, 50)
BATCH_SIZE = 100
MEMBERS_PER_TRANSACTION = 50
MOST_BASELINE_MOVES = 2000
"""The baseline does the same for every message; it is measured for so many rows, and its figures are scaled."""

DOCS = Path(__file__).parents[1] / "docs" / "bench"
TABLE = "cruddur-messages"
TEXT = "A message of the length that people write to each other, give or take a word or two."

_numbers = count(1)


@dataclass(frozen=True)
class Load:
    """So many messages, spread evenly over so many conversations of so many members."""

    messages: int
    conversations: int
    members: int

    def __str__(self) -> str:
        return f"{self.messages} in {self.conversations} of {self.members}"


@dataclass(frozen=True)
class Cost:
    """What a load took: seconds in the handler, API calls, write and read units; `is_scaled` from a part of it."""

    seconds: float
    calls: float
    write_units: float
    read_units: float
    is_scaled: bool

    @property
    def values(self) -> tuple[float, float, float, float]:
        """All of them, in the order of `QUANTITIES`."""
        return self.seconds, self.calls, self.write_units, self.read_units


QUANTITIES = ("seconds", "API calls", "write units", "read units")

Handler = Callable[[list[Any]], object]


class Meter:
    """Counts the calls of a client, and the capacity units that DynamoDB reports for them."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self.client = client
        self.counts: Counter[str] = Counter()
        client.meta.events.register("before-parameter-build.dynamodb", self._ask)
        client.meta.events.register("after-call.dynamodb", self._count)

    def _ask(self, params: dict[str, Any], **_event: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def _count(self, parsed: dict[str, Any], model: Any, **_event: object) -> None:
        reported = parsed.get("ConsumedCapacity", [])
        units = sum(own["CapacityUnits"] for own in (reported if isinstance(reported, list) else [reported]))
        self.counts["calls"] += 1
        self.counts["read" if model.name == "Query" else "write"] += units


def projection(client: "DynamoDBClient") -> Handler:
    """The stream handler, as it is deployed."""

    def handle(records: list[Any]) -> None:
        with redirect_stdout(StringIO()):
            response = stream_handler.respond({"Records": records}, client=client, table_name=TABLE, seconds=30.0)
        if response["batchItemFailures"]:
            raise RuntimeError("the projection did not settle everything")

    return handle


def baseline(client: "DynamoDBClient") -> Handler:
    """What the bootcamp's handler does, granted a loop over all records: per row, delete it and put a new one."""

    def handle(records: list[Any]) -> None:
        for record in records:
            message = record["dynamodb"]["NewImage"]
            rows = client.query(
                TableName=TABLE,
                IndexName=schema.INDEX_NAME,
                KeyConditionExpression="message_group_uuid = :group",
                ExpressionAttributeValues={":group": {"S": message["pk"]["S"].removeprefix(schema.MESSAGE_PREFIX)}},
            )["Items"]
            for row in rows:
                key = {name: row[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
                copied = ("pk", "message_group_uuid", "user_uuid", "user_display_name", "user_handle")
                moved = {name: row[name] for name in copied} | {"sk": message["sk"], "message": message["message"]}
                client.delete_item(TableName=TABLE, Key=key)
                client.put_item(TableName=TABLE, Item=moved)

    return handle


def loads() -> Iterator[Load]:
    """Every combination that has at least one message for each conversation."""
    for members in MEMBERS:
        for conversations in CONVERSATIONS:
            for messages in MESSAGES:
                if messages >= conversations:
                    yield Load(messages, conversations, members)


def measure(load: Load, handler: Callable[["DynamoDBClient"], Handler], endpoint: str, *, share: int) -> Cost:
    """Put the load's messages batch by batch, and hand each batch to the handler, which alone is measured.

    Only one batch of `share` is used, and the figures are scaled.
    """
    meter = Meter(tables.dynamodb(endpoint))
    handle = handler(meter.client)
    writer = tables.dynamodb(endpoint)
    groups = [f"bench-{next(_numbers)}" for _ in range(load.conversations)]
    _put_all(writer, [row for group in groups for row in _rows(group, load.members)])
    _settle_first(writer, groups, handle)
    meter.counts.clear()
    seconds = 0.0
    messages = [_message(groups[number % len(groups)], number) for number in range(load.messages // share)]
    for batch in _batches(messages, BATCH_SIZE):
        _put_all(writer, batch)
        begin = time.perf_counter()
        handle([_record(item) for item in batch])
        seconds += time.perf_counter() - begin
    return Cost(
        seconds=seconds * share,
        calls=meter.counts["calls"] * share,
        write_units=meter.counts["write"] * share,
        read_units=meter.counts["read"] * share,
        is_scaled=share > 1,
    )


def floor_calls(load: Load) -> int:
    """One index query, one consistent read, one transaction for every 50 members: per dirty conversation and batch."""
    dirty = sum(
        min(load.conversations, size)
        for size in [BATCH_SIZE] * (load.messages // BATCH_SIZE) + [load.messages % BATCH_SIZE]
    )
    return dirty * (2 + -(-load.members // MEMBERS_PER_TRANSACTION))


def main() -> None:
    """Measure every load with both handlers, print the ratios as they come, and write the page and the plot."""
    results: dict[Load, tuple[Cost, Cost]] = {}
    with tempfile.TemporaryDirectory() as directory, ministack.running(free_port(), Path(directory)) as endpoint:
        table_definition.create(tables.dynamodb(endpoint), TABLE)
        for load in loads():
            share = max(1, load.messages * load.members // MOST_BASELINE_MOVES)
            ours = measure(load, projection, endpoint, share=1)
            theirs = measure(load, baseline, endpoint, share=share)
            results[load] = ours, theirs
            ratios = ", ".join(
                f"{name} {_ratio(their, our)}"
                for name, our, their in zip(QUANTITIES, ours.values, theirs.values, strict=True)
            )
            sys.stdout.write(f"{load}: baseline / projection: {ratios}\n")
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / "projection.md").write_text(page(results))
    plot(results, DOCS / "projection.svg")


def page(results: dict[Load, tuple[Cost, Cost]]) -> str:
    """The table, in Markdown."""
    lines = [
        "# What the projection costs, beside the bootcamp's handler",
        "",
        "`python -m bench.projection` wrote this page and its plot. Both handlers got the same messages, in batches of",
        f"{BATCH_SIZE}, on the same emulator (MiniStack, which counts write units in transactions as AWS has been seen",
        "to: table doubled, index not) in one run. The baseline is the bootcamp's handler, granted a loop over all",
        "records: per message one index query, then a delete and a put per member. Where it says ~, the baseline was",
        "measured on a part of the messages and scaled, for it does the same for each of them.",
        "",
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores. A call takes about a",
        "millisecond here, so the ratios carry over to AWS, the times do not.",
        "",
        "![Time, calls and write units per message](projection.svg)",
        "",
        "Per message, projection / baseline. The floor is one index query, one consistent read and one transaction per",
        f"dirty conversation, batch and {MEMBERS_PER_TRANSACTION} members.",
        "",
        "| messages | conversations | members | milliseconds | API calls | write units | read units | calls / floor |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for load, (ours, theirs) in results.items():
        about = "~" if theirs.is_scaled else ""
        per_message = [
            f"{_short(our * scale / load.messages)} / {about}{_short(their * scale / load.messages)}"
            for our, their, scale in zip(ours.values, theirs.values, (1000, 1, 1, 1), strict=True)
        ]
        cells = [load.messages, load.conversations, load.members, *per_message, _short(ours.calls / floor_calls(load))]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", *_expectations(results), ""])


def _expectations(results: dict[Load, tuple[Cost, Cost]]) -> list[str]:
    lone, _ = results[Load(1, 1, 2)]
    burst, _ = results[Load(100, 1, 2)]
    ours, theirs = results[Load(1000, 10, 2)]
    ours_10, theirs_10 = results[Load(1000, 10, 10)]
    return [
        "| expected | measured |",
        "|---|---|",
        f"| a lone message in a two-person conversation: at most 3 calls | {lone.calls:.0f} calls |",
        f"| a burst of 100 into one conversation costs what one costs | {burst.calls:.0f} calls, "
        f"{burst.write_units:.0f} write units against {lone.calls:.0f} and {lone.write_units:.0f} |",
        f"| 1,000 messages in 10 conversations of 2: 10x less time | {_ratio(theirs.seconds, ours.seconds)} |",
        f"| the same: 5x fewer write units | {_ratio(theirs.write_units, ours.write_units)} |",
        f"| the same in conversations of 10: time, write units | {_ratio(theirs_10.seconds, ours_10.seconds)}, "
        f"{_ratio(theirs_10.write_units, ours_10.write_units)} |",
    ]


def plot(results: dict[Load, tuple[Cost, Cost]], path: Path) -> None:
    """Cost per message against the number of messages, in 10 conversations, for each number of members."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "projection"
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for panel, index, scale, title in zip(
        panels, range(3), (1000, 1, 1), ("milliseconds", *QUANTITIES[1:3]), strict=True
    ):
        for color, members in zip(("tab:blue", "tab:orange", "tab:green"), MEMBERS, strict=True):
            chosen = [load for load in results if load.members == members and load.conversations == 10]
            for which, style, name in ((0, "-o", "projection"), (1, "--x", "baseline")):
                values = [results[load][which].values[index] * scale / load.messages for load in chosen]
                panel.plot(
                    [load.messages for load in chosen], values, style, color=color, label=f"{name}, {members} members"
                )
        panel.set(xscale="log", yscale="log", xlabel="messages in 10 conversations", title=f"{title} per message")
    panels[0].legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def _settle_first(writer: "DynamoDBClient", groups: Sequence[str], handle: Handler) -> None:
    """A first message in each conversation, so that what is measured is the usual state of affairs."""
    first = [_message(group, -1) for group in groups]
    _put_all(writer, first)
    for batch in _batches(first, BATCH_SIZE):
        handle([_record(item) for item in batch])


def _rows(group: str, members: int) -> list[dict[str, Any]]:
    users = [f"{group}-{number}" for number in range(members)]
    return [
        _strings(
            pk=schema.group_row_partition(user),
            sk=timestamps.canonical(_instant(-2)),
            message_group_uuid=group,
            message=TEXT,
            user_uuid=users[number - 1],
            user_display_name="Somebody Else",
            user_handle="somebody",
        )
        for number, user in enumerate(users)
    ]


def _message(group: str, number: int) -> dict[str, Any]:
    return _strings(
        pk=schema.message_partition(group),
        sk=timestamps.canonical(_instant(number)),
        message_uuid=f"{group}-{number}",
        message=TEXT,
        user_uuid=f"{group}-0",
        user_display_name="Somebody",
        user_handle="somebody",
    )


def _instant(number: int) -> Any:
    start = timestamps.parse("2026-01-01")
    if start is None:
        raise AssertionError
    return start + number * timestamps.MICROSECOND


def _record(item: dict[str, Any]) -> dict[str, Any]:
    keys = {name: item[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
    change = {"Keys": keys, "NewImage": item, "SequenceNumber": str(next(_numbers))}
    return {"eventName": "INSERT", "dynamodb": change}


def _put_all(client: "DynamoDBClient", items: Sequence[dict[str, Any]]) -> None:
    for batch in _batches(items, 25):
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in batch]})


def _batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for begin in range(0, len(items), size):
        yield list(items[begin : begin + size])


def _strings(**values: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in values.items()}


def _ratio(their: float, our: float) -> str:
    return f"{their / our:.1f}x"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    main()
