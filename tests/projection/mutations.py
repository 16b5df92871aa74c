"""Deliberate faults in the projection. The tests must notice each one.

A mutation replaces one thing that the projection does, not the text of a line. `noticed_by` plays the small cases that
are explored completely, then generated schedules, until a promise breaks.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from cruddur_messages import conversation_item, dynamodb, schema
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.dynamodb import CancelledError, TransientError
from cruddur_messages.items import GROUP_MARK, MESSAGE_UUID, GroupRow, Message
from cruddur_messages.projection import batch, filters, moves, records, settlement, steps
from cruddur_messages.projection.settlement import Changes, Reading
from cruddur_messages.projection.settler import Settler
from cruddur_messages.projection.steps import Departure, Move, Step
from cruddur_messages.projection.table import ProjectionTable
from tests.projection import choices, exhaustive, simulation
from tests.projection.invocations import ViolationError
from tests.projection.memory_engine import MemoryEngine

Patch = Any
Mutation = Callable[[], list[Patch]]
MUTATIONS: list[Mutation] = []

ALWAYS = "attribute_exists(pk) OR attribute_not_exists(pk)"


def _mutation(make: Mutation) -> Mutation:
    MUTATIONS.append(make)
    return make


@_mutation
def the_version_is_not_checked() -> list[Patch]:
    """The update of the conversation item has no condition."""
    update = conversation_item.update

    def unconditional(*arguments: Any, **more: Any) -> Any:
        made = update(*arguments, **more)
        made["ConditionExpression"] = ALWAYS
        cast("dict[str, Any]", made["ExpressionAttributeValues"]).pop(":read", None)
        return made

    return [patch.object(conversation_item, "update", unconditional)]


@_mutation
def the_version_is_read_after_the_message() -> list[Patch]:
    """A commit between the two reads is not noticed."""
    conversation, newest_messages = ProjectionTable.conversation, ProjectionTable.newest_messages
    found: dict[int, list[Any]] = {}

    def conversation_later(self: ProjectionTable, group: str) -> Any:
        found[id(self)] = list(newest_messages(self, group))
        return conversation(self, group)

    return [
        patch.object(ProjectionTable, "conversation", conversation_later),
        patch.object(ProjectionTable, "newest_messages", lambda self, _group: iter(found[id(self)])),
    ]


@_mutation
def the_fence_is_left_out() -> list[Patch]:
    """Where a new message changes nothing, nothing is written."""
    return [_unless_nothing_differs(lambda reading: reading.rows is None)]


@_mutation
def rows_that_are_right_are_not_fenced() -> list[Patch]:
    """Where rows are read and nothing differs, nothing is written."""
    return [_unless_nothing_differs(lambda reading: reading.rows is not None)]


@_mutation
def a_version_comes_again() -> list[Patch]:
    """The next version is not fresh."""
    commit = settlement.commit

    def commit_again(reading: Reading, changes: Changes, table: ProjectionTable) -> Any:
        return commit(reading, changes, replace(table, new_version=lambda: "v"))

    return [patch.object(settlement, "commit", commit_again)]


@_mutation
def shown_is_written_too_early() -> list[Patch]:
    """The first of several transactions already says that all rows show the message."""
    commit = settlement.commit

    def commit_early(reading: Reading, changes: Changes, table: ProjectionTable) -> Any:
        def write(steps: Sequence[Step], group: str, *, read: Any, then: ConversationItem) -> None:
            table.write(steps, group, read=read, then=replace(then, shown=changes.shown))

        early = SimpleNamespace(write=write, max_actions=table.max_actions, new_version=table.new_version)
        return commit(reading, changes, cast("Any", early))

    return [patch.object(settlement, "commit", commit_early)]


@_mutation
def a_put_row_is_ignored() -> list[Patch]:
    """A new member is not found by the record of their row."""
    return [_read(put_keys=set())]


@_mutation
def rows_are_read_only_for_another_message() -> list[Patch]:
    """A row that is put where the item has it, or an edit undone, changes nothing."""
    return [_read(must_read_rows=False)]


@_mutation
def the_index_is_never_asked() -> list[Patch]:
    """Rows that are older than the stream stay unknown."""
    return [patch.object(ProjectionTable, "keys_in_index", lambda _self, _group: set())]


@_mutation
def a_cancelled_transaction_counts_as_committed() -> list[Patch]:
    """The reason why DynamoDB cancelled is ignored."""
    return [patch.object(ProjectionTable, "write", _without(ProjectionTable.write, CancelledError))]


@_mutation
def a_lost_response_counts_as_committed() -> list[Patch]:
    """A lost response is treated as success."""
    return [patch.object(ProjectionTable, "write", _without(ProjectionTable.write, TransientError))]


@_mutation
def a_row_may_have_changed() -> list[Patch]:
    """Rows are replaced and deleted without a condition on their attributes."""
    return [patch.object(steps, "unchanged", lambda _row: {"ConditionExpression": "attribute_exists(pk)"})]


@_mutation
def a_row_may_have_been_marked() -> list[Patch]:
    """A condition does not demand that the mark and the message are still absent."""
    return [patch.object(steps, "OPTIONAL", ())]


@_mutation
def groups_are_not_marked() -> list[Patch]:
    """No row gets the mark of a group."""
    return [patch.object(moves, "GROUP_MARK", {})]


@_mutation
def a_mark_is_not_copied() -> list[Patch]:
    """Rows are counted, and the mark of the others is ignored."""
    return [patch.object(GroupRow, "is_group", property(lambda _row: False))]


@_mutation
def two_are_a_group() -> list[Patch]:
    """Every conversation is marked."""
    return [_planned(lambda move, _newest: _with(move, **GROUP_MARK))]


@_mutation
def a_key_need_not_be_free() -> list[Patch]:
    """A row overwrites that of another conversation."""
    return [patch.object(steps, "KEY_IS_FREE", ALWAYS)]


@_mutation
def rows_that_look_right_are_not_conditioned() -> list[Patch]:
    """A transaction whose version is already read may still be writing them."""

    def is_needed(step: Step, reading: Reading) -> bool:
        if isinstance(step, Departure):
            return True
        return step.is_needed or reading.item.rows.get(step.member_uuid) != step.rows[0].sort_key

    def needed(reading: Reading, changes: Changes) -> Changes:
        return replace(changes, steps=tuple(step for step in changes.steps if is_needed(step, reading)))

    return [_changed(needed)]


@_mutation
def a_member_without_a_row_is_dropped_unconditionally() -> list[Patch]:
    """A transaction whose version is already read may still be writing the row."""

    def without_departures(_reading: Reading, changes: Changes) -> Changes:
        gone = {step.member_uuid for step in changes.steps if isinstance(step, Departure)}
        listed = {member: place for member, place in changes.listed.items() if member not in gone}
        steps = tuple(step for step in changes.steps if isinstance(step, Move))
        return replace(changes, steps=steps, listed=listed)

    return [_changed(without_departures)]


@_mutation
def what_is_read_is_listed_before_it_is_written() -> list[Patch]:
    """The first of several transactions already lists the rows of the others where they were read."""

    def listed(_reading: Reading, changes: Changes) -> Changes:
        read = {step.member_uuid: step.rows[0].sort_key for step in changes.steps if isinstance(step, Move)}
        return replace(changes, listed={**changes.listed, **read})

    return [_changed(listed)]


@_mutation
def every_taken_key_is_a_tie() -> list[Patch]:
    """A row of the same conversation that becomes visible counts as another conversation's."""
    commit = settlement.commit

    def commit_forgetting(reading: Reading, *arguments: Any) -> Any:
        return commit(replace(reading, missing=frozenset()), *arguments)

    return [patch.object(settlement, "commit", commit_forgetting)]


