"""One rebuild repairs a table that the bootcamp's handler has damaged, and verify then finds nothing."""

import random
import threading
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from cruddur_messages.audit.confirm import confirm
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.audit.snapshot import TableSnapshot
from cruddur_messages.items import ERASED, AttributeMap, GroupRow, Message, User, group_rows, key_attributes, key_of
from cruddur_messages.person import Erasure, Person
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import (
    START,
    BetweenCalls,
    by_key,
    items_of,
    person,
    rows_of,
    store_of,
    without_versions,
)
from tests.access_patterns.test_conversations import delete_rows
from tests.access_patterns.test_paging import put_message, put_row
from tests.cli import damage
from tests.engines.fixtures import CruddurTable

BEFORE_THE_CALENDAR = "0001-01-01T00:00:00+14:00"
"""A timestamp in a form with an offset, of an instant whose date in UTC does not exist."""

TOO_LONG = [f"MSG#{'x' * length}" for length in (1025, 2044)]
"""Messages of conversations whose ids are too long for the keys of member items, and for the conversation item's."""


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
        return rebuilding.run(Checkpoint(Path(directory) / "remaining.jsonl", dict)).repairs


def repairer(client: Any, table: CruddurTable, named: Callable[[str], User | None] = lambda _: None) -> Repairer:
    return Repairer(client=client, table_name=table.name, named=named, sleep=lambda _: None)


def check_inboxes(table: CruddurTable, written: damage.Written) -> None:
    """Check that every member whom an item of the table names has one row, which shows the newest message."""
    rows = [GroupRow.from_attributes(item) for item in items_of(table, schema.GROUP_ROW_PREFIX)]
    for group, messages in written.messages.items():
        newest = messages[-1]
        own = [row for row in rows if row.message_group_uuid == group]
        members = {user.uuid: user for user in written.members[group]}
        assert len({row.member_uuid for row in own}) == len(own)
        assert {message.sender.uuid for message in messages} <= {row.member_uuid for row in own} <= members.keys()
        for row in own:
            other = ERASED if len(own) == 1 and row.other_uuid == ERASED.uuid else members[row.other_uuid]
            assert row.other_uuid != row.member_uuid
            assert row.attributes["user_handle"] == {"S": other.handle}
            assert row.attributes["user_display_name"] == {"S": other.display_name}
            assert row.attributes["message"] == {"S": newest.message}
            assert row.attributes.get("message_uuid", {"S": newest.message_uuid}) == {"S": newest.message_uuid}
            instant = timestamps.parse(row.sort_key)
            assert instant is not None
            assert 0 <= (instant - newest.instant) / timestamps.MICROSECOND < 10


def check_that_rebuild_repairs(
    table: CruddurTable, seed: int, *expected: Problem, messages: int, sizes: Sequence[int]
) -> None:
    """Let the bootcamp's handler damage a table; one rebuild repairs it, changes no message, and a second nothing."""
    chance = random.Random(seed)  # noqa: S311
    written = damage.write(table, chance, conversations=12, messages=messages, sizes=sizes)
    damage.run_the_bootcamps_handler(table, written, chance)
    before = items_of(table, schema.MESSAGE_PREFIX)
    assert problems(table) >= {*expected}
    everyone = [user for members in written.members.values() for user in members]
    assert [repair.failure for repair in rebuild(table, everyone) if repair.failure] == []
    assert verify(table) == []
    check_inboxes(table, written)
    assert items_of(table, schema.MESSAGE_PREFIX) == before
    repaired = items_of(table)
    assert rebuild(table) == []
    assert items_of(table) == repaired


EVERY_KIND = (Problem.STALE_PREVIEW, Problem.DUPLICATE_ROW, Problem.MISSING_ROW)
SEEDS = ((1, EVERY_KIND), *(pytest.param(seed, EVERY_KIND[:1], marks=pytest.mark.proof) for seed in (0, 2, 3, 4, 5)))
"""Schedules of the bootcamp's handler, and what each leaves."""


