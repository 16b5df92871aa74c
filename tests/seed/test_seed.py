"""The seed in a real table: complete after any interruption, without duplicates, and without losing other items."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_cli import settlement
from cruddur_messages import schema
from cruddur_messages.dynamodb import partition_query, query_items
from cruddur_messages.items import AttributeMap, GroupRow, User, key_attributes, key_of
from cruddur_messages.seed.file import SeedConversation, parse
from cruddur_messages.seed.load import ATTEMPTS, SeedError, SeedLoader, missing_rows
from tests.access_patterns.people import BetweenCalls
from tests.engines.fixtures import CruddurTable, on_an_engine
from tests.seed.faults import CrashError, SlowTable, client_error, crash_at, faulty

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

    def seed(self, client: Any = None, sleep: Callable[[float], None] = lambda _: None) -> SeedLoader:
        return SeedLoader(client=client or self.table.client, table_name=self.table.name, sleep=sleep)

    def partition(self, partition: str) -> list[AttributeMap]:
        return list(query_items(self.table.client.query, TableName=self.table.name, **partition_query(partition)))

    def messages(self, conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
        groups = dict.fromkeys(c.message_group_uuid for c in conversations)
        return [item for group in groups for item in self.partition(schema.message_partition(group))]

    def rows(self) -> list[AttributeMap]:
        return [item for user in self.users for item in self.partition(schema.group_row_partition(user.uuid))]

    def put(self, item: AttributeMap) -> None:
        self.table.client.put_item(TableName=self.table.name, Item=item)

    def move(self, row: AttributeMap, sort_key: str) -> None:
        """Move a row as two calls."""
        self.table.client.delete_item(TableName=self.table.name, Key=key_attributes(key_of(row)))
        self.put({**row, "sk": {"S": sort_key}})

    def send(self, conversation: SeedConversation, sort_key: str = LATER) -> AttributeMap:
        """Send a message of a member, as a backend writes it."""
        sent = replace(conversation.messages[0], sort_key=sort_key, message_uuid=str(uuid.uuid4()), message="my own")
        self.put(sent.to_attributes())
        return sent.to_attributes()

    def settle(self, conversations: Sequence[SeedConversation]) -> None:
        settlement.settle(self.table.client, self.table.name, [c.message_group_uuid for c in conversations])


@pytest.fixture
def world(cruddur_table: CruddurTable) -> World:
    return World(cruddur_table)


def in_order(items: Sequence[AttributeMap]) -> list[AttributeMap]:
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def expected_messages(conversations: Sequence[SeedConversation]) -> list[AttributeMap]:
    return in_order([message.to_attributes() for c in conversations for message in c.messages])


def inboxes(rows: Sequence[AttributeMap]) -> list[tuple[str, str, str, str]]:
    return sorted((r["pk"]["S"], r["message_group_uuid"]["S"], r["sk"]["S"], r["message"]["S"]) for r in rows)


def assert_holds_exactly(world: World, conversations: Sequence[SeedConversation]) -> None:
    assert in_order(world.messages(conversations)) == expected_messages(conversations)
    assert in_order(world.rows()) == in_order([row.attributes for c in conversations for row in c.group_rows])


@on_an_engine
@given(script=scripts)
def test_load_writes_the_items_of_the_file_and_a_second_load_nothing_also_after_a_move(
    cruddur_table: CruddurTable, script: list[list[int]]
) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    seed = world.seed()
    counts = seed.load(conversations)
    assert_holds_exactly(world, conversations)
    assert counts == {
        "rows_written": len(world.rows()),
        "messages_written": len(expected_messages(conversations)),
        "messages_of_others_kept": 0,
    }
    assert seed.progress.done == seed.progress.total == counts.total()

    world.settle(conversations)
    rows, client = world.rows(), BetweenCalls(cruddur_table.client)
    assert inboxes(rows) == sorted(
        (row.partition, c.message_group_uuid, c.messages[-1].sort_key, c.messages[-1].message)
        for c in conversations
        for row in c.group_rows
    )
    assert world.seed(client).load(conversations).total() == 0
    assert "batch_write_item" not in client.names
    assert world.rows() == rows


@on_an_engine
@given(script=scripts, seed=st.integers(0, 2**32))
def test_unprocessed_items_throttles_timeouts_and_small_pages_change_nothing(
    cruddur_table: CruddurTable, script: list[list[int]], seed: int
) -> None:
    world = World(cruddur_table)
    conversations = world.conversations(script)
    world.seed(faulty(cruddur_table.client, seed)).load(conversations)
    assert_holds_exactly(world, conversations)
    world.seed(faulty(cruddur_table.client, seed)).remove([c.loaded for c in conversations])
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
    expected = () if removing else new
    world.seed().load(old)

    def run(client: Any) -> None:
        if removing:
            world.seed(client).remove([c.loaded for c in old])
        else:
            world.seed(client).replace([c.loaded for c in old], new)

    hooks = {"after" if after else "before": crash_at(when)}
    try:
        run(BetweenCalls(cruddur_table.client, **hooks))
    except CrashError:
        run(cruddur_table.client)
    assert in_order(world.messages((*old, *new))) == in_order(expected_messages(expected))
    world.settle(new)
    assert sorted((r["pk"]["S"], r["message_group_uuid"]["S"]) for r in world.rows()) == sorted(
        (row.partition, c.message_group_uuid) for c in expected for row in c.group_rows
    )


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
    newest = {c.message_group_uuid: c.messages[-1].message for c in new}
    newest |= {c.message_group_uuid: "my own" for c in answered}
    members = {c.message_group_uuid: c.members for c in (*old, *new)}
    assert sorted((owner, group, text) for owner, group, _, text in inboxes(world.rows())) == sorted(
        (schema.group_row_partition(member.uuid), group, text)
        for group, text in newest.items()
        for member in members[group]
    )


def test_a_row_that_moves_between_read_and_delete_is_deleted_under_its_new_key(world: World) -> None:
    conversations = world.conversations([[1, 2]])
    world.seed().load(conversations)
    days = iter(range(1, 6))

    def move(_number: int, name: str) -> None:
        if name == "batch_write_item" and not world.messages(conversations) and (day := next(days, None)):
            for row in world.rows():
                world.move(row, f"2026-01-0{day}T00:00:00.000000+00:00")

    world.seed(BetweenCalls(world.table.client, before=move)).remove([c.loaded for c in conversations])
    assert world.rows() == []


def test_rows_that_are_put_back_each_time_are_an_error(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    world.seed().load([conversation])

    def bring_back(_number: int, _name: str) -> None:
        for row in conversation.group_rows:
            world.put(row.attributes)

    client = BetweenCalls(world.table.client, after=bring_back)
    with pytest.raises(SeedError, match=f"given up after {ATTEMPTS} attempts: rows of a conversation"):
        world.seed(client).remove([conversation.loaded])


def test_a_conversation_with_a_new_message_during_its_removal_stays_in_the_inboxes(world: World) -> None:
    (conversation,) = world.conversations([[1, 2, 1]])
    world.seed().load([conversation])
    world.settle([conversation])
    before = world.rows()

    def answer(_number: int, name: str) -> None:
        if name == "batch_write_item" and not world.messages([conversation]):
            world.send(conversation)

    world.seed(BetweenCalls(world.table.client, before=answer)).remove([conversation.loaded])
    assert all("message_uuid" not in row for row in world.rows())  # so the stream's filter lets them through
    world.settle([conversation])
    shown = ("sk", "message", "message_uuid")
    assert [row["sk"]["S"] for row in world.rows()] == [LATER, LATER]
    assert [{k: v for k, v in row.items() if k not in shown} for row in world.rows()] == [
        {k: v for k, v in row.items() if k not in shown} for row in before
    ]


def test_another_message_under_a_key_of_the_seed_is_kept(world: World) -> None:
    (conversation,) = world.conversations([[1, 2, 1]])
    own = world.send(conversation, conversation.messages[1].sort_key)
    counts = world.seed().replace([conversation.loaded], [conversation])
    assert own in world.messages([conversation])
    assert counts["messages_of_others_kept"] == 1
    world.seed().remove([conversation.loaded])
    assert world.messages([conversation]) == [own]


@given(new=st.lists(st.integers(0, 5), max_size=4), taken=st.sets(st.integers(0, 5)), has_one=st.booleans())
def test_a_row_takes_no_key_of_another_and_no_conversation_has_two(
    new: list[int], taken: set[int], has_one: bool
) -> None:
    def row(group: str, microsecond: int) -> GroupRow:
        sort_key = f"2026-01-01T00:00:00.{microsecond:06}+00:00"
        return GroupRow.new("ann", group, sort_key, "hi", User("bo", "Bo", "bo"), is_group=False)

    rows = [row(f"new {number}", at) for number, at in enumerate(new)]
    inbox = [row(f"foreign {at}", at).attributes for at in taken] + [row("new 0", 9).attributes] * has_one
    put = [GroupRow(item) for item in missing_rows(rows, inbox)]
    assert [one.message_group_uuid for one in put] == [one.message_group_uuid for one in rows[has_one:]]
    keys = [one.sort_key for one in put] + [item["sk"]["S"] for item in inbox]
    assert len(keys) == len(set(keys))
    for one, wanted in zip(put, rows[has_one:], strict=True):
        microseconds = int(one.sort_key[20:26]) - int(wanted.sort_key[20:26])
        assert 0 <= microseconds <= len(new) + len(taken)


def test_a_changed_text_is_replaced_and_other_attributes_stay(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    first = conversation.messages[0]
    world.put({**replace(first, message="changed").to_attributes(), "likes": {"N": "3"}})
    world.seed().load([conversation])
    assert world.messages([conversation])[0] == {**first.to_attributes(), "likes": {"N": "3"}}


def test_a_row_that_moves_during_a_read_is_not_written_again(world: World) -> None:
    (conversation,) = world.conversations([[1, 2]])
    world.seed().load([conversation])
    row = conversation.group_rows[0].attributes
    world.put({**row, "sk": {"S": "2020-01-02"}, "message_group_uuid": {"S": str(uuid.uuid4())}})

    def move_back(number: int, _name: str) -> None:
        if number == 0:
            world.move(row, "2020-01-01")

    client = BetweenCalls(SlowTable(world.table.client, page=1), after=move_back)
    assert world.seed(client).load([conversation]).total() == 0


def test_a_table_that_accepts_one_item_per_call_is_loaded(world: World) -> None:
    conversations = world.conversations([[1, 2] * 13])
    world.seed(SlowTable(world.table.client, taken=1)).load(conversations)
    assert_holds_exactly(world, conversations)


@pytest.mark.parametrize("unprocessed", [True, False])
def test_a_table_that_accepts_no_item_ends_the_load(world: World, unprocessed: bool) -> None:
    def throttle(_number: int, name: str) -> None:
        if name == "batch_write_item" and not unprocessed:
            raise client_error("ThrottlingException", name)

    waits: list[float] = []
    client = BetweenCalls(SlowTable(world.table.client, taken=0), before=throttle)
    seed = world.seed(client, waits.append)
    with pytest.raises(SeedError, match=f"^given up after {ATTEMPTS} attempts: "):
        seed.load(world.conversations([[1, 2]]))
    assert client.names.count("batch_write_item") == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1
    assert 10 < sum(waits) < 60
    assert seed.progress.done == 0
