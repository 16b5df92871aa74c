"""One schedule, from the first write to rest, and the promises that it must keep (docs/projection.md).

`run` plays a schedule given as bytes (choices.py) and raises ViolationError if the projection breaks a promise.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cruddur_messages import dynamodb, schema
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.items import MESSAGE, MESSAGE_UUID
from cruddur_messages.projection.filters import patterns
from tests.projection.choices import Choices, split
from tests.projection.clients import USERS, Clients, time_of
from tests.projection.event_source_mapping import Lane, passes
from tests.projection.invocations import FaultyClient, Invocation, Thread, World
from tests.projection.memory_engine import Change, Item, Key, MemoryEngine, Version, strings
from tests.projection.promises import (
    Promises,
    Violation,
    ViolationError,
    brief,
    broken_by_row,
    broken_together,
    row_of,
    text,
)

CLIENT = "client"
CONVERSATIONS = ("g0", "g1", "g2")

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
        self._promises = Promises()
        self._is_wild = False
        self._founded: dict[Key, int] = {}
        self._frozen_at = 0
        self._frozen_members = 255
        self._records: list[Any] = []
        self._busy: dict[Lane, Invocation] = {}
        self._extra: list[Invocation] = []
        self._writer = CLIENT
        self._engine = MemoryEngine(
            lag=self._versions_back,
            page_size=self._page_size,
            unprocessed=self._unprocessed,
            on_commit=self._on_commit,
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
        self._clients = Clients(self._engine, self._choose, self._promises, self._tell, self._conversations)
        for group in self._conversations:
            self._begin(group, world)

    def play(self) -> None:
        """Do everything in the order of the schedule, then come to rest, and check."""
        if self._is_restored:
            self._restore()
        self._founded = {key: len(versions) for key, versions in self._engine.versions.items()}
        self._is_wild = True
        for _ in range(ACTIONS):
            self._clients.act()
            for _ in range(self._choose["order"].below(8)):
                self._step()
        self._clients.finish()
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
        return [" ".join(part if isinstance(part, str) else brief(part) for part in line) for line in self._told]

    def _tell(self, *line: str | Item) -> None:
        """Add a line to the story; its items are put into words only when somebody reads it."""
        self._told.append(line)

    def _begin(self, group: str, world: Choices) -> None:
        """Begin a conversation with rows and messages that are older than the stream, or with none at all."""
        kind = world.below(3)
        self._clients.begin(group, 0 if kind == 2 else 1 + world.below(4))
        if kind == 1 and not self._is_restored:
            for lane in self._lanes:
                lane.waiting = deque(record for record in lane.waiting if _group_of(record) != group)
            self._records = [record for record in self._records if _group_of(record) != group]

    def _restore(self) -> None:
        """Settle everything, replace conversation items by older versions of themselves, and begin a new stream.

        The older version lists the same members: without one of them, nothing but the index could tell of them, and it
        is asked only where a row is missing (docs/decisions/0004).
        """
        self._come_to_rest()
        older = {key: versions[-1][1] for key, versions in self._engine.versions.items() if _is_conversation(key)}
        for number, group in enumerate(self._conversations):
            self._clients.put_message(group, time_of(2 + number, 0))
        self._come_to_rest()
        for key, item in older.items():
            now = self._engine.items.get(key)
            if item and now and _listed(item) == _listed(now):
                self._tell("restored", item)
                self._engine.items[key] = item
        for lane in self._lanes:
            lane.waiting.clear()
        self._records = []

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
        return text(item, schema.PARTITION_KEY) == schema.group_row_partition(self._refused_member)

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
        is_projection = self._writer != CLIENT
        for change in changes if is_projection else ():
            self._tell(f"    {self._writer}:", change.before or {}, "->", change.after or {})
        self._promises.commit(changes, is_projection=is_projection)
        for change in changes:
            record = _record(change)
            if change.key[0].startswith(schema.MEMBER_PREFIX) and passes(patterns(), record):
                raise Violation("a member item is delivered")
            if passes(self._patterns, record):
                if is_projection and self._patterns != [{}]:
                    raise Violation(f"its own write comes back: {brief(change.after or {})}")
                self._lanes[sum(map(ord, "".join(change.key))) % len(self._lanes)].waiting.append(record)
                self._records.append(record)

    # -- deliveries --

    def _threads(self) -> list[Thread]:
        return [thread for invocation in (*self._busy.values(), *self._extra) for thread in invocation.threads]

    def _step(self) -> bool:
        """Let one thread continue to its next call, or one lane begin a delivery; False if there is nothing to do."""
        if not self._is_wild:
            self._engine.apply_all()
        if self._is_wild and self._records and self._choose["delivery"].happens(8):
            self._deliver_again()
        threads = self._threads()
        idle = [lane for lane in self._lanes if lane.has_work and lane not in self._busy]
        if not threads and not idle:
            return False
        choice = self._choose["order"].below(len(threads) + len(idle))
        if choice < len(threads):
            thread = threads[choice]
            self._writer = str(thread.invocation)
            thread.invocation.step(thread)
            self._writer = CLIENT
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
        self._tell(f"  {invocation} gets {', '.join(numbers)}")
        return invocation

    def _take_responses(self) -> None:
        for lane, invocation in list(self._busy.items()):
            if invocation.ended:
                self._tell(f"  {invocation} returns {invocation.told}")
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
        return bool(group) and self._refused_member not in self._promises.members(group)

    def _run_again(self) -> None:
        """Deliver every record again: no row may change."""
        changes = len(self._engine.changes)
        invocation = self._invoke([record for record in self._records if self._can_be_settled(_group_of(record))])
        self._writer = str(invocation)
        invocation.finish()
        if invocation.response != {"batchItemFailures": []}:
            raise Violation("a second run fails")
        if any(not _is_conversation(change.key) for change in self._engine.changes[changes:]):
            raise Violation("a second run changes a row")

    def _check_rest(self) -> None:
        """Check that all rows of the conversations in the records show the newest message, under its time."""
        for group in {_group_of(record) for record in self._records} - {""}:
            newest, rows = self._newest(group), self._clients.rows(group)
            broken = [
                broken_by_row(row, newest, may_tie=text(row, "pk") in self._promises.may_tie)
                for row in rows
                if not self._is_refused(row)
            ]
            if self._can_be_settled(group):
                if len(rows) != len(self._promises.members(group)):
                    raise Violation(f"{group} has {len(self._promises.members(group))} members and {len(rows)} rows")
                key = schema.conversation_partition(group), schema.CONVERSATION_SORT_KEY
                broken.append(broken_together(rows, self._engine.items.get(key, {}), newest))
            for promise in filter(None, broken):
                raise Violation(f"{group}: {promise}")

    def _newest(self, group: str) -> Item | None:
        partition = schema.message_partition(group)
        messages = [item for key, item in sorted(self._engine.items.items()) if key[0] == partition]
        return next((message for message in reversed(messages) if _can_be_shown(message)), None)


def _record(change: Change) -> dict[str, Any]:
    pk, sk = change.key
    stream: dict[str, Any] = {
        "Keys": strings(pk=pk, sk=sk),
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
    row = row_of(image)
    return row[1] if row and MESSAGE_UUID not in image else ""


def _is_conversation(key: Key) -> bool:
    return key[0].startswith(schema.CONVERSATION_PREFIX)


def _listed(item: Item) -> set[str]:
    return set(ConversationItem.from_attributes(item).rows)


def _can_be_shown(message: Item) -> bool:
    try:
        datetime.fromisoformat(text(message, schema.SORT_KEY))
    except ValueError:
        return False
    return all("S" in message.get(name, {}) for name in (MESSAGE, MESSAGE_UUID))
