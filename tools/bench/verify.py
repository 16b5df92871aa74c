"""How time and memory of `verify` grow with a table: by a scan, and from an export in one process and on Spark.

    make bench-verify

Writes the tables of docs/bench/verify.md. Each figure comes from a process of its own, because of its peak memory.
"""

import json
import multiprocessing
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from rich.progress import track
from urllib3 import HTTPResponse

from cruddur_cli.maintenance import verify as verifying
from cruddur_cli.maintenance.progress import no_progress
from cruddur_cli.maintenance.scan import scan
from cruddur_cli.maintenance.spark import check_on
from cruddur_infra import REPOSITORY
from cruddur_messages.audit.export import Export
from cruddur_messages.audit.snapshot import ATTRIBUTES
from cruddur_messages.items import AttributeMap
from tests.audit.exports import no_s3, write_export
from tests.engines import tables
from tools import document
from tools.bench.conversations import TABLE, conversation, settled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DOCUMENT = REPOSITORY / "docs/bench/verify.md"
SIZES = (10_000, 100_000, 1_000_000, 4_000_000)
LARGEST_SCAN = 1_000_000
"""A larger table is checked from its export only."""
ITEMS_PER_CONVERSATION = 20
OTHER_ITEMS = 3
"""Items of a conversation of two that are not messages: their rows and the conversation item."""
FEW_CONVERSATIONS = 500

ITEMS_PER_PAGE = 2500
"""About as many items as fit into the megabyte of a Scan response."""
PAGE = "page"

ITEMS_PER_FILE = 50_000

Way = Callable[[Path], int]
"""Reads the table that is recorded in a folder; returns a number of items or findings."""


class Figure(NamedTuple):
    """Seconds, and the peak memory of the process in MiB; Spark's is in processes of its own."""

    seconds: float
    mebibytes: float
    result: int


def bare_scan(folder: Path) -> int:
    """Read every item, and do nothing with it."""
    counts: list[int] = []
    scan(recorded_client(folder), TABLE, lambda items: counts.append(len(items)))
    return sum(counts)


def verify(folder: Path) -> int:
    """Do what bin/ddb verify does; return the number of findings."""
    return len(verifying.verify(recorded_client(folder), TABLE).findings)


def from_export(folder: Path) -> int:
    """Check the export in this process; return the number of findings."""
    return len(verifying.check_export(_export(folder), no_progress)[1])


def on_spark(folder: Path) -> int:
    """Check the export on Spark, with its start; return the number of findings."""
    return len(check_on("local[2]")(_export(folder), no_progress)[1])


def _export(folder: Path) -> Export:
    return Export(str(folder / "export"), no_s3)


def record(folder: Path, items: Iterable[AttributeMap]) -> None:
    """Write the pages that Scan returns for a table, whole and with the projected attributes only."""
    for number, page in enumerate(batches(items, ITEMS_PER_PAGE)):
        narrow = [{name: item[name] for name in ATTRIBUTES if name in item} for item in page]
        for kind, content in (("whole", page), ("projected", narrow)):
            (folder / f"{kind}-{number}").write_text(json.dumps(content, separators=(",", ":")))


def recorded_client(folder: Path) -> "DynamoDBClient":
    """A client whose Scan calls get the recorded pages: it signs, sends nothing, and parses."""

    def respond(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        asked = json.loads(cast(bytes, request.body))
        kind = "projected" if "ProjectionExpression" in asked else "whole"
        number = int(asked.get("ExclusiveStartKey", {}).get(PAGE, {}).get("N", asked["Segment"]))
        following = number + asked["TotalSegments"]
        page, tail = folder / f"{kind}-{number}", b"}"
        if (folder / f"{kind}-{following}").exists():
            tail = b',"LastEvaluatedKey":{"%s":{"N":"%d"}}}' % (PAGE.encode(), following)
        body = b'{"Items":' + (page.read_bytes() if page.exists() else b"[]") + tail
        return AWSResponse(str(request.url), 200, HTTPHeaders(), HTTPResponse(BytesIO(body), preload_content=False))

    client, responding = tables.dynamodb("http://127.0.0.1:9"), cast(Callable[..., Any], respond)
    client.meta.events.register("before-send.dynamodb.Scan", responding)
    return client


def batches(items: Iterable[AttributeMap], size: int) -> Iterator[list[AttributeMap]]:
    """The items in lists of this size: a table is larger than memory should be."""
    left = iter(items)
    return iter(lambda: list(islice(left, size)), [])


def measure(way: Way, folder: Path) -> Figure:
    """Check in this process."""
    # Other programs lengthen the time of a process, but not its processor time; Spark's is in other processes.
    clock = time.perf_counter if way is on_spark else time.process_time
    started = clock()
    result = way(folder)
    seconds = clock() - started
    # Not ru_maxrss, which has the peak of the parent too.
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    return Figure(seconds, int(peak[1]) / 1024, result)


def row(conversations: int, messages: int) -> Iterator[str]:
    """The cells of a row: the same correct table in each way, one after the other."""

    def items() -> Iterator[AttributeMap]:
        wholes = (conversation(number, messages=messages) for number in range(conversations))
        return chain.from_iterable(map(settled, wholes))

    size = conversations * (messages + OTHER_ITEMS)
    ways: list[Way] = [from_export, on_spark]
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        write_export(folder / "export", batches(items(), ITEMS_PER_FILE))
        if size <= LARGEST_SCAN:
            record(folder, items())
            ways += [bare_scan, verify]
        figures: dict[Way, Figure] = {}
        for way in ways:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                figures[way] = pool.submit(measure, way, folder).result()
    if any(figure.result != (size if way is bare_scan else 0) for way, figure in figures.items()):
        raise RuntimeError("an item was not read, or a correct table has findings")

    def ratio(way: Way, base: Way) -> str:
        return f"{figures[way].seconds / figures[base].seconds:.2f}" if base in figures else ""

    yield from (f"{size:,}", f"{conversations:,}")
    for way in (bare_scan, verify, from_export, on_spark):
        yield f"{figures[way].seconds:.2f} s, {figures[way].mebibytes:.0f} MiB" if way in figures else ""
    yield from (ratio(verify, bare_scan), ratio(from_export, verify))


def main() -> None:
    """Measure, and write the document."""
    growing = [list(row(size // ITEMS_PER_CONVERSATION, ITEMS_PER_CONVERSATION - OTHER_ITEMS)) for size in track(SIZES)]
    few = [list(row(FEW_CONVERSATIONS, size // FEW_CONVERSATIONS - OTHER_ITEMS)) for size in track(SIZES[:-1])]
    document.write(DOCUMENT, {"| items | conversations |": growing, "| items | of 500 conversations |": few})


if __name__ == "__main__":
    main()
