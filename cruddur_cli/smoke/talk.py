"""A conversation of made-up people, and what its inboxes show.

The ids of people, conversations and messages begin with `schema.SMOKE_UUID_PREFIX`, so that a policy can keep a run
from real people's data.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cruddur_cli.smoke.report import Report
from cruddur_messages import dynamodb, schema
from cruddur_messages.items import MESSAGE_UUID, AttributeMap, User, text_or_empty
from cruddur_messages.store import MAX_PAGE, MessageStore
from cruddur_messages.store.errors import NoSuchConversationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAMES = ("Ann", "Bo", "Cy", "Dee")
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Place:
    """A table; `settle` does the projection's work for a conversation where no Lambda does it."""

    client: "DynamoDBClient"
    table_name: str
    settle: Callable[[str], None] | None = None

    def read(self, partition: str) -> Iterator[AttributeMap]:
        """The items of a partition, consistent."""
        return dynamodb.query_items(self.client.query, TableName=self.table_name, **dynamodb.partition_query(partition))


class Talk:
    """A conversation of made-up people, written and watched by one thread."""

    def __init__(
        self, place: Place, group: str, people: Sequence[User], *, limit_seconds: float, first: int = 3
    ) -> None:
        self._first = first
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
        number = len(self._sent)
        text = f"message {number + 1}"
        if number:
            sender = list(self._shown)[number % len(self._shown)]
            sent = self._store.send(self.group, sender=self._people[sender], message=text)
        else:
            members = list(self._people.values())[: self._first]
            sent = self._store.start_conversation(members, sender=members[0], message=text).message
            self._shown = {member.uuid: -1 for member in members}
        self._positions[sent.message_uuid] = number
        self._sent.append((sent.message_uuid, time.monotonic()))
        self._settle()

    def join(self) -> None:
        """Add one more person to the group, who must see all messages from now on."""
        newcomer = list(self._people.values())[self._first]
        deadline = time.monotonic() + self._limit_seconds
        while True:
            try:
                self._store.add_member(self.group, newcomer)
                break
            except NoSuchConversationError:
                # The index may lag.
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_SECONDS)
        self._shown[newcomer.uuid] = len(self._sent) - 1
        self._settle()

    @property
    def is_quiet(self) -> bool:
        """Whether every message has arrived everywhere, or something is wrong."""
        return bool(self.report.problems) or self.has_arrived

    @property
    def has_arrived(self) -> bool:
        """Whether every message has arrived everywhere."""
        return self._delivered == len(self._sent)

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

    def _settle(self) -> None:
        if self._place.settle:
            self._place.settle(self.group)

    def _wrong(self, what: str) -> None:
        if what not in self.report.problems:
            self.report.problems.append(what)


def person(name: str) -> User:
    """A made-up person."""
    found = smoke_uuid()
    return User(uuid=found, display_name=f"{name} (made up)", handle=f"{name.lower()}-{found[9:13]}")


def smoke_uuid() -> str:
    """A random id with the prefix of made-up people."""
    return schema.SMOKE_UUID_PREFIX + str(uuid.uuid4())[len(schema.SMOKE_UUID_PREFIX) :]
