"""One schedule, from the first write to rest, and the promises that it must keep (docs/projection.md).

`run` plays a schedule given as bytes (choices.py) and raises ViolationError if the projection breaks a promise.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, partial
from typing import Any, cast

from cruddur_messages import dynamodb, schema, timestamps
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, Message, User
from cruddur_messages.projection.filters import patterns
from cruddur_messages.store import membership
from cruddur_messages.store.access import Access
from cruddur_messages.store.errors import ContendedError, RejectedError
from tests.projection.choices import Choices, split
from tests.projection.event_source_mapping import Lane, passes
from tests.projection.invocations import (
    PRIVATE,
    FaultyClient,
    Invocation,
    Thread,
    Violation,
    ViolationError,
    World,
)
from tests.projection.memory_engine import Change, Item, Key, MemoryEngine, Version

CONVERSATIONS = ("g0", "g1", "g2")
USERS = ("u0", "u1", "u2", "u3", "u4")
START = datetime(2026, 1, 1, tzinfo=UTC)
OWN_ATTRIBUTES = {schema.PARTITION_KEY, schema.SORT_KEY, MESSAGE, MESSAGE_UUID, schema.IS_GROUP}
OLD_HANDLERS_ATTRIBUTES = ("pk", "message_group_uuid", "user_uuid", "user_display_name", "user_handle", "note")
MAX_TIE_OFFSET = timedelta(milliseconds=1)

FAULTS = (
    "crash before",
    "crash after",
    "error before",
    "error after",
    "silence before",
    "silence after",
    "conflict",
)
FEW_ACTIONS = 8
"""A limit for transactions with which a few members need several, as hundreds do with DynamoDB's limit."""

ACTIONS = 12
MOST_WILD_STEPS = 150
LARGEST_BATCH = 10
SECONDS_AT_REST = 60.0
RETRIES_AT_REST = 3
MAX_STEPS_TO_REST = 20_000

Row = tuple[str, str]
"""A member's partition, and a conversation."""


def run(schedule: bytes) -> None:
    """Play a schedule. Raises ViolationError with the story of the schedule."""
    simulation = Simulation(schedule)
    try:
        simulation.play()
    except Violation as violation:
        raise ViolationError("\n".join([*simulation.story, f"=> {violation}"])) from None


