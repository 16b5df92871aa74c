"""Fold and merge are one monoid, so that a scan, an export and Spark find the same."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st

from cruddur_messages import timestamps
from cruddur_messages.audit import snapshot
from cruddur_messages.audit.checks import Finding, Problem, check_table
from cruddur_messages.audit.forms import form_of
from cruddur_messages.audit.snapshot import MOST_LISTED, Contents, TableSnapshot
from cruddur_messages.items import AttributeMap
from tests.audit.damaged import GROUPS, TIMES, USERS, conversation, tables

pytestmark = pytest.mark.check

UTC_KEY, LATER, LOCAL_KEY = TIMES[0], TIMES[5], TIMES[2]


def fold(items: list[AttributeMap]) -> TableSnapshot:
    folded = TableSnapshot()
    folded.add(items)
    return folded


def found(folded: TableSnapshot) -> tuple[list[Finding], Contents]:
    return sorted(check_table(folded)), folded.contents


def problems(items: list[AttributeMap]) -> set[tuple[Problem, str]]:
    return {(finding.problem, finding.member_uuid) for finding in check_table(fold(items))}


@patch.object(snapshot, "MOST_LISTED", 2)
@settings(max_examples=200)
@given(tables(), st.data())
def test_any_order_any_cut_and_any_tree_of_merges_finds_the_same(
    items: list[AttributeMap], data: st.DataObject
) -> None:
    expected = found(fold(items))
    shuffled = data.draw(st.permutations(items))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=4)))
    parts = [fold(shuffled[start:end]) for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]
    while len(parts) > 1:
        one = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts[data.draw(st.integers(0, len(parts) - 1))].merge(one)
    assert found(parts[0]) == expected


@pytest.mark.parametrize("problem", Problem)
def test_generated_tables_have_every_problem(problem: Problem) -> None:
    def has(items: list[AttributeMap]) -> bool:
        return problem in {finding.problem for finding in check_table(fold(items))}

    find(tables(), has, settings=settings(max_examples=3000, phases=[Phase.generate]), random=Random(0))  # noqa: S311


_offsets = st.sampled_from(["", "Z", "+00:00", "-00:00", "+02:00", "-05:30", "+0200", "+02"])
_instants = st.datetimes(datetime(2026, 5, 1, 10), datetime(2026, 5, 1, 13)) | st.builds(
    lambda seconds: datetime(2026, 5, 1, 10) + timedelta(seconds=seconds), st.integers(0, 3)
)
_patterns = st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%G-W%V-%u"]), st.sampled_from("T -x")
_times_of_day = st.sampled_from(["%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S,%f", "%H%M%S", "%H:%M", "%H"])


@st.composite
def written(draw: st.DrawFn) -> str:
    """A timestamp as anybody may write it."""
    date, separator = (draw(pattern) for pattern in _patterns)
    text = draw(_instants).strftime(date + separator + draw(_times_of_day))
    return (text.rstrip("0") if draw(st.booleans()) else text) + draw(_offsets)


@given(st.lists(written().filter(lambda text: timestamps.parse(text) is not None), min_size=2, max_size=6))
@example(["2026-05-01T10:00:29Z", "2026-05-01T10:00:29.017Z"])
@example(["2026-05-01 10:00:00", "2026-05-01T09:00:00"])
def test_among_timestamps_of_one_form_the_order_of_texts_is_that_of_instants(sort_keys: list[str]) -> None:
    by_form: dict[str, list[str]] = {}
    for sort_key in sorted(sort_keys):
        by_form.setdefault(form_of(sort_key), []).append(sort_key)
    for same in by_form.values():
        instants = [timestamps.parse(text) or datetime.min.replace(tzinfo=UTC) for text in same]
        assert instants == sorted(instants), same


@pytest.mark.parametrize("others", [[TIMES[10], TIMES[11]], [LOCAL_KEY, "2026-05-02 09:00:00"], [UTC_KEY, LOCAL_KEY]])
def test_messages_in_several_forms_are_mixed(others: list[str]) -> None:
    assert problems(conversation(GROUPS[0], USERS[:2], others)) >= {(Problem.MIXED_TIMESTAMPS, "")}


def test_a_zero_fraction_that_is_left_out_is_not_mixed() -> None:
    items = conversation(GROUPS[0], USERS[:2], ["2026-05-01T10:00:00+00:00", "2026-05-01T10:00:00.017+00:00"])
    assert problems(items) == set()


def test_whoever_left_is_not_missing_and_may_still_stand_in_the_conversation_item() -> None:
    ann, bo, cy = USERS[:3]
    items = conversation(GROUPS[0], [ann, bo, cy], [UTC_KEY])
    left: AttributeMap = {"pk": {"S": f"MEMBER#{cy}"}, "sk": {"S": GROUPS[0]}, "left_at": {"S": LATER}}
    gone = [item for item in items if item["pk"] != {"S": f"GRP#{cy}"}]
    assert problems(items) == set()
    assert problems(gone) == {(Problem.MISSING_ROW, cy), (Problem.WRONG_CONVERSATION_ITEM, "")}
    assert problems([*gone, left]) == set()
    assert problems([*items, left]) == {(Problem.ROW_AFTER_LEAVING, cy)}
    assert problems([left]) == set()


def test_whoever_joined_and_has_no_row_is_missing() -> None:
    joined: AttributeMap = {"pk": {"S": f"MEMBER#{USERS[2]}"}, "sk": {"S": GROUPS[0]}, "joined_at": {"S": LATER}}
    assert problems([*conversation(GROUPS[0], USERS[:2], [UTC_KEY]), joined]) == {(Problem.MISSING_ROW, USERS[2])}


def test_rows_of_an_idle_group_are_not_marked() -> None:
    items = conversation(GROUPS[0], USERS[:3], [UTC_KEY])
    unmarked: list[AttributeMap] = [
        {name: value for name, value in item.items() if name != "is_group"} for item in items
    ]
    assert problems(unmarked) == {(Problem.UNMARKED_GROUP, user) for user in USERS[:3]}
    assert problems([*unmarked[:1], *items[1:2], *unmarked[2:]]) == {
        (Problem.UNMARKED_GROUP, user) for user in USERS[1:3]
    }


def test_two_pairs_of_one_conversation_are_both_its_members_and_a_pair_alone_is_no_conversation() -> None:
    items = conversation(GROUPS[0], USERS[:2], [UTC_KEY])
    assert problems(items[-1:]) == set()
    other: AttributeMap = {**items[-1], "pk": {"S": f"PAIR#{USERS[2]}#{USERS[3]}"}}
    missing = {(Problem.MISSING_ROW, USERS[2]), (Problem.MISSING_ROW, USERS[3])}
    assert problems([*items, other]) == problems([other, *items]) == missing


def test_a_conversation_whose_id_is_none_is_one_finding_and_nobody_misses_a_row_of_it() -> None:
    wrong = f"@{GROUPS[0]}"
    items = [item for item in conversation(wrong, USERS[:2], [UTC_KEY]) if item["pk"]["S"].startswith("MSG#")]
    assert list(check_table(fold(items))) == [Finding(Problem.MALFORMED_ITEM, wrong, "", "")]


def test_many_malformed_items_are_counted_and_some_are_listed() -> None:
    items: list[AttributeMap] = [{"pk": {"S": f"MSG#{GROUPS[0]}"}, "sk": {"S": f"x{n:06}"}} for n in range(20_000)]
    findings = list(check_table(fold(items)))
    assert len(findings) == MOST_LISTED + 1
    assert findings[-1].sort_key == ""


def long_conversation(messages: int) -> Iterator[AttributeMap]:
    """The items of a conversation with this many messages."""
    items = conversation(GROUPS[0], USERS[:2], [LATER])
    for number in range(messages - 1):
        yield {**items[0], "sk": {"S": f"2026-05-01T10:00:00.{number:06}+00:00"}}
    yield from items


@contextmanager
def peak_of_memory() -> Iterator[Callable[[], int]]:
    """Measure the most bytes that are in use at a time; call the value when it is done."""
    tracemalloc.start()
    try:
        yield lambda: peak
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
