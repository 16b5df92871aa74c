"""Every interleaving of a small case, explored completely. A state that is reached twice is explored once.

A case is a conversation of one to three members and one to three changes. Each change but a departure has a settlement
of its own, which may begin at any time after it. The real code of the settlements runs: it is played again from its
recorded responses up to its next API call. So a state is the table, and the responses that each settlement has had
since it last began to read. From a state, a client makes the next change, or one settlement makes its next call, dies
before it, or dies after it and is delivered again. A call that conflicts, or whose response is lost, ends in the same
states as one of these. A transaction is committed at once, and applied at once or item by item: the conversation item
first, then the rows in the order of the actions or in the opposite one. (Whoever reads while the conversation item is
yet to be applied cannot commit with its version.) In between the others go on; what they write of an item that is yet
to be applied conflicts.

A query of the index returns the table as it is, or as it was at the beginning. Settlements that take several
transactions are explored with up to two changes between two members; applied item by item as well, a few of those cases
in each run. Left out are more changes and members than these, three changes with transactions that are several or are
applied item by item, partial batches, deadlines, pages, refusals, and an index that shows anything in between. The
simulation covers those.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, cast

from botocore.exceptions import ClientError

from cruddur_messages import schema
from cruddur_messages.conversation_item import fingerprint
from cruddur_messages.items import GROUP_MARK, Key, Message, key_attributes
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Settlement, attempt
from cruddur_messages.projection.table import ProjectionTable
from tests import report
from tests.projection.memory_engine import Item, MemoryEngine, key_of_action, strings
from tests.projection.promises import ViolationError, broken_by_row, broken_together, text

GROUP = "g"
NOW, OLD = "now", "old"
CONVERSATION_KEY = ("CONV#g", "CONV")
CHANGES = ("message", "edit", "deletion", "put back", "newcomer", "put anew", "put twice", "joined again", "departure")
NEW_MESSAGES = ("message", "put back")
FEW_ACTIONS = 4
"""With this limit, two members need two transactions."""

MOST_CACHED = 200_000
"""How many tables are remembered from one case to the next."""


@dataclass(frozen=True)
class Case:
    """The start of a run, the changes in order, and whether transactions are also applied item by item."""

    members: int
    is_known: bool
    changes: tuple[str, ...]
    max_actions: int = 100
    is_gradual: bool = False


def cases(changes: int, *, members: tuple[int, ...] = (1, 2, 3), **more: Any) -> Iterator[Case]:
    """All cases with this number of changes."""
    for kinds in itertools.product(CHANGES, repeat=changes):
        for number in members:
            for is_known in (True, False):
                yield Case(number, is_known, kinds, **more)


def explore_all(cases: Iterable[Case], record_property: Callable[[str, object], None]) -> None:
    """Visit every state of all cases, and record their number. Raises ViolationError."""
    begin = cache(History)
    states = sum(explore(case, begin) for case in cases)
    record_property(report.COUNTED, ("states of small cases explored, every interleaving", states))


def explore(case: Case, begin: "Callable[[Beginning], History] | None" = None) -> int:
    """Visit every state of a case; returns how many there are. `begin` is kept from case to case, which is faster.

    Raises ViolationError, with the steps to the broken promise.
    """
    if _table.cache_info().currsize > MOST_CACHED:
        for cached in (_table, _remainder, _with_item, _half_applied, _changed, _respond, _wrong_in_commit):
            cached.cache_clear()
    return _Explorer(case, begin or cache(History)).visit_all()


# Equal tables, histories and remainders are one object each, so that states compare quickly.


@dataclass(eq=False)
class Table:
    """The items of the table: each key with its item as JSON text, in order."""

    items: tuple[tuple[Key, str], ...]

    def __post_init__(self) -> None:
        self.version = self._version()
        self.writer = int(self.version.split(".")[0]) if self.version and "." in self.version else None
        self._renamed: dict[str, Table] = {}

    @cached_property
    def kinds(self) -> dict[str, list[Item]]:
        """The messages, group rows and conversation items."""
        kinds: dict[str, list[Item]] = {"MSG": [], "GRP": [], "CON": []}
        for (partition, _), item in self.items:
            kinds[partition[:3]].append(json.loads(item))
        return kinds

    @cached_property
    def index(self) -> str:
        """What the index shows without a lag."""
        return json.dumps({"Items": self.kinds["GRP"]}, sort_keys=True)

    def engine(self, locked: frozenset[Key]) -> MemoryEngine:
        """An engine with this table, in which some items cannot be written."""
        engine = MemoryEngine()
        engine.items = {key: json.loads(item) for key, item in self.items}
        engine.unapplied = dict.fromkeys(locked)
        return engine

    def with_item(self, key: Key, item: str | None) -> "Table":
        """The table after one change."""
        items = {**dict(self.items), key: item}
        return _table(tuple(sorted((key, item) for key, item in items.items() if item is not None)))

    def with_version(self, version: str) -> "Table":
        """The table with another version of the conversation."""
        if version not in self._renamed:
            item = {**json.loads(dict(self.items)[CONVERSATION_KEY]), "version": {"S": version}}
            self._renamed[version] = self.with_item(CONVERSATION_KEY, json.dumps(item, sort_keys=True))
        return self._renamed[version]

    def _version(self) -> str | None:
        item = dict(self.items).get(CONVERSATION_KEY)
        return None if item is None else str(json.loads(item)["version"]["S"])


_table = cache(Table)


def _table_of(engine: MemoryEngine) -> Table:
    return _table(tuple(sorted((key, json.dumps(item, sort_keys=True)) for key, item in engine.items.items())))


@dataclass(eq=False)
class Remainder:
    """What is still to be applied of a committed transaction: an item as JSON text (None: none), and the rest."""

    key: Key
    item: str | None
    rest: "Remainder | None"

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The keys that cannot be written until then."""
        return frozenset({self.key}) | (self.rest.keys if self.rest else frozenset())


