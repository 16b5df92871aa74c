"""The check of a table: one scan, then a second look at what looks broken, as the system may be running."""

import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.progress import ShowProgress, no_progress
from cruddur_cli.maintenance.scan import SEGMENTS, scan
from cruddur_messages.audit.checks import Finding, check_table
from cruddur_messages.audit.confirm import confirm, place_of
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.audit.snapshot import ATTRIBUTES, TableSnapshot
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RARELY = 200_000
"""The threshold of Python's cyclic garbage collection during a scan; the default is 700 objects."""


@dataclass(frozen=True)
class Verification:
    """The snapshot of a table and its broken promises."""

    snapshot: TableSnapshot
    findings: list[Finding]


def verify(
    client: "DynamoDBClient",
    table_name: str,
    *,
    expected_items: int | None = None,
    show_progress: ShowProgress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Verification:
    """Read a table and check it; changes in progress are not findings."""
    snapshot = read_table(client, table_name, expected_items=expected_items, show_progress=show_progress)
    reader = ConversationReader(client=client, table_name=table_name)
    return Verification(snapshot, confirm_all(reader, list(check_table(snapshot)), show_progress, sleep))


def confirm_all(
    reader: ConversationReader,
    findings: Collection[Finding],
    show_progress: ShowProgress,
    sleep: Callable[[float], None],
) -> list[Finding]:
    """The findings that remain when they are read again, with progress."""
    with show_progress("read again", len({place_of(finding) for finding in findings})) as progress:
        return confirm(reader, findings, advance=progress.advance, sleep=sleep)


def read_table(
    client: "DynamoDBClient",
    table_name: str,
    *,
    expected_items: int | None = None,
    segments: int = SEGMENTS,
    show_progress: ShowProgress = no_progress,
) -> TableSnapshot:
    """Scan the table."""
    snapshot = TableSnapshot()
    lock = Lock()
    with show_progress("read", expected_items) as progress, _rare_garbage_collection():

        def receive(items: Sequence[AttributeMap]) -> None:
            with lock:
                snapshot.add(items)
            progress.advance(len(items))

        scan(client, table_name, receive, segments=segments, attributes=ATTRIBUTES)
    return snapshot


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Collect cyclic garbage less often: a snapshot has no cycles, and the collection takes time."""
    usual = gc.get_threshold()
    gc.set_threshold(RARELY, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
