"""Stream records, folded to conversations."""

from typing import Any

import pytest

from cruddur_messages.projection.records import fold
from tests.unit.projection.case import DAYS, message, record, row, strings

pytestmark = pytest.mark.check

ODD: list[Any] = [
    None,
    "text",
    {},
    {"dynamodb": None},
    {"dynamodb": {"Keys": {"pk": {"N": "1"}}}},
    {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="USR#1", sk="1"), "SequenceNumber": "1"}},
    {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="MSG#", sk="1"), "SequenceNumber": "1"}},
    {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="MSG#" + "x" * 2044, sk="1"), "SequenceNumber": "1"}},
    record(row("a", group="x" * 2048)),
    record(row("a", group="")),
    {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="GRP#a", sk="1"), "SequenceNumber": "1"}},
    {"eventName": "REMOVE", "dynamodb": {"Keys": strings(pk="GRP#a", sk="1"), "SequenceNumber": "1"}},
    {"eventName": "?", "dynamodb": {"Keys": strings(pk="GRP#", sk="1"), "NewImage": strings(pk="GRP#")}},
    {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="CONV#g", sk="CONV"), "NewImage": strings(version="v")}},
]


@pytest.mark.parametrize("odd", ODD)
def test_an_unusable_record_makes_no_conversation_dirty_and_stops_no_other(odd: Any) -> None:
    folded = fold([odd, record(message()), odd])
    assert [dirty.message_group_uuid for dirty in folded.dirty] == ["g"]
    assert folded.ignored + len(folded.unusable) == 2


def test_a_batch_folds_to_its_conversations_in_order() -> None:
    folded = fold([record(message(DAYS[0], group="b")), record(message(group="a")), record(message(group="b"))])
    assert [(dirty.message_group_uuid, len(dirty.sequence_numbers)) for dirty in folded.dirty] == [("b", 2), ("a", 1)]


def test_the_key_of_a_row_that_a_backend_put_is_kept() -> None:
    (dirty,) = fold([record(row("a", sort_key="1")), record(message())]).dirty
    assert dirty.put_keys == {("GRP#a", "1")}
    assert dirty.must_read_rows


def test_the_projections_own_row_makes_no_conversation_dirty() -> None:
    folded = fold([record(row("a", message_uuid={"S": "m"})), record(row("a", message_uuid={"S": ""}))])
    assert (folded.dirty, folded.ignored) == ((), 2)


@pytest.mark.parametrize(("event_name", "must_read"), [("INSERT", False), ("MODIFY", True), ("REMOVE", True)])
def test_a_record_other_than_a_new_message_requires_reading_the_rows(event_name: str, must_read: bool) -> None:
    (dirty,) = fold([record(message(), event_name)]).dirty
    assert dirty.must_read_rows is must_read


@pytest.mark.parametrize(("times", "newest"), [([1, 3.5, 2], 3.5), (["x", 2], 2.0), ([10**400], None), ([None], None)])
def test_the_newest_change_is_kept(times: list[Any], newest: float | None) -> None:
    records = [record(message()) for _ in times]
    for one, time in zip(records, times, strict=True):
        one["dynamodb"]["ApproximateCreationDateTime"] = time
    (dirty,) = fold(records).dirty
    assert dirty.newest_change == newest
