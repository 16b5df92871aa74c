"""One person's data: what is exported, what a new name reaches, and that an erasure always ends in the same state.

Most rivals of these tests write between two calls of the one under test, so that every schedule can be repeated.
"""

import itertools
import json
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_cli import settlement
from cruddur_cli.maintenance.verify import verify
from cruddur_messages import schema
from cruddur_messages.items import (
    MESSAGE,
    MESSAGE_UUID,
    USER_UUID,
    AttributeMap,
    GroupRow,
    Message,
    User,
    key_attributes,
)
from cruddur_messages.person import ATTRIBUTES, Erasure, Person, StillChangingError, Traces, export, passes, refresh
from cruddur_messages.seed import file as seed_file
from cruddur_messages.store import MessageStore
from cruddur_messages.store.errors import ContendedError, RejectedError
from tests.access_patterns.people import START, BetweenCalls, by_key, items_of, person, rows_of, store_of
from tests.access_patterns.test_paging import put_message
from tests.cli.conftest import At
from tests.engines.fixtures import CruddurTable, on_both_engines
from tests.seed.faults import CrashError, client_error, crash_at


@dataclass
class World:
    """A table in which Zoe has conversations of every kind, and other people have some of their own."""

    table: CruddurTable
    messages: int = 3
    people: dict[str, User] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = {name: person(name) for name in ("zoe", "ann", "bo", "cy", "di")}
        self.store = store_of(self.table)
        zoe, ann, bo, cy, di = self.people.values()
        for name, members in {
            "pair": (zoe, ann),
            "pair of others": (ann, bo),
            "group": (zoe, ann, bo, cy),
            "left": (ann, zoe, bo),
            # DynamoDB Local from npm refuses the empty preview of a conversation whose only message goes.
            "idle": (zoe, bo) if self.table.engine == "dynamodb_local" else (bo, zoe),
        }.items():
            self.groups[name] = self.store.start_conversation(
                members, sender=members[-1], message="first"
            ).message_group_uuid
        for number in range(self.messages):
            for name, sender in (("pair", zoe), ("group", bo), ("left", zoe), ("group", zoe)):
                self.send(name, sender, f"{name} {number}")
        self.store.mark_read(self.groups["group"], zoe.uuid, up_to="2026-03-01T12:00:09+00:00")
        self.store.add_member(self.groups["group"], di)
        self.store.leave(self.groups["left"], zoe.uuid)
        self.settle(*self.groups)

    @property
    def zoe(self) -> User:
        return self.people["zoe"]

    def send(self, name: str, sender: User, text: str) -> Message:
        return self.store.send(self.groups[name], sender=sender, message=text)

    def settle(self, *names: str) -> None:
        failures = settlement.settle(self.table.client, self.table.name, [self.groups[name] for name in names])
        assert failures == {}

    def person(self, client: Any = None, traces: Traces | None = None) -> Person:
        uuid = self.zoe.uuid
        traces = traces or Traces(uuid)
        return Person(client=client or self.table.client, table_name=self.table.name, user_uuid=uuid, traces=traces)

    def erasure(self, client: Any = None, traces: Traces | None = None) -> Erasure:
        """An erasure that does not wait; also its settlements are calls of `client`."""
        client = client or self.table.client

        def settle(group: str) -> str | None:
            return settlement.settle(client, self.table.name, [group]).get(group)

        users = {user.uuid: user for user in self.people.values()}
        return Erasure(person=self.person(client, traces), settle=settle, named=users.get, sleep=lambda _: None)

    def messages_of_others(self) -> list[AttributeMap]:
        messages = items_of(self.table, schema.MESSAGE_PREFIX)
        return [message for message in messages if message[USER_UUID] != {"S": self.zoe.uuid}]

    def check_erased(self) -> None:
        """What is left names Zoe by `left_at` alone; the others have what they wrote, and one right row each."""
        zoe, items = self.zoe, items_of(self.table)
        mine = schema.member_partition(zoe.uuid)
        for item in items:
            if item["pk"] == {"S": mine}:
                assert item.keys() == {schema.PARTITION_KEY, schema.SORT_KEY, schema.LEFT_AT}
            else:
                written = {name: value for name, value in item.items() if name != MESSAGE}
                assert not any(
                    name in json.dumps(written, default=list) for name in (zoe.uuid, zoe.handle, zoe.display_name)
                )
        rows = [GroupRow.from_attributes(item) for item in items_of(self.table, schema.GROUP_ROW_PREFIX)]
        owners = [(row.message_group_uuid, row.member_uuid) for row in rows]
        assert len(owners) == len({*owners})
        assert all(row.other_uuid != row.member_uuid for row in rows)
        assert verify(self.table.client, self.table.name, sleep=lambda _: None).findings == []


