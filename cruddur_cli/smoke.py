"""The smoke test: made-up people send messages, each is awaited in every inbox, and all writes are removed.

The ids of people, conversations and messages begin with `schema.SMOKE_UUID_PREFIX`, so that a policy can keep a run
from real people's data. A run first notes its ids in an item under `schema.SMOKE_PARTITION`, and renews that item while
it runs: the next run recognises a dead one by an unchanged note, and removes what it has left.
"""

import math
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from cruddur_messages import dynamodb, schema, timestamps
from cruddur_messages.items import MESSAGE_UUID, AttributeMap, User, text_or_empty
from cruddur_messages.store import MAX_PAGE, MessageStore
from cruddur_messages.store.errors import NoSuchConversationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

BEAT = "beat"
TALKS = "talks"
BEAT_SECONDS = 2.0
SILENCE_SECONDS = 3 * BEAT_SECONDS
"""A run is dead if its note is unchanged for this long."""

PAUSE_SECONDS = 0.02
QUIET_SECONDS = 1.0
QUIET_LOOKS = 2
"""How many checks in a row must find nothing before a run counts as removed, since a settlement may be late."""

MOST_LOOKS = 60
MOST_TALKS = 64
DELETIONS_AT_ONCE = 8
GROWTH = 2.0
GROWTH_FLOOR_SECONDS = 0.5
"""A delay has grown when its median is above this, and above GROWTH times that of the lowest rate."""

NAMES = ("Ann", "Bo", "Cy")


@dataclass(frozen=True)
class Place:
    """A table; `settle` does the projection's work for a conversation where no Lambda does it."""

    client: "DynamoDBClient"
    table_name: str
    settle: Callable[[str], None] | None = None

    def read(self, partition: str) -> Iterator[AttributeMap]:
        """The items of a partition, consistent."""
        return dynamodb.items(self.client.query, TableName=self.table_name, **dynamodb.of_partition(partition))


@dataclass
class Report:
    """The result of a run: the seconds until each message was in every inbox, and the problems."""

    delays: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds; NaN if nothing arrived."""
        return statistics.median(self.delays) if self.delays else math.nan

    @property
    def of_99_in_100(self) -> float:
        """The delay that 99 of 100 messages do not exceed."""
        return sorted(self.delays)[math.ceil(len(self.delays) * 0.99) - 1] if self.delays else math.nan

    @property
    def largest(self) -> float:
        """Seconds; NaN if nothing arrived."""
        return max(self.delays, default=math.nan)


@dataclass(frozen=True)
class Held:
    """A load that was held: the messages a second that were requested and sent, and the report."""

    asked: float
    sent: float
    report: Report


class Talk:
    """A conversation of made-up people, written and watched by one thread."""

    def __init__(self, place: Place, group: str, people: Sequence[User], *, limit_seconds: float) -> None:
        ids = iter([group])
        self.group = group
        self.report = Report()
        self._place = place
        self._store = MessageStore(
            client=place.client, table_name=place.table_name, new_uuid=lambda: next(ids, None) or smoke_uuid()
        )
        self._limit_seconds = limit_seconds
        self._people = {user.uuid: user for user in people}
        self._sent: list[tuple[str, float]] = []
        self._positions: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._delivered = 0

    def speak(self) -> None:
        """Send the next message; the first one starts the conversation."""
        self._send() if self._sent else self._start()
        self._settle()

    def _start(self) -> None:
        first, second = list(self._people.values())[:2]
        started = self._store.start_conversation((first, second), sender=first, message="message 1")
        self._note(started.message.message_uuid)
        self._shown = {first.uuid: -1, second.uuid: -1}

    def join(self) -> None:
        """Add the third person, who must see all messages from now on."""
        third = list(self._people.values())[2]
        deadline = time.monotonic() + self._limit_seconds
        while True:
            try:
                self._store.add_member(self.group, third)
                break
            except NoSuchConversationError:
                # The index may lag.
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_SECONDS)
        self._shown[third.uuid] = len(self._sent) - 1
        self._settle()

    def _send(self) -> None:
        sender = list(self._shown)[len(self._sent) % len(self._shown)]
        text = f"message {len(self._sent) + 1}"
        sent = self._store.send(self.group, sender=self._people[sender], message=text)
        self._note(sent.message_uuid)

    @property
    def newest(self) -> str:
        """The id of the message that was sent last."""
        return self._sent[-1][0]

    @property
    def is_quiet(self) -> bool:
        """Whether every message has arrived everywhere, or something is wrong."""
        return bool(self.report.problems) or self._delivered == len(self._sent)

    def look(self) -> None:
        """Check every member's inbox once."""
        for member in self._shown:
            self._look(member)
        now = time.monotonic()
        seen_by_all = min(self._shown.values())
        while self._delivered <= seen_by_all:
            self.report.delays.append(now - self._sent[self._delivered][1])
            self._delivered += 1
        if not self.is_quiet and now - self._sent[self._delivered][1] > self._limit_seconds:
            behind = [self._people[one].handle for one, shown in self._shown.items() if shown < self._delivered]
            self._wrong(
                f"late: message {self._delivered + 1} is not in the inbox of {', '.join(behind)} "
                f"after {self._limit_seconds:g} s"
            )

    def check_order(self) -> None:
        """Compare the conversation, as a reader gets it, with what was sent."""
        sent = [message_uuid for message_uuid, _ in self._sent]
        # Only the newest page: a run under load sends more than fits on one.
        read = [one.message_uuid for one in self._store.get_conversation(self.group, limit=MAX_PAGE).items]
        if read != sent[-MAX_PAGE:]:
            self._wrong(f"wrong order: the conversation does not have its {len(sent)} messages as they were sent")

    def _look(self, member: str) -> None:
        rows = self._rows(member)
        if len(rows) != 1:
            # A query may fall between the delete and the put of a transaction (Developer Guide, "Transactions").
            rows = self._rows(member)
        handle = self._people[member].handle
        if len(rows) != 1:
            self._wrong(f"{'missing' if not rows else 'duplicate'}: {handle} has {len(rows)} rows of the conversation")
            return
        shown = text_or_empty(rows[0], MESSAGE_UUID)
        # The first row of a conversation has no message_uuid yet.
        position = self._positions.get(shown, -1)
        if position < self._shown[member] and shown:
            self._wrong(
                f"wrong order: {handle} sees message {position + 1} again after message {self._shown[member] + 1}"
            )
        self._shown[member] = max(position, self._shown[member])

    def _rows(self, member: str) -> list[AttributeMap]:
        inbox = self._place.read(schema.group_row_partition(member))
        return [row for row in inbox if text_or_empty(row, schema.INDEX_PARTITION_KEY) == self.group]

    def _note(self, message_uuid: str) -> None:
        self._positions[message_uuid] = len(self._sent)
        self._sent.append((message_uuid, time.monotonic()))

    def _settle(self) -> None:
        if self._place.settle:
            self._place.settle(self.group)

    def _wrong(self, what: str) -> None:
        if what not in self.report.problems:
            self.report.problems.append(what)


