"""Scenarios of the functions and the backend in which each of their calls is made at least once."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from cruddur_cli import settlement
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Rebuild
from cruddur_cli.maintenance.verify import verify
from cruddur_messages import schema, timestamps
from cruddur_messages.canary import run as canary_run
from cruddur_messages.items import MESSAGE_UUID, Message, User, key_attributes, key_of
from cruddur_messages.person import Erasure, Person, export, refresh
from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.load import SeedLoader
from cruddur_messages.store import MessageStore, StartedConversation, errors
from tests.access_patterns.people import person
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.policies.deployed import BACKEND, CANARY, OPERATOR, PROJECTION, SEED
from tests.policies.recorder import Call, Recorder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SECOND = timedelta(seconds=1)


class World:
    """A table with the projection on its stream, and a backend that uses it; all of their calls are recorded."""

    def __init__(self, table: CruddurTable, recorder: Recorder, handler: Callable[[dict[str, object]], Any]) -> None:
        self.table = table
        self._streams = tables.streams(table.endpoint)
        self._read = 0
        self._handler = handler
        self._now = datetime(2026, 11, 20, tzinfo=UTC)
        self._backend = recorder.attach(tables.dynamodb(table.endpoint), BACKEND)
        self.store = MessageStore(client=self._backend, table_name=table.name, clock=self._tick)

    def _tick(self) -> datetime:
        self._now += SECOND
        return self._now

    def deliver(self) -> Mapping[str, Any]:
        """Deliver the new records of the stream to the projection in one batch; all must be settled."""
        records = self._records()
        new, self._read = records[self._read :], len(records)
        answer: Mapping[str, Any] = self._handler({"Records": new})
        assert answer == {"batchItemFailures": []}
        return answer

    def stand_still(self, *, message_time: datetime) -> None:
        """Give the backend's next message this time."""
        self._now = message_time - SECOND

    def start(self, *members: User) -> StartedConversation:
        return self.store.start_conversation(members, sender=members[0], message="first")

    def edit(self, message: Message) -> None:
        """Edit a message, as an operator would."""
        self.table.client.update_item(
            TableName=self.table.name,
            Key=key_attributes(key_of(message.to_attributes())),
            UpdateExpression="SET message = :text",
            ExpressionAttributeValues={":text": {"S": "edited"}},
        )

    def _records(self) -> list[Any]:
        (stream,) = self._streams.list_streams(TableName=self.table.name)["Streams"]
        found: list[Any] = []
        for shard in self._streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]:
            iterator: str | None = self._streams.get_shard_iterator(
                StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = self._streams.get_records(ShardIterator=iterator)
                found += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return found


def backend_and_projection(world: World) -> None:
    """Patterns A to E: conversations start, continue, get members, are read; messages are edited and deleted."""
    ann, bo, cy, di = (person(name) for name in ("ann", "bo", "cy", "di"))
    of_two, of_three = world.start(ann, bo), world.start(ann, bo, cy)
    world.deliver()
    world.start(ann, bo)
    sent = world.store.send(of_three.message_group_uuid, sender=cy, message="hello", check_member=True)
    world.deliver()
    # A message that no row shows: the projection writes only the next version of the conversation.
    world.edit(of_three.message)
    world.deliver()
    world.store.add_member(of_three.message_group_uuid, di, asked_by=ann.uuid)
    world.deliver()
    world.deliver()

    world.edit(sent)
    world.deliver()
    world.table.client.delete_item(TableName=world.table.name, Key=key_attributes(key_of(sent.to_attributes())))
    world.deliver()
    world.stand_still(message_time=datetime(2026, 11, 21, tzinfo=UTC))
    world.store.send(of_two.message_group_uuid, sender=ann, message="tied")
    world.stand_still(message_time=datetime(2026, 11, 21, tzinfo=UTC))
    world.store.send(of_three.message_group_uuid, sender=ann, message="tied")
    world.deliver()

    page = world.store.get_conversation(of_two.message_group_uuid, limit=1, reader_uuid=bo.uuid)
    world.store.get_conversation(of_two.message_group_uuid, before=page.cursor)
    assert len(world.store.list_conversations(ann.uuid).items) == 2


def changes_by_people(world: World) -> None:
    """A message is edited and deleted, a member leaves, another has read it, and who left is refused."""
    ann, bo, cy = (person(name) for name in ("ann", "bo", "cy"))
    group = world.start(ann, bo, cy).message_group_uuid
    sent = world.store.send(group, sender=ann, message="hello")
    world.store.edit(group, sent.sort_key, message_uuid=sent.message_uuid, editor=ann.uuid, message="hallo")
    with suppress(errors.NotTheAuthorError):
        world.store.delete(group, sent.sort_key, message_uuid=sent.message_uuid, by=bo.uuid)
    world.store.delete(group, sent.sort_key, message_uuid=sent.message_uuid, by=ann.uuid)
    world.store.mark_read(group, bo.uuid, up_to=sent.sort_key)
    assert world.store.unread(bo.uuid, world.store.list_conversations(bo.uuid).items) == {group: 0}
    world.store.leave(group, bo.uuid)


def bootcamp_backend(client: "DynamoDBClient", table_name: str) -> None:
    """create_message_group of the bootcamp's lib/ddb.py: two group rows and the first message in one batch."""
    ann, bo = person("ann"), person("bo")
    group, now = str(uuid.uuid4()), "2026-11-20T00:00:00"
    items: Sequence[dict[str, Any]] = [
        {
            schema.PARTITION_KEY: {"S": partition},
            schema.SORT_KEY: {"S": now},
            **({schema.INDEX_PARTITION_KEY: {"S": group}} if other else {MESSAGE_UUID: {"S": str(uuid.uuid4())}}),
            "message": {"S": "first"},
        }
        for partition, other in (
            (schema.group_row_partition(ann.uuid), bo),
            (schema.group_row_partition(bo.uuid), ann),
            (schema.message_partition(group), None),
        )
    ]
    client.batch_write_item(RequestItems={table_name: [{"PutRequest": {"Item": item}} for item in items]})


def seed(client: "DynamoDBClient", table_name: str) -> None:
    """The seed is loaded, loaded again with less, and removed."""
    conversations = seed_file.load()
    loader = SeedLoader(client=client, table_name=table_name)
    loader.replace([], conversations)
    loaded = [seed_file.LoadedConversation.from_property(entry) for entry in _properties(conversations)]
    loader.replace(loaded, conversations[:1])
    loader.remove(loaded)


def _properties(conversations: Any) -> Any:
    return seed_file.resource_properties(conversations)["Conversations"]


def canary(client: "DynamoDBClient", world: World) -> None:
    """The first run, and one that deletes the first one's message."""

    def deliver(_: float) -> None:
        world.deliver()

    for _ in range(2):
        canary_run.run(
            client=client,
            table_name=world.table.name,
            clock=lambda: datetime.now(UTC),
            sleep=deliver,
            seconds_left=lambda: 60.0,
            emit=lambda *_, **__: None,
        )


def operator(client: "DynamoDBClient", table: CruddurTable) -> None:
    """Verify and rebuild find and repair every kind of damage; redrive settles a conversation."""
    client.describe_table(TableName=table.name)
    store = MessageStore(client=table.client, table_name=table.name)
    ann, bo, cy = (person(name) for name in ("ann", "bo", "cy"))
    started = [store.start_conversation((ann, bo, cy), sender=ann, message="first") for _ in range(3)]
    unrowed, old = started[0].message, started[1].message
    row = {schema.PARTITION_KEY: {"S": schema.group_row_partition(bo.uuid)}, schema.SORT_KEY: {"S": unrowed.sort_key}}
    table.client.delete_item(TableName=table.name, Key=row)
    # A time with an offset, beside canonical ones: its message moves to a canonical key.
    table.client.put_item(
        TableName=table.name,
        Item=old.to_attributes()
        | {schema.SORT_KEY: {"S": "2026-11-20T00:00:00+02:00"}, MESSAGE_UUID: {"S": str(uuid.uuid4())}},
    )
    store.send(old.message_group_uuid, sender=bo, message="newer")
    verify(client, table.name, sleep=lambda _: None)
    with TemporaryDirectory() as directory:
        rebuilding = Rebuild(client=client, table_name=table.name, named=lambda _: None, sleep=lambda _: None)
        rebuilding.run(Checkpoint(Path(directory) / "left.jsonl", dict))
    assert verify(client, table.name, sleep=lambda _: None).findings == []
    store.send(started[2].message_group_uuid, sender=cy, message="failed")
    # The first one moves rows, the second writes only the next version of the conversation.
    for _ in range(2):
        (settled,) = settlement.projection(client, table.name).settle_all(
            [DirtyConversation(started[2].message_group_uuid)]
        )
        assert not settled.failure
    erase(client, table, store, bo, ann)


def erase(client: "DynamoDBClient", table: CruddurTable, store: MessageStore, user: User, other: User) -> None:
    """A new name reaches the rows of others, and then the person is erased, in groups and in a pair."""
    pair = store.start_conversation((user, other), sender=user, message="first").message_group_uuid
    store.mark_read(pair, user.uuid, up_to=timestamps.canonical(datetime.now(UTC)))
    store.send(pair, sender=other, message="last")
    named = replace(user, handle="renamed")
    them = Person(client=client, table_name=table.name, user_uuid=user.uuid)
    assert refresh(them, lambda: named, sleep=lambda _: None)
    assert export(them)["conversations"]

    def settle(group: str) -> str | None:
        return settlement.settle(client, table.name, [group]).get(group)

    erasure = Erasure(person=them, settle=settle, named=lambda _: None, sleep=lambda _: None)
    assert erasure.preview()["pair_items"] == 1
    assert erasure.run()["pair_items"] == 1
    assert verify(client, table.name, sleep=lambda _: None).findings == []


@dataclass(frozen=True)
class Recording:
    """All recorded calls: of this repository's code, of the backend's changes, and of the bootcamp's backend alone."""

    own: Sequence[Call]
    changes: Sequence[Call]
    bootcamp: Sequence[Call]


@pytest.fixture(scope="session")
def recording(dynamodb_local_endpoint: str, cruddur_table_on: Callable[[str], CruddurTable]) -> Recording:
    """Run every scenario, each on a table of its own."""
    create = partial(cruddur_table_on, dynamodb_local_endpoint)
    own, changes, bootcamp = Recorder(), Recorder(), Recorder()
    table = create()
    client = own.attach(tables.dynamodb(table.endpoint), PROJECTION)

    def handler(event: Any) -> Any:
        return stream_handler.respond(event, client=client, table_name=table.name, seconds=30.0)

    backend_and_projection(World(table, own, handler))
    changes_by_people(World(create(), changes, handler))
    table = create()
    bootcamp_backend(bootcamp.attach(tables.dynamodb(table.endpoint), BACKEND), table.name)
    table = create()
    seed(own.attach(tables.dynamodb(table.endpoint), SEED), table.name)
    table = create()
    projection = tables.dynamodb(table.endpoint)
    unrecorded = partial(stream_handler.respond, client=projection, table_name=table.name, seconds=30.0)
    canary(own.attach(tables.dynamodb(table.endpoint), CANARY), World(table, Recorder(), unrecorded))
    table = create()
    operator(own.attach(tables.dynamodb(table.endpoint), OPERATOR), table)
    return Recording(own.calls, changes.calls, bootcamp.calls)
