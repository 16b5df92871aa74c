"""The projection beside its first version and the bootcamp's handler: time, API calls and capacity units.

All get the same load on the same engine in the same run. Run: python -m tools.bench.projection
"""

import os
import platform
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

sys.path.insert(0, str(Path(__file__).parents[2] / "lambda"))
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from cruddur_cli import table_definition
from cruddur_messages import schema, timestamps
from cruddur_messages.projection import handler as stream_handler
from tests.engines import ministack, tables
from tests.engines.fixtures import free_port
from tools.bench import first_version, schedules

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MESSAGES = (1, 10, 100, 1000)
CONVERSATIONS = (1, 10, 100)
MEMBERS = (2, 10, 50)
BATCH_SIZE = 100
MEMBERS_PER_TRANSACTION = 49
MOST_BASELINE_MOVES = 2000
"""The baseline does the same work for every message, so it is measured for this many rows and scaled."""

MOST_ROWS_SHOWN = 10_000

DOCS = Path(__file__).parents[2] / "docs" / "bench"
TABLE = "cruddur-messages"
TEXT = "A message of the length that people write to each other, give or take a word or two."

_numbers = count(1)


@dataclass(frozen=True)
class Load:
    """A number of messages, spread evenly over conversations with this number of members."""

    messages: int
    conversations: int
    members: int

    def __str__(self) -> str:
        return f"{self.messages} in {self.conversations} of {self.members}"


@dataclass(frozen=True)
class Cost:
    """The cost of a load: seconds in the handler, API calls, write and read units; `is_scaled` from a part."""

    seconds: float
    calls: float
    write_units: float
    read_units: float
    is_scaled: bool

    @property
    def values(self) -> tuple[float, float, float, float]:
        """The figures in the order of `QUANTITIES`."""
        return self.seconds, self.calls, self.write_units, self.read_units


QUANTITIES = ("seconds", "API calls", "write units", "read units")

Handler = Callable[[list[Any]], object]

Costs = tuple[Cost, Cost, Cost]
"""The costs of the projection, of its first version, and of the baseline."""

TIES = (10, 100, 500)


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
        self.counts["read" if model.name in ("Query", "GetItem", "BatchGetItem") else "write"] += units


def projection(client: "DynamoDBClient") -> Handler:
    """The stream handler, as it is deployed."""

    def handle(records: list[Any]) -> None:
        with redirect_stdout(StringIO()):
            response = stream_handler.respond({"Records": records}, client=client, table_name=TABLE, seconds=30.0)
        if response["batchItemFailures"]:
            raise RuntimeError("the projection did not settle everything")

    return handle


def version_before(module: Any) -> Callable[["DynamoDBClient"], Handler]:
    """The stream handler of the first version."""

    def attach(client: "DynamoDBClient") -> Handler:
        os.environ[schema.TABLE_NAME_VARIABLE] = TABLE

        def handle(records: list[Any]) -> None:
            module._dynamodb = client
            with redirect_stdout(StringIO()):
                response = module.handler({"Records": records})
            if response["batchItemFailures"]:
                raise RuntimeError("the first version did not settle everything")

        return handle

    return attach


def baseline(client: "DynamoDBClient") -> Handler:
    """The bootcamp's handler with a loop over all records added: it deletes each row and puts a new one."""

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
    """Every combination with at least one message for each conversation that does not take minutes."""
    for members in MEMBERS:
        for conversations in CONVERSATIONS:
            for messages in MESSAGES:
                if messages >= conversations and messages * members <= MOST_ROWS_SHOWN:
                    yield Load(messages, conversations, members)


