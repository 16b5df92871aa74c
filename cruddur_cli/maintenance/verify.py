"""The check of a table: one scan, then a second look at what looks broken, as the system may be running."""

import gc
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.progress import ShowProgress, no_progress
from cruddur_cli.maintenance.scan import SEGMENTS, scan
from cruddur_messages.audit.checks import Finding, Problem, check_conversation, check_table
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.audit.snapshot import ATTRIBUTES, TableSnapshot
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READINGS = 3
SECONDS_BETWEEN_READINGS = 1.0
SIDE_BY_SIDE = 8

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
    findings = list(check_table(snapshot))
    return Verification(snapshot, confirm(reader, snapshot, findings, show_progress=show_progress, sleep=sleep))


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
    snapshot.complete()
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


def confirm(
    reader: ConversationReader,
    snapshot: TableSnapshot,
    findings: Collection[Finding],
    *,
    show_progress: ShowProgress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """The findings that remain when their conversations are read again, without changes in progress."""
    lasting: dict[str, set[Finding]] = {}
    for finding in findings:
        lasting.setdefault(finding.message_group_uuid, set()).add(finding)
    of_no_conversation = [
        finding for group in list(lasting) if group not in snapshot.conversations for finding in lasting.pop(group)
    ]
    with show_progress("read again", len(lasting)) as progress:
        for reading in range(READINGS):
            if not lasting:
                break
            if reading:
                reader.forget_inboxes()
                sleep(SECONDS_BETWEEN_READINGS)
            lasting = _still_there(reader, snapshot, lasting, progress.advance if reading == 0 else lambda _: None)
    return sorted([*of_no_conversation, *(finding for found in lasting.values() for finding in found)])


def _still_there(
    reader: ConversationReader,
    snapshot: TableSnapshot,
    findings: Mapping[str, set[Finding]],
    advance: Callable[[int], None],
) -> dict[str, set[Finding]]:
    def read_again(group: str) -> set[Finding]:
        fresh = reader.again(group, snapshot.conversations[group])
        present = {(row.member_uuid, row.sort_key) for row in fresh.rows}
        of_inbox = {
            finding
            for finding in findings[group]
            if finding.problem in (Problem.MIXED_TIMESTAMPS, Problem.MALFORMED_ITEM)
            and (finding.member_uuid, finding.sort_key) in present
        }
        advance(1)
        return findings[group] & ({*check_conversation(group, fresh)} | of_inbox)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        read = dict(zip(findings, pool.map(read_again, findings), strict=True))
    return {group: found for group, found in read.items() if found}
