"""One rebuild repairs a table that the bootcamp's handler has damaged, and verify then finds nothing."""

import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cruddur_cli import settlement
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Rebuild, suspects_of
from cruddur_cli.maintenance.repair import Repair, Repairer, Suspect
from cruddur_cli.maintenance.verify import read_table
from cruddur_cli.maintenance.verify import verify as verify_table
from cruddur_local.waiting import wait_until
from cruddur_messages import schema, timestamps
from cruddur_messages.audit.checks import Finding, Problem, check_table
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.items import AttributeMap, GroupRow, Message, User
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import START, BetweenCalls, items_of, person, rows_of, store_of, without_versions
from tests.access_patterns.test_conversations import delete_rows
from tests.access_patterns.test_paging import put_message, put_row
from tests.cli import damage
from tests.engines.fixtures import CruddurTable

BEFORE_THE_CALENDAR = "0001-01-01T00:00:00+14:00"
"""A timestamp in a form with an offset, of an instant whose date in UTC does not exist."""


def settle(table: CruddurTable, group: str) -> None:
    assert settlement.settle(table.client, table.name, [group]) == {}


def verify(table: CruddurTable) -> list[Finding]:
    return verify_table(table.client, table.name, sleep=lambda _: None).findings


def problems(table: CruddurTable) -> set[Problem]:
    return {finding.problem for finding in verify(table)}


def rebuild(table: CruddurTable, known: Collection[User] = ()) -> list[Repair]:
    users = {user.uuid: user for user in known}
    rebuilding = Rebuild(client=table.client, table_name=table.name, named=users.get, sleep=lambda _: None)
    with TemporaryDirectory() as directory:
        return rebuilding.run(Checkpoint(Path(directory) / "left.jsonl")).repairs


def repairer(client: Any, table: CruddurTable, named: Callable[[str], User | None] = lambda _: None) -> Repairer:
    reader = ConversationReader(client=client, table_name=table.name)
    return Repairer(client=client, table_name=table.name, reader=reader, named=named, sleep=lambda _: None)


def messages_of(table: CruddurTable) -> list[AttributeMap]:
    return [item for item in items_of(table) if item["pk"]["S"].startswith(schema.MESSAGE_PREFIX)]


