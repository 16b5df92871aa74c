"""How the time and memory of `verify` and `rebuild` grow with a table, beside a bare parallel scan of it.

    make bench-verify

Writes the tables of docs/bench/verify.md. Each figure comes from a process of its own, because of its peak memory.
"""

import json
import multiprocessing
import resource
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
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Rebuild
from cruddur_cli.maintenance.scan import scan
from cruddur_infra import REPOSITORY
from cruddur_messages.audit.snapshot import ATTRIBUTES
from cruddur_messages.items import AttributeMap
from tests.engines import tables
from tools import document
from tools.bench.conversations import TABLE, conversation, settled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DOCUMENT = REPOSITORY / "docs/bench/verify.md"
SIZES = (10_000, 100_000, 1_000_000)
REPETITIONS = 2
ITEMS_PER_CONVERSATION = 20
OTHER_ITEMS = 3
"""Items of a conversation of two that are not messages: their rows and the conversation item."""
FEW_CONVERSATIONS = 500

ITEMS_PER_PAGE = 2500
"""About as many items as fit into the megabyte of a Scan response."""
PAGE = "page"


Work = Callable[["DynamoDBClient"], int]


class Figure(NamedTuple):
    """The cost of a process: seconds, and peak memory in MiB; `result` is a number of items or findings."""

    seconds: float
    mebibytes: float
    result: int


def bare_scan(client: "DynamoDBClient") -> int:
    """Read every item, and do nothing with it."""
    counts: list[int] = []
    scan(client, TABLE, lambda items: counts.append(len(items)))
    return sum(counts)


def verify(client: "DynamoDBClient") -> int:
    """Do what bin/ddb verify does; return the number of findings."""
    return len(verifying.verify(client, TABLE).findings)


def rebuild(client: "DynamoDBClient") -> int:
    """Do what bin/ddb rebuild does; return the number of conversations repaired."""
    with TemporaryDirectory() as directory:
        rebuilding = Rebuild(client=client, table_name=TABLE, named=lambda _: None)
        return len(rebuilding.run(Checkpoint(Path(directory) / "left.jsonl")).repairs)


WORKS: tuple[Work, ...] = (bare_scan, verify, rebuild)


def record(folder: Path, items: Iterable[AttributeMap]) -> None:
    """Write the pages that Scan returns for a table, whole and with the projected attributes only."""
    left = iter(items)
    for number, page in enumerate(iter(lambda: list(islice(left, ITEMS_PER_PAGE)), [])):
        narrow = [{name: item[name] for name in ATTRIBUTES if name in item} for item in page]
        for kind, content in (("whole", page), ("projected", narrow)):
            (folder / f"{kind}-{number}").write_text(json.dumps(content, separators=(",", ":")))


def play(folder: Path, client: "DynamoDBClient") -> None:
    """Return the recorded pages to the client's Scan calls: it signs, sends nothing, and parses."""

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

    responding: Callable[..., Any] = respond
    client.meta.events.register("before-send.dynamodb.Scan", responding)


def measure(work: Work, folder: Path) -> Figure:
    """Run the work in this process."""
    client = tables.dynamodb("http://127.0.0.1:9")
    play(folder, client)
    started = time.perf_counter()
    result = work(client)
    seconds = time.perf_counter() - started
    return Figure(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result)


def in_a_process(work: Work, folder: Path) -> Figure:
    """Run the work in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, work, folder).result()


def growth(conversations: int, messages: int) -> Iterator[str]:
    """The cells of a row: bare scan, verify and rebuild of a recorded correct table, alternately."""
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        wholes = (conversation(number, messages=messages) for number in range(conversations))
        record(folder, chain.from_iterable(map(settled, wholes)))
        rounds = [[in_a_process(work, folder) for work in WORKS] for _ in range(REPETITIONS)]
    # Other programs can only lengthen a time.
    bare, verified, rebuilt = (min(of_one, key=lambda figure: figure.seconds) for of_one in zip(*rounds, strict=True))
    if verified.result or rebuilt.result:
        raise RuntimeError("a correct table has findings")
    yield f"{bare.result:,}"
    yield f"{conversations:,}"
    yield f"{bare.seconds:.2f} s"
    for figure in (verified, rebuilt):
        yield f"{figure.seconds:.2f} s"
        yield f"{figure.seconds / bare.seconds:.2f}"
    yield f"{1e6 * verified.seconds / bare.result:.1f} µs"
    yield f"{bare.mebibytes:.0f} MiB"
    yield f"{verified.mebibytes:.0f} MiB"


def main() -> None:
    """Measure, and write the document."""
    growing, fixed = [], []
    for size in track(SIZES):
        growing.append(list(growth(size // ITEMS_PER_CONVERSATION, ITEMS_PER_CONVERSATION - OTHER_ITEMS)))
        fixed.append(list(growth(FEW_CONVERSATIONS, size // FEW_CONVERSATIONS - OTHER_ITEMS)))
    document.write(DOCUMENT, {"| items | conversations |": growing, "| items | of 500 conversations |": fixed})


if __name__ == "__main__":
    main()
