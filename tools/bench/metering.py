"""What calls to DynamoDB cost, on an emulator with the table."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cruddur_cli import table_definition
from tests.engines import ministack, tables
from tests.engines.fixtures import free_port
from tools.bench.conversations import TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CALLS, WRITE_UNITS = "calls", "units"
READS = ("Query", "GetItem", "BatchGetItem")
"""Their units are not counted: the emulator reports wrong ones."""


class Cost(NamedTuple):
    """Milliseconds, API calls and write units, of one message or one call of the library."""

    milliseconds: float
    calls: float
    write_units: float


@contextmanager
def engine() -> Iterator[str]:
    """The endpoint of an emulator with the table."""
    with tempfile.TemporaryDirectory() as directory, ministack.running(free_port(), Path(directory)) as endpoint:
        table_definition.create(tables.dynamodb(endpoint), TABLE)
        yield endpoint


def metered(endpoint: str) -> "tuple[DynamoDBClient, Counter[str]]":
    """A client, and the numbers of its `CALLS` and `WRITE_UNITS`."""
    client, counts = tables.dynamodb(endpoint), Counter[str]()

    def ask(params: dict[str, Any], **_event: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def count(parsed: dict[str, Any], model: Any, **_event: object) -> None:
        counts[CALLS] += 1
        if model.name not in READS:
            consumed = parsed["ConsumedCapacity"]
            own = consumed if isinstance(consumed, list) else [consumed]
            counts[WRITE_UNITS] += sum(one["CapacityUnits"] for one in own)

    client.meta.events.register("before-parameter-build.dynamodb", ask)
    client.meta.events.register("after-call.dynamodb", count)
    return client, counts
