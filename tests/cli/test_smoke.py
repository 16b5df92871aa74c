"""bin/ddb smoke: what it reports of a projection that works and of others, and that it leaves no item."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cruddur_cli import settlement
from cruddur_cli.context import Context
from cruddur_cli.smoke import notes, runs
from cruddur_cli.smoke.report import LoadReport, Report, highest_steady
from cruddur_cli.smoke.talk import Place, smoke_uuid
from cruddur_messages import schema
from cruddur_messages.items import AttributeMap
from tests.access_patterns.people import items_of
from tests.cli.conftest import At
from tests.cli.test_commands import GROUP as REAL
from tests.cli.test_repair import delete_item, put_item
from tests.engines.fixtures import CruddurTable

SECONDS = 60.0


@pytest.fixture
def table(ministack_table: CruddurTable, quick: None) -> CruddurTable:  # noqa: ARG001
    """A table whose stream nobody reads, so nothing arrives late."""
    return ministack_table


def place(table: CruddurTable, afterwards: Callable[[list[AttributeMap]], None] = lambda _: None) -> Place:
    """The table, settled after each write; then `afterwards` damages it, given the rows of the conversation."""

    def settle_and_spoil(group: str) -> None:
        assert settlement.settle(table.client, table.name, [group]) == {}
        afterwards([item for item in items_of(table) if item.get(schema.INDEX_PARTITION_KEY) == {"S": group}])

    return Place(table.client, table.name, settle_and_spoil)


def test_every_message_is_awaited_and_nothing_is_left(cruddur_table: CruddurTable) -> None:
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item={"pk": {"S": "USER#real"}, "sk": {"S": "1"}})
    seen: list[int] = []

    def look(rows: list[AttributeMap]) -> None:
        seen.append(len(rows))
        assert all(row["pk"]["S"].startswith("GRP#5e1f7e57-") for row in rows)

    report = runs.talk(place(cruddur_table, look), messages=5, limit_seconds=SECONDS)
    assert report.problems == []
    assert len(report.delays) == 5
    assert sorted(report.figures.values()) == list(report.figures.values())
    assert seen[0] == 3
    assert seen[-1] == 4
    assert [item["pk"]["S"] for item in items_of(cruddur_table)] == ["USER#real"]


def test_a_load_is_held(table: CruddurTable) -> None:
    held = runs.hold(place(table), rate=16, seconds=0.3, limit_seconds=SECONDS)
    assert [one.asked for one in held] == [2, 4, 8, 16]
    assert [one.report.problems for one in held] == [[], [], [], []]
    assert all(one.report.delays for one in held)
    assert items_of(table) == []


def missing(table: CruddurTable, rows: list[AttributeMap]) -> None:
    for row in rows:
        delete_item(table, row)


def duplicate(table: CruddurTable, rows: list[AttributeMap]) -> None:
    for row in rows:
        put_item(table, {**row, "sk": {"S": row["sk"]["S"] + "0"}})


def first_and_number(table: CruddurTable) -> tuple[AttributeMap, int]:
    messages = items_of(table, schema.MESSAGE_PREFIX)
    return min(messages, key=lambda item: item["sk"]["S"]), len(messages)


def backwards(table: CruddurTable, rows: list[AttributeMap]) -> None:
    first, number = first_and_number(table)
    for row in rows if number == 3 else ():
        put_item(table, {**row, "message_uuid": first["message_uuid"]})


def incomplete(table: CruddurTable, _: list[AttributeMap]) -> None:
    first, number = first_and_number(table)
    if number == 3:
        delete_item(table, first)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (None, "late: message 1 is not in the inbox of ann-"),
        (missing, "missing: ann-"),
        (duplicate, "duplicate: ann-"),
        (backwards, "wrong order: ann-"),
        (incomplete, "wrong order: the conversation does not have its 3 messages"),
    ],
)
def test_a_fault_of_the_projection_is_reported_and_nothing_is_left_after_the_next_run(
    damage: Callable[[CruddurTable, list[AttributeMap]], None] | None, problem: str, table: CruddurTable
) -> None:
    if damage:
        report = runs.talk(place(table, partial(damage, table)), messages=3, limit_seconds=SECONDS)
    else:
        report = runs.talk(Place(table.client, table.name, lambda _: None), messages=3, limit_seconds=0.2)
    assert report.problems
    assert report.problems[0].startswith(problem)
    (note,) = items_of(table)
    # The projection catches up: it settles the conversation after its deletion.
    for group in note["talks"]["M"]:
        put_item(table, {"pk": {"S": f"CONV#{group}"}, "sk": {"S": "v"}})
    assert runs.talk(place(table), messages=1, limit_seconds=SECONDS).problems == []
    assert items_of(table) == []


@pytest.mark.parametrize(("has_arrived", "left"), [(True, []), (False, [schema.SMOKE_PARTITION])])
def test_ctrl_c_leaves_nothing_but_the_note_of_what_has_not_arrived(
    table: CruddurTable, has_arrived: bool, left: list[str]
) -> None:
    def press(*_: str) -> None:
        assert items_of(table)
        raise KeyboardInterrupt

    where = place(table) if has_arrived else Place(table.client, table.name, press)
    with pytest.raises(KeyboardInterrupt):
        runs.talk(where, messages=3, limit_seconds=SECONDS, on_delivered=press)
    assert [item["pk"]["S"] for item in items_of(table)] == left


def test_a_run_removes_what_a_killed_run_left_and_nothing_of_a_running_one(
    table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(notes.Note, "remove", lambda *_, **__: None)
        runs.talk(place(table), messages=2, limit_seconds=SECONDS)
    left = items_of(table)
    assert [item["pk"]["S"] for item in left if not item["pk"]["S"].startswith("SMOKE#")]

    # A note that names real people is of no run.
    notes.begin(place(table), {REAL: [smoke_uuid(), smoke_uuid()], smoke_uuid(): [REAL, smoke_uuid()]})
    theirs: list[Any] = [{"pk": {"S": f"{kind}#{REAL}"}, "sk": {"S": "2026"}} for kind in ("GRP", "MSG")]
    for item in theirs:
        put_item(table, item)
    living = notes.begin(place(table), {smoke_uuid(): [smoke_uuid(), smoke_uuid()]})
    monkeypatch.setattr(notes, "BEAT_SECONDS", 0.0)
    runs.talk(place(table), messages=2, limit_seconds=SECONDS, on_delivered=living.renew)
    left = items_of(table)
    assert all(item in left for item in theirs)
    assert [item["sk"]["S"] for item in left if item not in theirs] == [living.key]


def held(rate: float, delay: float, *problems: str) -> LoadReport:
    return LoadReport(rate, rate, Report([delay], list(problems)))


def test_the_rate_before_the_delay_grows() -> None:
    assert highest_steady([held(1, 0.1), held(2, 0.4), held(4, 0.6)]) == 2
    assert highest_steady([held(1, 1.0), held(2, 1.9), held(4, 2.1)]) == 2
    assert highest_steady([held(1, 0.1), held(2, 0.1, "late")]) == 1
    assert highest_steady([held(1, 0.1, "late")]) is None


def test_the_command_prints_what_settles_and_its_results(at: At, cruddur_table: CruddurTable) -> None:
    result = at(cruddur_table, "smoke", "--messages", "3", "--json")
    assert result.status == 0, result.err
    assert "nothing reads the stream here: this command settles the conversations itself" in result.err
    document = result.json
    assert document.items() >= {"ok": True, "delivered": 3, "settled_by": "this command"}.items()
    assert 0 <= document["median_seconds"] <= document["largest_seconds"]

    shown = at(cruddur_table, "smoke", "--messages", "3")
    assert shown.status == 0
    assert "█" in shown.out
    assert shown.out.splitlines()[-1] == "it works"

    held = at(cruddur_table, "smoke", "--rate", "8", "--seconds", "0.5", "--json")
    assert held.status == 0, held.err + held.out
    assert [one["asked"] for one in held.json["rates"]] == [1, 2, 4, 8]


def test_a_fault_gives_exit_status_1_and_the_reason(
    at: At, table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "settle_where_no_lambda_does", lambda *_: None)
    result = at(table, "smoke", "--seconds", "0.1")
    assert result.status == 1
    assert result.out.splitlines()[0].startswith("late: message 1 is not in the inbox of ann-")
    assert result.out.splitlines()[-1] == "it does not work"
    shown = at(table, "smoke", "--seconds", "0.1", "--json")
    assert shown.json["median_seconds"] is None
