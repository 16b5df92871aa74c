"""Every interleaving of a small case, explored completely. A state that is reached twice is explored once.

A case is a conversation of one to three members and one or two changes, or of two members and three changes. Each
change but a departure has a settlement of its own, which may begin at any time after it. The real code of the
settlements runs: it is played again from its recorded responses up to its next API call. So a state is the table, and
the responses that each settlement has had since it last began to read. From a state, a client makes the next change, or
one settlement makes its next call, dies before it, or dies after it and is delivered again. A call that conflicts, or
whose response is lost, ends in the same states as one of these. A transaction is committed at once, and applied at once
or item by item: the conversation item first, then the rows in the order of the actions or in the opposite one. (Whoever
reads while the conversation item is yet to be applied cannot commit with its version.) In between the others go on;
what they write of an item that is yet to be applied conflicts.

A query of the index returns the table as it is, or as it was at the beginning. Left out are more changes and members
than these, partial batches, deadlines, pages, and an index that shows anything in between. The simulation covers those.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

from botocore.exceptions import ClientError

from cruddur_messages import schema
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.dynamodb import RefusedError, TransientError
from cruddur_messages.items import Key, Message
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Attempts, OutdatedError, Settlement
from cruddur_messages.projection.table import ProjectionTable
from tests import report
from tests.projection.memory_engine import Item, MemoryEngine

GROUP = "g"
NOW, OLD = "now", "old"
CONVERSATION_KEY = ("CONV#g", "CONV")
CHANGES = ("message", "edit", "deletion", "put back", "newcomer", "put anew", "put twice", "departure")
NEW_MESSAGES = ("message", "put back")
FEW_ACTIONS = 4
"""With this limit, two members need two transactions."""

Items = tuple[tuple[Key, str], ...]
"""The table: each key with its item as JSON text."""

History = tuple[str, ...]
"""The responses that a settlement has had since it last began to read, as JSON text."""


class BrokenPromiseError(AssertionError):
    """A promise is broken in a state that can be reached; the text has the steps to it."""


@dataclass(frozen=True)
class Case:
    """The start of a run, the changes in order, and whether transactions are also applied item by item."""

    members: int
    is_known: bool
    changes: tuple[str, ...]
    max_actions: int = 100
    is_gradual: bool = False


Applications = tuple[tuple[Key, str | None], ...]
"""What is still to be applied of a committed transaction: keys with their items as JSON text, None for a deletion."""


@dataclass(frozen=True)
class State:
    """Where a run stands: the table, the changes made, and the settlement of each change (None: it has ended).

    Of each change that was made, `put_keys` has the key of the row that it put, if any. `unapplied` has the
    transactions that are still being applied, each with the settlement that waits for it, if it lives.
    """

    items: Items
    put_keys: tuple[Key | None, ...]
    settlements: tuple[History | None, ...]
    unapplied: tuple[tuple[int | None, Applications], ...] = ()

    @property
    def locked(self) -> frozenset[Key]:
        """The keys that cannot be written now."""
        return frozenset(key for _, applications in self.unapplied for key, _ in applications)


@dataclass(frozen=True)
class _Call:
    """What a settlement does next: an API call, with its arguments as JSON text; or it has ended, or begins anew."""

    operation: str
    arguments: str = ""


_DONE, _AGAIN = _Call("done"), _Call("again")


class _Pause(BaseException):
    """The settlement is about to make this call."""

    def __init__(self, call: _Call) -> None:
        self.call = call


class _Replay:
    """A client that returns the recorded responses, and stops at the first call after them."""

    def __init__(self, history: History) -> None:
        self._responses = iter(history)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            recorded = next(self._responses, None)
            if recorded is None:
                raise _Pause(_Call(operation, json.dumps(arguments, sort_keys=True)))
            response = json.loads(recorded)
            if "Error" in response:
                raise ClientError(response, operation)
            return response

        return call


def cases(changes: int, *, members: tuple[int, ...] = (1, 2, 3)) -> Iterator[Case]:
    """All cases with this number of changes."""
    for kinds in itertools.product(CHANGES, repeat=changes):
        for number in members:
            for is_known in (True, False):
                yield Case(number, is_known, kinds)


def explore_all(
    cases: Iterable[Case],
    record_property: Callable[[str, object], None],
    *,
    max_actions: int = 100,
    is_gradual: bool = False,
) -> None:
    """Visit every state of all cases, and record their number. Raises BrokenPromiseError."""
    states = sum(explore(replace(case, max_actions=max_actions, is_gradual=is_gradual)) for case in cases)
    record_property(report.COUNTED, ("states of small cases explored, every interleaving", states))


def explore(case: Case) -> int:
    """Visit every state of a case; returns how many there are. Raises BrokenPromiseError."""
    explorer = _Explorer(case)
    return explorer.visit_all()


class _Explorer:
    def __init__(self, case: Case) -> None:
        self._case = case
        self._has_settlement = tuple(kind != "departure" for kind in case.changes)
        beginning: tuple[History | None, ...] = tuple(() if has else None for has in self._has_settlement)
        self._first = State(_frozen(_beginning(case)), (), beginning)
        self._index_at_first = _index_of(self._first.items)
        self._came_from: dict[State, tuple[State, str] | None] = {}
        self._next_call = lru_cache(maxsize=None)(self._next_call_uncached)

    def visit_all(self) -> int:
        self._came_from = {self._first: None}
        to_visit = [self._first]
        while to_visit:
            state = to_visit.pop()
            for step, following in self._steps(state):
                if following not in self._came_from:
                    self._came_from[following] = (state, step)
                    to_visit.append(following)
        return len(self._came_from)

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        is_over = len(state.put_keys) == len(self._case.changes) and not state.unapplied
        yield from self._change(state)
        for position in range(len(state.unapplied)):
            yield "DynamoDB applies an item", self._apply(state, position)
        waiting = {number for number, _ in state.unapplied}
        for number, history in enumerate(state.settlements[: len(state.put_keys)]):
            if history is None:
                continue
            is_over = False
            if history:
                yield f"settlement {number} dies", self._with(state, number, ())
            if number in waiting:
                continue
            call = self._next_call(number, state.put_keys[number], history)
            name = f"settlement {number}: {call.operation}"
            for response, items in self._responses(state, call):
                then = replace(state, items=items)
                if items != state.items:
                    self._check_commit(state, items, name)
                    yield f"{name}, and dies", self._with(then, number, ())
                    for half in _half_applied(state, call, items, number) if self._case.is_gradual else ():
                        yield f"{name}, half", self._with(half, number, history)
                yield name, self._with(then, number, (*history, response))
        if is_over:
            self._check_rest(state)

    def _change(self, state: State) -> Iterator[tuple[str, State]]:
        number = len(state.put_keys)
        if number == len(self._case.changes):
            return
        engine = _engine(state.items, state.locked)
        kind = self._case.changes[number]
        with suppress(ClientError):  # A client whose write conflicts with a transaction tries again later.
            put_key = _make(engine, kind, number)
            yield f"client: {kind}", replace(state, items=_frozen(engine.items), put_keys=(*state.put_keys, put_key))

    def _apply(self, state: State, position: int) -> State:
        """The state after one more item of a transaction is applied; the last one also brings the response."""
        unapplied = [*state.unapplied]
        number, ((key, item), *others) = unapplied.pop(position)
        items = {**dict(state.items), key: item}
        table = tuple(sorted((key, item) for key, item in items.items() if item is not None))
        if others:
            unapplied.insert(position, (number, tuple(others)))
        then = replace(state, items=table, unapplied=tuple(unapplied))
        if number is None or others:
            return _with_versions_renamed(then)
        history = state.settlements[number]
        assert history is not None
        return self._with(then, number, (*history, "{}"))

    def _responses(self, state: State, call: _Call) -> Iterator[tuple[str, Items]]:
        response, items = _respond(call, state.items, state.locked)
        yield response, items
        if '"IndexName"' in call.arguments:
            yield self._index_at_first, items

    def _with(self, state: State, number: int, history: History | None) -> State:
        """The state with another history of one settlement, which may have ended or started again."""
        unapplied = state.unapplied
        if not history:
            unapplied = tuple((None if writer == number else writer, what) for writer, what in unapplied)
        elif number not in {writer for writer, _ in unapplied}:
            outcome = self._next_call(number, state.put_keys[number], history)
            if outcome in (_DONE, _AGAIN):
                history = None if outcome is _DONE else ()
        settlements = [*state.settlements]
        settlements[number] = history
        return _with_versions_renamed(replace(state, settlements=tuple(settlements), unapplied=unapplied))

    def _next_call_uncached(self, number: int, put_key: Key | None, history: History) -> _Call:
        dirty = DirtyConversation(GROUP, must_read_rows=self._case.changes[number] not in NEW_MESSAGES)
        if put_key is not None:
            dirty.put_keys.add(put_key)
        versions = itertools.count(1)
        table = ProjectionTable(client=cast("Any", _Replay(history)), table_name="t", has_time=lambda: True)
        attempts = Attempts(
            table, dirty, Settlement(GROUP), self._case.max_actions, lambda: f"{number}.{next(versions)}"
        )
        try:
            attempts.try_once()
        except _Pause as pause:
            return pause.call
        except (OutdatedError, TransientError):
            return _AGAIN
        except RefusedError as refused:
            raise BrokenPromiseError(f"refused: {refused}") from refused
        return _DONE

    def _check_commit(self, state: State, items: Items, name: str) -> None:
        if (wrong := _wrong_in_commit(state.items, items)) is not None:
            self._fail(state, f"{name} {wrong}")

    def _check_rest(self, state: State) -> None:
        """Each member has one row, it shows the newest message, and the conversation item says so."""
        if not any(self._has_settlement):
            return
        kinds = _by_kind(state.items)
        messages = [Message.from_attributes(item) for item in kinds["MSG"]]
        newest = max(messages, key=lambda message: message.sort_key, default=None)
        rows = kinds["GRP"]
        places = {row["pk"]["S"].removeprefix("GRP#"): row["sk"]["S"] for row in rows}
        if len(places) != len(rows):
            self._fail(state, "a member has two rows at rest")
        for row in rows:
            shown = row.get("message_uuid", {}).get("S", ""), row["message"]["S"]
            if shown != ((newest.message_uuid, newest.message) if newest else ("", "")):
                self._fail(state, f"{row['pk']['S']} shows {shown} at rest")
            if newest and row["sk"]["S"] != newest.sort_key:
                self._fail(state, f"{row['pk']['S']} stands at {row['sk']['S']} at rest")
        item = ConversationItem.from_attributes(kinds["CON"][0])
        listed = {member: sort_key for member, sort_key in item.rows.items() if member in places}
        if listed != places or item.shown != fingerprint(newest):
            self._fail(state, f"the conversation item lists {item.rows} at rest")

    def _fail(self, state: State, why: str) -> None:
        way: list[str] = []
        known = self._came_from.get(state)
        while known is not None:
            state, step = known
            way.append(step)
            known = self._came_from.get(state)
        raise BrokenPromiseError("\n".join([str(self._case), *reversed(way), f"=> {why}"]))


def _beginning(case: Case) -> dict[Key, Item]:
    """Members with a row each, at rest; with a conversation item, or as an old backend left them."""
    engine = MemoryEngine()
    first = _message(0)
    engine.put_item(Item=first)
    shown = {"message_uuid": first["message_uuid"]} if case.is_known else {}
    for member in "abc"[: case.members]:
        engine.put_item(Item=_row(member, **shown))
    if case.is_known:
        engine.put_item(
            Item={
                **_strings(pk="CONV#g", sk="CONV", version=NOW, shown=fingerprint(Message.from_attributes(first))),
                "rows": {"M": {_time(0): {"SS": list("abc"[: case.members])}}},
            }
        )
    return engine.items


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
            engine.delete_item(Key=_key(messages[-1]))
        case "put back":
            engine.put_item(Item=_message(0))
        case "newcomer":
            put = _row(f"n{number}")
        case "put anew" if rows:
            put = {name: value for name, value in engine.items[rows[0]].items() if name != "message_uuid"}
        case "put twice" if rows:
            put = {**_row(rows[0][0].removeprefix("GRP#")), "sk": {"S": f"2025-01-0{number + 1}"}}
        case "departure" if rows:
            engine.delete_item(Key=_key(rows[-1]))
    if put is None:
        return None
    engine.put_item(Item=put)
    return put["pk"]["S"], put["sk"]["S"]


def _with_versions_renamed(state: State) -> State:
    """The same state with versions renamed, so that states that differ only in version values are equal.

    The version that a settlement has just written keeps its name, by which that settlement still knows it.
    """
    present = _present_version(state.items)
    if present is None:
        return state
    writer, _, _ = present.partition(".")
    name = present if writer.isdecimal() and state.settlements[int(writer)] else NOW
    settlements = tuple([history and _renamed(history, present, name) for history in state.settlements])
    return replace(state, items=_with_version(state.items, name), settlements=settlements)


@lru_cache(maxsize=100_000)
def _present_version(items: Items) -> str | None:
    item = dict(items).get(CONVERSATION_KEY)
    return None if item is None else str(json.loads(item)["version"]["S"])


@lru_cache(maxsize=100_000)
def _with_version(items: Items, version: str) -> Items:
    changed = dict(items)
    item = json.loads(changed[CONVERSATION_KEY])
    changed[CONVERSATION_KEY] = json.dumps({**item, "version": {"S": version}}, sort_keys=True)
    return tuple(sorted(changed.items()))


@lru_cache(maxsize=100_000)
def _renamed(history: History, present: str, name: str) -> History:
    """The conversation item is what a settlement reads first."""
    response = json.loads(history[0])
    version = response.get("Item", {}).get("version")
    if version is None:
        return history
    version["S"] = name if version["S"] == present else OLD
    return json.dumps(response, sort_keys=True), *history[1:]


def _half_applied(state: State, call: _Call, items: Items, number: int) -> Iterator[State]:
    """The states in which a transaction is committed, and the conversation item alone applied."""
    if call.operation != "transact_write_items":
        return
    after = dict(items)
    keys = [_key_in(action) for action in json.loads(call.arguments)["TransactItems"]]
    rows = [key for key in keys if key != CONVERSATION_KEY]
    applied = tuple(sorted({**dict(state.items), CONVERSATION_KEY: after[CONVERSATION_KEY]}.items()))
    for order in {tuple(rows), tuple(reversed(rows))}:
        applications = tuple((key, after.get(key)) for key in order)
        yield replace(state, items=applied, unapplied=(*state.unapplied, (number, applications)))


def _key_in(action: Mapping[str, Any]) -> Key:
    ((_, body),) = action.items()
    key = body.get("Key") or body["Item"]
    return key["pk"]["S"], key["sk"]["S"]


@lru_cache(maxsize=100_000)
def _respond(call: _Call, items: Items, locked: frozenset[Key]) -> tuple[str, Items]:
    """The response to a call, and the table after it."""
    if '"IndexName"' in call.arguments:
        return _index_of(items), items
    engine = _engine(items, locked)
    try:
        response = getattr(engine, call.operation)(**json.loads(call.arguments))
    except ClientError as error:
        response = error.response
    return json.dumps(response, sort_keys=True), _frozen(engine.items)


@lru_cache(maxsize=100_000)
def _wrong_in_commit(items: Items, items_then: Items) -> str | None:
    """Whether a member has no row or more than before, or a message is changed."""
    before, after = _by_kind(items), _by_kind(items_then)
    if before["MSG"] != after["MSG"]:
        return "touches a message"
    rows, rows_then = (Counter(row["pk"]["S"] for row in kind["GRP"]) for kind in (before, after))
    if rows.keys() != rows_then.keys() or any(rows_then[member] > rows[member] for member in rows):
        return f"leaves {dict(rows_then)} of {dict(rows)}"
    return None


def _index_of(items: Items) -> str:
    """What the index shows of a table without a lag."""
    return json.dumps({"Items": _by_kind(items)["GRP"]}, sort_keys=True)


def _engine(items: Items, locked: Collection[Key]) -> MemoryEngine:
    engine = MemoryEngine(has_size_limits=False)
    engine.items = {key: json.loads(item) for key, item in items}
    engine.unapplied = dict.fromkeys(locked)
    return engine


def _frozen(items: dict[Key, Item]) -> Items:
    return tuple(sorted((key, json.dumps(item, sort_keys=True)) for key, item in items.items()))


def _by_kind(items: Items) -> dict[str, list[Item]]:
    kinds: dict[str, list[Item]] = {"MSG": [], "GRP": [], "CON": []}
    for (partition, _), item in items:
        kinds[partition[:3]].append(json.loads(item))
    return kinds


def _time(second: int) -> str:
    return f"2026-01-01T00:00:0{second}.000000+00:00"


def _message(second: int) -> Item:
    return _strings(pk="MSG#g", sk=_time(second), message=f"text {second}", message_uuid=f"m{second}")


def _row(member: str, **more: Any) -> Item:
    row = _strings(pk=schema.group_row_partition(member), sk=_time(0), message_group_uuid=GROUP, message="text 0")
    return {**row, **more}


def _key(key: Key) -> Item:
    return _strings(pk=key[0], sk=key[1])


def _strings(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}
