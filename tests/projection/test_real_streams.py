"""The same handler on the real streams of DynamoDB Local and the emulator, behind a poller that follows Lambda's rules.

Writers and invocations run at the same time, so a failure may need several runs to happen again; its seed is printed.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_messages import timestamps
from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.projection.filters import patterns
from tests.access_patterns.people import items_of
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.projection.event_source_mapping import Lane
from tests.projection.memory_engine import strings
from tests.projection.poller import CrashError, Poller

CONVERSATIONS = 30
"""Schedules that run at the same time in one round."""

WRITES = 4
MEMBERS = (1, 2, 2, 2, 3, 12)
START = datetime(2026, 1, 1, tzinfo=UTC)


class UnreliableClient:
    """Fails or crashes at some calls, before or after DynamoDB executes them."""

    def __init__(self, client: Any, chance: random.Random, share: float) -> None:
        self._client = client
        self._chance = chance
        self.share = share

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self._call(partial(getattr(self._client, operation), **arguments))

    def _call(self, call: partial[Any]) -> Any:
        if self._chance.random() >= self.share:
            return call()
        kind = self._chance.choice(("crash before", "crash after", "throttle", "lost answer"))
        if kind.endswith(("after", "answer")):
            call()
        if kind.startswith("crash"):
            raise CrashError
        code = "ThrottlingException" if kind == "throttle" else "InternalServerError"
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "Any")


@pytest.fixture
def handler(cruddur_table: CruddurTable) -> Callable[[float], Any]:
    """The handler on the engine's table; a given share of its calls fails, and its pauses are short."""
    client: Any = UnreliableClient(cruddur_table.client, seeded(0), 0.0)

    def with_share(share: float) -> Any:
        client.share = share
        return lambda event: stream_handler.respond(
            event, client=client, table_name=cruddur_table.name, seconds=30.0, sleep=lambda s: time.sleep(s / 20)
        )

    return with_share


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


class Writer:
    """A backend that writes to several conversations, and knows what their members must see in the end."""

    def __init__(self, table: CruddurTable, prefix: str, chance: random.Random) -> None:
        self._table = table
        self._chance = chance
        self._numbers = iter(range(10**6))
        self.messages: dict[str, dict[str, str]] = {}
        self.members: dict[str, list[str]] = {}
        for number in range(CONVERSATIONS):
            group = f"{prefix}-{number}"
            users = [f"{prefix}-user-{(number + n) % 20}" for n in range(chance.choice(MEMBERS))]
            self.messages[group], self.members[group] = {}, users

    def run(self) -> None:
        """Start every conversation, then write, edit and delete messages here and there."""
        for group, users in self.members.items():
            for number, user in enumerate(users):
                self._put_row(group, user, users[0] if number else users[-1])
            self._send(group, 0)
        for _ in range(WRITES * CONVERSATIONS):
            group = self._chance.choice(list(self.members))
            match self._chance.randrange(6):
                case 0 if len(self.messages[group]) > 1:
                    newest = max(self.messages[group])
                    del self.messages[group][newest]
                    key = strings(pk=f"MSG#{group}", sk=newest)
                    self._table.client.delete_item(TableName=self._table.name, Key=key)
                case 1:
                    self._put_message(group, max(self.messages[group]))
                case _:
                    self._send(group, self._chance.randrange(1, 20))

    def _send(self, group: str, number: int) -> None:
        self._put_message(group, timestamps.canonical(START + timedelta(microseconds=number)))

    def _put_message(self, group: str, sort_key: str) -> None:
        text = f"message {next(self._numbers)}"
        self.messages[group][sort_key] = text
        self._put(pk=f"MSG#{group}", sk=sort_key, message=text, message_uuid=text)

    def _put_row(self, group: str, user: str, named: str) -> None:
        self._put(pk=f"GRP#{user}", sk=group, message_group_uuid=group, user_uuid=named, **notes(group))

    def _put(self, **values: str) -> None:
        self._table.client.put_item(TableName=self._table.name, Item=strings(**values))


def notes(group: str) -> dict[str, str]:
    """Attributes of a conversation's rows that the code does not use: of some, more than a condition can compare."""
    return {f"note{number}": group for number in range(300 if group.endswith("-0") else 1)}


def rows_of(table: CruddurTable) -> list[Any]:
    return sorted((item for item in items_of(table) if item["pk"]["S"].startswith("GRP#")), key=str)


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.proof)])
def test_every_inbox_is_right_in_the_end(cruddur_table: CruddurTable, handler: Any, rounds: int) -> None:
    poller = Poller(
        streams=tables.streams(cruddur_table.endpoint),
        stream_arn=cruddur_table.client.describe_table(TableName=cruddur_table.name)["Table"]["LatestStreamArn"],
        patterns=patterns(),
        lanes=[Lane(retries=50) for _ in range(3)],
        batch_size=20,
    )
    writers = [Writer(cruddur_table, f"g{number}", seeded(number)) for number in range(rounds)]
    for writer in writers:
        thread = threading.Thread(target=writer.run)
        thread.start()
        poller.drain(handler(0.05), is_done=lambda thread=thread: not thread.is_alive())  # type: ignore[misc]
        thread.join()
    assert not any(lane.dropped for lane in poller.lanes)
    rows = rows_of(cruddur_table)
    inboxes = {(row["pk"]["S"], row["message_group_uuid"]["S"]): row for row in rows}
    assert len(inboxes) == len(rows)
    for writer in writers:
        for group, users in writer.members.items():
            newest = max(writer.messages[group])
            for user in users:
                row = inboxes.pop((f"GRP#{user}", group))
                assert row["message"]["S"] == row["message_uuid"]["S"] == writer.messages[group][newest]
                assert row["sk"]["S"][:-9] == newest[:-9]
                assert row.items() >= strings(**notes(group)).items()
    assert not inboxes

    for lane in poller.lanes:
        lane.waiting.extend(poller.records[: len(poller.records) // len(poller.lanes)])
    poller.drain(handler(0.0), is_done=lambda: True)
    assert rows == rows_of(cruddur_table)