def smoke_uuid() -> str:
    """A random id with the prefix of made-up people."""
    return schema.SMOKE_UUID_PREFIX + str(uuid.uuid4())[len(schema.SMOKE_UUID_PREFIX) :]


def talk(
    place: Place, *, messages: int, limit_seconds: float, on_delivered: Callable[[], None] = lambda: None
) -> Report:
    """Run one conversation: each message reaches all inboxes before the next; the third person joins half-way.

    Raises what DynamoDB raises. All writes are removed in any case; if that fails, the next run removes them.
    """
    with _run(place, 1, limit_seconds) as ((conversation,), beat):
        for number in range(messages):
            conversation.speak()
            while not conversation.is_quiet:
                beat()
                conversation.look()
                time.sleep(PAUSE_SECONDS)
            if conversation.report.problems:
                return conversation.report
            on_delivered()
            if number + 1 == math.ceil(messages / 2):
                conversation.join()
        conversation.check_order()
        return conversation.report


def hold(
    place: Place,
    *,
    rate: float,
    seconds: float,
    limit_seconds: float,
    on_held: Callable[[Held], None] = lambda _: None,
) -> list[Held]:
    """Hold loads in conversations of two for some seconds each: an eighth of the rate, then twice as much each time.

    Stops at the first rate with a problem.
    """
    found: list[Held] = []
    count = max(1, min(MOST_TALKS, math.ceil(rate / 2)))
    with _run(place, count, limit_seconds) as (talks, beat):
        for step in (8, 4, 2, 1):
            stopped = Event()
            begun = time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                ends = begun + seconds
                working = [pool.submit(_hold, one, count * step / rate, ends, stopped) for one in talks]
                try:
                    while wait(working, timeout=BEAT_SECONDS).not_done:
                        beat()
                finally:
                    stopped.set()
            sent = sum(one.result() for one in working)
            report = Report()
            for one in talks:
                one.check_order()
                report.delays += one.report.delays
                report.problems += one.report.problems
                one.report = Report()
            found.append(Held(rate / step, sent / seconds, report))
            on_held(found[-1])
            if report.problems:
                break
    return found


def highest_steady(held: Sequence[Held]) -> float | None:
    """The highest rate, in messages sent a second, before the delay grew; None if even the lowest was too high."""
    steady: float | None = None
    for one in held:
        usual = max(GROWTH_FLOOR_SECONDS, held[0].report.median * GROWTH)
        if one.report.problems or not one.report.median <= usual:
            break
        steady = one.sent
    return steady


