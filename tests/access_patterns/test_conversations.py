"""Starting conversations and adding members: all or nothing, and one conversation between two, also in a race."""

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_cli import settlement
from cruddur_messages import schema, timestamps
from cruddur_messages.items import GroupRow, User, key_attributes, text
from cruddur_messages.store import MAX_FIRST_MEMBERS, StartedConversation, errors
from tests.access_patterns.people import (
    ANN,
    BO,
    CY,
    DAN,
    EVE,
    START,
    BetweenCalls,
    all_messages,
    items_of,
    person,
    rows_of,
    store_of,
    ticking,
)
from tests.access_patterns.test_paging import put_message, put_row
from tests.engines.fixtures import CruddurTable
from tests.seed.faults import CrashError, crash_at


def settle(table: CruddurTable, message_group_uuid: str) -> None:
    assert settlement.settle(table.client, table.name, [message_group_uuid]) == {}


def kinds_of(table: CruddurTable) -> Counter[str]:
    return Counter(item["pk"]["S"].split("#")[0] for item in items_of(table))


def delete_rows(table: CruddurTable, *members: User) -> None:
    for row in (row for member in members for row in rows_of(table, member)):
        table.client.delete_item(TableName=table.name, Key=key_attributes(row.key))


@pytest.mark.parametrize("size", [2, 3, MAX_FIRST_MEMBERS])
def test_a_conversation_starts_with_a_row_for_each_member_and_a_message(cruddur_table: CruddurTable, size: int) -> None:
    if cruddur_table.engine == "dynamodb_local":
        size = min(size, 9)  # from npm, it still has the old limit of ten actions in a transaction
    members = [person(f"member{number}") for number in range(size)]
    started = store_of(cruddur_table).start_conversation(members, sender=members[1], message="hello all")
    assert started.is_new
    assert kinds_of(cruddur_table) == {"GRP": size, "MSG": 1} | ({"PAIR": 1} if size == 2 else {})
    rows = [item for item in items_of(cruddur_table) if schema.INDEX_PARTITION_KEY in item]
    assert rows == items_of(cruddur_table, "GRP#")
    for member in members:
        (row,) = (GroupRow(item) for item in rows if item["pk"] == {"S": f"GRP#{member.uuid}"})
        assert row.message_group_uuid == started.message_group_uuid
        assert row.sort_key == started.message.sort_key == timestamps.canonical(started.message.instant)
        other = members[1] if member is members[0] else members[0]
        assert {name: text(row.attributes, name) for name in ("message", "user_uuid", "user_handle")} == {
            "message": "hello all",
            "user_uuid": other.uuid,
            "user_handle": other.handle,
        }
        assert row.is_group == (size > 2)
        assert "message_uuid" not in row.attributes  # so that the stream's filter lets the record through


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_call_writes_all_or_nothing(cruddur_table: CruddurTable, size: int, moment: str) -> None:
    everything = Counter(GRP=size, MSG=1, **({"PAIR": 1} if size == 2 else {}))
    for number in range(4):
        members = [person(f"member{number}") for number in range(size)]
        before = kinds_of(cruddur_table)
        client = BetweenCalls(cruddur_table.client, **{moment: crash_at(number)})
        with suppress(CrashError):
            store_of(cruddur_table, client=client).start_conversation(members, sender=members[0], message="x")
        assert kinds_of(cruddur_table) - before in (Counter(), everything)
        again = store_of(cruddur_table).start_conversation(members, sender=members[0], message="again")
        if size == 2:
            assert [row.message_group_uuid for row in rows_of(cruddur_table, members[1])] == [again.message_group_uuid]


CONFLICT = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": "TransactionConflict"}]}
LOST = {"Error": {"Code": "InternalServerError", "Message": ""}}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("moment", "times", "failure"), [("before", 8, CONFLICT), ("after", 1, LOST)])
def test_conflicts_and_a_lost_response_start_it_once(
    cruddur_table: CruddurTable, size: int, moment: str, times: int, failure: Any
) -> None:
    left = iter(range(times))

    def fail(_number: int, name: str) -> None:
        if name == "transact_write_items" and next(left, None) is not None:
            raise ClientError(failure, name)

    members = [person(f"member{number}") for number in range(size)]
    store = store_of(cruddur_table, client=BetweenCalls(cruddur_table.client, **{moment: fail}))
    started = store.start_conversation(members, sender=members[0], message="hello")
    assert started.is_new
    assert kinds_of(cruddur_table) == {"GRP": size, "MSG": 1, **({"PAIR": 1} if size == 2 else {})}
    assert all_messages(store, started.message_group_uuid, 10) == [started.message]