@pytest.mark.parametrize(("seed", "expected"), SEEDS)
def test_what_the_bootcamps_handler_damages_is_repaired(
    ministack_table: CruddurTable, seed: int, expected: Sequence[Problem]
) -> None:
    check_that_rebuild_repairs(ministack_table, seed, *expected, messages=6, sizes=damage.SIZES)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.proof)])
def test_damaged_pairs_are_repaired_on_each_engine(cruddur_table: CruddurTable, seed: int) -> None:
    check_that_rebuild_repairs(cruddur_table, seed, Problem.STALE_PREVIEW, messages=3, sizes=(2,))


def conversation_item(table: CruddurTable, group: str) -> dict[str, Any]:
    key = {"pk": {"S": schema.conversation_partition(group)}, "sk": {"S": schema.CONVERSATION_SORT_KEY}}
    item: dict[str, Any] = table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True)["Item"]
    return item


def put_item(table: CruddurTable, item: dict[str, Any]) -> None:
    table.client.put_item(TableName=table.name, Item=item)


def rows_of_group(table: CruddurTable, member: User, group: str) -> list[AttributeMap]:
    found = items_of(table, schema.group_row_partition(member.uuid))
    return [row.attributes for row in group_rows(found, group)]


def delete_item(table: CruddurTable, item: AttributeMap) -> None:
    table.client.delete_item(TableName=table.name, Key=key_attributes(key_of(item)))


def healthy_pair(table: CruddurTable) -> tuple[str, User, User]:
    ann, bo = person("ann"), person("bo")
    store = store_of(table)
    group = store.start_conversation([ann, bo], sender=ann, message="one").message_group_uuid
    store.send(group, sender=ann, message="two")
    settle(table, group)
    return group, ann, bo


def check_repaired(table: CruddurTable, *members: User, known: Collection[User] = ()) -> None:
    assert [repair.failure for repair in rebuild(table, known) if repair.failure] == []
    assert verify(table) == []
    assert [len(rows_of(table, member)) for member in members] == [1] * len(members)


def test_a_correct_table_has_no_finding_and_is_not_changed(cruddur_table: CruddurTable) -> None:
    item_changed(version=None)(cruddur_table, *healthy_pair(cruddur_table))
    gone, ann, bo = healthy_pair(cruddur_table)
    for item in items_of(cruddur_table):
        if gone in str(item) and not item["pk"]["S"].startswith("PAIR#"):
            delete_item(cruddur_table, item)
    # Its first rows are not settled yet.
    store_of(cruddur_table).start_conversation([person("cy"), ann], sender=ann, message="hi")
    before = items_of(cruddur_table)
    assert rows_of(cruddur_table, bo) == []
    assert verify(cruddur_table) == []
    assert rebuild(cruddur_table) == []
    assert items_of(cruddur_table) == before


Damage = Callable[[CruddurTable, str, User, User], None]
"""Damages the conversation of Ann and Bo."""


def rows_missing(*handles: str) -> Damage:
    """Without the rows of some."""

    def delete(table: CruddurTable, _group: str, ann: User, bo: User) -> None:
        delete_rows(table, *(user for user in (ann, bo) if user.handle in handles))

    return delete


def row_changed(**changed: Any) -> Damage:
    """Bo's row with other attributes."""

    def damage_row(table: CruddurTable, _group: str, _ann: User, bo: User) -> None:
        (row,) = rows_of(table, bo)
        delete_rows(table, bo)
        put_item(table, {**row.attributes, **changed})

    return damage_row


def item_changed(**changed: Any) -> Damage:
    """The conversation item with other attributes, or without those that are None."""

    def damage_item(table: CruddurTable, group: str, _ann: User, _bo: User) -> None:
        item = {**conversation_item(table, group), **changed}
        put_item(table, {name: value for name, value in item.items() if value is not None})

    return damage_item


def with_an_old_row(table: CruddurTable, _group: str, ann: User, _bo: User) -> None:
    (row,) = rows_of(table, ann)
    put_item(table, {**row.attributes, "sk": {"S": "2020-01-01T00:00:00+00:00"}, "message": {"S": "old"}})