@_mutation
def ties_are_given_up() -> list[Patch]:
    """A key that is taken is tried once."""
    return [patch.object(Move, "to_next_place", lambda _self: None)]


@_mutation
def duplicates_stay() -> list[Patch]:
    """Only one of several rows of a member is moved."""
    return [_planned(lambda move, _newest: replace(move, rows=move.rows[:1]))]


@_mutation
def attributes_are_copied_by_a_list() -> list[Patch]:
    """Attributes that the code does not use are lost."""
    return [_planned(lambda move, _newest: _with(move, note=None))]


@_mutation
def the_sort_key_is_copied_as_it_is() -> list[Patch]:
    """A row gets its message's sort key in the form in which a backend wrote it."""
    return [_planned(lambda move, newest: _with(move, sk={"S": newest.sort_key}) if newest and move.instant else move)]


@_mutation
def the_message_uuid_is_not_written() -> list[Patch]:
    """The row does not name the message that it shows, and so passes the filter."""
    return [_planned(lambda move, _newest: _with(move, **{MESSAGE_UUID: None}))]


@_mutation
def an_edit_is_not_noticed() -> list[Patch]:
    """The fingerprint covers only the key and the uuid."""
    fingerprint = conversation_item.fingerprint
    return [patch.object(settlement, "fingerprint", lambda newest: fingerprint(newest and replace(newest, message="")))]


@_mutation
def a_malformed_message_hides_the_others() -> list[Patch]:
    """Only the newest item of the conversation is read."""
    newest_messages = ProjectionTable.newest_messages
    return [
        patch.object(ProjectionTable, "newest_messages", lambda self, group: islice(newest_messages(self, group), 1))
    ]


@_mutation
def keys_that_come_back_unprocessed_are_dropped() -> list[Patch]:
    """Unprocessed keys of BatchGetItem are ignored."""
    get = MemoryEngine.batch_get_item

    def get_once(self: MemoryEngine, **arguments: Any) -> Any:
        return get(self, **arguments) | {"UnprocessedKeys": {}}

    return [patch.object(MemoryEngine, "batch_get_item", get_once)]