@pytest.fixture
def world(cruddur_table: CruddurTable) -> World:
    return World(cruddur_table)


@on_both_engines
def test_whatever_names_a_person_is_erased_and_what_others_wrote_stays(world: World) -> None:
    before, own = world.messages_of_others(), world.erasure().preview()
    with pytest.raises(RejectedError):
        world.store.leave(world.groups["pair"], world.people["ann"].uuid)
    assert own == {
        "conversations": 4,
        "messages": 10 - (world.table.engine == "dynamodb_local"),
        "own_rows": 3,
        "rows_of_others": 7,
        "pair_items": 2,
        "read_marks": 1,
    }
    done = world.erasure().run()
    assert {name: done[name] for name in ("messages", "own_rows", "rows_of_others", "pair_items")} == {
        name: own[name] for name in ("messages", "own_rows", "rows_of_others", "pair_items")
    }
    world.check_erased()
    assert world.messages_of_others() == before
    ann, bo, cy, di = (rows_of(world.table, world.people[name]) for name in ("ann", "bo", "cy", "di"))
    assert [len(rows) for rows in (ann, bo, cy, di)] == [4, 4, 1, 1]
    by_group = {row.message_group_uuid: row for row in ann}
    assert by_group[world.groups["pair"]].other_uuid == schema.ERASED
    assert by_group[world.groups["group"]].other_uuid in {world.people[name].uuid for name in ("bo", "cy", "di")}
    assert by_group[world.groups["group"]].attributes[MESSAGE] == {"S": "group 2"}
    assert not world.erasure().run()
    # The other of two can leave now.
    world.store.leave(world.groups["pair"], world.people["ann"].uuid)
    world.check_erased()


def test_a_row_that_names_no_conversation_is_counted_and_erased(ministack_table: CruddurTable) -> None:
    world = World(ministack_table, messages=0)
    key = key_attributes((schema.group_row_partition(world.zoe.uuid), "2020-01-01T00:00:00"))
    ministack_table.client.put_item(TableName=ministack_table.name, Item=key)
    assert world.erasure().preview()["own_rows"] == world.erasure().run()["own_rows"] == 4
    world.check_erased()


def test_an_older_group_of_three_does_not_become_a_conversation_of_two(world: World) -> None:
    members = [world.people[name] for name in ("cy", "zoe", "di")]
    group = world.store.start_conversation(members, sender=members[0], message="of old").message_group_uuid
    for row in (row for member in members for row in rows_of(world.table, member) if row.message_group_uuid == group):
        world.table.client.update_item(
            TableName=world.table.name, Key=key_attributes(row.key), UpdateExpression=f"REMOVE {schema.IS_GROUP}"
        )
    with pytest.raises(StillChangingError):
        replace(world.erasure(), settle=lambda _: "throttled").run()
    world.erasure().run()
    started = world.store.start_conversation([members[0], members[2]], sender=members[0], message="of two")
    assert started.is_new


def test_members_whom_users_do_not_know_are_named_from_rows_and_messages(ministack_table: CruddurTable) -> None:
    world = World(ministack_table)
    replace(world.erasure(), named=lambda _: None).run()
    world.check_erased()
    everybody = {user.uuid: user for user in world.people.values()}
    rows = [row for user in world.people.values() for row in rows_of(ministack_table, user)]
    named = [User.from_attributes(row.attributes) for row in rows if row.message_group_uuid == world.groups["group"]]
    assert [everybody.get(user.uuid) for user in named] == named
    assert len(named) == 4