OF_ITEMS: tuple[dict[str, Any], ...] = (
    {"shown": {"S": "something else"}},
    {"shown": None},
    {"rows": None},
    {"rows": {"M": {}}},
    {"rows": {"S": "nonsense"}},
    {"rows": {"M": {"yesterday": {"N": "1"}}}},
    {"rows": None, "shown": None, "version": {"N": "5"}},
)
DAMAGE: dict[str, tuple[Problem, Damage]] = {
    "Bo's row is missing": (Problem.MISSING_ROW, rows_missing("bo")),
    "Ann's row is missing": (Problem.MISSING_ROW, rows_missing("ann")),
    "both are missing": (Problem.MISSING_ROW, rows_missing("ann", "bo")),
    "a duplicate": (Problem.DUPLICATE_ROW, with_an_old_row),
    "another text": (Problem.STALE_PREVIEW, row_changed(message={"S": "something else"})),
    "another message": (Problem.STALE_PREVIEW, row_changed(message_uuid={"S": str(uuid.uuid4())})),
    "too early": (Problem.STALE_PREVIEW, row_changed(sk={"S": "2020-01-01T00:00:00+00:00"})),
    "too late, in another form": (Problem.STALE_PREVIEW, row_changed(sk={"S": "2030-01-01T00:00:00"})),
    "no time": (Problem.MALFORMED_TIMESTAMP, row_changed(sk={"S": "yesterday"})),
    **{f"an item with {changed}": (Problem.WRONG_CONVERSATION_ITEM, item_changed(**changed)) for changed in OF_ITEMS},
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_conversation_is_found_and_becomes_what_it_was(cruddur_table: CruddurTable, case: str) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    problem, damage_it = DAMAGE[case]
    right = items_of(cruddur_table)
    damage_it(cruddur_table, group, ann, bo)
    found = {finding.problem for finding in verify(cruddur_table)}
    assert problem in found
    if problem is Problem.WRONG_CONVERSATION_ITEM:
        assert found == {problem}
    check_repaired(cruddur_table, ann, bo, known=[bo] if case == "Ann's row is missing" else [ann, bo])
    assert by_key(without_versions(items_of(cruddur_table))) == by_key(without_versions(right))


def test_a_row_is_put_again_with_the_names_of_the_messages(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    store_of(cruddur_table).send(group, sender=bo, message="three")
    delete_rows(cruddur_table, ann, bo)
    check_repaired(cruddur_table, ann, bo)
    names = [row.attributes["user_handle"]["S"] for member in (ann, bo) for row in rows_of(cruddur_table, member)]
    assert names == ["bo", "ann"]


def test_the_row_of_whom_the_other_is_erased_is_put_again_as_it_was(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    Erasure(
        person=Person(client=cruddur_table.client, table_name=cruddur_table.name, user_uuid=bo.uuid),
        settle=lambda group: settle(cruddur_table, group),
        named=lambda _: None,
        sleep=lambda _: None,
    ).run()
    before = rows_of(cruddur_table, ann)
    delete_rows(cruddur_table, ann)
    check_repaired(cruddur_table, ann)
    assert rows_of(cruddur_table, ann) == before
    store_of(cruddur_table).leave(group, ann.uuid)


def test_duplicate_rows_become_one_with_all_attributes_of_which_the_newest_count(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    put_row(cruddur_table, ann, "2020-01-01T00:00:00+00:00", group, user_uuid=bo.uuid, user_handle="bob", pinned="yes")
    assert rebuild(cruddur_table)[0].done["duplicates_removed"] == 1
    check_repaired(cruddur_table, ann, bo)
    expected = {"pinned": {"S": "yes"}, "user_handle": {"S": "bo"}}
    assert rows_of(cruddur_table, ann)[0].attributes.items() >= expected.items()


def test_of_a_conversation_that_is_deleted_nothing_is_put_again(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    for item in items_of(cruddur_table):
        delete_item(cruddur_table, item)
    suspect = Suspect(group, (ann.uuid, bo.uuid))
    assert not +repairer(cruddur_table.client, cruddur_table).preview(suspect).done
    assert repairer(cruddur_table.client, cruddur_table).repair(suspect).failure is None
    assert items_of(cruddur_table) == []


def test_the_row_of_a_member_who_never_wrote_names_the_person_that_the_other_rows_name(
    cruddur_table: CruddurTable,
) -> None:
    members = sorted((person(name) for name in ("ann", "bo", "cy", "dan")), key=lambda user: user.uuid)
    for first in members:
        group = [first, *(user for user in members if user is not first)]
        started = store_of(cruddur_table).start_conversation(group, sender=first, message="hi").message_group_uuid
        settle(cruddur_table, started)
        (lost,) = rows_of_group(cruddur_table, group[1], started)
        delete_item(cruddur_table, lost)
        assert {(f.problem, f.member_uuid) for f in verify(cruddur_table)} == {
            (Problem.MISSING_ROW, group[1].uuid),
            (Problem.WRONG_CONVERSATION_ITEM, ""),
        }
        check_repaired(cruddur_table)
        assert rows_of_group(cruddur_table, group[1], started) == [lost]


class LaggingIndex(BetweenCalls):
    """A client whose index shows other items."""

    def __init__(self, client: Any, shown: Sequence[AttributeMap]) -> None:
        super().__init__(client)
        self._shown = shown

    def query(self, **arguments: Any) -> Any:
        return {"Items": self._shown} if "IndexName" in arguments else self._client.query(**arguments)


def test_a_row_that_the_index_does_not_show_is_not_put_again(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    newest = store_of(cruddur_table, clock=lambda: START + timedelta(hours=1)).send(group, sender=ann, message="new")

    shown = items_of(cruddur_table, f"GRP#{ann.uuid}")
    client: Any = LaggingIndex(cruddur_table.client, shown)
    assert repairer(client, cruddur_table).repair(Suspect(group, (ann.uuid, bo.uuid))).failure is None
    assert [row.sort_key for member in (ann, bo) for row in rows_of(cruddur_table, member)] == [newest.sort_key] * 2


def test_rows_that_a_lagging_index_still_shows_are_no_finding(cruddur_table: CruddurTable) -> None:
    group, ann, _ = healthy_pair(cruddur_table)
    rows = items_of(cruddur_table, schema.GROUP_ROW_PREFIX)
    store_of(cruddur_table, clock=lambda: START + timedelta(hours=1)).send(group, sender=ann, message="new")
    table = TableSnapshot()
    table.add(items_of(cruddur_table))
    findings = list(check_table(table))
    settle(cruddur_table, group)
    client: Any = LaggingIndex(cruddur_table.client, rows)
    reader = ConversationReader(client=client, table_name=cruddur_table.name)
    assert findings
    assert confirm(reader, findings, sleep=lambda _: None) == []


def test_a_member_whom_only_the_item_names_gets_a_row(cruddur_table: CruddurTable) -> None:
    group, ann, bo = healthy_pair(cruddur_table)
    cy = person("cy")
    item = conversation_item(cruddur_table, group)
    put_item(cruddur_table, {**item, "rows": {"M": {**item["rows"]["M"], "2020": {"SS": [cy.uuid]}}}})
    assert problems(cruddur_table) == {Problem.WRONG_CONVERSATION_ITEM, Problem.MISSING_ROW}
    check_repaired(cruddur_table, ann, bo, cy)


def test_a_restored_table_whose_items_are_older_than_its_rows_is_repaired(cruddur_table: CruddurTable) -> None:
    store, group, (ann, bo, cy) = group_of_three(cruddur_table)
    old = conversation_item(cruddur_table, group)
    store.send(group, sender=bo, message="y")
    settle(cruddur_table, group)
    put_item(cruddur_table, old)
    assert problems(cruddur_table) == {Problem.WRONG_CONVERSATION_ITEM}
    delete_rows(cruddur_table, cy)
    check_repaired(cruddur_table, ann, bo, cy)
    assert rows_of(cruddur_table, cy)[0].attributes["message"] == {"S": "y"}


def test_a_writer_without_a_row_is_found_and_gets_a_row(cruddur_table: CruddurTable) -> None:
    store, group, (ann, bo, cy) = group_of_three(cruddur_table)
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
    row_changed(message={"S": "stale"})(cruddur_table, group, ann, bo)
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
    (row,) = rows_of(ministack_table, ann)
    for message in items_of(ministack_table, schema.MESSAGE_PREFIX):
        delete_item(ministack_table, message)
    assert problems(ministack_table) == {Problem.ROW_WITHOUT_CONVERSATION, Problem.WRONG_CONVERSATION_ITEM}
    check_repaired(ministack_table, ann, bo)
    empty = {"message": {"S": ""}, "message_uuid": {"S": ""}}
    assert rows_of(ministack_table, ann)[0].attributes == {**row.attributes, **empty}


def put_rows_of_two(table: CruddurTable, group: str, ann: User, bo: User) -> None:
    """Rows as an older backend put them, for the message of ten o'clock."""
    ten = "2026-05-01T10:00:00"
    for member, other in ((ann, bo), (bo, ann)):
        put_row(table, member, ten, group, user_uuid=other.uuid, user_handle=other.handle, message=ten)


def test_mixed_timestamps_of_messages_get_one_form(cruddur_table: CruddurTable) -> None:
    ann, bo = person("ann"), person("bo")
    group = str(uuid.uuid4())
    older = ("2026-05-01T08:00:29Z", "2026-05-01T08:00:29.017Z", "2026-05-01 08:00:30Z")
    # The last two are of one instant.
    newer = ("2026-05-01T10:00:00", "2026-05-01T12:00:00.5+02:00", "2026-05-01T09:00:00Z", "2026-05-01T09:00:00")
    for key in (*older, *newer):
        put_message(cruddur_table, group, key, ann)
    put_rows_of_two(cruddur_table, group, ann, bo)
    assert Problem.MIXED_TIMESTAMPS in problems(cruddur_table)
    check_repaired(cruddur_table, ann, bo)
    assert sorted(message["sk"]["S"] for message in items_of(cruddur_table, schema.MESSAGE_PREFIX)) == [
        "2026-05-01T08:00:29.000000+00:00",
        "2026-05-01T08:00:29.017000+00:00",
        "2026-05-01T08:00:30.000000+00:00",
        "2026-05-01T09:00:00.000000+00:00",
        "2026-05-01T09:00:00.000001+00:00",
        "2026-05-01T10:00:00.000000+00:00",
        "2026-05-01T10:00:00.500000+00:00",
    ]
    assert {message["message"]["S"] for message in items_of(cruddur_table, schema.MESSAGE_PREFIX)} == {*older, *newer}
    assert rows_of(cruddur_table, ann)[0].attributes["message"] == {"S": "2026-05-01T12:00:00.5+02:00"}


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
    before = items_of(cruddur_table, schema.MESSAGE_PREFIX)
    repair = repairer(client, cruddur_table, lambda _: ann).repair(Suspect(group, (ann.uuid,), rekey=True))
    assert repair.failure is not None
    assert items_of(cruddur_table, schema.MESSAGE_PREFIX) == before


def test_mixed_timestamps_of_an_inbox_get_one_form(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = person("ann"), person("bo"), person("cy")
    old = str(uuid.uuid4())
    put_message(cruddur_table, old, "2026-05-01T10:00:00", ann)
    put_rows_of_two(cruddur_table, old, ann, bo)
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
    for partition, sort_key in (
        (f"MSG#{group}", "2027-01-01T00:00:00+00:00"),
        (f"GRP#{ann.uuid}", "2026-01-01T00:00:00+00:00"),
        ("OTHER#1", "1"),
        *((partition, "2026-01-01T00:00:00+00:00") for partition in TOO_LONG),
    ):
        put_item(cruddur_table, {"pk": {"S": partition}, "sk": {"S": sort_key}})
    sent = {"message": {"S": "when?"}, "message_uuid": {"S": "1"}, "user_uuid": {"S": ann.uuid}}
    for sort_key in ("sometime", BEFORE_THE_CALENDAR):
        put_item(cruddur_table, {"pk": {"S": f"MSG#{group}"}, "sk": {"S": sort_key}, **sent})
    put_message(cruddur_table, f"@{group}", "2026-01-01T00:00:00+00:00", ann)
    row_changed(user_uuid={"S": "x" * 2048})(cruddur_table, group, ann, bo)

    def refuse(params: Any, **_: Any) -> None:
        """Refuse a query with a longer key, which the engines answer."""
        assert all(len(value["S"]) <= 2048 for value in params["ExpressionAttributeValues"].values())

    cruddur_table.client.meta.events.register("provide-client-params.dynamodb.Query", refuse)
    before = items_of(cruddur_table)
    rebuild(cruddur_table)
    assert without_versions(items_of(cruddur_table)) == without_versions(before)
    assert {(f.problem, f.member_uuid, f.sort_key) for f in verify(cruddur_table)} == {
        (Problem.MALFORMED_ITEM, "", "2027-01-01T00:00:00+00:00"),
        (Problem.MALFORMED_TIMESTAMP, "", "sometime"),
        (Problem.MALFORMED_TIMESTAMP, "", BEFORE_THE_CALENDAR),
        (Problem.MALFORMED_ITEM, ann.uuid, "2026-01-01T00:00:00+00:00"),
        (Problem.MALFORMED_ITEM, "", ""),
    }
    assert {f"MSG#{f.message_group_uuid}" for f in verify(cruddur_table) if not f.sort_key} == {
        f"MSG#@{group}",
        *TOO_LONG,
    }
    assert [len(rows_of_group(cruddur_table, member, group)) for member in (ann, bo)] == [1, 1]


def test_a_row_that_is_put_does_not_overwrite_another_conversations_row(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = person("ann"), person("bo"), person("cy")
    store = store_of(cruddur_table, clock=lambda: START)
    first = store.start_conversation([ann, bo], sender=ann, message="x").message_group_uuid
    second = store.start_conversation([bo, cy], sender=cy, message="y").message_group_uuid
    for group in (first, second):
        settle(cruddur_table, group)
    (row,) = rows_of_group(cruddur_table, bo, first)
    put_row(cruddur_table, bo, row["sk"]["S"], str(uuid.uuid4()))
    check_repaired(cruddur_table, ann, cy, known=[bo])
    assert len(rows_of(cruddur_table, bo)) == 3


def test_a_table_is_repaired_while_people_write(ministack_table: CruddurTable) -> None:
    chance = random.Random(7)  # noqa: S311
    written = damage.write(ministack_table, chance, conversations=15, messages=5)
    damage.run_the_bootcamps_handler(ministack_table, written, chance)
    everyone = [user for members in written.members.values() for user in members]
    seen = read_table(ministack_table.client, ministack_table.name).conversations
    # Rebuild cannot know others before they write.
    senders = {g: [user for user in members if user.uuid in seen[g].members] for g, members in written.members.items()}
    stopped = threading.Event()
    sent: list[Message] = []

    def write_and_settle(worker: int) -> None:
        own = random.Random(worker)  # noqa: S311
        store = MessageStore(client=ministack_table.client, table_name=ministack_table.name)
        projection = Settler(client=ministack_table.client, table_name=ministack_table.name, seconds_left=lambda: 60)
        while not stopped.is_set():
            group = own.choice(list(written.members))
            sent.append(store.send(group, sender=own.choice(senders[group]), message=f"live {len(sent)}"))
            projection.settle(DirtyConversation(group))

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write_and_settle, number) for number in range(2)]
        try:
            assert wait_until(lambda: len(sent) >= 10 or any(writer.done() for writer in writers))
            rebuild(ministack_table, everyone)
            rebuild(ministack_table, everyone)
        finally:
            stopped.set()
    for writer in writers:
        writer.result()
    for message in sent:
        written.messages[message.message_group_uuid].append(message)
    for group, messages in written.messages.items():
        messages.sort(key=lambda message: message.sort_key)
        settle(ministack_table, group)
    assert {(f.problem, f.message_group_uuid) for f in verify(ministack_table)} == set()
    check_inboxes(ministack_table, written)
    kept = {item["message_uuid"]["S"] for item in items_of(ministack_table, schema.MESSAGE_PREFIX)}
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
    if len(client.names) <= moment:
        leave(moment, "")
    settle(ministack_table, group)
    assert rows_of(ministack_table, bo) == []
    assert problems(ministack_table) == set()
