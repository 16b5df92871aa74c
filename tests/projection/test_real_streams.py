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
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.projection.event_source_mapping import Lane, sequence_number
from tests.projection.poller import CrashError, Poller

CONVERSATIONS = 30
"""Schedules that run at the same time in one round."""

WRITES = 4
MEMBERS = (1, 2, 2, 2, 3, 12)
START = datetime(2026, 1, 1, tzinfo=UTC)


class UnreliableClient:
    """Fails or crashes at some calls, before or after DynamoDB executes them; never reads one conversation item."""

    def __init__(self, client: Any, chance: random.Random, share: float) -> None:
        self._client = client
        self._chance = chance
        self.share = share

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self._call(partial(getattr(self._client, operation), **arguments))

    def _call(self, call: partial[Any]) -> Any:
        if "CONV#unreachable" in str(call.keywords):
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, "Any")
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


def poller_of(table: CruddurTable, *, retries: int | None) -> Poller:
    arn = table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    return Poller(
        streams=tables.streams(table.endpoint),
        stream_arn=arn,
        patterns=patterns(),
        lanes=[Lane(retries=retries) for _ in range(3)],
        batch_size=20,
    )


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
                    key = {"pk": {"S": f"MSG#{group}"}, "sk": {"S": newest}}
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
        item = {"pk": f"MSG#{group}", "sk": sort_key, "message": text, "message_uuid": text}
        self._put(item)

    def _put_row(self, group: str, user: str, named: str) -> None:
        self._put(
            {"pk": f"GRP#{user}", "sk": f"{group}", "message_group_uuid": group, "user_uuid": named, "note": group}
        )

    def _put(self, item: dict[str, str]) -> None:
        attributes: Any = {name: {"S": value} for name, value in item.items()}
        self._table.client.put_item(TableName=self._table.name, Item=attributes)


def rows_of(table: CruddurTable) -> list[dict[str, Any]]:
    rows: list[Any] = []
    for page in table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        rows += [item for item in page["Items"] if item["pk"]["S"].startswith("GRP#")]
    return rows


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.proof)])
def test_every_inbox_is_right_in_the_end(cruddur_table: CruddurTable, handler: Any, rounds: int) -> None:
    poller = poller_of(cruddur_table, retries=None)
    writers = [Writer(cruddur_table, f"g{number}", seeded(number)) for number in range(rounds)]
    for writer in writers:
        thread = threading.Thread(target=writer.run)
        thread.start()
        poller.drain(handler(0.05), is_done=lambda thread=thread: not thread.is_alive())  # type: ignore[misc]
        thread.join()
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
                assert row["note"]["S"] == group
    assert not inboxes

    for lane in poller.lanes:
        lane.waiting.extend(poller.records[: len(poller.records) // len(poller.lanes)])
    poller.drain(handler(0.0), is_done=lambda: True)
    assert sorted(rows, key=str) == sorted(rows_of(cruddur_table), key=str)


def test_a_record_that_cannot_be_settled_goes_to_the_queue_and_the_others_are_settled(
    cruddur_table: CruddurTable, handler: Any
) -> None:
    """A message to a conversation whose item always fails to be read, among those of others."""
    writer = Writer(cruddur_table, "good", seeded(1))
    unreachable: Any = {name: {"S": "2026-01-01"} for name in ("sk", "message", "message_uuid")} | {
        "pk": {"S": "MSG#unreachable"}
    }
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=unreachable)
    writer.run()
    poller = poller_of(cruddur_table, retries=2)
    poller.drain(handler(0.0), is_done=lambda: True)
    # The records after it in its batch go to the queue with it, although they are settled.
    (lane,) = [lane for lane in poller.lanes if lane.dropped]
    assert lane.dropped[0]["dynamodb"]["Keys"]["pk"]["S"] == "MSG#unreachable"
    done = {sequence_number(record) for lane in poller.lanes for record in (*lane.done, *lane.dropped)}
    assert done == {sequence_number(record) for record in poller.records}
    for row in rows_of(cruddur_table):
        messages = writer.messages[row["message_group_uuid"]["S"]]
        assert row["message"]["S"] == messages[max(messages)]


def test_a_row_of_more_attributes_than_a_condition_compares_moves_with_all_of_them(cruddur_table: CruddurTable) -> None:
    notes: dict[str, Any] = {f"note{number}": {"S": str(number)} for number in range(300)}
    for member, other in (("a", "b"), ("b", "a")):
        key = {"pk": {"S": f"GRP#{member}"}, "sk": {"S": timestamps.canonical(START)}}
        names = {"message_group_uuid": {"S": "g"}, "message": {"S": "old"}, "user_uuid": {"S": other}}
        cruddur_table.client.put_item(TableName=cruddur_table.name, Item={**key, **names, **notes})
    sent = {"pk": {"S": "MSG#g"}, "sk": {"S": timestamps.canonical(START + timedelta(seconds=1))}}
    text = {"message": {"S": "new"}, "message_uuid": {"S": "m"}}
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item={**sent, **text})
    settling = Settler(client=cruddur_table.client, table_name=cruddur_table.name, seconds_left=lambda: 60.0)
    assert settling.settle(DirtyConversation("g")).failure is None
    rows = rows_of(cruddur_table)
    assert len(rows) == 2
    for row in rows:
        assert row["sk"] == sent["sk"]
        assert row.items() >= {**notes, **text}.items()
