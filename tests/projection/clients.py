"""What writes to the table besides the projection: backends, an old handler, people by hand, and the library."""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, partial
from typing import Any, cast

from cruddur_messages import schema, timestamps
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, User, key_attributes, key_of
from cruddur_messages.store import membership
from cruddur_messages.store.access import Access
from cruddur_messages.store.errors import ContendedError, RejectedError
from tests.projection.choices import Choices
from tests.projection.memory_engine import Item, MemoryEngine, strings
from tests.projection.promises import PRIVATE, Promises, Violation, instant, row_of, text

USERS = ("u0", "u1", "u2", "u3", "u4")
START = datetime(2026, 1, 1, tzinfo=UTC)
OLD_HANDLERS_ATTRIBUTES = ("pk", "message_group_uuid", "user_uuid", "user_display_name", "user_handle", "note")


class Clients:
    """The writers of a schedule. What they do in several steps waits in a queue, while others go on."""

    def __init__(
        self,
        engine: MemoryEngine,
        choose: Mapping[str, Choices],
        promises: Promises,
        tell: Callable[..., None],
        conversations: tuple[str, ...],
    ) -> None:
        self._engine = engine
        self._choose = choose
        self._members = promises.members
        self._tell = tell
        self._conversations = conversations
        self._queue: deque[Callable[[], None]] = deque()
        self._texts = 0

    def begin(self, group: str, members: int) -> None:
        """Put rows and messages from before the stream, as an old backend has left them."""
        world = self._choose["world"]
        first = world.below(len(USERS))
        for number in range(4):
            user, when, form = USERS[(first + number) % len(USERS)], world.below(8), world.below(4)
            if number < members:
                self._put_row(group, user, time_of(when % 4, form))
                if when == 7:
                    self._put_row(group, user, time_of(5, form))
        for number in range(2):
            is_there, when, form = world.below(2), world.below(6), world.below(4)
            if is_there:
                self.put_message(group, time_of(when + number, form))

    def act(self) -> None:
        """Do what comes next in the schedule."""
        script = self._choose["script"]
        action, group = script.below(16), self._conversations[script.below(len(self._conversations))]
        which, when, form = script.below(8), script.below(8), script.below(6)
        sort_key = time_of(4 + when, form)
        if self._queue:
            self._queue.popleft()()
        match self._choose["rows"].below(16):
            case 15:
                self._put_anew(USERS[which % len(USERS)], when)
            case 14:
                self._delete_row(group, which, comes_back=when % 2 == 1)
            case 13:
                self._old_handler_moves(group, sort_key)
        match action:
            case 1 | 2 | 3:
                self.put_message(group, sort_key)
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
                self._start_or_add(group, which, time_of(when, form))
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

    def finish(self) -> None:
        """Do the rest of what has begun."""
        while self._queue:
            self._queue.popleft()()

    def put_message(self, group: str, sort_key: str) -> None:
        """Put a new message."""
        text = self._text()
        partition = schema.message_partition(group)
        self._put(strings(pk=partition, sk=sort_key, message_uuid=f"m{self._texts}", message=text, user_uuid="u0"))

    def rows(self, group: str, user: str = "") -> list[Item]:
        """The rows of a conversation, or of one of its members, with all transactions applied."""
        self._engine.apply_all()
        return [
            item
            for key, item in sorted(self._engine.items.items())
            if (row := row_of(item)) and row[1] == group and (not user or key[0] == schema.group_row_partition(user))
        ]

    def _leave_or_join(self, group: str, user: str, *, leaves: bool) -> None:
        """Somebody leaves or joins through the store, whose ids are not checked here."""
        self._tell("client:", user, "leaves" if leaves else "joins", group)
        access = Access(cast("Any", self._engine), "t", lambda: START, lambda _: None, lambda: 0.0)
        with suppress(RejectedError, ContendedError):
            if leaves:
                membership.leave(access, group, user)
                if self.rows(group, user):
                    raise Violation(f"{user} has left {group} and has a row")
            else:
                membership.join(access, group, User(user, user, user), asked_by=None)

    def _put_anew(self, user: str, which: int) -> None:
        """A backend puts a row as it knows it, over what the projection has written."""
        for row in self._pick(schema.group_row_partition(user), which):
            if "note" in row:
                self._put({name: value for name, value in row.items() if name != MESSAGE_UUID})

    def _delete_row(self, group: str, which: int, *, comes_back: bool) -> None:
        """A member's row is deleted by hand, and perhaps put back later, as a backend puts it."""
        members = self._members(group)
        if members:
            user = members[which % len(members)]
            for row in self.rows(group, user):
                self._delete(row)
                if comes_back:
                    again = {name: value for name, value in row.items() if name != MESSAGE_UUID}
                    self._queue.append(partial(self._put_back, group, user, again))

    def _put_back(self, group: str, user: str, row: Item) -> None:
        if not self.rows(group, user) and key_of(row) not in self._engine.items:
            self._put(row)

    def _old_handler_moves(self, group: str, sort_key: str) -> None:
        """The bootcamp's handler still runs: it deletes and puts each row, with a fixed list of attributes."""
        for row in self.rows(group):
            moved = {name: row[name] for name in OLD_HANDLERS_ATTRIBUTES if name in row}
            moved |= strings(sk=sort_key, message=self._text())
            if key_of(moved) not in self._engine.items:
                self._delete(row)
                self._queue.append(partial(self._put_back, group, text(row, "pk").removeprefix("GRP#"), moved))

    def _put_malformed(self, group: str, kind: int, sort_key: str) -> None:
        partition = schema.message_partition(group)
        items = [
            strings(pk=partition, sk=sort_key, message_uuid="mx"),
            strings(pk=partition, sk=sort_key, message_uuid="mx") | {MESSAGE: {"N": "1"}},
            strings(pk=partition, sk="zzz", message_uuid="mx", message=PRIVATE),
            strings(pk=schema.MESSAGE_PREFIX, sk=sort_key, message=PRIVATE),
            strings(pk="USR#u0", sk=sort_key, message=PRIVATE),
            strings(pk=schema.group_row_partition("u0"), sk=sort_key + "x", message=PRIVATE),
            strings(pk=schema.GROUP_ROW_PREFIX, sk=sort_key, message_group_uuid=group),
            strings(pk="ODD#u0", sk=sort_key, message_group_uuid=group),
        ]
        self._put(items[kind])

    def _start_or_add(self, group: str, which: int, sort_key: str) -> None:
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

    def _put_row(self, group: str, user: str, sort_key: str, names: str | None = None) -> None:
        if names is None:
            names = next((member for member in self._members(group) if member != user), "")
        names = {5: "", 6: user, 7: USERS[0]}.get(self._choose["rows"].below(8), names)
        item = strings(
            pk=schema.group_row_partition(user),
            sk=sort_key,
            message_group_uuid=group,
            message=self._text(),
            user_uuid=names,
            user_display_name=PRIVATE,
            user_handle=PRIVATE,
            note=self._text(),
        )
        self._engine.apply_all()
        while key_of(item) in self._engine.items:
            item[schema.SORT_KEY] = {"S": timestamps.canonical(instant(item) + timestamps.MICROSECOND)}
        self._put(item)

    def _pick(self, partition: str, which: int) -> list[Item]:
        if partition.startswith(schema.GROUP_ROW_PREFIX):
            self._engine.apply_all()
        items = [item for key, item in sorted(self._engine.items.items()) if key[0] == partition]
        return [items[which % len(items)]] if items else []

    def _put(self, item: Mapping[str, Any]) -> None:
        self._tell("client puts", dict(item))
        self._engine.apply(key_of(item))
        self._engine.put_item(Item=dict(item))

    def _delete(self, item: Mapping[str, Any]) -> None:
        self._tell("client deletes", dict(item))
        self._engine.delete_item(Key=key_attributes(key_of(item)))

    def _text(self) -> str:
        self._texts += 1
        return f"{PRIVATE}{self._texts}"


@cache
def time_of(when: int, form: int) -> str:
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
