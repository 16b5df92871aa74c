"""The check of a table: one scan, then a second look at what looks broken, as the system may be running."""

import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.progress import ShowProgress, no_progress
from cruddur_cli.maintenance.scan import SEGMENTS, scan
from cruddur_messages.audit.checks import Finding, check_table
from cruddur_messages.audit.confirm import confirm, place_of, split
from cruddur_messages.audit.export import Export
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.audit.snapshot import ATTRIBUTES, Contents, TableSnapshot
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Check = Callable[[Export, ShowProgress], tuple[Contents, list[Finding]]]

RARELY = 200_000
"""The threshold of Python's cyclic garbage collection during a scan; the default is 700 objects."""


@dataclass(frozen=True)
class Verification:
    """What a table contains, and its broken promises; the unconfirmed ones were not read again."""

    contents: Contents
    findings: list[Finding]
    unconfirmed: list[Finding] = field(default_factory=list)


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
    findings = confirm_all(reader, list(check_table(snapshot)), show_progress, sleep)
    return Verification(snapshot.contents, findings)


def verify_export(
    export: Export,
    reader: ConversationReader | None,
    *,
    check: Check,
    show_progress: ShowProgress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Verification:
    """Check an export with `check`, and read again from the table what looks wrong; without a reader, do not.

    Raises ExportError.
    """
    contents, found = check(export, show_progress)
    again, others = split(found) if reader else ([], found)
    confirmed = confirm_all(reader, again, show_progress, sleep) if reader else []
    return Verification(contents, confirmed, sorted(others))


def check_export(export: Export, show_progress: ShowProgress) -> tuple[Contents, list[Finding]]:
    """Read an export in this process, and check it."""
    snapshot = TableSnapshot()
    with show_progress("read", export.items) as progress, _rare_garbage_collection():
        for file in export.files:
            for fold in export.folds(file):
                snapshot.merge(fold)
            progress.advance(file.items)
    return snapshot.contents, list(check_table(snapshot))


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