class Simulation:
    """A table, clients that write to it, an event source mapping, and invocations of the projection."""

    def __init__(self, schedule: bytes) -> None:
        self._told: list[tuple[str | Item, ...]] = []
        self._choose = split(schedule)
        self._rows: Counter[Row] = Counter()
        self._ever_in: dict[str, set[str]] = {}
        self._may_tie: set[str] = set()
        self._texts = 0
        self._ever_sent: set[tuple[str, str, str]] = set()
        self._is_wild = False
        self._founded: dict[Key, int] = {}
        self._frozen_at = 0
        self._frozen_members = 255
        self._records: list[Any] = []
        self._busy: dict[Lane, Invocation] = {}
        self._extra: list[Invocation] = []
        self._writer = "client"
        self._queue: deque[Callable[[], None]] = deque()
        self._engine = MemoryEngine(
            lag=self._versions_back,
            page_size=self._page_size,
            unprocessed=self._unprocessed,
            on_commit=self._on_commit,
            has_size_limits=False,
        )
        world = self._choose["world"]
        # A projection whose own writes are delivered would get their records before they are applied.
        self._patterns: list[Any] = [{}] if world.below(8) == 7 else patterns()
        is_gradual = self._patterns != [{}] and world.below(3) == 2
        faults = self._choose["faults"]
        client = FaultyClient(self._engine, self._fault, faults.below, self._is_refused, is_gradual=is_gradual)
        max_actions = (dynamodb.MAX_ACTIONS, dynamodb.MAX_ACTIONS, FEW_ACTIONS)[world.below(3)]
        self._world = World(client, max_actions=max_actions)
        self._lag_kind = world.below(5)
        self._fault_percent = (0, 5, 15, 60)[world.below(4)]
        self._available = (60.0, 8.0, 1.0, 0.3)[world.below(4)]
        retries = (None, None, None, 2)[world.below(4)]
        self._lanes = [Lane(retries=retries) for _ in range(1 + world.below(3))]
        self._conversations = CONVERSATIONS[: 1 + world.below(3)]
        self._is_restored = world.below(4) == 3
        self._refused_member = USERS[world.below(len(USERS))] if world.below(8) == 7 else ""
        for group in self._conversations:
            self._found(group, world)

    def play(self) -> None:
        """Do everything in the order of the schedule, then come to rest, and check."""
        if self._is_restored:
            self._restore()
        self._founded = {key: len(versions) for key, versions in self._engine.versions.items()}
        self._is_wild = True
        for _ in range(ACTIONS):
            self._client_acts()
            for _ in range(self._choose["order"].below(8)):
                self._step()
        while self._queue:
            self._queue.popleft()()
        for _ in range(MOST_WILD_STEPS):
            if not self._step():
                break
        self._is_wild = False
        self._come_to_rest()
        self._redrive()
        self._check_rest()
        self._run_again()

    @property
    def story(self) -> list[str]:
        """What has happened, a line each."""
        return [" ".join(part if isinstance(part, str) else _brief(part) for part in line) for line in self._told]

    def _tell(self, *line: str | Item) -> None:
        """Add a line to the story; its items are put into words only when somebody reads it."""
        self._told.append(line)

    def _restore(self) -> None:
        """Settle everything, replace conversation items by older versions of themselves, and begin a new stream.

        The older version lists the same members: without one of them, nothing but the index could tell of them, and it
        is asked only where a row is missing (docs/decisions/0004).
        """
        self._come_to_rest()
        older = {key: versions[-1][1] for key, versions in self._engine.versions.items() if _is_conversation(key)}
        for number, group in enumerate(self._conversations):
            self._put_message(group, _sort_key(2 + number, 0))
        self._come_to_rest()
        for key, item in older.items():
            now = self._engine.items.get(key)
            if item and now and _item(item).rows.keys() == _item(now).rows.keys():
                self._tell("restored", item)
                self._engine.items[key] = item
        for lane in self._lanes:
            lane.waiting.clear()
        self._records = []

    # -- clients --

    def _found(self, group: str, world: Choices) -> None:
        """Rows and messages from before the stream: of an old backend, or none at all."""
        kind = world.below(3)
        members = 0 if kind == 2 else 1 + world.below(4)
        first = world.below(len(USERS))
        for number in range(4):
            user, when, form = USERS[(first + number) % len(USERS)], world.below(8), world.below(4)
            if number < members:
                self._put_row(group, user, _sort_key(when % 4, form))
                if when == 7:
                    self._put_row(group, user, _sort_key(5, form))
        for number in range(2):
            is_there, when, form = world.below(2), world.below(6), world.below(4)
            if is_there:
                self._put_message(group, _sort_key(when + number, form))
        if kind == 1 and not self._is_restored:
            for lane in self._lanes:
                lane.waiting = deque(record for record in lane.waiting if _group_of(record) != group)
            self._records = [record for record in self._records if _group_of(record) != group]

    def _client_acts(self) -> None:
        script = self._choose["script"]
        action, group = script.below(16), self._conversations[script.below(len(self._conversations))]
        which, when, form = script.below(8), script.below(8), script.below(6)
        sort_key = _sort_key(4 + when, form)
        if self._queue:
            self._queue.popleft()()
        match self._choose["rows"].below(16):
            case 15:
                self._put_anew(USERS[which % len(USERS)], when)
            case 14:
                self._leave(group, which, comes_back=when % 2 == 1)
            case 13:
                self._old_handler_moves(group, sort_key)
        match action:
            case 1 | 2 | 3:
                self._put_message(group, sort_key)
            case 4:
                for message in self._pick(schema.message_partition(group), which):
                    self._put(message | {MESSAGE: {"S": self._text()}})
            case 5 | 6 | 7:
                for message in self._pick(schema.message_partition(group), -1):
                    self._delete(message)
            case 8:
                for message in self._pick(schema.message_partition(group), which):
                    self._delete(message)
            case 9 | 10 | 11:
                self._join(group, which, _sort_key(when, form))
            case 12 | 13:
                for row in self._pick(schema.group_row_partition(USERS[which % len(USERS)]), when):
                    if "note" in row:
                        self._put(row | {"note": {"S": self._text()}})
            case 14:
                for message in self._pick(schema.message_partition(group), -1):
                    self._delete(message)
                    self._queue.append(partial(self._put, message))
            case 15:
                self._put_malformed(group, which, sort_key)
            case 0:
                self._leave_or_join(group, USERS[which % len(USERS)], leaves=when % 2 == 0)

    def _leave_or_join(self, group: str, user: str, *, leaves: bool) -> None:
        """Somebody leaves or joins through the store, whose ids are not checked here."""
        self._tell("client:", user, "leaves" if leaves else "joins", group)
        self._writer = "client"
        access = Access(cast("Any", self._engine), "t", lambda: START, lambda _: None, lambda: 0.0)
        with suppress(RejectedError, ContendedError):
            if leaves:
                membership.leave(access, group, user)
                if self._rows_in_table(group, user):
                    raise Violation(f"{user} has left {group} and has a row")
            else:
                membership.join(access, group, User(user, user, user), asked_by=None)

    def _put_anew(self, user: str, which: int) -> None:
        """A backend puts a row as it knows it, over what the projection has written."""
        for row in self._pick(schema.group_row_partition(user), which):
            if "note" in row:
                self._put({name: value for name, value in row.items() if name != MESSAGE_UUID})

    def _leave(self, group: str, which: int, *, comes_back: bool) -> None:
        """A member's row is deleted by hand, and perhaps put back later, as a backend puts it."""
        members = self._members(group)
        if members:
            user = members[which % len(members)]
            for row in self._rows_in_table(group, user):
                self._delete(row)
                if comes_back:
                    again = {name: value for name, value in row.items() if name != MESSAGE_UUID}
                    self._queue.append(partial(self._put_back, group, user, again))

    def _put_back(self, group: str, user: str, row: Item) -> None:
        if not self._rows_in_table(group, user) and _key(row) not in self._engine.items:
            self._put(row)

    def _old_handler_moves(self, group: str, sort_key: str) -> None:
        """The bootcamp's handler still runs: it deletes and puts each row, with a fixed list of attributes."""
        for row in self._rows_in_table(group):
            moved = {name: row[name] for name in OLD_HANDLERS_ATTRIBUTES if name in row}
            moved |= _strings(sk=sort_key, message=self._text())
            if _key(moved) not in self._engine.items:
                self._delete(row)
                self._queue.append(partial(self._put_back, group, _text(row, "pk").removeprefix("GRP#"), moved))

    def _finish_transactions(self) -> None:
        for key in list(self._engine.unapplied):
            self._engine.apply(key)

    def _rows_in_table(self, group: str, user: str = "") -> list[Item]:
        self._finish_transactions()
        return [
            item
            for key, item in sorted(self._engine.items.items())
            if (row := _row_of(item)) and row[1] == group and (not user or key[0] == schema.group_row_partition(user))
        ]

    def _put_message(self, group: str, sort_key: str) -> None:
        text = self._text()
        partition = schema.message_partition(group)
        self._put(_strings(pk=partition, sk=sort_key, message_uuid=f"m{self._texts}", message=text, user_uuid="u0"))

    def _put_malformed(self, group: str, kind: int, sort_key: str) -> None:
        partition = schema.message_partition(group)
        items = [
            _strings(pk=partition, sk=sort_key, message_uuid="mx"),
            _strings(pk=partition, sk=sort_key, message_uuid="mx") | {MESSAGE: {"N": "1"}},
            _strings(pk=partition, sk="zzz", message_uuid="mx", message=PRIVATE),
            _strings(pk=schema.MESSAGE_PREFIX, sk=sort_key, message=PRIVATE),
            _strings(pk="USR#u0", sk=sort_key, message=PRIVATE),
            _strings(pk=schema.group_row_partition("u0"), sk=sort_key + "x", message=PRIVATE),
            _strings(pk=schema.GROUP_ROW_PREFIX, sk=sort_key, message_group_uuid=group),
            _strings(pk="ODD#u0", sk=sort_key, message_group_uuid=group),
        ]
        self._put(items[kind])

    def _join(self, group: str, which: int, sort_key: str) -> None:
        """One more member; in a conversation without members, two or three who name each other, one after the other."""
        users = [USERS[(which + number) % len(USERS)] for number in range(3)]
        members = self._members(group)
        if members:
            if users[0] not in members:
                self._put_row(group, users[0], sort_key, names=members[0])
        elif not self._queue:
            self._put_row(group, users[0], sort_key, names=users[1])
            for user in users[1 : 2 + which // 4]:
                self._queue.append(partial(self._put_row, group, user, sort_key, names=users[0]))

    def _members(self, group: str) -> list[str]:
        return [
            partition.removeprefix(schema.GROUP_ROW_PREFIX)
            for (partition, of), count in self._rows.items()
            if of == group and count
        ]

    def _rows_of_partition(self, partition: str) -> int:
        return sum(count for (own, _), count in self._rows.items() if own == partition)

    def _put_row(self, group: str, user: str, sort_key: str, names: str | None = None) -> None:
        if names is None:
            names = next((member for member in self._members(group) if member != user), "")
        names = {5: "", 6: user, 7: USERS[0]}.get(self._choose["rows"].below(8), names)
        item = _strings(
            pk=schema.group_row_partition(user),
            sk=sort_key,
            message_group_uuid=group,
            message=self._text(),
            user_uuid=names,
            user_display_name=PRIVATE,
            user_handle=PRIVATE,
            note=self._text(),
        )
        self._finish_transactions()
        while _key(item) in self._engine.items:
            item[schema.SORT_KEY] = {"S": timestamps.canonical(_instant(item) + timestamps.MICROSECOND)}
        self._put(item)

    def _pick(self, partition: str, which: int) -> list[Item]:
        if partition.startswith(schema.GROUP_ROW_PREFIX):
            self._finish_transactions()
        items = [item for key, item in sorted(self._engine.items.items()) if key[0] == partition]
        return [items[which % len(items)]] if items else []

    def _put(self, item: Mapping[str, Any]) -> None:
        self._tell("client puts", dict(item))
        self._writer = "client"
        if _text(item, "pk").startswith(schema.MESSAGE_PREFIX):
            self._ever_sent.add((_text(item, "pk"), _text(item, MESSAGE_UUID), _text(item, MESSAGE)))
        self._engine.apply(_key(item))
        self._engine.put_item(Item=dict(item))

    def _delete(self, item: Mapping[str, Any]) -> None:
        self._tell("client deletes", dict(item))
        self._writer = "client"
        self._engine.delete_item(Key={name: item[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)})

    def _text(self) -> str:
        self._texts += 1
        return f"{PRIVATE}{self._texts}"

    # -- the index, the stream and the faults --

    def _versions_back(self, versions: Mapping[Key, list[Version]]) -> dict[Key, int]:
        """How far the index lags: not at all, for some keys, as a whole, for some members, or forever.

        It shows what is older than the stream.
        """
        lag = self._choose["lag"]
        newer = {key: count for key, own in versions.items() if (count := len(own) - self._founded.get(key, 1))}
        if self._lag_kind == 4:
            return newer
        if not self._is_wild or self._lag_kind == 0 or not newer:
            return {}
        if self._lag_kind == 1:
            keys = list(newer)
            picked = [keys[lag.below(len(keys))] for _ in range(lag.below(4))]
            return {key: 1 + lag.below(newer[key]) for key in picked}
        if lag.happens(25):
            self._frozen_at = len(self._engine.changes)
            self._frozen_members = lag.below(256) if self._lag_kind == 3 else 255
        return {
            key: min(count, sum(number >= self._frozen_at for number, _ in versions[key]))
            for key, count in newer.items()
            if self._frozen_members >> sum(map(ord, key[0])) % 8 & 1
        }

    def _unprocessed(self, keys: int) -> int:
        lag = self._choose["lag"]
        return 1 + lag.below(keys) if self._is_wild and lag.happens(10) else 0

    def _is_refused(self, item: Item) -> bool:
        return _text(item, schema.PARTITION_KEY) == schema.group_row_partition(self._refused_member)

    def _page_size(self) -> int:
        lag = self._choose["lag"]
        return 1 + lag.below(4) if self._is_wild and lag.happens(10) else 1_000_000

    def _fault(self) -> str:
        faults = self._choose["faults"]
        if not self._is_wild or not faults.happens(self._fault_percent):
            return ""
        fault = FAULTS[faults.below(len(FAULTS))]
        self._tell(f"    {self._writer} meets: {fault}")
        return fault

    def _on_commit(self, changes: list[Change]) -> None:
        if self._writer != "client":
            self._check_write(changes)
        for change in changes:
            for item, difference in ((change.before, -1), (change.after, 1)):
                if item is not None and (row := _row_of(item)):
                    self._rows[row] += difference
                    self._ever_in.setdefault(row[1], set()).add(row[0])
                    if self._rows_of_partition(row[0]) > 1:
                        self._may_tie.add(row[0])
            record = _record(change)
            if change.key[0].startswith(schema.MEMBER_PREFIX) and passes(patterns(), record):
                raise Violation("a member item is delivered")
            if passes(self._patterns, record):
                if self._writer != "client" and self._patterns != [{}]:
                    raise Violation(f"its own write comes back: {_brief(change.after or {})}")
                self._lanes[sum(map(ord, "".join(change.key))) % len(self._lanes)].waiting.append(record)
                self._records.append(record)

    # -- deliveries --

    def _threads(self) -> list[Thread]:
        return [thread for invocation in (*self._busy.values(), *self._extra) for thread in invocation.threads]

    def _step(self) -> bool:
        """Let one thread continue to its next call, or one lane begin a delivery; False if there is nothing to do."""
        if not self._is_wild:
            self._finish_transactions()
        if self._is_wild and self._records and self._choose["delivery"].happens(8):
            self._deliver_again()
        threads = self._threads()
        idle = [lane for lane in self._lanes if lane.has_work and lane not in self._busy]
        if not threads and not idle:
            return False
        choice = self._choose["order"].below(len(threads) + len(idle))
        if choice < len(threads):
            thread = threads[choice]
            self._writer = self._name(thread.invocation)
            thread.invocation.step(thread)
            if thread.invocation.ended:
                self._take_responses()
        else:
            self._deliver(idle[choice - len(threads)])
        return True

    def _deliver(self, lane: Lane) -> None:
        size = 1 + self._choose["delivery"].below(LARGEST_BATCH) if self._is_wild else LARGEST_BATCH
        batch = lane.next_batch(size)
        if batch is not None:
            self._busy[lane] = self._invoke(batch.records)
            self._take_responses()

    def _deliver_again(self) -> None:
        """Deliver past, present or future records once more; nothing waits for the response."""
        delivery = self._choose["delivery"]
        first = delivery.below(len(self._records))
        self._extra.append(self._invoke(self._records[first : first + 1 + delivery.below(4)]))

    def _invoke(self, records: list[Any]) -> Invocation:
        invocation = Invocation(self._world, records, available=self._available if self._is_wild else SECONDS_AT_REST)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        self._tell(f"  {self._name(invocation)} gets {', '.join(numbers)}")
        return invocation

    def _name(self, invocation: Invocation) -> str:
        return f"invocation {invocation.number}"

    def _take_responses(self) -> None:
        for lane, invocation in list(self._busy.items()):
            if invocation.ended:
                self._tell(f"  {self._name(invocation)} returns {invocation.told}")
                lane.report(invocation.response)
                del self._busy[lane]
        self._extra = [invocation for invocation in self._extra if not invocation.ended]

    def _come_to_rest(self) -> None:
        for lane in self._lanes:
            lane.retries = RETRIES_AT_REST if lane.retries is None else lane.retries
        for _ in range(MAX_STEPS_TO_REST):
            if not self._step():
                return
        raise Violation("it does not come to rest")

    def _redrive(self) -> None:
        """Deliver the records of the failure queue once more, without faults."""
        for lane in self._lanes:
            dropped, lane.dropped, lane.retries = lane.dropped, [], RETRIES_AT_REST
            lane.waiting.extend(dropped)
        self._come_to_rest()
        for lane in self._lanes:
            for record in lane.dropped:
                # A batch is dropped from its checkpoint on, also records that were settled after it.
                if not self._refused_member and _group_of(record):
                    raise Violation(f"record {record['dynamodb']['SequenceNumber']} cannot be settled")

    def _can_be_settled(self, group: str) -> bool:
        return bool(group) and self._refused_member not in self._members(group)

    def _run_again(self) -> None:
        """Deliver every record again: no row may change."""
        changes = len(self._engine.changes)
        invocation = self._invoke([record for record in self._records if self._can_be_settled(_group_of(record))])
        invocation.finish()
        if invocation.response != {"batchItemFailures": []}:
            raise Violation("a second run fails")
        if any(not _is_conversation(change.key) for change in self._engine.changes[changes:]):
            raise Violation("a second run changes a row")

    # -- the promises --

    def _check_write(self, changes: list[Change]) -> None:
        """Check that each member has one row before and after, and that only what the projection may change did."""
        befores: dict[Row, list[Item]] = {}
        afters: dict[Row, list[Item]] = {}
        for change in changes:
            self._tell(f"    {self._writer}:", change.before or {}, "->", change.after or {})
            if _is_conversation(change.key):
                continue
            for item, by_row in ((change.before, befores), (change.after, afters)):
                if item is not None:
                    row = _row_of(item)
                    if row is None:
                        raise Violation("an item is touched that is no group row")
                    by_row.setdefault(row, []).append(item)
        for row in befores.keys() | afters.keys():
            count = self._rows[row]
            then = count - len(befores.get(row, [])) + len(afters.get(row, []))
            if not 1 <= then <= count:
                raise Violation(f"{row} had {count} rows and then {then}")
            for after in afters.get(row, []):
                self._check_row(after, befores.get(row, []))

    def _check_row(self, after: Item, befores: list[Item]) -> None:
        if _others(after).keys() != {name for before in befores for name in _others(before)}:
            raise Violation("an attribute is lost or new")
        if any(all(before.get(name) != value for before in befores) for name, value in _others(after).items()):
            raise Violation("an attribute has changed")
        if any(schema.IS_GROUP in before for before in befores) and schema.IS_GROUP not in after:
            raise Violation("the mark of a group is lost")
        group = _text(after, "message_group_uuid")
        if schema.IS_GROUP in after and len(self._ever_in[group]) < 3:
            raise Violation("a conversation of two is marked as a group")
        partition = schema.message_partition(group)
        shown = _text(after, MESSAGE_UUID), _text(after, MESSAGE)
        if shown != ("", "") and (partition, *shown) not in self._ever_sent:
            raise Violation("a message is shown that was never sent")

    def _check_rest(self) -> None:
        """Check that all rows of the conversations in the records show the newest message, under its time."""
        for group in {_group_of(record) for record in self._records} - {""}:
            newest = self._newest(group)
            rows = self._rows_in_table(group)
            if len(rows) != len(self._members(group)) and self._can_be_settled(group):
                raise Violation(f"{group} has {len(self._members(group))} members and {len(rows)} rows")
            is_group = len(rows) > 2 or any(schema.IS_GROUP in row for row in rows)
            for row in rows:
                if not self._is_refused(row):
                    self._check_shows(row, newest)
                if (schema.IS_GROUP in row) != is_group and self._can_be_settled(group):
                    raise Violation(f"{_brief(row)} is not marked as the other rows")
            if self._can_be_settled(group):
                self._check_item(group, rows, newest)

    def _check_item(self, group: str, rows: list[Item], newest: Item | None) -> None:
        """Check that the conversation item matches the rows; it may list a row that was deleted by hand last."""
        item = _item(self._engine.items.get((schema.conversation_partition(group), schema.CONVERSATION_SORT_KEY), {}))
        places = {_text(row, "pk").removeprefix(schema.GROUP_ROW_PREFIX): _text(row, "sk") for row in rows}
        listed = {member: sort_key for member, sort_key in item.rows.items() if member in places}
        if listed != places:
            raise Violation(f"{group} has rows at {places} and notes {item.rows}")
        if item.shown != fingerprint(Message.from_attributes(newest) if newest else None):
            raise Violation(f"{group} notes another message as shown")

    def _check_shows(self, row: Item, newest: Item | None) -> None:
        expected = (_text(newest, MESSAGE), _text(newest, MESSAGE_UUID)) if newest else ("", "")
        if (_text(row, MESSAGE), _text(row, MESSAGE_UUID)) != expected:
            raise Violation(f"{_brief(row)} does not show {_brief(newest or {})}")
        if newest is not None:
            later = _instant(row) - _instant(newest)
            farthest = MAX_TIE_OFFSET if _text(row, schema.PARTITION_KEY) in self._may_tie else timedelta(0)
            if not timedelta(0) <= later <= farthest:
                raise Violation(f"{_brief(row)} is not in the place of {_brief(newest)}")
            if _text(row, "sk") != timestamps.canonical(_instant(row)):
                raise Violation(f"{_brief(row)} has a sort key of another form")

    def _newest(self, group: str) -> Item | None:
        partition = schema.message_partition(group)
        messages = [item for key, item in sorted(self._engine.items.items()) if key[0] == partition]
        return next((message for message in reversed(messages) if _can_be_shown(message)), None)


@cache
def _sort_key(when: int, form: int) -> str:
    """A time in one of the forms that backends write; from few times, so that many are equal."""
    instant = START + timedelta(seconds=when, microseconds=when % 2)
    match form:
        case 1:
            return instant.isoformat()
        case 2:
            return instant.replace(tzinfo=None).isoformat()
        case 3:
            return instant.astimezone(timezone(timedelta(hours=2))).isoformat()
        case _:
            return timestamps.canonical(instant)


def _record(change: Change) -> dict[str, Any]:
    pk, sk = change.key
    stream: dict[str, Any] = {
        "Keys": _strings(pk=pk, sk=sk),
        "SequenceNumber": str(change.number),
        "ApproximateCreationDateTime": 0.0,
    }
    if change.after is not None:
        stream["NewImage"] = change.after
    return {"eventName": change.event_name, "dynamodb": stream}


def _group_of(record: Any) -> str:
    """The conversation of a record; empty if it has none."""
    stream = record["dynamodb"]
    partition = str(stream["Keys"]["pk"]["S"])
    if partition.startswith(schema.MESSAGE_PREFIX):
        return partition.removeprefix(schema.MESSAGE_PREFIX)
    image = stream.get("NewImage", {})
    row = _row_of(image)
    return row[1] if row and MESSAGE_UUID not in image else ""


def _row_of(item: Mapping[str, Any]) -> Row | None:
    partition, group = _text(item, schema.PARTITION_KEY), _text(item, schema.INDEX_PARTITION_KEY)
    is_row = partition.startswith(schema.GROUP_ROW_PREFIX) and partition != schema.GROUP_ROW_PREFIX and group
    return (partition, group) if is_row else None


def _is_conversation(key: Key) -> bool:
    return key[0].startswith(schema.CONVERSATION_PREFIX)


def _item(attributes: Item) -> ConversationItem:
    return ConversationItem.from_attributes(attributes)


def _can_be_shown(message: Item) -> bool:
    try:
        datetime.fromisoformat(_text(message, schema.SORT_KEY))
    except ValueError:
        return False
    return all("S" in message.get(name, {}) for name in (MESSAGE, MESSAGE_UUID))


def _instant(item: Item) -> datetime:
    instant = datetime.fromisoformat(_text(item, schema.SORT_KEY))
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _others(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in OWN_ATTRIBUTES}


def _strings(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}


def _key(item: Mapping[str, Any]) -> Key:
    return _text(item, schema.PARTITION_KEY), _text(item, schema.SORT_KEY)


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _brief(item: Mapping[str, Any]) -> str:
    """An item in a few words, for the story."""
    if not item:
        return "nothing"
    names = ("pk", "sk", "message_group_uuid", MESSAGE_UUID, "note", "version", "shown")
    return " ".join(filter(None, (_text(item, name) for name in names)))
