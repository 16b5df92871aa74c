"""A table checked: scanned once, and what looks broken looked at again, as the system may be at work meanwhile."""

import gc
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from cruddur_cli.conversation_reader import ConversationReader
from cruddur_cli.scan import SEGMENTS, scan
from cruddur_cli.verification import ATTRIBUTES, Finding, Problem, TableSeen, findings_of
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOOKS = 3
SECONDS_BETWEEN_LOOKS = 1.0
SIDE_BY_SIDE = 8

RARELY = 200_000
"""After how many new objects Python looks for cyclic garbage during a scan; usually it is 700."""


@dataclass(frozen=True)
class Suspect:
    """A conversation to look at, or to heal; `rekey` tells that its messages' timestamps are mixed."""

    message_group_uuid: str
    known_members: tuple[str, ...]
    rekey: bool


def read_table(
    client: "DynamoDBClient", table_name: str, *, segments: int = SEGMENTS, on_items: Callable[[int], None]
) -> TableSeen:
    """Scan the table; `on_items` is told of each page how many items it has."""
    seen = TableSeen()
    lock = Lock()

    def receive(items: Sequence[AttributeMap]) -> None:
        with lock:
            seen.add(items)
        on_items(len(items))

    with _rare_garbage_collection():
        scan(client, table_name, receive, segments=segments, attributes=ATTRIBUTES)
    return seen


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Look for cyclic garbage less often: what is kept of a table has no cycles, and looking through it takes time."""
    usual = gc.get_threshold()
    gc.set_threshold(RARELY, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def suspects_of(seen: TableSeen, findings: Collection[Finding]) -> list[Suspect]:
    """The conversations that findings name; those next to each other whose rows stand in the same inbox."""
    rekeyed = {
        finding.message_group_uuid
        for finding in findings
        if finding.problem is Problem.MIXED_TIMESTAMPS and not finding.member_uuid
    }
    named = {finding.message_group_uuid for finding in findings} & seen.conversations.keys()
    suspects = [Suspect(group, tuple(sorted(seen.conversations[group].members)), group in rekeyed) for group in named]
    return sorted(suspects, key=lambda suspect: (suspect.known_members, suspect.message_group_uuid))


def confirmed(
    reader: ConversationReader,
    seen: TableSeen,
    findings: Collection[Finding],
    *,
    looks: int = LOOKS,
    sleep: Callable[[float], None] = time.sleep,
    on_looked: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """The findings that stay, however often one looks: what was only under way is left out."""
    lasting: dict[str, set[Finding]] = {}
    for finding in findings:
        lasting.setdefault(finding.message_group_uuid, set()).add(finding)
    of_no_conversation = [
        finding for group in list(lasting) if group not in seen.conversations for finding in lasting.pop(group)
    ]
    for look in range(looks):
        if not lasting:
            break
        if look:
            reader.forget_inboxes()
            sleep(SECONDS_BETWEEN_LOOKS)
        lasting = _still_there(reader, seen, lasting, on_looked if look == 0 else lambda _: None)
    return sorted([*of_no_conversation, *(finding for found in lasting.values() for finding in found)])


def _still_there(
    reader: ConversationReader,
    seen: TableSeen,
    findings: Mapping[str, set[Finding]],
    on_looked: Callable[[int], None],
) -> dict[str, set[Finding]]:
    def look(group: str) -> set[Finding]:
        again = reader.again(group, seen.conversations[group])
        present = {(row.member_uuid, row.sort_key) for row in again.rows}
        of_inbox = {
            finding
            for finding in findings[group]
            if finding.problem in (Problem.MIXED_TIMESTAMPS, Problem.MALFORMED_ITEM)
            and (finding.member_uuid, finding.sort_key) in present
        }
        on_looked(1)
        return findings[group] & ({*findings_of(group, again)} | of_inbox)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = dict(zip(findings, pool.map(look, findings), strict=True))
    return {group: found for group, found in answers.items() if found}
