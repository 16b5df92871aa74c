"""The projection beside the bootcamp's handler, and the library: time, API calls and write units, in one run.

    make bench-projection

Writes the tables of docs/bench/projection.md.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.progress import track

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from cruddur_messages.items import AttributeMap, Message
from cruddur_messages.projection import handler as stream_handler
from tests.cli.damage import bootcamp_invocation
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.unit.projection.case import record
from tools import document
from tools.bench import people
from tools.bench.conversations import TABLE, conversation, settled
from tools.bench.metering import CALLS, WRITE_UNITS, Cost, engine, metered

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BATCH_SIZE = 100
DOCUMENT = REPOSITORY / "docs/bench/projection.md"

_numbers = count(1)


class Load(NamedTuple):
    """A number of messages, spread evenly over conversations with this number of members."""

    messages: int
    conversations: int
    members: int


LOADS = (
    *(Load(1, 1, members) for members in (2, 10, 50)),
    *(Load(10, 1, members) for members in (2, 10, 50)),
    *(Load(100, conversations, members) for members in (2, 10) for conversations in (1, 10, 100)),
    *(Load(1000, conversations, 2) for conversations in (1, 10, 100)),
)

Handler = Callable[["DynamoDBClient", Sequence[AttributeMap]], None]


def projection(client: "DynamoDBClient", items: Sequence[AttributeMap]) -> None:
    """The stream handler, as it is deployed."""
    records: list[Any] = [record(dict(item)) for item in items]
    with redirect_stdout(StringIO()):
        response = stream_handler.respond({"Records": records}, client=client, table_name=TABLE, seconds=30.0)
    if response["batchItemFailures"]:
        raise RuntimeError("the projection did not settle everything")


def baseline(client: "DynamoDBClient", items: Sequence[AttributeMap]) -> None:
    """The bootcamp's handler, for each record: it deletes each row and puts a new one."""
    table = CruddurTable(engine="", endpoint="", client=client, name=TABLE)
    for item in items:
        for _pause in bootcamp_invocation(table, Message.from_attributes(item)):
            pass


def measure(load: Load, handler: Handler, endpoint: str) -> Cost:
    """The cost of new messages in settled conversations."""
    each = load.messages // load.conversations
    wholes = [conversation(next(_numbers), messages=each + 1, members=load.members) for _ in range(load.conversations)]
    for whole in wholes:
        put_all(endpoint, list(settled(replace(whole, messages=whole.messages[:1]))))
    items = [whole.messages[1 + line].to_attributes() for line in range(each) for whole in wholes]
    return deliver(items, handler, endpoint)


def measure_small_changes(endpoint: str) -> Iterator[tuple[str, Cost]]:
    """A record that changes nothing, and a new member."""
    for members, what in (
        (2, "an invocation for a record that changes nothing"),
        (10, "an invocation for a new member of a group of ten"),
    ):
        number = next(_numbers)
        whole = conversation(number, messages=1, members=members)
        put_all(endpoint, list(settled(whole)))
        joined = conversation(number, messages=1, members=members + 1).group_rows[-1].attributes
        earlier: AttributeMap = {**joined, schema.SORT_KEY: {"S": "2025-12-31T00:00:00.000000+00:00"}}
        item = whole.messages[0].to_attributes() if members == 2 else earlier
        yield what, deliver([item], projection, endpoint)


def deliver(items: Sequence[AttributeMap], handler: Handler, endpoint: str) -> Cost:
    """Put the items into the table, and pass them to the handler in batches. Only the handler is measured."""
    client, counts = metered(endpoint)
    seconds = 0.0
    for begin in range(0, len(items), BATCH_SIZE):
        batch = items[begin : begin + BATCH_SIZE]
        put_all(endpoint, batch)
        started = time.perf_counter()
        handler(client, batch)
        seconds += time.perf_counter() - started
    return Cost(1000 * seconds / len(items), counts[CALLS] / len(items), counts[WRITE_UNITS] / len(items))


def put_all(endpoint: str, items: Sequence[AttributeMap]) -> None:
    """Write the items."""
    client = tables.dynamodb(endpoint)
    for begin in range(0, len(items), 25):
        requests: Any = [{"PutRequest": {"Item": item}} for item in items[begin : begin + 25]]
        client.batch_write_item(RequestItems={TABLE: requests})


def main() -> None:
    """Measure every load with both, and write the document."""
    with engine() as endpoint:
        rows = [
            (*load, *_cells(measure(load, projection, endpoint), measure(load, baseline, endpoint)))
            for load in track(LOADS)
        ]
        single = [(what, *_cells(cost)) for what, cost in (*measure_small_changes(endpoint), *people.costs(endpoint))]
    document.write(DOCUMENT, {"| messages |": rows, "| | milliseconds |": single})


def _cells(*costs: Cost) -> list[str]:
    """A cell for each figure of a cost; of two costs, both."""
    return [" / ".join(map(_short, figures)) for figures in zip(*costs, strict=True)]


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    main()