def test_two_concurrent_starts_create_one_conversation(cruddur_table: CruddurTable) -> None:
    for _ in range(5):
        ann, bo = person("ann"), person("bo")
        store = store_of(cruddur_table)

        def start(number: int, members: Sequence[User] = (ann, bo), sender: User = ann) -> StartedConversation:
            return store_of(cruddur_table).start_conversation(
                members if number % 2 else members[::-1], sender=sender, message=f"hi {number}"
            )

        with ThreadPoolExecutor(6) as pool:
            started = list(pool.map(start, range(6)))
        (group,) = {one.message_group_uuid for one in started}
        assert sum(one.is_new for one in started) == 1
        assert [row.message_group_uuid for row in rows_of(cruddur_table, ann)] == [group]
        assert [row.message_group_uuid for row in rows_of(cruddur_table, bo)] == [group]
        assert {one.message for one in all_messages(store, group, 4)} == {f"hi {number}" for number in range(6)}


@pytest.mark.parametrize("lost", [None, (ANN, BO), (ANN,)], ids=["no row", "both rows lost", "the sender's row lost"])
@pytest.mark.parametrize("interrupted", range(12))
def test_a_concurrent_start_at_any_point_does_not_create_a_second(
    cruddur_table: CruddurTable, interrupted: int, lost: Sequence[User] | None
) -> None:
    if lost:
        store_of(cruddur_table).start_conversation([ANN, BO], sender=ANN, message="long ago")
        delete_rows(cruddur_table, *lost)
    rivals: list[StartedConversation] = []

    def rival(number: int, _name: str) -> None:
        if number == interrupted:
            rival_store = store_of(cruddur_table, clock=ticking(START + timedelta(hours=1)))
            rivals.append(rival_store.start_conversation([BO, ANN], sender=BO, message="me first"))
            settle(cruddur_table, rivals[0].message_group_uuid)

    client = BetweenCalls(cruddur_table.client, before=rival)
    started = store_of(cruddur_table, client=client).start_conversation([ANN, BO], sender=ANN, message="no, me")
    assert {one.message_group_uuid for one in rivals} <= {started.message_group_uuid}
    assert started.is_new == (not rivals and lost != (ANN,))
    settle(cruddur_table, started.message_group_uuid)
    assert len(rows_of(cruddur_table, ANN)) == len(rows_of(cruddur_table, BO)) == 1


@pytest.mark.parametrize("has_one", ["both", "one alone"])
def test_the_conversation_of_an_old_backend_is_found(cruddur_table: CruddurTable, has_one: str) -> None:
    group, store = str(uuid.uuid4()), store_of(cruddur_table)
    key = key_attributes((f"GRP#{ANN.uuid}", "2030-01-01T00:00:00"))
    put_message(cruddur_table, group, "2024-01-01T00:00:00", BO)
    names_none = {**key, "user_uuid": {"S": BO.uuid}}
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=names_none)
    put_row(cruddur_table, BO, "2024-01-01T00:00:00", group, user_uuid=ANN.uuid, message="x")
    if has_one == "both":
        put_row(cruddur_table, ANN, "2024-01-01T00:00:00", group, user_uuid=BO.uuid, message="x")
    for members in ([ANN, BO], [BO, ANN]):
        started = store.start_conversation(members, sender=members[0], message="hey")
        assert (started.message_group_uuid, started.is_new) == (group, False)
        assert started.message in store.get_conversation(group, reader_uuid=members[0].uuid).items
    settle(cruddur_table, group)
    assert kinds_of(cruddur_table) - Counter(CONV=1, MEMBER=has_one != "both") == {"GRP": 3, "MSG": 3}
    assert [(line.message, line.other.uuid, line.is_group) for line in store.list_conversations(ANN.uuid).items] == [
        ("hey", BO.uuid, False)
    ]


def test_a_group_is_not_the_conversation_of_two_of_its_members(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table)
    store.start_conversation([ANN, BO, CY], sender=ANN, message="all three")
    pair = store.start_conversation([ANN, BO], sender=BO, message="the two of us")
    assert pair.is_new
    assert store.start_conversation([BO, ANN], sender=ANN, message="yes").message_group_uuid == pair.message_group_uuid
    assert store.start_conversation([ANN, BO, CY], sender=ANN, message="another group").is_new