@_mutation
def no_failure_is_reported() -> list[Patch]:
    """Every record counts as settled."""
    settle = Settler.settle
    return [patch.object(Settler, "settle", lambda self, dirty: replace(settle(self, dirty), failure=None))]


@_mutation
def one_record_of_a_batch_is_read() -> list[Patch]:
    """The other records make no conversation dirty."""
    fold = records.fold
    return [patch.object(batch, "fold", lambda given: fold(list(given)[:1]))]


@_mutation
def the_deadline_is_not_kept() -> list[Patch]:
    """Calls start until Lambda ends the invocation."""
    new = Settler.__init__

    def with_all_the_time(self: Settler, **arguments: Any) -> None:
        new(self, **arguments | {"seconds_left": lambda: math.inf})

    return [patch.object(Settler, "__init__", with_all_the_time)]


@_mutation
def the_filter_lets_its_own_writes_through() -> list[Patch]:
    """Group rows pass, whoever wrote them."""
    prefixes = (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
    open_patterns = [{"dynamodb": {"Keys": {"pk": {"S": [{"prefix": prefix}]}}}} for prefix in prefixes]
    return [patch.object(simulation, "patterns", lambda: open_patterns)]


@_mutation
def the_filter_drops_deletions() -> list[Patch]:
    """A deleted message makes no conversation dirty."""
    patterns = filters.patterns
    return [
        patch.object(
            simulation,
            "patterns",
            lambda: [{**one, "eventName": ["INSERT", "MODIFY"]} for one in patterns()],
        )
    ]


def noticed_by(mutation: Mutation | None, schedules: int) -> str | None:
    """The first promise that breaks with a mutation; None if all are kept."""
    with ExitStack() as stack:
        for one in mutation() if mutation else []:
            stack.enter_context(one)
        for play in _plays(schedules):
            try:
                play()
            except (ViolationError, exhaustive.BrokenPromiseError) as violation:
                return str(violation).splitlines()[-1]
    return None


def _plays(schedules: int) -> Iterator[Callable[[], object]]:
    first = min(schedules, 500)
    yield from _explorations(exhaustive.cases(1))
    yield from _explorations(exhaustive.cases(1), is_gradual=True)
    yield from _schedules(range(first))
    yield from _explorations(exhaustive.cases(2, members=(2,)))
    yield from _explorations(exhaustive.cases(2, members=(1,)), is_gradual=True)
    yield from _schedules(range(first, schedules))


def _explorations(cases: Iterable[exhaustive.Case], *, is_gradual: bool = False) -> Iterator[Callable[[], object]]:
    for case in cases:
        for max_actions in (dynamodb.MAX_ACTIONS, exhaustive.FEW_ACTIONS):
            yield partial(exhaustive.explore, replace(case, max_actions=max_actions, is_gradual=is_gradual))


def _schedules(numbers: range) -> Iterator[Callable[[], object]]:
    for number in numbers:
        yield partial(simulation.run, _schedule(number))


def _schedule(number: int) -> bytes:
    """The schedule of a number; rows that backends write oddly, which hide other faults, are in every fourth."""
    schedule = random.Random(number).randbytes(choices.SIZE)  # noqa: S311
    odd_rows = choices.PARTS["rows"]
    return schedule if number % 4 == 1 else schedule[:-odd_rows] + bytes(odd_rows)


def _unless_nothing_differs(applies: Callable[[Reading], bool]) -> Patch:
    commit = settlement.commit

    def commit_changes(reading: Reading, changes: Changes, *arguments: Any) -> Any:
        if changes.steps or reading.item.shown != changes.shown or not applies(reading):
            return commit(reading, changes, *arguments)
        return ()

    return patch.object(settlement, "commit", commit_changes)


def _read(**changes: Any) -> Patch:
    read = settlement.read
    return patch.object(settlement, "read", lambda dirty, table: read(replace(dirty, **changes), table))


def _changed(change: Callable[[Reading, Changes], Changes]) -> Patch:
    changes_of = settlement.changes_of
    return patch.object(settlement, "changes_of", lambda reading: change(reading, changes_of(reading)))


def _planned(change: Callable[[Move, Message | None], Move]) -> Patch:
    plan = moves.plan

    def changed(rows: Any, newest: Message | None, *, is_shown: bool) -> list[Move]:
        return [change(move, newest) for move in plan(rows, newest, is_shown=is_shown)]

    return patch.object(settlement, "plan", changed)


def _with(move: Move, **attributes: Any) -> Move:
    """A move whose target has other attributes; None takes one away."""
    target = {**move.target.attributes, **attributes}
    return replace(move, target=GroupRow({name: value for name, value in target.items() if value is not None}))


def _without(write: Callable[..., None], error: type[Exception]) -> Callable[..., None]:
    def forgiving(*arguments: Any, **more: Any) -> None:
        with suppress(error):
            write(*arguments, **more)

    return forgiving