def test_a_denied_call_ends_an_erasure(ministack_table: CruddurTable) -> None:
    def deny(_number: int, name: str) -> None:
        if name == "transact_write_items":
            raise client_error("AccessDeniedException", name)

    world = World(ministack_table, messages=0)
    with pytest.raises(ClientError, match="AccessDenied"):
        world.erasure(BetweenCalls(ministack_table.client, before=deny)).run()


class Throttling(BetweenCalls):
    """A client whose transactions on pair items are throttled, until that is over."""

    is_over = False

    def transact_write_items(self, **asked: Any) -> Any:
        if not self.is_over and schema.PAIR_PREFIX in str(asked):
            response: Any = {"Error": {"Code": "ThrottlingException"}}
            raise ClientError(response, "TransactWriteItems")
        return self._client.transact_write_items(**asked)


def test_a_pair_item_whose_deletion_was_throttled_is_deleted_although_the_other_wants_to_leave(
    ministack_table: CruddurTable,
) -> None:
    """They share no other conversation, so a later pass cannot find the pair item by one."""
    world, client, eve = World(ministack_table, messages=0), Throttling(ministack_table.client), person("eve")
    pair = world.store.start_conversation([eve, world.zoe], sender=eve, message="hello").message_group_uuid

    def eve_leaves(_: float) -> None:
        client.is_over = True
        with suppress(RejectedError):
            world.store.leave(pair, eve.uuid)

    replace(world.erasure(client), sleep=eve_leaves).run()
    world.check_erased()


def crash_points(calls: int) -> list[Any]:
    return [n if n % 37 == 5 else pytest.param(n, marks=pytest.mark.proof) for n in range(calls)]


@pytest.mark.parametrize("number", crash_points(110))
def test_a_killed_erasure_is_completed_by_the_next(ministack_table: CruddurTable, number: int) -> None:
    world = World(ministack_table, messages=1)
    crash = crash_at(number)
    with suppress(CrashError):
        world.erasure(BetweenCalls(ministack_table.client, before=lambda _, name: crash(name))).run()
    world.erasure().run()
    world.check_erased()


def steps_of_others(world: World) -> list[Callable[[], Any]]:
    """What others do meanwhile: they write, edit, read, leave a group, come back, start another, and settle."""
    _, ann, bo, cy, di = world.people.values()
    group, store = world.groups["group"], MessageStore(client=world.table.client, table_name=world.table.name)

    def edit() -> None:
        sent = world.send("group", ann, "typo")
        store.edit(group, sent.sort_key, message_uuid=sent.message_uuid, editor=ann.uuid, message="edited")

    return [
        lambda: world.send("group", ann, "meanwhile"),
        edit,
        lambda: store.mark_read(group, di.uuid, up_to="2026-03-01T12:00:09+00:00"),
        lambda: store.leave(group, cy.uuid),
        lambda: store.add_member(group, cy, asked_by=bo.uuid),
        lambda: store.start_conversation([bo, cy, di], sender=cy, message="another group"),
        lambda: world.settle("group", "pair"),
    ]


def steps_in_flight(world: World) -> list[Callable[[], Any]]:
    """What may still arrive after the login is disabled: Zoe's messages, Zoe added again, or started with."""
    zoe, _, bo, _, di = world.people.values()
    group, store = world.groups["group"], MessageStore(client=world.table.client, table_name=world.table.name)
    return [
        lambda: world.send("pair", zoe, "in flight"),
        lambda: store.leave(group, zoe.uuid),
        lambda: store.add_member(group, zoe, asked_by=bo.uuid),
        lambda: store.start_conversation([di, zoe], sender=di, message="hello"),
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 40))])
def test_others_may_write_between_the_calls_of_an_erasure(ministack_table: CruddurTable, seed: int) -> None:
    chance, world = random.Random(seed), World(ministack_table, messages=1)  # noqa: S311
    times = chance.sample(range(60), 8)
    steps = [*steps_of_others(world), *steps_in_flight(world), world.erasure().run]

    def write(number: int, _name: str) -> None:
        if number in times:
            with suppress(RejectedError):  # whoever is erased may do nothing any more
                chance.choice(steps)()

    world.erasure(BetweenCalls(ministack_table.client, before=write)).run()
    world.check_erased()


