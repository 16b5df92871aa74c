"""The seed in a real table: complete after any interruption, without duplicates, and without losing other items."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import OutOfTimeError
from cruddur_messages.items import AttributeMap, GroupRow, User
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from cruddur_messages.seed.file import SeedConversation, parse
from cruddur_messages.seed.load import ATTEMPTS, MissingTableError, SeedError, SeedLoader
from tests.engines.fixtures import CruddurTable, on_an_engine
from tests.seed.faults import CrashError, FaultyClient, SeedClient, client_error, crash_at

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LATER = "2026-11-01T12:00:00.000000+00:00"

scripts = st.lists(
    st.lists(st.integers(1, 4), min_size=2, max_size=40).filter(lambda speakers: len(set(speakers)) > 1),
    min_size=1,
    max_size=4,
)


@dataclass
class World:
    """A table, and users of this example only."""

    table: CruddurTable
    users: tuple[User, ...] = field(
        default_factory=lambda: tuple(User(str(uuid.uuid4()), f"Name {n}", f"handle{n}") for n in range(4))
    )

    def conversations(self, script: Sequence[Sequence[int]], text: str = "line") -> tuple[SeedConversation, ...]:
        file = "\n---\n".join(
            "\n".join(f"Person {speaker}: {text} {number}" for number, speaker in enumerate(speakers))
            for speakers in script
        )
        return parse(file, self.users)

    def seed(self, client: SeedClient | None = None, has_time: Callable[[], bool] = lambda: True) -> SeedLoader:
        return SeedLoader(
            client=cast("DynamoDBClient", client or SeedClient(self.table.client)),
            table_name=self.table.name,
            sleep=lambda _: None,
            has_time=has_time,
        )

    def partition(self, partition: str) -> list[AttributeMap]:
        pages = self.table.client.get_paginator("query").paginate(
            TableName=self.table.name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
        )
        return [item for page in pages for item in page["Items"]]

    def messages(self, conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
        groups = dict.fromkeys(c.message_group_uuid for c in conversations)
        return [item for group in groups for item in self.partition(schema.message_partition(group))]

    def rows(self) -> list[AttributeMap]:
        return [item for user in self.users for item in self.partition(schema.group_row_partition(user.uuid))]

    def put(self, item: AttributeMap) -> None:
        self.table.client.put_item(TableName=self.table.name, Item=item)

    def send(self, conversation: SeedConversation, sort_key: str = LATER) -> dict[str, Any]:
        """Send a message of a member, as a backend writes it."""
        item: dict[str, Any] = {
            **conversation.messages[0].to_attributes(),
            schema.SORT_KEY: {"S": sort_key},
            "message_uuid": {"S": str(uuid.uuid4())},
            "message": {"S": "my own"},
        }
        self.put(item)
        return item

    def settle(self, conversations: Sequence[SeedConversation]) -> None:
        """Let the projection settle the conversations, with a clock that advances with its calls."""
        for conversation in conversations:
            projection = Settler(
                client=self.table.client,
                table_name=self.table.name,
                seconds_left=map(float, itertools.count(60, -1)).__next__,
                sleep=lambda _: None,
            )
            projection.settle(DirtyConversation(conversation.message_group_uuid))


@pytest.fixture
def world(cruddur_table: CruddurTable) -> World:
    return World(cruddur_table)


def in_order(items: Sequence[AttributeMap]) -> list[AttributeMap]:
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def expected_messages(conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
    return in_order([message.to_attributes() for c in conversations for message in c.messages])


def expected_rows(conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
    return in_order([row.attributes for c in conversations for row in c.group_rows])


def inboxes(rows: Sequence[AttributeMap]) -> list[tuple[str, str, str, str]]:
    return sorted((r["pk"]["S"], r["message_group_uuid"]["S"], r["sk"]["S"], r["message"]["S"]) for r in rows)


def assert_holds_exactly(world: World, conversations: Sequence[SeedConversation]) -> None:
    assert in_order(world.messages(conversations)) == expected_messages(conversations)
    assert in_order(world.rows()) == expected_rows(conversations)


@on_an_engine
@given(script=scripts)
def test_load_writes_the_items_of_the_file_and_a_second_load_nothing(
    cruddur_table: CruddurTable, script: list[list[int]]
) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    seed = world.seed()
    counts = seed.load(conversations)
    assert_holds_exactly(world, conversations)
    assert counts["rows_written"] == len(expected_rows(conversations))
    assert counts["messages_written"] == len(expected_messages(conversations))
    assert seed.progress.done == seed.progress.total == counts.total()

    client = SeedClient(cruddur_table.client)
    assert world.seed(client).load(conversations).total() == 0
    assert "BatchWriteItem" not in client.calls


@on_an_engine
@given(script=scripts)
def test_rows_that_the_projection_has_moved_stay_where_they_are(
    cruddur_table: CruddurTable, script: list[list[int]]
) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    world.seed().load(conversations)
    world.settle(conversations)
    rows = world.rows()
    assert inboxes(rows) == sorted(
        (
            schema.group_row_partition(member.uuid),
            c.message_group_uuid,
            c.messages[-1].sort_key,
            c.messages[-1].message,
        )
        for c in conversations
        for member in c.members
    )
    client = SeedClient(cruddur_table.client)
    world.seed(client).load(conversations)
    assert "BatchWriteItem" not in client.calls
    assert world.rows() == rows


@on_an_engine
@given(script=scripts, chance=st.integers(0, 2**32))
def test_unprocessed_items_throttles_timeouts_and_small_pages_change_nothing(
    cruddur_table: CruddurTable, script: list[list[int]], chance: int
) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    world.seed(FaultyClient(cruddur_table.client, chance)).load(conversations)
    assert_holds_exactly(world, conversations)
    world.seed(FaultyClient(cruddur_table.client, chance)).remove([c.loaded for c in conversations])
    assert world.messages(conversations) == world.rows() == []


@on_an_engine
@given(script=scripts, change=scripts, when=st.integers(0, 12), after=st.booleans(), removing=st.booleans())
def test_after_a_crash_at_any_call_the_next_run_completes_the_load(
    cruddur_table: CruddurTable,
    script: list[list[int]],
    change: list[list[int]],
    when: int,
    after: bool,
    removing: bool,
) -> None:
    world = World(cruddur_table)
    old, new = world.conversations(script), world.conversations(change)
    world.seed().load(old)

    def run(client: SeedClient) -> None:
        if removing:
            world.seed(client).remove([c.loaded for c in old])
        else:
            world.seed(client).replace([c.loaded for c in old], new)

    hook = crash_at(when)
    crashing = SeedClient(cruddur_table.client, after=hook) if after else SeedClient(cruddur_table.client, before=hook)
    try:
        run(crashing)
    except CrashError:
        run(SeedClient(cruddur_table.client))
    expected = () if removing else new
    assert in_order(world.messages((*old, *new))) == in_order(expected_messages(expected))
    world.settle(new)
    assert {(r["pk"]["S"], r["message_group_uuid"]["S"]) for r in world.rows()} == {
        (row.partition, c.message_group_uuid) for c in expected for row in c.group_rows
    }
    assert len(world.rows()) == sum(len(c.members) for c in expected)


@on_an_engine
@given(script=scripts, change=scripts, data=st.data())
def test_replace_leaves_the_new_file_and_what_users_wrote(
    cruddur_table: CruddurTable, script: list[list[int]], change: list[list[int]], data: st.DataObject
) -> None:
    world = World(cruddur_table)
    old, new = world.conversations(script), world.conversations(change, "new")
    world.seed().load(old)
    answered = data.draw(st.lists(st.sampled_from(old), unique_by=lambda c: c.message_group_uuid))
    own = [world.send(c) for c in answered]
    if data.draw(st.booleans()):
        world.settle(old)

    world.seed().replace([c.loaded for c in old], new)
    world.settle([*old, *new])

    assert in_order(world.messages((*old, *new))) == in_order([*expected_messages(new), *own])
    newest = {c.message_group_uuid: (c.messages[-1].sort_key, c.messages[-1].message) for c in new}
    newest |= {c.message_group_uuid: (LATER, "my own") for c in answered}
    members = {c.message_group_uuid: c.members for c in (*old, *new)}
    rows = inboxes(world.rows())
    assert [row[:2] for row in rows] == sorted(
        (schema.group_row_partition(member.uuid), group) for group in newest for member in members[group]
    )
    assert all(row[3] == newest[row[1]][1] for row in rows)


def test_items_of_both_files_are_never_missing_during_a_replace(world: World) -> None:
    old = world.conversations([[1, 2, 1], [1, 3]])
    new = (*world.conversations([[1, 2, 1]]), *world.conversations([[1, 2], [1, 4]])[1:])
    world.seed().load(old)

    def look(_: str) -> None:
        assert in_order(world.messages(old[:1])) == expected_messages(old[:1])
        assert all(row.attributes in world.rows() for row in old[0].group_rows)

    world.seed(SeedClient(world.table.client, before=look)).replace([c.loaded for c in old], new)
    assert in_order(world.messages((*old, *new))) == expected_messages(new)


@settings(on_an_engine, max_examples=3)
@given(script=st.lists(st.sampled_from([[1, 2], [2, 3, 1], [4, 1] * 15]), min_size=1, max_size=2))
def test_removing_while_the_projection_moves_the_rows(cruddur_table: CruddurTable, script: list[list[int]]) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    world.seed().load(conversations)
    world.settle(conversations)
    meddling = SeedClient(cruddur_table.client, before=lambda _: world.settle(conversations))
    world.seed(meddling).remove([c.loaded for c in conversations])
    assert world.messages(conversations) == world.rows() == []


def test_a_row_that_moves_between_read_and_delete_is_deleted_under_its_new_key(world: World) -> None:
    conversations = world.conversations([[1, 2]])
    world.seed().load(conversations)
    moves = iter(range(5))

    def move(action: str) -> None:
        if action == "BatchWriteItem" and not world.messages(conversations) and next(moves, None) is not None:
            for row in world.rows():
                key = {name: row[name] for name in ("pk", "sk")}
                world.table.client.delete_item(TableName=world.table.name, Key=key)
                world.put({**row, "sk": {"S": f"2026-01-0{next(moves, 9)}T00:00:00.000000+00:00"}})

    world.seed(SeedClient(world.table.client, before=move)).remove([c.loaded for c in conversations])
    assert world.rows() == []


def test_rows_that_are_put_back_each_time_are_an_error(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    world.seed().load([conversation])

    def bring_back(_: str) -> None:
        for row in conversation.group_rows:
            world.put(row.attributes)

    client = SeedClient(world.table.client, after=bring_back)
    with pytest.raises(SeedError, match=f"given up after {ATTEMPTS} attempts: rows of a conversation"):
        world.seed(client).remove([conversation.loaded])


def test_a_conversation_with_a_new_message_during_its_removal_stays_in_the_inboxes(
    world: World,
) -> None:
    (conversation,) = world.conversations([[1, 2, 1]])
    world.seed().load([conversation])
    world.settle([conversation])
    before = world.rows()

    def answer(action: str) -> None:
        if action == "BatchWriteItem" and not world.messages([conversation]):
            world.send(conversation)

    world.seed(SeedClient(world.table.client, before=answer)).remove([conversation.loaded])
    rows = world.rows()
    assert all("message_uuid" not in row for row in rows)
    world.settle([conversation])
    settled = world.rows()
    assert [row["sk"]["S"] for row in settled] == [LATER, LATER]
    changed = {"sk", "message", "message_uuid"}
    assert [{k: v for k, v in row.items() if k not in changed} for row in settled] == [
        {k: v for k, v in row.items() if k not in changed} for row in before
    ]


def test_remove_keeps_a_message_of_a_user_and_its_rows(world: World) -> None:
    answered, silent = world.conversations([[1, 2], [1, 2, 3]])
    world.seed().load([answered, silent])
    own = world.send(answered)
    world.settle([answered, silent])
    rows = world.rows()
    counts = world.seed().remove([answered.loaded, silent.loaded])
    assert world.messages([answered, silent]) == [own]
    assert world.rows() == [row for row in rows if row["message_group_uuid"]["S"] == answered.message_group_uuid]
    assert len(world.rows()) == 2
    assert counts == {"messages_removed": 5, "rows_removed": 3}


def test_another_message_under_a_key_of_the_seed_is_kept(world: World) -> None:
    (conversation,) = world.conversations([[1, 2, 1]])
    own = world.send(conversation, conversation.messages[1].sort_key)
    counts = world.seed().replace([conversation.loaded], [conversation])
    assert own in world.messages([conversation])
    assert counts["messages_of_others_kept"] == 1
    world.seed().remove([conversation.loaded])
    assert world.messages([conversation]) == [own]


def test_a_row_of_another_conversation_is_never_overwritten(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    foreign: dict[str, Any] = {**conversation.group_rows[0].attributes, "message_group_uuid": {"S": str(uuid.uuid4())}}
    world.put(foreign)
    world.seed().load([conversation])
    rows = world.partition(conversation.group_rows[0].partition)
    assert foreign in rows
    assert [GroupRow(row).message_group_uuid for row in rows].count(conversation.message_group_uuid) == 1
    assert world.seed().load([conversation]).total() == 0


def test_a_row_that_gets_another_key_takes_none_of_the_seed(world: World) -> None:
    conversations = world.conversations([[1, 2] * 6, *[[3, 4]] * 27, [1, 2] * 2])
    later, earlier = conversations[0].group_rows[0], conversations[-1].group_rows[0]
    start = conversations[-1].messages[0].instant
    steps = (conversations[0].messages[0].instant - start) // timestamps.MICROSECOND
    assert 0 < steps < 100
    foreign: list[dict[str, Any]] = [
        {
            **earlier.attributes,
            "sk": {"S": timestamps.canonical(start + step * timestamps.MICROSECOND)},
            "message_group_uuid": {"S": str(uuid.uuid4())},
        }
        for step in range(steps)
    ]
    for row in foreign:
        world.put(row)
    world.seed().load(conversations)
    rows = world.partition(earlier.partition)
    assert all(row in rows for row in foreign)
    listed = [GroupRow(row).message_group_uuid for row in rows if row not in foreign]
    assert sorted(listed) == sorted([later.message_group_uuid, earlier.message_group_uuid])


def test_a_changed_text_is_replaced_and_other_attributes_stay(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    first = conversation.messages[0]
    world.put({**replace(first, message="changed").to_attributes(), "likes": {"N": "3"}})
    world.seed().load([conversation])
    assert world.messages([conversation])[0] == {**first.to_attributes(), "likes": {"N": "3"}}


def test_a_conversation_of_many_pages(world: World) -> None:
    conversations = world.conversations([[1, 2] * 700], "x" * 1000)
    world.seed().load(conversations)
    client = SeedClient(world.table.client)
    assert world.seed(client).load(conversations).total() == 0
    assert client.calls.count("Query") > 5
    world.seed().remove([c.loaded for c in conversations])
    assert world.messages(conversations) == world.rows() == []


def test_a_row_that_moves_during_a_read_is_not_written_again(world: World) -> None:
    class OneByOneClient(SeedClient):
        def _query(self, arguments: dict[str, Any]) -> Any:
            return self._client.query(**arguments, Limit=1)

    (conversation,) = world.conversations([[1, 2]])
    world.seed().load([conversation])
    row = dict(conversation.group_rows[0].attributes)
    world.put({**row, "sk": {"S": "2020-01-02"}, "message_group_uuid": {"S": str(uuid.uuid4())}})

    def move_back(_: str) -> None:
        if len(client.calls) == 1:
            world.table.client.delete_item(TableName=world.table.name, Key={name: row[name] for name in ("pk", "sk")})
            world.put({**row, "sk": {"S": "2020-01-01"}})

    client = OneByOneClient(world.table.client, after=move_back)
    assert world.seed(client).load([conversation]).total() == 0


def test_a_table_that_accepts_one_item_per_call_is_loaded(world: World) -> None:
    class SlowClient(SeedClient):
        def _batch_write_item(self, arguments: dict[str, Any]) -> Any:
            ((table, (first, *others)),) = arguments["RequestItems"].items()
            self._client.batch_write_item(RequestItems={table: [first]})
            return {"UnprocessedItems": {table: others} if others else {}}

    conversations = world.conversations([[1, 2] * 13])
    world.seed(SlowClient(world.table.client)).load(conversations)
    assert_holds_exactly(world, conversations)


@pytest.mark.parametrize("unprocessed", [True, False])
def test_a_table_that_accepts_no_item_ends_the_load(world: World, unprocessed: bool) -> None:
    class NeverClient(SeedClient):
        def _batch_write_item(self, arguments: dict[str, Any]) -> Any:
            if unprocessed:
                return {"UnprocessedItems": arguments["RequestItems"]}
            raise client_error("ThrottlingException", "BatchWriteItem")

    client = NeverClient(world.table.client)
    waits: list[float] = []
    seed = SeedLoader(client=cast("DynamoDBClient", client), table_name=world.table.name, sleep=waits.append)
    with pytest.raises(SeedError, match=f"^given up after {ATTEMPTS} attempts: "):
        seed.load(world.conversations([[1, 2]]))
    assert client.calls.count("BatchWriteItem") == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1
    assert 10 < sum(waits) < 60
    assert seed.progress.done == 0


def test_a_denied_call_is_not_retried(world: World) -> None:
    def deny(action: str) -> None:
        raise client_error("AccessDeniedException", action)

    client = SeedClient(world.table.client, before=deny)
    with pytest.raises(SeedError, match="AccessDeniedException"):
        world.seed(client).load(world.conversations([[1, 2]]))
    assert len(client.calls) == 1


def test_a_missing_table_has_an_error_of_its_own(cruddur_table: CruddurTable) -> None:
    world = World(replace(cruddur_table, name="no-such-table"))
    with pytest.raises(MissingTableError, match=r"^there is no table no-such-table$"):
        world.seed().remove([c.loaded for c in world.conversations([[1, 2]])])


def test_no_call_starts_without_time_left(world: World) -> None:
    client = SeedClient(world.table.client)
    conversations = world.conversations([[1, 2] * 100])
    seed = world.seed(client, has_time=lambda: "BatchWriteItem" not in client.calls)
    with pytest.raises(OutOfTimeError):
        seed.load(conversations)
    assert client.calls.count("BatchWriteItem") == 1
    assert (seed.progress.done, seed.progress.total) == (2, 202)
    world.seed().load(conversations)
    assert_holds_exactly(world, conversations)
