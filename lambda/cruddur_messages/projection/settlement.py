"""The settlement of one conversation: every member's group row shows its newest message.

A stream record only says which conversation is dirty. An attempt reads its state, computes the changes, commits them:

1. Read the conversation item, before all else. Its version is a lock: every commit writes another one, if the item
   still has the one that was read. So if somebody commits after this read, this attempt fails. If it commits, the reads
   below have seen everything from before it.
2. Read the newest message. Records come late, twice or out of order, so what they contain is not used.
3. If all records are new messages (else `must_read_rows`), and `shown` says that the rows show the newest one, no row
   is read. The next version is committed all the same: it makes every attempt fail that has read an older message.
4. Otherwise read the rows under the keys that the item lists, and under those that a backend has put: the index may not
   show these yet. Query the index only for rows that nobody names: if the item has no `shown` (it is new, or a
   settlement is unfinished), or if a listed row is not in its place (the bootcamp's handler has moved it).
5. Compute the changes: a move for each member, and a departure for each listed member whose row is gone. What the item
   says of a member changes only in a transaction with a condition on that member's row, also if the row looks right or
   is missing. The reason: a transaction becomes visible item by item. That of somebody else, whose version was read in
   1, may not be visible in a row yet; then a write of that row conflicts with it.
6. Commit the changes in as few transactions as fit. Each lists the new places of its own members, and only the last one
   writes `shown`. If one is cancelled, everything is read again. One exception: a row of another conversation of the
   same instant may have the new key. Then the next microsecond is tried; but if the item lists that very key, it is a
   row of this conversation that has just become visible. If DynamoDB refuses one, each step is committed alone, so that
   the others move, and `shown` stays absent.

docs/decisions/0004 proves that this is exact.
"""

import traceback
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cruddur_messages import schema
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.dynamodb import CancelledError, OutOfTimeError, RefusedError, TransientError
from cruddur_messages.items import MESSAGE, GroupRow, Key, MalformedItemError, Message, group_rows, key_of
from cruddur_messages.projection.moves import plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.steps import Departure, Step
from cruddur_messages.projection.table import ProjectionTable
from cruddur_messages.projection.transactions import judge, pack, retry


@dataclass(frozen=True)
class Settlement:
    """What became of a dirty conversation.

    `failure` says why it has to be settled again, None if it is settled; `may_retry` whether a retry may help now.
    `without_row` are members who have left. `counts` are for the log.
    """

    message_group_uuid: str
    failure: str | None = "not reached"
    may_retry: bool = True
    without_row: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reading:
    """What an attempt has read. `rows` is None if none had to be; `missing` are listed keys without any item."""

    message_group_uuid: str
    item: ConversationItem
    newest: Message | None
    malformed_messages: int
    rows: tuple[GroupRow, ...] | None = None
    missing: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Changes:
    """What to commit: the steps, and what the conversation item lists until each step is done.

    `shown` is what the item gets at the end; None if some rows of a member have to wait for another attempt.
    """

    steps: tuple[Step, ...]
    listed: Mapping[str, str]
    shown: str | None
    previews_cut: int = 0


def attempt(conversation: DirtyConversation, before: Settlement, table: ProjectionTable) -> Settlement:
    """Read once and commit what differs; returns what became of the conversation in this attempt and those before."""
    without_row, counts = before.without_row, before.counts + Counter(attempts=1)
    failure, may_retry = None, False
    try:
        reading = read(conversation, table)
        counts["malformed_messages"] = reading.malformed_messages
        if reading.rows is not None:
            without_row = (without_row | reading.item.rows.keys()) - {row.member_uuid for row in reading.rows}
        changes = changes_of(reading)
        counts["previews_cut"] = changes.previews_cut
        for done in commit(reading, changes, table):
            counts.update(done)
        if changes.shown is None:
            raise TransientError("a member has more rows than one transaction takes")
    except TransientError as transient:
        failure, may_retry = str(transient), True
    except OutOfTimeError:
        failure = f"out of time: {before.failure}"
    except RefusedError as refused:
        failure = f"refused: {refused}"
    except Exception as fault:  # unforeseen data must not fail the other conversations
        *_, at = traceback.extract_tb(fault.__traceback__)
        failure = f"unexpected {type(fault).__name__} at {Path(at.filename).name}:{at.lineno}"
    return Settlement(conversation.message_group_uuid, failure, may_retry, without_row, counts)