def wait_for(writers: Iterable[Future[None]]) -> None:
    for writer in writers:
        writer.result()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 6))])
def test_a_person_is_erased_while_others_write(ministack_table: CruddurTable, seed: int) -> None:
    """From threads: what is in flight ends before the first pause, and the others never stop."""
    world = World(ministack_table, messages=1)
    ended = threading.Event()

    def write(steps: Sequence[Callable[[], Any]], number: int, times: Iterable[int]) -> None:
        chance = random.Random(f"{seed} {number}")  # noqa: S311
        for _ in times:
            with suppress(RejectedError, ContendedError):
                chance.choice(steps)()
            if ended.is_set():
                return

    with ThreadPoolExecutor(4) as pool:
        in_flight = [pool.submit(write, steps_in_flight(world), number, range(10)) for number in range(2)]
        writers = [pool.submit(write, steps_of_others(world), number, itertools.count()) for number in (2, 3)]
        erasure = replace(world.erasure(), sleep=lambda _: wait_for(in_flight))
        try:
            erasure.run()
        except StillChangingError:  # it was never alone with a conversation, and says to run it again
            ended.set()
            erasure.run()
        finally:
            ended.set()
    wait_for(writers)
    texts = [message[MESSAGE]["S"] for message in world.messages_of_others()]
    assert texts.count("meanwhile") + texts.count("edited") > 0
    world.settle("group")
    world.check_erased()


def test_a_pass_that_has_done_something_is_not_the_last(ministack_table: CruddurTable) -> None:
    world = World(ministack_table, messages=0)
    erasure, pauses, late = world.erasure(), list[float](), list[Message]()

    def pause(seconds: float) -> None:
        if not pauses:
            world.send("left", world.zoe, "for the second pass")
        pauses.append(seconds)

    def settle(group: str) -> str | None:
        failure = erasure.settle(group)
        if len(pauses) == 1 and not late:
            late.append(world.store.send(group, sender=world.zoe, message="for the third pass"))
        return failure

    replace(erasure, sleep=pause, settle=settle).run()
    assert (len(pauses), len(late)) == (3, 1)
    world.check_erased()


@pytest.mark.proof
def test_messages_by_the_thousand_are_erased(ministack_table: CruddurTable) -> None:
    world = World(ministack_table, messages=700)
    assert world.erasure().run()["messages"] == 3 * 700 + 1
    world.check_erased()


def test_it_ends_with_an_error_if_others_never_stop(
    ministack_table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "MOST_PASSES", 4)
    world = World(ministack_table, messages=0)

    def send_again(_: float) -> None:
        world.send("pair", world.zoe, "again")

    endless = replace(world.erasure(), sleep=send_again)
    with pytest.raises(StillChangingError, match=r"after 4 passes \(.*messages.*\): run it again"):
        endless.run()


def between_the_halves_of_a_move(world: World) -> Any:
    """A client for which Zoe's rows are away during the first reading of her inbox, and back at another key."""
    hidden: list[AttributeMap] = []

    def before(number: int, _name: str) -> None:
        if number == 0:
            for row in rows_of(world.table, world.zoe):
                world.table.client.delete_item(TableName=world.table.name, Key=key_attributes(row.key))
                hidden.append(
                    {**row.attributes, schema.SORT_KEY: {"S": row.sort_key.replace("+", "1+").replace("01+", "1+")}}
                )

    def after(number: int, _name: str) -> None:
        if number == 0:
            for item in hidden:
                world.table.client.put_item(TableName=world.table.name, Item=item)

    return BetweenCalls(world.table.client, before=before, after=after)