_remainder = cache(Remainder)


class Call(NamedTuple):
    """What a settlement does next: an API call, with its arguments as JSON text; or it has ended, or begins anew."""

    operation: str
    arguments: str = ""


DONE, AGAIN, REFUSED = Call("done"), Call("again"), "refused"


class Beginning(NamedTuple):
    """A settlement before its first call: of which change, and what its record says."""

    number: int
    put_key: Key | None
    must_read_rows: bool
    max_actions: int


class History:
    """A settlement, and the responses that it has had since it last began to read, as JSON text."""

    def __init__(self, beginning: Beginning, *responses: str) -> None:
        self.number = beginning.number
        self.responses = responses
        self.call = _next_call(beginning, responses)
        self.name = f"settlement {self.number}: {self.call.operation}"
        self.version = json.loads(responses[0]).get("Item", {}).get("version", {}).get("S") if responses else None
        self.first = self
        self._beginning = beginning
        self._then: dict[str, History | None] = {}
        self._renamed: dict[str, History] = {}

    def then(self, response: str) -> "History | None":
        """After one more response; None if the settlement ends."""
        if response not in self._then:
            history = History(self._beginning, *self.responses, response)
            history.first = self.first
            self._then[response] = {DONE: None, AGAIN: self.first}.get(history.call, history)
        return self._then[response]

    def with_version(self, version: str) -> "History":
        """As if it had read this version."""
        if self.version in (None, version):
            return self
        if version not in self._renamed:
            first = json.loads(self.responses[0])
            first["Item"]["version"]["S"] = version
            renamed = self.first
            for response in (json.dumps(first, sort_keys=True), *self.responses[1:]):
                renamed = cast("History", renamed.then(response))
            self._renamed[version] = renamed
        return self._renamed[version]


class State(NamedTuple):
    """Where a run stands: the table, and the settlement of each change that was made (None: it has ended).

    `unapplied` has the transactions that are still being applied, each with the number of the settlement that waits for
    it, if it lives.
    """

    table: Table
    settlements: tuple[History | None, ...]
    unapplied: tuple[tuple[int | None, Remainder], ...]


