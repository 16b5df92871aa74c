"""The settlement of one conversation: its calls, its changes, and what it does not change."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_messages.items import MAX_ITEM_BYTES, item_size
from cruddur_messages.projection.moves import MAX_ROWS
from tests.projection.memory_engine import Item
from tests.unit.projection.case import BEFORE, DAYS, GROUP, SENT, Case, message, number_of, record, row

pytestmark = pytest.mark.check

LONE_MESSAGE = ["get_item", "query", "batch_get_item", "transact_write_items"]


@pytest.fixture
def case() -> Case:
    return Case()


@pytest.fixture
def pair(case: Case) -> Case:
    """Two people whose conversation is settled."""
    assert case.handle(case.put(row("a", "b"), row("b", "a"), message(DAYS[0]))) == []
    case.calls.clear()
    return case


@pytest.mark.parametrize("count", [1, 100])
def test_a_burst_costs_what_a_lone_message_costs_four_calls(pair: Case, count: int) -> None:
    burst = [message(f"2026-01-03T00:00:00.{n:06}+00:00", f"{n}") for n in range(count)]
    assert pair.handle(pair.put(*burst)) == []
    assert pair.calls == LONE_MESSAGE
    assert pair.shown() == dict.fromkeys("ab", f"{count - 1}")
    assert [shown["sk"] for shown in pair.rows().values()] == [burst[-1]["sk"]] * 2


def test_with_nothing_to_do_only_the_version_is_written(pair: Case) -> None:
    before = dict(pair.engine.items)
    assert pair.handle([record(message(DAYS[0]))]) == []
    assert pair.calls == ["get_item", "query", "update_item"]
    changed = {key for key in before if pair.engine.items[key] != before[key]}
    assert changed == {("CONV#g", "CONV")}
    assert before["CONV#g", "CONV"].keys() == pair.conversation().keys()


def test_an_unknown_conversation_queries_the_index_once(case: Case) -> None:
    case.put(row("a", "b"), row("b", "a"), message())
    assert case.settle().failure is None
    assert case.calls == ["get_item", "query", "query index", "batch_get_item", "transact_write_items"]
    assert case.shown() == {"a": "new", "b": "new"}


def test_a_member_without_a_row_has_left_and_the_others_continue(pair: Case) -> None:
    pair.delete(pair.rows()["b"])
    assert pair.handle(pair.put(message(DAYS[1], "newer"))) == []
    assert pair.shown() == {"a": "newer"}
    assert pair.conversation()["rows"] == {"M": {DAYS[1]: {"SS": ["a"]}}}
    assert {"event": "member_left", "message_group_uuid": GROUP, "user_uuid": "b"} in pair.lines
    assert pair.lines[-1]["members_left"] == 1


def test_another_conversations_row_under_a_listed_key_is_left_alone(pair: Case) -> None:
    pair.delete(pair.rows()["b"])
    pair.put(row("b", "x", sort_key=DAYS[0], group="other", message_uuid={"S": "m"}))
    assert pair.handle(pair.put(message(DAYS[1], "newer"))) == []
    assert pair.rows()["b"]["message_group_uuid"] == {"S": "other"}
    assert pair.shown() == {"a": "newer", "b": "old"}


@pytest.mark.parametrize(
    "doctored",
    [
        {},
        {"version": {"N": "1"}, "rows": {"S": "?"}, "shown": {"BOOL": True}},
        {"version": {"S": "v"}, "rows": {"M": {DAYS[0]: {"S": "a"}}}, "shown": {"S": "?"}},
        {"version": {"S": "v"}, "rows": {"M": {}}},
        {"version": {"S": "v"}, "rows": {"NULL": True}, "shown": {"S": "?"}},
    ],
    ids=["empty", "other types", "rows of another type", "unfinished", "no rows"],
)
def test_a_malformed_conversation_item_is_written_again(pair: Case, doctored: Item) -> None:
    right = pair.conversation()
    pair.put({"pk": {"S": "CONV#g"}, "sk": {"S": "CONV"}, **doctored})
    assert pair.handle([record(message(DAYS[0]))]) == []
    again = pair.conversation()
    assert {name: again[name] for name in ("rows", "shown")} == {name: right[name] for name in ("rows", "shown")}


def test_a_commit_in_between_makes_the_settlement_read_again(pair: Case) -> None:
    pair.meanwhile["transact_write_items"] = lambda: pair.put({**pair.conversation(), "version": {"S": "of another"}})
    assert pair.handle(pair.put(message(DAYS[1], "newer"))) == []
    assert pair.calls == LONE_MESSAGE * 2
    assert pair.lines[-1]["conflicts"] == 1


def test_a_row_with_a_message_uuid_of_another_type_is_a_backends(case: Case) -> None:
    assert case.handle(case.put(message(), row("a", "b", message_uuid={"NULL": True}), row("b", "a"))) == []
    assert case.shown() == {"a": "new", "b": "new"}


def test_more_duplicates_than_fit_into_a_transaction_take_several_also_after_a_crash(case: Case) -> None:
    duplicates = [row("a", "b", sort_key=f"2026-01-01T00:00:{second:02}") for second in range(3 * MAX_ROWS)]
    case.put(*duplicates, row("b", "a"), message())
    case.limits = {"attempts": 1}
    assert case.settle().failure == "a member has more rows than one transaction takes"
    case.limits = {}
    assert case.settle().failure is None
    assert case.shown() == {"a": "new", "b": "new"}


def test_conversations_with_the_same_time_cost_a_few_transactions_each(case: Case) -> None:
    size = 200
    rows = [row("a", group=f"g{number}", sort_key=f"{number}") for number in range(size)]
    case.put(*rows, *(message(group=f"g{number}") for number in range(size)))
    for number in range(size):
        assert case.settle(f"g{number}").failure is None
    places = [sk for pk, sk in case.engine.items if pk == "GRP#a"]
    assert len(places) == size
    assert SENT in places
    assert all(SENT <= place <= SENT.replace("678901", "679901") for place in places)
    assert case.calls.count("transact_write_items") <= 3 * size


@pytest.mark.parametrize("members", [1, 2, 3, 49, 50, 51, 100, 333, 1000])
def test_a_conversation_of_any_size_is_settled(case: Case, members: int) -> None:
    users = [f"u{number}" for number in range(members)]
    records = case.put(*(row(user, users[0] if number else users[-1]) for number, user in enumerate(users)))
    for sort_key in DAYS[:2]:
        assert case.handle([*records, *case.put(message(sort_key, sort_key))]) == []
        assert case.shown() == dict.fromkeys(users, sort_key)
    before = case.rows()
    assert case.handle(records) == []
    assert case.rows() == before


def test_on_an_engine_that_accepts_ten_actions_members_are_settled_one_at_a_time(case: Case) -> None:
    case.put(*(row(f"u{number}") for number in range(12)), message())
    commit = case.engine.transact_write_items

    def limited(**arguments: Any) -> Any:
        if len(arguments["TransactItems"]) > 10:
            arguments["TransactItems"] *= 100
        return commit(**arguments)

    case.engine.transact_write_items = limited  # type: ignore[method-assign]
    assert case.settle().failure is None
    assert set(case.shown().values()) == {"new"}


def test_a_row_that_cannot_be_written_does_not_stop_the_others(pair: Case) -> None:
    full = row("c", "a", note={"S": "n" * (MAX_ITEM_BYTES - 90)})
    assert pair.handle(pair.put(full)) != []
    assert pair.handle(pair.put(message(DAYS[1], "later"))) != []
    assert pair.shown() == {"a": "later", "b": "later", "c": "old"}


def test_a_message_too_long_for_a_row_is_cut_where_a_character_ends(case: Case) -> None:
    text = "ä" * (200 * 1024 - 200)
    records = case.put(row("a", note={"S": "n" * 1000}), message(text=text))
    assert case.handle(records) == []
    shown = case.rows()["a"]
    assert text.startswith(shown["message"]["S"])
    assert MAX_ITEM_BYTES - 200 < item_size(shown) <= MAX_ITEM_BYTES
    assert case.handle(records) == []
    assert case.rows()["a"] == shown


def test_half_a_character_that_an_engine_has_stored_stops_nothing(case: Case) -> None:
    assert case.handle(case.put(row("a", note={"S": "\ud800"}), message(text="x\ud800"))) == []
    assert case.rows()["a"]["message_uuid"] == message()["message_uuid"]


@pytest.mark.parametrize("malformed", [{"message_uuid": {"N": "1"}}, {"message": {"NULL": True}}])
def test_a_malformed_message_is_skipped(case: Case, malformed: Item) -> None:
    odd = {**message("2026-01-09T00:00:00+00:00"), **malformed}
    assert case.handle(case.put(row("a"), message(), odd)) == []
    assert case.shown() == {"a": "new"}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999+00:00", "9999-12-31T23:59:59.999500+00:00"])
def test_messages_at_the_end_of_time_affect_no_other_conversation(case: Case, moment: str) -> None:
    for group in ("one", "two"):
        case.put(row("a", "b", sort_key=f"2026-01-01T{group}", group=group), row("b", "a", BEFORE + group, group))
    pinned = case.put(message(moment, group="one"), message(moment, group="two"))
    good = case.put(row("x", "y", group="good"), row("y", "x", group="good"), message(group="good"))
    assert not {number_of(one) for one in good} & set(case.handle([*pinned, *good]))


def test_a_refusal_is_forgotten_when_everything_is_read_again(case: Case) -> None:
    case.put(row("a", "b"), row("b", "a"), message())
    write = case.engine.transact_write_items

    def refused_until_another_settles(**arguments: Any) -> Any:
        if "GRP#b" in str(arguments):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "")
        case.engine.transact_write_items = write  # type: ignore[method-assign]
        assert case.settle().failure is None
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "")

    case.engine.transact_write_items = refused_until_another_settles  # type: ignore[method-assign]
    assert case.settle().failure is None
    assert case.shown() == {"a": "new", "b": "new"}
    assert "shown" in case.conversation()