def read(conversation: DirtyConversation, table: ProjectionTable) -> Reading:
    """What 1 to 4 above say."""
    group = conversation.message_group_uuid
    item = table.conversation(group)
    newest, malformed = None, 0
    for attributes in table.newest_messages(group):
        try:
            newest = Message.from_attributes(attributes)
            break
        except MalformedItemError:
            malformed += 1
    if item.shown == fingerprint(newest) and not conversation.must_read_rows:
        return Reading(group, item, newest, malformed)
    keys = item.keys | conversation.put_keys
    found = table.get_items(keys)
    rows = [*group_rows(found, group)]
    if item.shown is None or not item.keys <= {row.key for row in rows}:
        rows += group_rows(table.get_items(table.keys_in_index(group) - keys), group)
    missing = item.keys.difference(key_of(attributes) for attributes in found)
    return Reading(group, item, newest, malformed, tuple(rows), frozenset(missing))


def changes_of(reading: Reading) -> Changes:
    """What 5 above says. Pure."""
    item, newest, shown = reading.item, reading.newest, fingerprint(reading.newest)
    if reading.rows is None:
        return Changes((), item.rows, shown)
    moves = plan(reading.rows, newest, is_shown=item.shown == shown)
    members = {move.member_uuid for move in moves}
    departures = [
        Departure(member, place)
        for member, place in item.rows.items()
        if member not in members and (schema.group_row_partition(member), place) in reading.missing
    ]
    # Also rows that look right, where the item says something else of them or will say something new.
    changed = [
        move
        for move in moves
        if move.is_needed or item.shown != shown or item.rows.get(move.member_uuid) != move.rows[0].sort_key
    ]
    members |= {departure.member_uuid for departure in departures}
    return Changes(
        steps=(*departures, *changed),
        # Another conversation's row in a listed place was put after the member's own had gone: no step is needed.
        listed={member: place for member, place in item.rows.items() if member in members},
        shown=shown if sum(len(move.rows) for move in moves) == len(reading.rows) else None,
        previews_cut=sum(
            newest is not None and move.target.attributes[MESSAGE] != {"S": newest.message} for move in moves
        ),
    )


def commit(reading: Reading, changes: Changes, table: ProjectionTable) -> Iterator[Counter[str]]:
    """What 6 above says; yields what each transaction did, and commits the next one when it is asked for more.

    Raises TransientError, RefusedError and OutOfTimeError.
    """
    item = replace(reading.item, rows=changes.listed)
    refused: dict[str, str] = {}
    pending = deque(pack(changes.steps, table.max_actions))
    while pending:
        steps = pending.popleft()
        if not steps and pending:
            continue  # the last one is committed even without a step, for its version
        places = {**item.rows, **{step.member_uuid: step.sort_key_after for step in steps}}
        listed = {member: place for member, place in places.items() if place is not None}
        then = ConversationItem({"S": table.new_version()}, listed, None if pending or refused else changes.shown)
        try:
            table.write(steps, reading.message_group_uuid, read=item.version, then=then)
        except RefusedError as error:
            if not steps:
                raise
            if len(steps) > 1:  # DynamoDB Local from npm also refuses more than ten actions
                pending.extendleft((step,) for step in steps)
            else:
                refused[steps[0].member_uuid] = str(error)
                pending.appendleft(())  # if it was the last one, `shown` is still to be taken away
        except CancelledError as cancelled:
            verdict = judge(steps, cancelled.reasons)
            outdated = verdict.outdated
            if any(move.target.key in reading.missing for move in verdict.taken):
                outdated = outdated or "a row has come to where the conversation item has it"
            if outdated is not None:
                yield Counter(conflicts=1)
                raise TransientError(outdated) from cancelled
            yield Counter(ties=len(verdict.taken))
            again, never = retry(steps, verdict)
            refused |= never
            pending.appendleft(again)
        else:
            item = then
            yield sum((step.counts for step in steps), Counter())
    if refused:
        raise RefusedError(", ".join(sorted(set(refused.values()))))