class _Explorer:
    def __init__(self, case: Case, begin: Callable[[Beginning], History]) -> None:
        self._case = case
        self._begin = begin
        self._first = State(_beginning(case), (), ())
        self._came_from: dict[State, State | None] = {self._first: None}
        self._wrong_at_rest = cache(_wrong_at_rest)

    def visit_all(self) -> int:
        to_visit = [self._first]
        known = self._came_from
        while to_visit:
            state = to_visit.pop()
            for _, following in self._steps(state):
                if following not in known:
                    known[following] = state
                    to_visit.append(following)
        return len(known)

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        """What can happen next: who does what, and the state after it."""
        table, settlements, unapplied = state
        locked, waiting = _locked_and_waiting(unapplied) if unapplied else (frozenset(), set())
        is_over = len(settlements) == len(self._case.changes) and not unapplied
        if len(settlements) < len(self._case.changes):
            yield from self._change(state, locked)
        for position in range(len(unapplied)):
            yield "DynamoDB applies an item", _applied(state, position)
        for history in settlements:
            if history is None:
                continue
            is_over = False
            number = history.number
            if history.responses:
                orphaned = tuple((None if writer == number else writer, rest) for writer, rest in unapplied)
                yield f"settlement {number} dies", _state(table, settlements, number, history.first, orphaned)
            if number in waiting:
                continue
            call = history.call
            if call.operation == REFUSED:
                self._fail(state, f"{history.name}: {call.arguments}")
            response, table_then = _respond(call, table, locked)
            if table_then is not table:
                self._check_commit(state, table_then, call)
                yield history.name + ", and dies", _state(table_then, settlements, number, history.first, unapplied)
                if self._case.is_gradual and call.operation == "transact_write_items":
                    for visible, rest in _half_applied(call, table, table_then):
                        pending = (*unapplied, (number, rest))
                        yield history.name + ", half", _state(visible, settlements, number, history, pending)
            then = history.then(response)
            if table_then is table and then is not None and then.responses:
                yield history.name, State(table, _replaced(settlements, number, then), unapplied)
            else:
                yield history.name, _state(table_then, settlements, number, then, unapplied)
            if '"IndexName"' in call.arguments:
                outdated = history.then(self._first.table.index)
                yield history.name + ", outdated", _state(table, settlements, number, outdated, unapplied)
        if is_over:
            self._check_rest(state)

    def _change(self, state: State, locked: frozenset[Key]) -> Iterator[tuple[str, State]]:
        number = len(state.settlements)
        kind = self._case.changes[number]
        with suppress(ClientError):  # A client whose write conflicts with a transaction tries again later.
            table, put_key = _changed(state.table, locked, kind, number)
            record = Beginning(number, put_key, kind not in NEW_MESSAGES, self._case.max_actions)
            settlement = None if kind == "departure" else self._begin(record)
            yield (
                f"client: {kind}",
                _state(table, (*state.settlements, settlement), number, settlement, state.unapplied),
            )

    def _check_commit(self, state: State, table: Table, call: Call) -> None:
        if (wrong := _wrong_in_commit(state.table, table)) is not None:
            self._fail(state, f"{call.operation} {wrong}")

    def _check_rest(self, state: State) -> None:
        if set(self._case.changes) != {"departure"} and (wrong := self._wrong_at_rest(state.table)) is not None:
            self._fail(state, f"{wrong} at rest")

    def _fail(self, state: State, why: str) -> None:
        way: list[str] = []
        while (before := self._came_from[state]) is not None:
            way.append(next(step for step, following in self._steps(before) if following == state))
            state = before
        raise ViolationError("\n".join([str(self._case), *reversed(way), f"=> {why}"]))


def _next_call(beginning: Beginning, responses: tuple[str, ...]) -> Call:
    """What a settlement does after these responses."""
    number, put_key, must_read_rows, max_actions = beginning
    dirty = DirtyConversation(GROUP, must_read_rows=must_read_rows)
    if put_key is not None:
        dirty.put_keys.add(put_key)
    versions = itertools.count(1)
    table = ProjectionTable(
        cast("Any", _Replay(responses)),
        "t",
        max_actions=max_actions,
        new_version=lambda: f"{number}.{next(versions)}",
    )
    try:
        settlement = attempt(dirty, Settlement(GROUP), table)
    except _Pause as pause:
        return pause.call
    if settlement.failure is None:
        return DONE
    return AGAIN if settlement.may_retry else Call(REFUSED, settlement.failure)