def test_after_a_third_has_a_row_the_two_can_start_another(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table)
    first = store.start_conversation([ANN, BO], sender=ANN, message="hi").message_group_uuid
    put_row(cruddur_table, CY, "2024-01-01T00:00:00", first, message="x")  # as older backends did
    settle(cruddur_table, first)
    second = store.start_conversation([BO, ANN], sender=ANN, message="in private")
    assert second.is_new
    assert store.start_conversation([ANN, BO], sender=ANN, message="x").message_group_uuid == second.message_group_uuid


def test_a_start_does_not_overwrite_the_row_of_another_conversation(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table, clock=lambda: START)
    started = [store.start_conversation([ANN, other], sender=ANN, message="hi") for other in (BO, CY, DAN)]
    rows = {row.message_group_uuid: row.sort_key for row in rows_of(cruddur_table, ANN)}
    assert rows == {one.message_group_uuid: one.message.sort_key for one in started}


def test_an_invalid_start_is_rejected_with_a_reason(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table)
    crowd = [person("x") for _ in range(MAX_FIRST_MEMBERS + 1)]
    for members, sender, error, why in (
        ([ANN], ANN, errors.TooFewMembersError, "at least 2 members, not 1"),
        ([], ANN, errors.TooFewMembersError, "not 0"),
        ([ANN, ANN], ANN, errors.RepeatedMemberError, "named twice"),
        ([ANN, BO, User(BO.uuid, "Other", "other")], ANN, errors.RepeatedMemberError, f"user {BO.uuid} is named"),
        (crowd, crowd[0], errors.TooManyMembersError, "at most 99 members, not 100: add the others later"),
        ([ANN, BO], EVE, errors.SenderNotMemberError, "is not among the members"),
        ([ANN, User("bo", "Bo", "bo")], ANN, errors.InvalidUuidError, "member is not a UUID: 'bo'"),
    ):
        with pytest.raises(error, match=why):
            store.start_conversation(members, sender=sender, message="hi")
    assert items_of(cruddur_table) == []


def test_a_new_member_gets_a_row_with_the_current_time_and_an_existing_one_keeps_theirs(
    cruddur_table: CruddurTable,
) -> None:
    store = store_of(cruddur_table)
    group = store.start_conversation([ANN, BO, CY], sender=ANN, message="hi").message_group_uuid
    settle(cruddur_table, group)
    newest = store.send(group, sender=BO, message="newer")
    before = rows_of(cruddur_table, ANN)
    assert store.add_member(group, ANN).last_message_at == before[0].sort_key
    joined = store.add_member(group, DAN, asked_by=CY.uuid)
    assert (joined.last_message_at, joined.message, joined.other) == (newest.sort_key, "newer", ANN)
    assert store.list_conversations(DAN.uuid).items == (joined,)
    assert rows_of(cruddur_table, ANN) == before
    settle(cruddur_table, group)
    assert {rows_of(cruddur_table, member)[0].sort_key for member in (ANN, BO, CY, DAN)} == {newest.sort_key}


def test_a_new_member_does_not_overwrite_the_row_of_another_conversation(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table, clock=lambda: START)
    group = store.start_conversation([ANN, BO, DAN], sender=ANN, message="hi").message_group_uuid
    put_row(cruddur_table, CY, timestamps.canonical(START), str(uuid.uuid4()), message="mine")
    joined = store.add_member(group, CY)
    assert joined.last_message_at == timestamps.canonical(START + timestamps.MICROSECOND)
    assert len(rows_of(cruddur_table, CY)) == 2


def test_nobody_joins_a_conversation_that_does_not_exist(cruddur_table: CruddurTable) -> None:
    group = str(uuid.uuid4())
    with pytest.raises(errors.NoSuchConversationError, match=f"^there is no conversation {group}$"):
        store_of(cruddur_table).add_member(group, ANN)


def test_a_conversation_without_a_message_can_be_joined(
    cruddur_table_on: Callable[[str], CruddurTable], ministack_endpoint: str
) -> None:
    cruddur_table = cruddur_table_on(ministack_endpoint)  # this release of DynamoDB Local refuses empty strings
    group = str(uuid.uuid4())
    put_row(
        cruddur_table, ANN, "2024-01-01T00:00:00", group, user_uuid=BO.uuid, user_handle="bo", message="", is_group=True
    )
    joined = store_of(cruddur_table).add_member(group, CY)
    assert (joined.last_message_at, joined.message) == ("2024-01-01T00:00:00.000000+00:00", "")
    assert joined.other.handle == "bo"