def test_a_listing_between_the_two_halves_of_a_move_loses_nothing(world: World) -> None:
    rows = {row.message_group_uuid for row in rows_of(world.table, world.zoe)}
    exported = export(world.person(between_the_halves_of_a_move(world)))["conversations"]
    assert {one["message_group_uuid"] for one in exported if one["inbox"]} == rows
    world.erasure(between_the_halves_of_a_move(world)).run()
    world.check_erased()


def test_the_erasure_of_an_adopted_table_needs_a_scan(ministack_table: CruddurTable) -> None:
    world = World(ministack_table)
    table, zoe = world.table, world.zoe
    stranger = store_of(table).start_conversation([world.people["cy"], zoe], sender=zoe, message="unknown")
    for item in items_of(table):
        if item["pk"]["S"] in (schema.group_row_partition(zoe.uuid), schema.member_partition(zoe.uuid)):
            table.client.delete_item(TableName=table.name, Key={name: item[name] for name in ("pk", "sk")})
    too_long = "x" * 2044  # for the keys of a member item and of a conversation item
    put_message(table, too_long, START.isoformat(), zoe)
    assert not world.erasure().run()
    traces = Traces(zoe.uuid)
    traces.add({name: item[name] for name in ATTRIBUTES if name in item} for item in items_of(table))
    assert traces.conversations == {*world.groups.values(), stranger.message_group_uuid, too_long} - {
        world.groups["pair of others"]
    }
    world.erasure(traces=traces).run()
    world.check_erased()


@on_both_engines
def test_an_export_has_what_is_the_persons_and_nothing_of_others_but_the_inbox(world: World) -> None:
    exported = export(world.person())
    by_group = {one["message_group_uuid"]: one for one in exported["conversations"]}
    assert by_group.keys() == {world.groups[name] for name in ("pair", "group", "left", "idle")}
    assert [m["message"] for m in by_group[world.groups["pair"]]["messages"]] == ["pair 0", "pair 1", "pair 2"]
    assert by_group[world.groups["group"]]["member"].keys() == {schema.SORT_KEY, schema.READ_UP_TO}
    left = by_group[world.groups["left"]]
    assert (left["inbox"], schema.LEFT_AT in left["member"], len(left["messages"])) == ([], True, 3)
    assert [row[MESSAGE] for row in by_group[world.groups["idle"]]["inbox"]] == ["first"]
    assert "group 1" not in {
        m["message"] for m in by_group[world.groups["group"]]["messages"] if m[USER_UUID] != world.zoe.uuid
    }


def names_of_zoe(world: World) -> set[tuple[str, str]]:
    people = map(User.from_attributes, items_of(world.table, schema.GROUP_ROW_PREFIX))
    return {(user.display_name, user.handle) for user in people if user.uuid == world.zoe.uuid}


@on_both_engines
def test_a_new_name_reaches_the_rows_of_others_and_nothing_else(world: World) -> None:
    before, new = items_of(world.table), replace(world.zoe, display_name="Zoë", handle="zz")
    assert refresh(world.person(), lambda: new, sleep=lambda _: None) == {"rows_of_others": 7}
    assert names_of_zoe(world) == {("Zoë", "zz")}

    def renamed(item: AttributeMap) -> AttributeMap:
        is_row = item["pk"]["S"].startswith(schema.GROUP_ROW_PREFIX) and item[USER_UUID] == {"S": new.uuid}
        return {**item, **new.to_attributes()} if is_row else item

    assert by_key(items_of(world.table)) == by_key(map(renamed, before))
    assert all(MESSAGE_UUID in row for row in items_of(world.table, schema.GROUP_ROW_PREFIX))
    assert refresh(world.person(), lambda: new, sleep=lambda _: None) == {}
    assert refresh(world.person(), lambda: None, sleep=lambda _: None) == {}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 20))])