class _Pause(BaseException):
    """The settlement is about to make this call."""

    def __init__(self, call: Call) -> None:
        self.call = call


class _Replay:
    """A client that returns the recorded responses, and stops at the first call after them."""

    def __init__(self, responses: tuple[str, ...]) -> None:
        self._responses = iter(responses)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            recorded = next(self._responses, None)
            if recorded is None:
                raise _Pause(Call(operation, json.dumps(arguments, sort_keys=True)))
            response = json.loads(recorded)
            if "Error" in response:
                raise ClientError(response, operation)
            return response

        return call


def _state(
    table: Table,
    settlements: tuple[History | None, ...],
    number: int,
    history: History | None,
    unapplied: tuple[tuple[int | None, Remainder], ...],
) -> State:
    """The state with another history of one settlement, and with versions renamed.

    States that differ only in version values become equal. The version that a settlement has just written keeps its
    name, by which that settlement still knows it.
    """
    settlements = _replaced(settlements, number, history)
    version = table.version
    if version is None:
        return State(table, settlements, unapplied)
    writer = None if table.writer is None else settlements[table.writer]
    name = version if writer is not None and writer.responses else NOW
    unchanged = (None, OLD, name) if name == version else (None, OLD)
    return State(
        table if name == version else table.with_version(name),
        tuple(
            [
                read
                if read is None or read.version in unchanged
                else read.with_version(name if read.version == version else OLD)
                for read in settlements
            ]
        ),
        unapplied,
    )


def _replaced(
    settlements: tuple[History | None, ...], number: int, history: History | None
) -> tuple[History | None, ...]:
    return (*settlements[:number], history, *settlements[number + 1 :])


def _applied(state: State, position: int) -> State:
    """The state after one more item of a transaction is applied; the last one also brings the response."""
    number, remainder = state.unapplied[position]
    rest = () if remainder.rest is None else ((number, remainder.rest),)
    unapplied = (*state.unapplied[:position], *rest, *state.unapplied[position + 1 :])
    table = _with_item(state.table, remainder)
    if number is None or rest:
        return State(table, state.settlements, unapplied)
    history = state.settlements[number]
    assert history is not None
    return _state(table, state.settlements, number, history.then("{}"), unapplied)


@cache
def _with_item(table: Table, remainder: Remainder) -> Table:
    return table.with_item(remainder.key, remainder.item)


@cache
def _half_applied(call: Call, table: Table, table_then: Table) -> list[tuple[Table, Remainder]]:
    """A committed transaction of which the conversation item alone is applied, and the rest in either order."""
    after = dict(table_then.items)
    keys = [key_of_action(action) for action in json.loads(call.arguments)["TransactItems"]]
    rows = [key for key in keys if key != CONVERSATION_KEY]
    visible = table.with_item(CONVERSATION_KEY, after[CONVERSATION_KEY])
    remainders: set[Remainder] = set()
    for order in (rows, rows[::-1]):
        rest: Remainder | None = None
        for key in order:
            rest = _remainder(key, after.get(key), rest)
        assert rest is not None
        remainders.add(rest)
    return [(visible, rest) for rest in remainders]


@cache
def _changed(table: Table, locked: frozenset[Key], kind: str, number: int) -> tuple[Table, Key | None]:
    """The table after a change by a client, and the key of the row that it puts, if any. Raises ClientError."""
    engine = table.engine(locked)
    put_key = _make(engine, kind, number)
    return _table_of(engine), put_key


@cache
def _respond(call: Call, table: Table, locked: frozenset[Key]) -> tuple[str, Table]:
    """The response to a call, and the table after it."""
    if '"IndexName"' in call.arguments:
        return table.index, table
    engine = table.engine(locked)
    try:
        response = getattr(engine, call.operation)(**json.loads(call.arguments))
    except ClientError as error:
        response = error.response
    return json.dumps(response, sort_keys=True), _table_of(engine)