def measure(load: Load, handler: Callable[["DynamoDBClient"], Handler], endpoint: str, *, share: int) -> Cost:
    """Put the load's messages batch by batch, and pass each batch to the handler. Only the handler is measured.

    Only one batch of `share` is used, and the figures are scaled.
    """
    meter = Meter(tables.dynamodb(endpoint))
    handle = handler(meter.client)
    writer = tables.dynamodb(endpoint)
    groups = [str(uuid.uuid4()) for _ in range(load.conversations)]
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
    """Three reads, and one transaction for every 49 members: per dirty conversation and batch."""
    dirty = sum(
        min(load.conversations, size)
        for size in [BATCH_SIZE] * (load.messages // BATCH_SIZE) + [load.messages % BATCH_SIZE]
    )
    return dirty * (3 + -(-load.members // MEMBERS_PER_TRANSACTION))


def measure_small_changes(endpoint: str) -> tuple[Cost, Cost]:
    """A record that changes nothing, between two; and a new member in a conversation of ten."""
    meter = Meter(tables.dynamodb(endpoint))
    writer = tables.dynamodb(endpoint)
    handle = projection(meter.client)
    found = []
    for members in (2, 10):
        group = str(uuid.uuid4())
        _put_all(writer, _rows(group, members))
        first = _message(group, 0)
        _put_all(writer, [first])
        handle([_record(first)])
        meter.counts.clear()
        changed = first if members == 2 else _rows(group, members + 1)[-1]
        _put_all(writer, [changed])
        begin = time.perf_counter()
        handle([_record(changed)])
        counts = meter.counts
        seconds = time.perf_counter() - begin
        found.append(Cost(seconds, counts["calls"], counts["write"], counts["read"], is_scaled=False))
    return found[0], found[1]


def measure_ties(conversations: int, endpoint: str) -> int:
    """The number of transactions to settle this many conversations of one person with the same time."""
    client = tables.dynamodb(endpoint)
    transactions: Counter[str] = Counter()
    client.meta.events.register(
        "before-call.dynamodb.TransactWriteItems", lambda **_event: transactions.update(["transactions"])
    )
    writer = tables.dynamodb(endpoint)
    groups = [str(uuid.uuid4()) for _ in range(conversations)]
    person = str(uuid.uuid4())
    for number, group in enumerate(groups):
        row = _rows(group, 1)[0] | _strings(pk=f"GRP#{person}", sk=timestamps.canonical(_instant(-2 - number)))
        _put_all(writer, [row])
    handle = projection(client)
    for batch in _batches([_message(group, 0) for group in groups], BATCH_SIZE):
        _put_all(writer, batch)
        handle([_record(item) for item in batch])
    return transactions["transactions"]


def main() -> None:
    """Measure every load with all three, print each ratio, and write the page and the plot."""
    results: dict[Load, Costs] = {}
    with (
        first_version.handler_module() as before,
        tempfile.TemporaryDirectory() as directory,
        ministack.running(free_port(), Path(directory)) as endpoint,
    ):
        table_definition.create(tables.dynamodb(endpoint), TABLE)
        for load in loads():
            share = max(1, load.messages * load.members // MOST_BASELINE_MOVES)
            ours = measure(load, projection, endpoint, share=1)
            earlier = measure(load, version_before(before), endpoint, share=1)
            theirs = measure(load, baseline, endpoint, share=share)
            results[load] = ours, earlier, theirs
            for other, costs in (("first version", earlier), ("baseline", theirs)):
                ratios = ", ".join(
                    f"{name} {_ratio(their, our)}"
                    for name, our, their in zip(QUANTITIES, ours.values, costs.values, strict=True)
                )
                sys.stdout.write(f"{load}: {other} / projection: {ratios}\n")
        more = _more(endpoint, before)
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / "projection.md").write_text(page(results, more))
    plot(results, DOCS / "projection.svg")


def _more(endpoint: str, before: Any) -> list[str]:
    """Measurements beside the table of loads, as lines of the page."""
    nothing, newcomer = measure_small_changes(endpoint)
    with schedules.first_version(before) as run:
        faulty, faulty_before = schedules.measure(), schedules.measure(run)
    ties = {size: measure_ties(size, endpoint) for size in TIES}
    return [
        f"| a record that changes nothing: 1 write unit, 3 calls | {nothing.write_units:.0f} units, "
        f"{nothing.calls:.0f} calls |",
        f"| a new member in a conversation of ten: at most 10 units | {newcomer.write_units:.0f} units, "
        f"{newcomer.calls:.0f} calls |",
        f"| {schedules.SCHEDULES} schedules with all faults, a record: a quarter fewer units than the first version | "
        f"{faulty.write_units:.1f} units and {faulty.calls:.1f} calls against {faulty_before.write_units:.1f} and "
        f"{faulty_before.calls:.1f} |",
        "| N conversations of one person with the same time: transactions grow with N | "
        + ", ".join(f"{size}: {transactions}" for size, transactions in ties.items())
        + " |",
    ]


def page(results: dict[Load, Costs], more: list[str]) -> str:
    """The table, in Markdown."""
    lines = [
        "# What the projection costs, beside its first version and the bootcamp's handler",
        "",
        "`make bench-projection` wrote this page and its plot. All three handlers got the same messages, in batches of",
        f"{BATCH_SIZE}, on the same emulator, in one run. The first version is this repository's own, before the",
        "conversation item. The baseline is the bootcamp's handler with a loop over all records added: per message one",
        "index query, then a delete and a put per member. A ~ marks a baseline that was measured with a part of the",
        "messages and scaled, because it does the same work for each message.",
        "",
        "In a transaction, the emulator counts write units as AWS was observed to count them: twice for the table,",
        "once for the index. It reports wrong read units, so the page shows none.",
        "",
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores. A call takes about a",
        "millisecond here. So the ratios also hold on AWS, and the times do not.",
        "",
        "![Time, calls and write units per message](projection.svg)",
        "",
        "Per message, projection / first version / baseline. The floor is three reads, and one transaction for every",
        f"{MEMBERS_PER_TRANSACTION} members, per dirty conversation and batch.",
        "",
        "| messages | conversations | members | milliseconds | API calls | write units | calls / floor |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for load, (ours, earlier, theirs) in results.items():
        about = "~" if theirs.is_scaled else ""
        per_message = [
            " / ".join(
                prefix + _short(value * scale / load.messages)
                for prefix, value in (("", our), ("", their_before), (about, their))
            )
            for our, their_before, their, scale in zip(
                ours.values[:3], earlier.values[:3], theirs.values[:3], (1000, 1, 1), strict=True
            )
        ]
        cells = [load.messages, load.conversations, load.members, *per_message, _short(ours.calls / floor_calls(load))]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", *_expectations(results), *more, ""])


def _expectations(results: dict[Load, Costs]) -> list[str]:
    lone = {members: results[Load(1, 1, members)][0] for members in MEMBERS}
    burst = results[Load(100, 1, 2)][0]
    ours, _, theirs = results[Load(1000, 10, 2)]
    ours_10, _, theirs_10 = results[Load(1000, 10, 10)]
    return [
        "| expected | measured |",
        "|---|---|",
        "| a lone message, 2 / 10 / 50 members: at most 14 / 62 / 310 write units | "
        + " / ".join(f"{cost.write_units:.0f}" for cost in lone.values())
        + " |",
        "| the same: 4 / 4 / 5 calls | " + " / ".join(f"{cost.calls:.0f}" for cost in lone.values()) + " |",
        f"| a burst of 100 into one conversation costs as much as one message | {burst.calls:.0f} calls, "
        f"{burst.write_units:.0f} write units |",
        f"| 1,000 messages in 10 conversations of 2: 10x less time | {_ratio(theirs.seconds, ours.seconds)} |",
        f"| the same: 5.5x fewer write units | {_ratio(theirs.write_units, ours.write_units)} |",
        f"| the same in conversations of 10: time, write units | {_ratio(theirs_10.seconds, ours_10.seconds)}, "
        f"{_ratio(theirs_10.write_units, ours_10.write_units)} |",
    ]


def plot(results: dict[Load, Costs], path: Path) -> None:
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
            for which, style, name in ((0, "-o", "projection"), (1, ":.", "first version"), (2, "--x", "baseline")):
                values = [results[load][which].values[index] * scale / load.messages for load in chosen]
                panel.plot(
                    [load.messages for load in chosen], values, style, color=color, label=f"{name}, {members} members"
                )
        panel.set(xscale="log", yscale="log", xlabel="messages in 10 conversations", title=f"{title} per message")
    panels[0].legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def _settle_first(writer: "DynamoDBClient", groups: Sequence[str], handle: Handler) -> None:
    """Settle a first message in each conversation, so that the measured state is the usual one."""
    first = [_message(group, -1) for group in groups]
    _put_all(writer, first)
    for batch in _batches(first, BATCH_SIZE):
        handle([_record(item) for item in batch])


def _rows(group: str, members: int) -> list[dict[str, Any]]:
    users = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group}-{number}")) for number in range(members)]
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
        message_uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group}/{number}")),
        message=TEXT,
        user_uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group}-0")),
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