def test_two_refreshes_and_a_projection_at_once_end_with_the_last_name(
    ministack_table: CruddurTable, seed: int
) -> None:
    chance, world = random.Random(seed), World(ministack_table, messages=1)  # noqa: S311
    users = [replace(world.zoe, handle="second")]
    times = chance.sample(range(30), 5)
    renamed = replace(world.zoe, display_name="Last", handle="third")

    def write(number: int, _name: str) -> None:
        if number == times[0]:
            users[0] = renamed
            refresh(world.person(), lambda: users[0], sleep=lambda _: None)
        elif number in times:
            world.send("group", world.people["ann"], "meanwhile")
            world.settle("group", "pair")

    client = BetweenCalls(ministack_table.client, before=write)
    refresh(world.person(client), lambda: users[0], sleep=lambda _: None)
    assert names_of_zoe(world) == {(users[0].display_name, users[0].handle)}
    assert verify(ministack_table.client, ministack_table.name, sleep=lambda _: None).findings == []


def test_a_name_that_changes_during_a_refresh_is_not_undone_by_it(ministack_table: CruddurTable) -> None:
    """The second refresh makes a pass in each pause of the first, which began with the name of before."""
    world = World(ministack_table, messages=0)
    users = [replace(world.zoe, handle="second")]

    def stop(_: float) -> None:
        raise CrashError

    def pass_of_the_other(_: float) -> None:
        users[0] = replace(world.zoe, handle="third")
        with suppress(CrashError):
            refresh(world.person(), lambda: users[0], sleep=stop)

    refresh(world.person(), lambda: users[0], sleep=pass_of_the_other)
    assert names_of_zoe(world) == {("Zoe", "third")}


def test_the_commands(at: At, ministack_table: CruddurTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ministack_table)
    users = tmp_path / "users.json"
    everyone = [{"uuid": u.uuid, "display_name": u.display_name, "handle": u.handle} for u in world.people.values()]
    users.write_text(json.dumps(everyone))
    monkeypatch.setattr(seed_file, "USERS_PATH", users)
    unknown = at(world.table, "person", "export", "zed")
    assert (unknown.status, unknown.err.count("\n")) == (1, 1)
    assert "nobody is called 'zed'" in unknown.err
    assert "a uuid also names somebody" in unknown.err
    to = tmp_path / "zoe.json"
    to.touch()
    to.chmod(0o644)
    assert at(world.table, "person", "export", "@Zoe", "--to", str(to)).status == 0
    printed = at(world.table, "person", "export", world.zoe.uuid)
    assert json.loads(to.read_text()) == json.loads(printed.out)
    assert to.stat().st_mode & 0o077 == 0
    assert at(world.table, "person", "export", "zoe", "--to", str(tmp_path)).err.count("\n") == 1

    def refresh_while_users_change(*arguments: Any, **named: Any) -> Any:
        users.write_text(json.dumps([{**one, "display_name": one["display_name"] + "!"} for one in everyone]))
        return refresh(*arguments, **named)

    monkeypatch.setattr("cruddur_cli.commands.person.refresh_person", refresh_while_users_change)
    assert at(world.table, "person", "refresh", "zoe").status == 0
    assert names_of_zoe(world) == {("Zoe!", "zoe")}
    users.write_text(json.dumps(everyone[1:]))
    gone = at(world.table, "person", "refresh", world.zoe.uuid)
    assert (gone.status, gone.err.count("\n")) == (1, 1)
    monkeypatch.setattr("sys.stdin", to.open())
    refused = at(world.table, "person", "erase", world.zoe.uuid, "--scan")
    assert (refused.status, "10 messages" in refused.err, "not confirmed" in refused.err) == (1, True, True)
    erased = at(world.table, "person", "erase", world.zoe.uuid, "--yes", "--json")
    assert erased.status == 0, erased.err
    assert json.loads(erased.out)["messages"] == 10
    world.check_erased()
    assert at(world.table, "person", "erase", world.zoe.uuid, "--yes").status == 0