@cache
def _wrong_in_commit(before: Table, after: Table) -> str | None:
    """Whether a member has no row or more than before, a row loses its mark, or a message is changed."""
    if before.kinds["MSG"] != after.kinds["MSG"]:
        return "touches a message"
    rows, rows_then = (Counter(row["pk"]["S"] for row in table.kinds["GRP"]) for table in (before, after))
    if rows.keys() != rows_then.keys() or any(rows_then[member] > rows[member] for member in rows):
        return f"leaves {dict(rows_then)} of {dict(rows)}"
    marked, marked_then = (
        {row["pk"]["S"] for row in table.kinds["GRP"] if schema.IS_GROUP in row} for table in (before, after)
    )
    return None if marked <= marked_then else f"takes the mark from {marked - marked_then}"


def _wrong_at_rest(table: Table) -> str | None:
    newest = max(table.kinds["MSG"], key=lambda message: text(message, "sk"), default=None)
    rows, (item,) = table.kinds["GRP"], table.kinds["CON"]
    by_row = (broken_by_row(row, newest, may_tie=False) for row in rows)
    return next(filter(None, by_row), None) or broken_together(rows, item, newest)


def _locked_and_waiting(unapplied: tuple[tuple[int | None, Remainder], ...]) -> tuple[frozenset[Key], set[int | None]]:
    """The keys that cannot be written, and the settlements that wait for a response."""
    return frozenset().union(*(rest.keys for _, rest in unapplied)), {number for number, _ in unapplied}


def _beginning(case: Case) -> Table:
    """Members with a row each, at rest; with a conversation item and marked, or as an old backend left them."""
    engine = MemoryEngine()
    first = _message(0)
    engine.put_item(Item=first)
    shown = {"message_uuid": first["message_uuid"]} if case.is_known else {}
    marked = GROUP_MARK if case.is_known and case.members > 2 else {}
    for member in "abc"[: case.members]:
        engine.put_item(Item=_row(member, **shown, **marked))
    if case.is_known:
        engine.put_item(
            Item={
                **strings(pk="CONV#g", sk="CONV", version=NOW, shown=fingerprint(Message.from_attributes(first))),
                "rows": {"M": {_time(0): {"SS": list("abc"[: case.members])}}},
            }
        )
    return _table_of(engine)


def _make(engine: MemoryEngine, kind: str, number: int) -> Key | None:
    """One change by a client; returns the key of the row that it puts, if it puts one."""
    messages = sorted(key for key in engine.items if key[0].startswith("MSG#"))
    rows = sorted(key for key in engine.items if key[0].startswith("GRP#"))
    put: Item | None = None
    match kind:
        case "message":
            engine.put_item(Item=_message(number + 1))
        case "edit" if messages:
            engine.put_item(Item={**engine.items[messages[-1]], "message": {"S": f"edited {number}"}})
        case "deletion" if messages:
            engine.delete_item(Key=key_attributes(messages[-1]))
        case "put back":
            engine.put_item(Item=_message(0))
        case "newcomer":
            put = _row(f"n{number}")
        case "put anew" if rows:
            put = {name: value for name, value in engine.items[rows[0]].items() if name != "message_uuid"}
        case "joined again" if rows:  # at the same key, after a leave
            put = {**_row(rows[0][0].removeprefix("GRP#")), "sk": {"S": rows[0][1]}, **GROUP_MARK}
        case "put twice" if rows:
            put = {**_row(rows[0][0].removeprefix("GRP#")), "sk": {"S": f"2025-01-0{number + 1}"}}
        case "departure" if rows:
            engine.delete_item(Key=key_attributes(rows[-1]))
    if put is None:
        return None
    engine.put_item(Item=put)
    return put["pk"]["S"], put["sk"]["S"]


def _time(second: int) -> str:
    return f"2026-01-01T00:00:0{second}.000000+00:00"


def _message(second: int) -> Item:
    return strings(pk="MSG#g", sk=_time(second), message=f"text {second}", message_uuid=f"m{second}")


def _row(member: str, **more: Any) -> Item:
    row = strings(pk=schema.group_row_partition(member), sk=_time(0), message_group_uuid=GROUP, message="text 0")
    return {**row, **more}