def _hold(conversation: Talk, interval: float, ends: float, stopped: Event) -> int:
    """Send at intervals, check the inboxes meanwhile, and return how many messages were sent."""
    sent = 0
    due = time.monotonic()
    while not stopped.is_set() and not conversation.report.problems:
        now = time.monotonic()
        if now < ends and now >= due:
            conversation.speak()
            sent += 1
            due += interval
        elif now >= ends and conversation.is_quiet:
            break
        else:
            conversation.look()
            stopped.wait(PAUSE_SECONDS)
    return sent


@contextmanager
def _run(place: Place, count: int, limit_seconds: float) -> Iterator[tuple[list[Talk], Callable[[], None]]]:
    """Yield new conversations and a function that renews this run's note; then remove this run and dead ones."""
    register = Register(place)
    earlier = register.notes()
    begun = time.monotonic()
    talks: dict[str, list[User]] = {smoke_uuid(): [person(name) for name in NAMES] for _ in range(count)}
    own = register.new({group: [one.uuid for one in people] for group, people in talks.items()})
    try:
        own.renew()
        yield (
            [Talk(place, group, people, limit_seconds=limit_seconds) for group, people in talks.items()],
            own.renew,
        )
    finally:
        own.remove()
        if earlier:
            time.sleep(max(0.0, SILENCE_SECONDS - (time.monotonic() - begun)))
            now = {note.key: note for note in register.notes()}
            for note in earlier:
                if note.key in now and now[note.key].beat == note.beat:
                    note.remove()


def person(name: str) -> User:
    """A made-up person."""
    found = smoke_uuid()
    return User(uuid=found, display_name=f"{name} (made up)", handle=f"{name.lower()}-{found[9:13]}")


class Register:
    """The notes of the runs of one table."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def notes(self) -> "list[Note]":
        """The notes of running and of dead runs."""
        return [
            Note(
                self._place,
                text_or_empty(item, schema.SORT_KEY),
                {group: [one["S"] for one in people["L"]] for group, people in item[TALKS]["M"].items()},
                text_or_empty(item, BEAT),
            )
            for item in self._place.read(schema.SMOKE_PARTITION)
        ]

    def new(self, talks: dict[str, list[str]]) -> "Note":
        """The note of a run that starts; its first renewal writes it."""
        return Note(self._place, f"{timestamps.now()} {smoke_uuid()}", talks, "")


@dataclass
class Note:
    """The conversations of a run, and the people of each."""

    _place: Place
    key: str
    talks: dict[str, list[str]]
    beat: str
    _renewed: float = -math.inf

    def renew(self) -> None:
        """Renew the note, so that other runs see that this one is alive."""
        if time.monotonic() - self._renewed < BEAT_SECONDS:
            return
        self._renewed = time.monotonic()
        self.beat = timestamps.now()
        item: dict[str, AttributeValueTypeDef] = {
            schema.PARTITION_KEY: {"S": schema.SMOKE_PARTITION},
            schema.SORT_KEY: {"S": self.key},
            BEAT: {"S": self.beat},
            TALKS: {"M": {group: {"L": [{"S": one} for one in people]} for group, people in self.talks.items()}},
        }
        self._place.client.put_item(TableName=self._place.table_name, Item=item)

    def remove(self) -> None:
        """Delete what the run has written until nothing more appears, and then the note."""
        quiet = 0
        for _ in range(MOST_LOOKS):
            quiet = 0 if self._delete_all() else quiet + 1
            if quiet == QUIET_LOOKS:
                break
            if not self._place.settle:
                time.sleep(QUIET_SECONDS)
            self.renew()
        self._delete((schema.SMOKE_PARTITION, self.key))

    def _delete_all(self) -> int:
        with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
            found = [key for keys in pool.map(self._keys, self._partitions()) for key in keys]
            for _ in pool.map(self._delete, found):
                pass
        return len(found)

    def _partitions(self) -> Iterator[str]:
        for group, people in self.talks.items():
            yield schema.message_partition(group)
            yield from map(schema.group_row_partition, people)
            yield schema.pair_partition(people[0], people[1])
            yield schema.CONVERSATION_PREFIX + group

    def _keys(self, partition: str) -> list[tuple[str, str]]:
        return [(partition, text_or_empty(item, schema.SORT_KEY)) for item in self._place.read(partition)]

    def _delete(self, key: tuple[str, str]) -> None:
        names = (schema.PARTITION_KEY, schema.SORT_KEY)
        self._place.client.delete_item(
            TableName=self._place.table_name,
            Key={name: {"S": value} for name, value in zip(names, key, strict=True)},
        )
