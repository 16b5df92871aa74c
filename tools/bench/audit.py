"""The check of a table by a scan, from an export in one process, and on Spark, side by side.

    make bench-audit

Writes the tables of docs/bench/audit.md. Each figure comes from a process of its own, because of its peak memory.
"""

import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.progress import track

from cruddur_cli.maintenance.progress import no_progress
from cruddur_cli.maintenance.spark import check_on
from cruddur_cli.maintenance.table_export import ITEMS_IN_A_FILE
from cruddur_cli.maintenance.verify import check_export, verify
from cruddur_infra import REPOSITORY
from cruddur_messages.audit.export import Export
from tests.audit.exports import write_export
from tests.engines import tables
from tools import document
from tools.bench.conversations import TABLE, conversation, settled
from tools.bench.verify import FEW_CONVERSATIONS, ITEMS_PER_CONVERSATION, OTHER_ITEMS, play, record

DOCUMENT = REPOSITORY / "docs/bench/audit.md"
SIZES = (250_000, 1_000_000, 4_000_000)
SLOWEST_SCAN = 1_000_000
MASTER = "local[2]"

Way = Callable[[Path], int]


class Figure(NamedTuple):
    """Seconds, and peak memory in MiB; that of Spark is in processes of its own."""

    seconds: float
    mebibytes: float


def by_scan(folder: Path) -> int:
    """Do what bin/ddb verify does with recorded responses; return the number of findings."""
    client = tables.dynamodb("http://127.0.0.1:9")
    play(folder, client)
    return len(verify(client, TABLE).findings)


def from_export(folder: Path) -> int:
    """Check the export in this process."""
    return len(check_export(Export(str(folder / "export"), _no_s3), no_progress)[1])


def on_spark(folder: Path) -> int:
    """Check the export on Spark, with its start."""
    return len(check_on(MASTER)(Export(str(folder / "export"), _no_s3), no_progress)[1])


def _no_s3() -> Any:
    raise RuntimeError("the export is in a folder")


def measure(way: Way, folder: Path) -> Figure:
    """Check in this process."""
    # Other programs lengthen the time of a process, but not its processor time; Spark's is in other processes.
    clock = time.perf_counter if way is on_spark else time.process_time
    started = clock()
    if found := way(folder):
        raise RuntimeError(f"a correct table has {found} findings")
    # Not ru_maxrss, which has the peak of the parent too.
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    return Figure(clock() - started, int(peak[1]) / 1024)


def row(conversations: int, messages: int) -> Iterator[str]:
    """The cells of a row: the same table in each way, one after the other."""
    size = conversations * (messages + OTHER_ITEMS)
    ways: list[Way] = [from_export, on_spark, *([by_scan] if size <= SLOWEST_SCAN else [])]
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        items = chain.from_iterable(settled(conversation(number, messages=messages)) for number in range(conversations))
        # A file at a time: an export is larger than memory should be.
        write_export(folder / "export", iter(lambda: list(islice(items, ITEMS_IN_A_FILE)), []))
        if by_scan in ways:
            again = (settled(conversation(number, messages=messages)) for number in range(conversations))
            record(folder, chain.from_iterable(again))
        figures: list[Figure] = []
        for way in ways:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                figures.append(pool.submit(measure, way, folder).result())
    export, spark, *scans = figures
    yield f"{size:,}"
    yield f"{conversations:,}"
    yield f"{scans[0].seconds:.1f} s" if scans else ""
    yield f"{export.seconds:.1f} s"
    yield f"{export.seconds / scans[0].seconds:.2f}" if scans else ""
    yield f"{spark.seconds:.1f} s"
    yield f"{export.mebibytes:.0f} MiB"


def main() -> None:
    """Measure, and write the document."""
    growing = [list(row(size // ITEMS_PER_CONVERSATION, ITEMS_PER_CONVERSATION - OTHER_ITEMS)) for size in track(SIZES)]
    few = [list(row(FEW_CONVERSATIONS, SIZES[1] // FEW_CONVERSATIONS - OTHER_ITEMS))]
    document.write(DOCUMENT, {"| items | conversations |": growing, "| items | of 500 conversations |": few})


if __name__ == "__main__":
    main()
