"""The second look at what looks broken, as the system may be running: consistent reads, and patience."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cruddur_messages.audit.checks import Finding, Problem, check_conversation, check_inbox
from cruddur_messages.audit.reader import ConversationReader

READINGS = 3
SECONDS_BETWEEN_READINGS = 1.0
SIDE_BY_SIDE = 8

MOST_READ_AGAIN = 10_000
"""How many conversations and inboxes are read again at most after an export: a broken writer may damage each row."""

OF_ALL_MESSAGES = frozenset({Problem.MIXED_TIMESTAMPS, Problem.MALFORMED_ITEM, Problem.MALFORMED_TIMESTAMP})

Place = tuple[str, str]
"""What has to be read to see a finding: the id of a conversation, or nothing and the id of an inbox's owner."""


def place_of(finding: Finding) -> Place:
    """What has to be read to see a finding; two empty texts if its item names neither conversation nor member."""
    return ("", finding.member_uuid) if finding.is_of_inbox else (finding.message_group_uuid, "")


def split(findings: Collection[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those to read again, of at most MOST_READ_AGAIN conversations and inboxes, and the others."""
    chosen = set(sorted({place_of(finding) for finding in findings})[:MOST_READ_AGAIN])
    parts: tuple[list[Finding], list[Finding]] = [], []
    for finding in findings:
        parts[place_of(finding) not in chosen].append(finding)
    return parts


def confirm(
    reader: ConversationReader,
    findings: Collection[Finding],
    *,
    advance: Callable[[int], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """The findings that remain when their conversations are read again, without changes in progress.

    `advance` is called with the number of conversations and inboxes that were read once.
    """
    lasting: dict[Place, set[Finding]] = {}
    for finding in findings:
        lasting.setdefault(place_of(finding), set()).add(finding)
    unreadable = lasting.pop(("", ""), set())
    versions: dict[str, Any] = {}
    for reading in range(READINGS):
        if not lasting:
            break
        if reading:
            reader.forget_inboxes()
            sleep(SECONDS_BETWEEN_READINGS)
        lasting = _still_there(reader, lasting, versions, (lambda _: None) if reading else advance)
    return sorted([*unreadable, *(finding for found in lasting.values() for finding in found)])


def _still_there(
    reader: ConversationReader,
    findings: Mapping[Place, set[Finding]],
    versions: dict[str, Any],
    advance: Callable[[int], None],
) -> dict[Place, set[Finding]]:
    """One reading; `versions` has those of the conversation items as they were read last."""

    def read_again(place: Place) -> set[Finding]:
        group, member = place
        found = findings[place]
        if member:
            present = set(check_inbox(member, reader.inbox_again(member)))
        else:
            fresh = reader.again(
                group,
                {finding.member_uuid for finding in found} - {""},
                all_messages=any(f.problem in OF_ALL_MESSAGES and not f.member_uuid for f in found),
            )
            present = set(check_conversation(group, fresh))
            version = fresh.item.version if fresh.item else None
            if versions.setdefault(group, version) != version:
                # It was written since: what is unfinished now is another change.
                present.discard(Finding(Problem.WRONG_CONVERSATION_ITEM, group, "", ""))
            versions[group] = version
        advance(1)
        return found & present

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        read = dict(zip(findings, pool.map(read_again, findings), strict=True))
    return {place: found for place, found in read.items() if found}
