"""Deliberate faults in the projection. The tests must notice each one.

A mutation replaces one thing that the projection does, not the text of a line. `noticed_by` plays the small cases that
are explored completely, then generated schedules, until a promise breaks.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cruddur_messages import conversation_item, dynamodb, schema
from cruddur_messages.dynamodb import CancelledError, TransientError
from cruddur_messages.items import GROUP_MARK, GroupRow, Message
from cruddur_messages.projection import batch, moves, settlement, steps
from cruddur_messages.projection.filters import patterns
from cruddur_messages.projection.settlement import Changes, Reading
from cruddur_messages.projection.settler import Settler
from cruddur_messages.projection.steps import Departure, Move, Step
from cruddur_messages.projection.table import ProjectionTable
from tests.projection import choices, exhaustive, simulation
from tests.projection.memory_engine import MemoryEngine
from tests.projection.promises import ViolationError

Mutation = AbstractContextManager[object]

ALWAYS = "attribute_exists(pk) OR attribute_not_exists(pk)"
OPEN_PATTERNS = [
    {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": prefix}]}}}}
    for prefix in (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
]
PATTERNS_WITHOUT_DELETIONS = [{**pattern, "eventName": ["INSERT", "MODIFY"]} for pattern in patterns()]


def _around(owner: Any, name: str, instead: Callable[..., Any]) -> Mutation:
    """Call `instead` in place of a function or method; it gets that, then its arguments."""
    original = getattr(owner, name)
    return patch.object(owner, name, lambda *given, **named: instead(original, *given, **named))


def _changed(change: Callable[[Reading, Changes], Changes]) -> Mutation:
    return _around(settlement, "changes_of", lambda changes_of, reading: change(reading, changes_of(reading)))


def _planned(change: Callable[[Move, Message | None], Move]) -> Mutation:
    def planned(plan: Any, rows: Any, newest: Message | None, *, is_shown: bool) -> list[Move]:
        return [change(move, newest) for move in plan(rows, newest, is_shown=is_shown)]

    return _around(settlement, "plan", planned)


def _with(move: Move, **attributes: Any) -> Move:
    """A move whose target has other attributes; None takes one away."""
    target = {**move.target.attributes, **attributes}
    return replace(move, target=GroupRow({name: value for name, value in target.items() if value is not None}))


def _written_in_spite_of(error: type[Exception]) -> Mutation:
    def write(original: Callable[..., None], *given: Any, **named: Any) -> None:
        with suppress(error):
            original(*given, **named)

    return _around(ProjectionTable, "write", write)


def _not_committed_if_nothing_differs(applies: Callable[[Reading], bool]) -> Mutation:
    def commit(original: Any, reading: Reading, changes: Changes, table: ProjectionTable) -> Any:
        if changes.steps or reading.item.shown != changes.shown or not applies(reading):
            return original(reading, changes, table)
        return ()

    return _around(settlement, "commit", commit)


def _unconditional(update: Any, *given: Any, **named: Any) -> Any:
    made = update(*given, **named)
    made["ConditionExpression"] = ALWAYS
    made["ExpressionAttributeValues"].pop(":read", None)
    return made


def _messages_first(read: Any, dirty: Any, table: ProjectionTable) -> Reading:
    messages = list(table.newest_messages(dirty.message_group_uuid))
    read_before = SimpleNamespace(
        newest_messages=lambda _group: messages,
        conversation=table.conversation,
        get_items=table.get_items,
        keys_in_index=table.keys_in_index,
    )
    made: Reading = read(dirty, read_before)
    return made


def _shown_early(commit: Any, reading: Reading, changes: Changes, table: ProjectionTable) -> Any:
    def write(steps: Any, group: str, *, read: Any, then: conversation_item.ConversationItem) -> None:
        table.write(steps, group, read=read, then=replace(then, shown=changes.shown))

    early = SimpleNamespace(write=write, max_actions=table.max_actions, new_version=table.new_version)
    return commit(reading, changes, early)


def _without_steps_for_rows_that_look_right(reading: Reading, changes: Changes) -> Changes:
    def is_needed(step: Step) -> bool:
        if isinstance(step, Departure):
            return True
        return step.is_needed or reading.item.rows.get(step.member_uuid) != step.rows[0].sort_key

    return replace(changes, steps=tuple(filter(is_needed, changes.steps)))


def _without_departures(_reading: Reading, changes: Changes) -> Changes:
    gone = {step.member_uuid for step in changes.steps if isinstance(step, Departure)}
    listed = {member: place for member, place in changes.listed.items() if member not in gone}
    return replace(changes, steps=tuple(step for step in changes.steps if isinstance(step, Move)), listed=listed)


def _listed_where_read(_reading: Reading, changes: Changes) -> Changes:
    read = {step.member_uuid: step.rows[0].sort_key for step in changes.steps if isinstance(step, Move)}
    return replace(changes, listed={**changes.listed, **read})


MUTATIONS: Mapping[str, Mutation] = {
    # What is read.
    "the version is read after the message": _around(settlement, "read", _messages_first),
    "the record of a put row does not tell of its member": _around(
        settlement, "read", lambda read, dirty, table: read(replace(dirty, put_keys=set()), table)
    ),
    # But an edit may be undone, or a row put anew.
    "rows are read only if another message is the newest": _around(
        settlement, "read", lambda read, dirty, table: read(replace(dirty, must_read_rows=False), table)
    ),
    "the index is never asked": patch.object(ProjectionTable, "keys_in_index", lambda _self, _group: set()),
    "a malformed message hides the others": _around(
        ProjectionTable, "newest_messages", lambda messages, *given: islice(messages(*given), 1)
    ),
    "keys that come back unprocessed are dropped": _around(
        MemoryEngine, "batch_get_item", lambda get, *given, **named: get(*given, **named) | {"UnprocessedKeys": {}}
    ),
    # What is changed.
    "rows that look right have no condition": _changed(_without_steps_for_rows_that_look_right),
    "a member without a row is dropped without a condition": _changed(_without_departures),
    "the first of several transactions lists the rows of the others where they were read": _changed(_listed_where_read),
    "an edit is not noticed": _around(
        settlement, "fingerprint", lambda fingerprint, newest: fingerprint(newest and replace(newest, message=""))
    ),
    "groups are not marked": patch.object(moves, "GROUP_MARK", {}),
    "the marks of other rows are not copied": patch.object(GroupRow, "is_group", property(lambda _row: False)),
    "two are a group": _planned(lambda move, _newest: _with(move, **GROUP_MARK)),
    "one of several rows of a member is moved": _planned(lambda move, _newest: replace(move, rows=move.rows[:1])),
    "an attribute that the code does not use is lost": _planned(lambda move, _newest: _with(move, note=None)),
    "the sort key of the message is copied as a backend wrote it": _planned(
        lambda move, newest: _with(move, sk={"S": newest.sort_key}) if newest and move.instant else move
    ),
    "the row does not name the message that it shows": _planned(lambda move, _newest: _with(move, message_uuid=None)),
    # What is committed.
    "the update of the conversation item has no condition": _around(conversation_item, "update", _unconditional),
    "where a new message changes nothing, nothing is written": _not_committed_if_nothing_differs(
        lambda reading: reading.rows is None
    ),
    "where rows are read and nothing differs, nothing is written": _not_committed_if_nothing_differs(
        lambda reading: reading.rows is not None
    ),
    "the next version is not fresh": _around(
        settlement,
        "commit",
        lambda commit, reading, changes, table: commit(reading, changes, replace(table, new_version=lambda: "v")),
    ),
    "the first of several transactions says that all rows show the message": _around(
        settlement, "commit", _shown_early
    ),
    "a cancelled transaction counts as committed": _written_in_spite_of(CancelledError),
    "a lost response counts as committed": _written_in_spite_of(TransientError),
    "a row may have changed since it was read": patch.object(
        steps, "unchanged", lambda _row: {"ConditionExpression": "attribute_exists(pk)"}
    ),
    "a row may have got a mark or a message since it was read": patch.object(steps, "OPTIONAL", ()),
    "a key need not be free": patch.object(steps, "KEY_IS_FREE", ALWAYS),
    "a row that becomes visible under its key counts as another conversation's": _around(
        settlement, "commit", lambda commit, reading, *given: commit(replace(reading, missing=frozenset()), *given)
    ),
    "a key that is taken is tried once": patch.object(Move, "to_next_place", lambda _self: None),
    # What is delivered and reported.
    "no failure is reported": _around(Settler, "settle", lambda settle, *given: replace(settle(*given), failure=None)),
    "one record of a batch is read": _around(batch, "fold", lambda fold, records: fold(list(records)[:1])),
    "calls start until Lambda ends the invocation": _around(
        Settler, "__init__", lambda new, *given, **named: new(*given, **named | {"seconds_left": lambda: math.inf})
    ),
    "the filter lets the projection's own writes through": patch.object(simulation, "patterns", lambda: OPEN_PATTERNS),
    "the filter drops deletions": patch.object(simulation, "patterns", lambda: PATTERNS_WITHOUT_DELETIONS),
}


def noticed_by(mutation: Mutation, schedules: int) -> str | None:
    """The first promise that breaks with a mutation; None if all are kept."""
    with mutation:
        for play in _plays(schedules):
            try:
                play()
            except ViolationError as violation:
                return str(violation).splitlines()[-1]
    return None


def _plays(schedules: int) -> Iterator[Callable[[], object]]:
    first = min(schedules, 500)
    yield from _explorations(1)
    yield from _explorations(1, is_gradual=True)
    yield from _schedules(range(first))
    yield from _explorations(2, members=(2,))
    yield from _explorations(2, members=(1,), is_gradual=True)
    yield from _schedules(range(first, schedules))


def _explorations(changes: int, **more: Any) -> Iterator[Callable[[], object]]:
    for max_actions in (dynamodb.MAX_ACTIONS, exhaustive.FEW_ACTIONS):
        for case in exhaustive.cases(changes, max_actions=max_actions, **more):
            yield partial(exhaustive.explore, case)


def _schedules(numbers: range) -> Iterator[Callable[[], object]]:
    for number in numbers:
        yield partial(simulation.run, _schedule(number))


def _schedule(number: int) -> bytes:
    """The schedule of a number; rows that backends write oddly, which hide other faults, are in every fourth."""
    schedule = random.Random(number).randbytes(choices.SIZE)  # noqa: S311
    odd_rows = choices.PARTS["rows"]
    return schedule if number % 4 == 1 else schedule[:-odd_rows] + bytes(odd_rows)