def check_inboxes(table: CruddurTable, written: damage.Written) -> None:
    """Check that every member whom an item of the table names has one row, which shows the newest message."""
    rows = [GroupRow.from_attributes(i) for i in items_of(table) if i["pk"]["S"].startswith(schema.GROUP_ROW_PREFIX)]
    for group, messages in written.messages.items():
        newest = messages[-1]
        own = [row for row in rows if row.message_group_uuid == group]
        members = {user.uuid: user for user in written.members[group]}
        assert len({row.member_uuid for row in own}) == len(own)
        assert {message.sender.uuid for message in messages} <= {row.member_uuid for row in own} <= members.keys()
        for row in own:
            other = members[row.other_uuid] if row.other_uuid else User("", "unknown", "unknown")
            assert row.other_uuid or len(own) == 1
            assert row.other_uuid != row.member_uuid
            assert row.attributes["user_handle"] == {"S": other.handle}
            assert row.attributes["user_display_name"] == {"S": other.display_name}
            assert row.attributes["message"] == {"S": newest.message}
            assert row.attributes.get("message_uuid", {"S": newest.message_uuid}) == {"S": newest.message_uuid}
            instant = timestamps.parse(row.sort_key)
            assert instant is not None
            assert 0 <= (instant - newest.instant) / timestamps.MICROSECOND < 10


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 6))])
def test_what_the_bootcamps_handler_damages_is_repaired(ministack_table: CruddurTable, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    written = damage.write(ministack_table, chance, conversations=12, messages=6)
    damage.run_the_bootcamps_handler(ministack_table, written, chance)
    before = messages_of(ministack_table)
    assert problems(ministack_table) >= {Problem.STALE_PREVIEW}
    everyone = [user for members in written.members.values() for user in members]
    assert [repair.failure for repair in rebuild(ministack_table, everyone) if repair.failure] == []
    assert verify(ministack_table) == []
    check_inboxes(ministack_table, written)
    assert messages_of(ministack_table) == before
    repaired = items_of(ministack_table)
    assert rebuild(ministack_table) == []
    assert items_of(ministack_table) == repaired


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.proof)])
def test_pairs_that_the_bootcamps_handler_has_damaged_are_repaired_on_each_engine(
    cruddur_table: CruddurTable, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    written = damage.write(cruddur_table, chance, conversations=12, messages=3, sizes=(2,))
    damage.run_the_bootcamps_handler(cruddur_table, written, chance)
    before = messages_of(cruddur_table)
    assert problems(cruddur_table) >= {Problem.STALE_PREVIEW}
    everyone = [user for members in written.members.values() for user in members]
    assert [repair.failure for repair in rebuild(cruddur_table, everyone) if repair.failure] == []
    assert verify(cruddur_table) == []
    check_inboxes(cruddur_table, written)
    assert messages_of(cruddur_table) == before
    repaired = items_of(cruddur_table)
    assert rebuild(cruddur_table) == []
    assert items_of(cruddur_table) == repaired


def test_these_tables_have_all_kinds_of_damage(ministack_table: CruddurTable) -> None:
    chance = random.Random(1)  # noqa: S311
    written = damage.write(ministack_table, chance, conversations=40, messages=6)
    damage.run_the_bootcamps_handler(ministack_table, written, chance)
    assert problems(ministack_table) >= {Problem.STALE_PREVIEW, Problem.DUPLICATE_ROW, Problem.MISSING_ROW}


def healthy_pair(table: CruddurTable) -> tuple[str, User, User]:
    ann, bo = person("ann"), person("bo")
    store = store_of(table)
    group = store.start_conversation([ann, bo], sender=ann, message="one").message_group_uuid
    store.send(group, sender=ann, message="two")
    settle(table, group)
    return group, ann, bo


def change(table: CruddurTable, row: GroupRow, **changed: Any) -> None:
    table.client.put_item(TableName=table.name, Item={**row.attributes, **changed})


def check_repaired(table: CruddurTable, *members: User, known: Collection[User] = ()) -> None:
    assert [repair.failure for repair in rebuild(table, known) if repair.failure] == []
    assert verify(table) == []
    assert [len(rows_of(table, member)) for member in members] == [1] * len(members)


def test_a_correct_table_has_no_finding_and_is_not_changed(cruddur_table: CruddurTable) -> None:
    for _ in range(3):
        healthy_pair(cruddur_table)
    before = items_of(cruddur_table)
    assert verify(cruddur_table) == []
    assert rebuild(cruddur_table) == []
    assert items_of(cruddur_table) == before


def test_a_row_that_the_projection_has_not_settled_yet_is_no_finding(cruddur_table: CruddurTable) -> None:
    ann, bo = person("ann"), person("bo")
    store_of(cruddur_table).start_conversation([ann, bo], sender=ann, message="hi")
    assert verify(cruddur_table) == []


def test_a_missing_row_is_put_with_the_names_of_the_messages(cruddur_table: CruddurTable) -> None:
    _, ann, bo = healthy_pair(cruddur_table)
    delete_rows(cruddur_table, bo)
    assert {(f.problem, f.member_uuid) for f in verify(cruddur_table)} >= {(Problem.MISSING_ROW, bo.uuid)}
    check_repaired(cruddur_table, ann, bo)
    (row,) = rows_of(cruddur_table, bo)
    assert (row.other_uuid, row.attributes["user_handle"]) == (ann.uuid, {"S": "ann"})


def test_a_missing_row_is_put_with_the_names_of_the_users(cruddur_table: CruddurTable) -> None:
    _, ann, bo = healthy_pair(cruddur_table)
    delete_rows(cruddur_table, ann)
    check_repaired(cruddur_table, ann, bo, known=[bo])
    (row,) = rows_of(cruddur_table, ann)
    assert (row.other_uuid, row.attributes["user_handle"]) == (bo.uuid, {"S": "bo"})


def test_a_missing_row_of_a_group_names_the_person_that_the_other_rows_name(cruddur_table: CruddurTable) -> None:
    members = sorted((person(name) for name in ("ann", "bo", "cy", "dan")), key=lambda user: user.uuid)
    for first in members:
        group = [first, *(user for user in members if user is not first)]
        store = store_of(cruddur_table)
        started = store.start_conversation(group, sender=group[1], message="hi").message_group_uuid
        settle(cruddur_table, started)
        lost = next(row for row in rows_of(cruddur_table, group[1]) if row.message_group_uuid == started)
        cruddur_table.client.delete_item(
            TableName=cruddur_table.name, Key={"pk": {"S": lost.partition}, "sk": {"S": lost.sort_key}}
        )
        check_repaired(cruddur_table)
        back = next(row for row in rows_of(cruddur_table, group[1]) if row.message_group_uuid == started)
        assert back.other_uuid == first.uuid
        assert back.attributes["user_handle"] == {"S": first.handle}


def test_a_row_that_the_index_does_not_show_is_not_put_again(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    newest = store_of(cruddur_table, clock=lambda: START + timedelta(hours=1)).send(group, sender=ann, message="new")

    class LaggingIndex(BetweenCalls):
        def query(self, **arguments: Any) -> Any:
            page = cruddur_table.client.query(**arguments)
            if "IndexName" in arguments:
                page["Items"] = [item for item in page["Items"] if item["pk"]["S"] != f"GRP#{bo.uuid}"]
            return page

    client: Any = LaggingIndex(cruddur_table.client)
    assert repairer(client, cruddur_table).repair(Suspect(group, (ann.uuid, bo.uuid))).failure is None
    assert [row.sort_key for member in (ann, bo) for row in rows_of(cruddur_table, member)] == [newest.sort_key] * 2


def test_if_both_rows_of_two_are_missing_both_are_put(cruddur_table: CruddurTable) -> None:
    _, ann, bo = healthy_pair(cruddur_table)
    delete_rows(cruddur_table, ann, bo)
    check_repaired(cruddur_table, ann, bo, known=[ann, bo])
    assert (rows_of(cruddur_table, ann)[0].other_uuid, rows_of(cruddur_table, bo)[0].other_uuid) == (bo.uuid, ann.uuid)


def test_a_pair_without_a_conversation_is_no_finding(cruddur_table: CruddurTable) -> None:
    healthy_pair(cruddur_table)
    for item in items_of(cruddur_table):
        if not item["pk"]["S"].startswith("PAIR#"):
            key = {name: item[name] for name in ("pk", "sk")}
            cruddur_table.client.delete_item(TableName=cruddur_table.name, Key=key)
    assert len(items_of(cruddur_table)) == 1
    assert verify(cruddur_table) == []


def test_if_all_rows_are_missing_those_of_the_senders_are_put(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    store_of(cruddur_table).send(group, sender=bo, message="three")
    delete_rows(cruddur_table, ann, bo)
    check_repaired(cruddur_table, ann, bo)
    assert {rows_of(cruddur_table, ann)[0].other_uuid, rows_of(cruddur_table, bo)[0].other_uuid} == {ann.uuid, bo.uuid}


def test_duplicate_rows_become_one_with_the_attributes_of_both(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    put_row(cruddur_table, ann, "2020-01-01T00:00:00+00:00", group, user_uuid=bo.uuid, message="old", pinned="yes")
    assert Problem.DUPLICATE_ROW in problems(cruddur_table)
    check_repaired(cruddur_table, ann, bo)
    assert rows_of(cruddur_table, ann)[0].attributes["pinned"] == {"S": "yes"}


@pytest.mark.parametrize(
    "changed",
    [
        {"message": {"S": "something else"}},
        {"message_uuid": {"S": str(uuid.uuid4())}},
    ],
)
def test_a_stale_preview_is_found_and_repaired(cruddur_table: CruddurTable, changed: dict[str, Any]) -> None:
    _, ann, bo = healthy_pair(cruddur_table)
    (row,) = rows_of(cruddur_table, bo)
    change(cruddur_table, row, **changed)
    assert {(f.problem, f.member_uuid) for f in verify(cruddur_table)} == {(Problem.STALE_PREVIEW, bo.uuid)}
    check_repaired(cruddur_table, ann, bo)
    assert rows_of(cruddur_table, bo)[0].attributes == row.attributes


@pytest.mark.parametrize("sort_key", ["2020-01-01T00:00:00+00:00", "2030-01-01T00:00:00", "yesterday"])
def test_a_row_in_the_wrong_place_is_found_and_moved(cruddur_table: CruddurTable, sort_key: str) -> None:
    _, ann, bo = healthy_pair(cruddur_table)
    (row,) = rows_of(cruddur_table, bo)
    delete_rows(cruddur_table, bo)
    change(cruddur_table, row, sk={"S": sort_key})
    expected = Problem.MALFORMED_TIMESTAMP if sort_key == "yesterday" else Problem.STALE_PREVIEW
    assert expected in problems(cruddur_table)
    check_repaired(cruddur_table, ann, bo)
    assert rows_of(cruddur_table, bo)[0].sort_key == row.sort_key


def conversation_item(table: CruddurTable, group: str) -> dict[str, Any]:
    key = {"pk": {"S": schema.conversation_partition(group)}, "sk": {"S": schema.CONVERSATION_SORT_KEY}}
    item: dict[str, Any] = table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True)["Item"]
    return item


def put_item(table: CruddurTable, item: dict[str, Any]) -> None:
    table.client.put_item(TableName=table.name, Item=item)


@pytest.mark.parametrize(
    "doctored",
    [
        {"shown": {"S": "something else"}},
        {"shown": None},
        {"rows": None},
        {"rows": {"M": {}}},
        {"rows": {"S": "nonsense"}},
        {"rows": {"M": {"yesterday": {"N": "1"}}}},
        {"rows": None, "shown": None, "version": {"N": "5"}},
        {"version": None},
    ],
    ids=str,
)
def test_a_conversation_item_that_does_not_agree_with_the_rows_is_found_and_repaired(
    cruddur_table: CruddurTable, doctored: dict[str, Any]
) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    right = conversation_item(cruddur_table, group)
    changed = {name: value for name, value in {**right, **doctored}.items() if value is not None}
    put_item(cruddur_table, changed)
    if doctored.keys() == {"version"}:
        assert verify(cruddur_table) == []
        return
    assert problems(cruddur_table) == {Problem.WRONG_CONVERSATION_ITEM}
    check_repaired(cruddur_table, ann, bo)
    repaired = conversation_item(cruddur_table, group)
    assert {**repaired, "version": right["version"]} == right
    assert repaired["version"] != right["version"]


def test_a_member_whom_only_the_item_names_gets_a_row(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    cy = person("cy")
    item = conversation_item(cruddur_table, group)
    put_item(cruddur_table, {**item, "rows": {"M": {**item["rows"]["M"], "2020": {"SS": [cy.uuid]}}}})
    assert problems(cruddur_table) == {Problem.WRONG_CONVERSATION_ITEM, Problem.MISSING_ROW}
    check_repaired(cruddur_table, ann, bo, cy)


def test_the_row_of_a_member_who_never_wrote_is_restored(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = (person(name) for name in ("ann", "bo", "cy"))
    group = store_of(cruddur_table).start_conversation([ann, bo, cy], sender=ann, message="x").message_group_uuid
    settle(cruddur_table, group)
    (before,) = rows_of(cruddur_table, cy)
    delete_rows(cruddur_table, cy)
    assert {(f.problem, f.member_uuid) for f in verify(cruddur_table)} == {
        (Problem.MISSING_ROW, cy.uuid),
        (Problem.WRONG_CONVERSATION_ITEM, ""),
    }
    check_repaired(cruddur_table, ann, bo, cy, known=[ann, bo, cy])
    (after,) = rows_of(cruddur_table, cy)
    assert (after.key, after.attributes["message"]) == (before.key, before.attributes["message"])
    assert after.other_uuid in {ann.uuid, bo.uuid}


def test_a_restored_table_whose_items_are_older_than_its_rows_is_repaired(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = (person(name) for name in ("ann", "bo", "cy"))
    store = store_of(cruddur_table)
    group = store.start_conversation([ann, bo, cy], sender=ann, message="x").message_group_uuid
    settle(cruddur_table, group)
    old = conversation_item(cruddur_table, group)
    store.send(group, sender=bo, message="y")
    settle(cruddur_table, group)
    put_item(cruddur_table, old)
    assert problems(cruddur_table) == {Problem.WRONG_CONVERSATION_ITEM}
    delete_rows(cruddur_table, cy)
    check_repaired(cruddur_table, ann, bo, cy)
    assert rows_of(cruddur_table, cy)[0].attributes["message"] == {"S": "y"}


def test_a_writer_without_a_row_is_found_and_gets_a_row(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = (person(name) for name in ("ann", "bo", "cy"))
    store = store_of(cruddur_table)
    group = store.start_conversation([ann, bo, cy], sender=ann, message="x").message_group_uuid
    settle(cruddur_table, group)
    delete_rows(cruddur_table, cy)
    settle(cruddur_table, group)
    assert rebuild(cruddur_table) == []
    assert rows_of(cruddur_table, cy) == []
    store.send(group, sender=cy, message="here I am")
    settle(cruddur_table, group)
    assert {(f.problem, f.member_uuid) for f in verify(cruddur_table)} == {(Problem.MISSING_ROW, cy.uuid)}
    check_repaired(cruddur_table, ann, bo, cy)
    assert rows_of(cruddur_table, cy)[0].attributes["message"] == {"S": "here I am"}


def test_a_writer_after_the_scan_gets_a_row_from_the_repair(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    cy, dan = person("cy"), person("dan")
    (row,) = rows_of(cruddur_table, bo)
    change(cruddur_table, row, message={"S": "stale"})
    snapshot = read_table(cruddur_table.client, cruddur_table.name)
    (suspect,) = suspects_of(snapshot, list(check_table(snapshot)))
    store = store_of(cruddur_table, clock=lambda: START + timedelta(hours=1))
    for sender in (cy, dan, ann):
        store.send(group, sender=sender, message=f"of {sender.handle}")
    assert repairer(cruddur_table.client, cruddur_table).repair(suspect).failure is None
    assert verify(cruddur_table) == []
    assert [len(rows_of(cruddur_table, member)) for member in (ann, bo, cy, dan)] == [1] * 4


def test_a_row_whose_messages_are_deleted_shows_an_empty_preview(ministack_table: CruddurTable) -> None:
    _, ann, bo = healthy_pair(ministack_table)
    for message in messages_of(ministack_table):
        ministack_table.client.delete_item(
            TableName=ministack_table.name, Key={name: message[name] for name in ("pk", "sk")}
        )
    assert problems(ministack_table) == {Problem.ROW_WITHOUT_CONVERSATION, Problem.WRONG_CONVERSATION_ITEM}
    check_repaired(ministack_table, ann, bo)
    assert rows_of(ministack_table, ann)[0].attributes["message"] == {"S": ""}


def test_mixed_timestamps_of_messages_get_one_form(cruddur_table: CruddurTable) -> None:
    ann, bo = person("ann"), person("bo")
    group = str(uuid.uuid4())
    for key in ("2026-05-01T10:00:00", "2026-05-01T12:00:00.5+02:00", "2026-05-01T09:00:00Z"):
        put_message(cruddur_table, group, key, ann)
    for member, other in ((ann, bo), (bo, ann)):
        put_row(
            cruddur_table,
            member,
            "2026-05-01T10:00:00",
            group,
            user_uuid=other.uuid,
            user_handle=other.handle,
            message="x",
        )
    assert Problem.MIXED_TIMESTAMPS in problems(cruddur_table)
    check_repaired(cruddur_table, ann, bo)
    assert sorted((m["sk"]["S"], m["message"]["S"]) for m in messages_of(cruddur_table)) == [
        ("2026-05-01T09:00:00.000000+00:00", "2026-05-01T09:00:00Z"),
        ("2026-05-01T10:00:00.000000+00:00", "2026-05-01T10:00:00"),
        ("2026-05-01T10:00:00.500000+00:00", "2026-05-01T12:00:00.5+02:00"),
    ]
    assert rows_of(cruddur_table, ann)[0].attributes["message"] == {"S": "2026-05-01T12:00:00.5+02:00"}


def test_messages_of_the_same_instant_in_two_forms_are_both_kept(cruddur_table: CruddurTable) -> None:
    ann = person("ann")
    group = str(uuid.uuid4())
    for key in ("2026-05-01T10:00:00", "2026-05-01T12:00:00+02:00", "2026-05-01T10:00:00.000000+00:00"):
        put_message(cruddur_table, group, key, ann)
    put_row(cruddur_table, ann, "2026-05-01T10:00:00", group, user_uuid=ann.uuid, user_handle="ann", message="x")
    check_repaired(cruddur_table, ann)
    assert len({item["sk"]["S"] for item in messages_of(cruddur_table)}) == 3
    assert {item["sk"]["S"][:25] for item in messages_of(cruddur_table)} == {"2026-05-01T10:00:00.00000"}


@pytest.mark.parametrize("code", ["ThrottlingError", "ValidationError"])
def test_a_message_that_cannot_be_rekeyed_ends_the_repair_of_its_conversation(
    cruddur_table: CruddurTable, code: str
) -> None:
    ann, group = person("ann"), str(uuid.uuid4())
    for key in ("2026-05-01T10:00:00", "2026-05-01T09:00:00Z"):
        put_message(cruddur_table, group, key, ann)

    def cancel(_number: int, name: str) -> None:
        if name == "transact_write_items":
            reasons: Any = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{}, {"Code": code}],
            }
            raise cruddur_table.client.exceptions.TransactionCanceledException(reasons, "TransactWriteItems")

    client: Any = BetweenCalls(cruddur_table.client, before=cancel)
    before = messages_of(cruddur_table)
    repair = repairer(client, cruddur_table, lambda _: ann).repair(Suspect(group, (ann.uuid,), rekey=True))
    assert repair.failure is not None
    assert messages_of(cruddur_table) == before


def test_mixed_timestamps_of_an_inbox_get_one_form(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = person("ann"), person("bo"), person("cy")
    old = str(uuid.uuid4())
    put_message(cruddur_table, old, "2026-05-01T10:00:00", ann)
    for member, other in ((ann, bo), (bo, ann)):
        put_row(
            cruddur_table,
            member,
            "2026-05-01T10:00:00",
            old,
            user_uuid=other.uuid,
            user_handle=other.handle,
            message="2026-05-01T10:00:00",
        )
    assert verify(cruddur_table) == []
    new = store_of(cruddur_table).start_conversation([ann, cy], sender=ann, message="hi").message_group_uuid
    settle(cruddur_table, new)
    assert {(f.problem, f.member_uuid, f.message_group_uuid) for f in verify(cruddur_table)} == {
        (Problem.MIXED_TIMESTAMPS, ann.uuid, old)
    }
    check_repaired(cruddur_table, bo, cy)
    assert len(rows_of(cruddur_table, ann)) == 2


def test_what_cannot_be_repaired_is_listed_and_not_changed(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    client, name = cruddur_table.client, cruddur_table.name
    client.put_item(TableName=name, Item={"pk": {"S": f"MSG#{group}"}, "sk": {"S": "2027-01-01T00:00:00+00:00"}})
    for sort_key in ("sometime", BEFORE_THE_CALENDAR):
        client.put_item(
            TableName=name,
            Item={
                "pk": {"S": f"MSG#{group}"},
                "sk": {"S": sort_key},
                "message": {"S": "when?"},
                "message_uuid": {"S": "1"},
                "user_uuid": {"S": ann.uuid},
            },
        )
    client.put_item(TableName=name, Item={"pk": {"S": f"GRP#{ann.uuid}"}, "sk": {"S": "2026-01-01T00:00:00+00:00"}})
    client.put_item(TableName=name, Item={"pk": {"S": "OTHER#1"}, "sk": {"S": "1"}})
    before = items_of(cruddur_table)
    rebuild(cruddur_table)
    assert without_versions(items_of(cruddur_table)) == without_versions(before)
    assert {(f.problem, f.member_uuid, f.sort_key) for f in verify(cruddur_table)} == {
        (Problem.MALFORMED_ITEM, "", "2027-01-01T00:00:00+00:00"),
        (Problem.MALFORMED_TIMESTAMP, "", "sometime"),
        (Problem.MALFORMED_TIMESTAMP, "", BEFORE_THE_CALENDAR),
        (Problem.MALFORMED_ITEM, ann.uuid, "2026-01-01T00:00:00+00:00"),
    }
    assert [len(rows_of_group(cruddur_table, member, group)) for member in (ann, bo)] == [1, 1]


def rows_of_group(table: CruddurTable, member: User, group: str) -> list[AttributeMap]:
    key = {"S": schema.group_row_partition(member.uuid)}
    return [i for i in items_of(table) if i["pk"] == key and i.get("message_group_uuid") == {"S": group}]


def test_a_row_that_is_put_does_not_overwrite_another_conversations_row(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = person("ann"), person("bo"), person("cy")
    store = store_of(cruddur_table, clock=lambda: START)
    first = store.start_conversation([ann, bo], sender=ann, message="x").message_group_uuid
    second = store.start_conversation([bo, cy], sender=cy, message="y").message_group_uuid
    for group in (first, second):
        settle(cruddur_table, group)
    row = next(row for row in rows_of(cruddur_table, bo) if row.message_group_uuid == first)
    table_key: AttributeMap = {"pk": {"S": row.partition}, "sk": {"S": row.sort_key}}
    cruddur_table.client.delete_item(TableName=cruddur_table.name, Key=table_key)
    put_row(cruddur_table, bo, row.sort_key, str(uuid.uuid4()))
    check_repaired(cruddur_table, ann, cy, known=[bo])
    assert len(rows_of(cruddur_table, bo)) == 3


def mentioned(table: CruddurTable, written: damage.Written) -> dict[str, list[User]]:
    """The members of each conversation whom the table names: rebuild cannot know others before they write."""
    found: dict[str, set[str]] = defaultdict(set)
    for item in items_of(table):
        partition = item["pk"]["S"]
        group = item.get("message_group_uuid", {}).get("S") or partition.removeprefix(schema.MESSAGE_PREFIX)
        found[group] |= {partition.removeprefix(schema.GROUP_ROW_PREFIX), item.get("user_uuid", {}).get("S", "")}
    return {
        group: [user for user in members if user.uuid in found[group]] for group, members in written.members.items()
    }


def test_a_table_is_repaired_while_people_write(ministack_table: CruddurTable) -> None:
    chance = random.Random(7)  # noqa: S311
    written = damage.write(ministack_table, chance, conversations=15, messages=5)
    damage.run_the_bootcamps_handler(ministack_table, written, chance)
    everyone = [user for members in written.members.values() for user in members]
    senders = mentioned(ministack_table, written)
    stopped = threading.Event()
    failures: list[BaseException] = []
    sent: list[Message] = []

    def write_and_settle(worker: int) -> None:
        own = random.Random(worker)  # noqa: S311
        store = MessageStore(client=ministack_table.client, table_name=ministack_table.name)
        projection = Settler(client=ministack_table.client, table_name=ministack_table.name, seconds_left=lambda: 60)
        try:
            while not stopped.is_set():
                group = own.choice(list(written.members))
                sent.append(store.send(group, sender=own.choice(senders[group]), message=f"live {len(sent)}"))
                projection.settle(DirtyConversation(group))
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write_and_settle, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        assert wait_until(lambda: len(sent) >= 10 or failures)
        rebuild(ministack_table, everyone)
        rebuild(ministack_table, everyone)
    finally:
        stopped.set()
        for writer in writers:
            writer.join()
    assert failures == []
    for message in sent:
        written.messages[message.message_group_uuid].append(message)
    for group, messages in written.messages.items():
        messages.sort(key=lambda message: message.sort_key)
        settle(ministack_table, group)
    assert {(f.problem, f.message_group_uuid) for f in verify(ministack_table)} == set()
    check_inboxes(ministack_table, written)
    kept = {item["message_uuid"]["S"] for item in messages_of(ministack_table)}
    assert {message.message_uuid for messages in written.messages.values() for message in messages} == kept


def group_of_three(table: CruddurTable) -> tuple[MessageStore, str, list[User]]:
    members = [person(name) for name in ("ann", "bo", "cy")]
    store = store_of(table)
    group = store.start_conversation(members, sender=members[1], message="one").message_group_uuid
    store.send(group, sender=members[1], message="two")
    settle(table, group)
    return store, group, members


def test_whoever_has_left_is_not_put_back_whatever_names_them(cruddur_table: CruddurTable) -> None:
    store, group, (ann, bo, cy) = group_of_three(cruddur_table)
    store.leave(group, bo.uuid)  # who wrote both messages, and whom ann's row and the conversation item name
    assert verify(cruddur_table) == []
    delete_rows(cruddur_table, cy)
    assert problems(cruddur_table) == {Problem.MISSING_ROW, Problem.WRONG_CONVERSATION_ITEM}
    rebuild(cruddur_table, [ann, bo, cy])
    assert verify(cruddur_table) == []
    assert rows_of(cruddur_table, bo) == []
    (row,) = rows_of(cruddur_table, cy)
    assert (row.other_uuid, row.is_group) == (ann.uuid, True)


@pytest.mark.parametrize("moment", range(12))
def test_a_leave_at_any_moment_of_a_repair_is_not_undone(ministack_table: CruddurTable, moment: int) -> None:
    store, group, (ann, bo, cy) = group_of_three(ministack_table)
    delete_rows(ministack_table, bo)  # missing when the repair begins
    members = tuple(user.uuid for user in (ann, bo, cy))

    def leave(number: int, _name: str) -> None:
        if number == moment:
            store.add_member(group, bo)
            store.leave(group, bo.uuid)

    client: Any = BetweenCalls(ministack_table.client, before=leave)
    assert repairer(client, ministack_table).repair(Suspect(group, members)).failure is None
    if client.calls <= moment:
        leave(moment, "")
    settle(ministack_table, group)
    assert rows_of(ministack_table, bo) == []
    assert problems(ministack_table) == set()


def test_a_checkpoint_from_before_a_leave_does_not_undo_it(ministack_table: CruddurTable, tmp_path: Path) -> None:
    store, group, (ann, bo, cy) = group_of_three(ministack_table)
    checkpoint = Checkpoint(tmp_path / "left.jsonl")
    checkpoint.begin([Suspect(group, tuple(user.uuid for user in (ann, bo, cy)))])
    store.leave(group, bo.uuid)
    Rebuild(
        client=ministack_table.client, table_name=ministack_table.name, named=lambda _: None, sleep=lambda _: None
    ).run(checkpoint)
    assert rows_of(ministack_table, bo) == []
    assert verify(ministack_table) == []
