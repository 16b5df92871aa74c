"""Which rows must move, and to which keys."""

import pytest

from cruddur_messages.items import GroupRow, Message
from cruddur_messages.projection.moves import plan, stands_for
from cruddur_messages.projection.steps import TIE_PLACES, Move
from cruddur_messages.timestamps import MAX_TIE_OFFSET, canonical
from tests.projection.memory_engine import Item
from tests.unit.projection.case import BEFORE, SENT, message, row

pytestmark = pytest.mark.check

NEWEST = Message.from_attributes(message())


def planned(*rows: Item, newest: Message | None = NEWEST, is_shown: bool = False) -> list[Move]:
    return plan([GroupRow.from_attributes(item) for item in rows], newest, is_shown=is_shown)


def test_a_row_moves_to_the_messages_time_and_shows_it_and_all_else_stays() -> None:
    more: Item = {"tags": {"SS": ["x"]}, "deep": {"M": {"l": {"L": [{"N": "1"}, {"NULL": True}, {"B": b"\x00"}]}}}}
    (move,) = planned(row("a", **more))
    assert move.target.attributes == {
        **row("a", **more, sort_key=SENT),
        "message": {"S": "new"},
        "message_uuid": {"S": NEWEST.message_uuid},
    }
    assert (move.is_needed, move.replaced, len(move.deleted)) == (True, None, 1)


def test_the_keys_of_a_tie_are_all_different_and_limited() -> None:
    (move,) = planned(row("a"))
    places = [move.target.sort_key]
    following = move.to_next_place()
    while following is not None:
        places.append(following.target.sort_key)
        following = following.to_next_place()
    assert len(set(places)) == TIE_PLACES + 1
    assert max(places) == canonical(NEWEST.instant + MAX_TIE_OFFSET)
    assert all(stands_for(place, NEWEST) for place in places)


def test_a_row_of_a_tie_stays_only_if_its_message_is_known_to_be_shown() -> None:
    later = planned(row("a"))[0].to_next_place()
    assert later is not None
    attributes = dict(later.target.attributes)
    assert not planned(attributes, is_shown=True)[0].is_needed
    assert planned(attributes, is_shown=False)[0].target.sort_key == SENT


def test_of_two_rows_in_a_tie_with_each_other_one_is_left_at_the_messages_time() -> None:
    (first,) = planned(row("a"))
    later = first.to_next_place()
    assert later is not None
    (move,) = planned(dict(first.target.attributes), dict(later.target.attributes), is_shown=True)
    assert (move.target.sort_key, len(move.deleted)) == (SENT, 1)


def test_a_second_row_does_not_give_up_the_place_of_a_tie() -> None:
    later = planned(row("a"))[0].to_next_place()
    assert later is not None
    (move,) = planned(dict(later.target.attributes), row("a"), is_shown=True)
    assert (move.target.sort_key, move.instant, len(move.deleted)) == (later.target.sort_key, None, 1)


@pytest.mark.parametrize("sort_key", [BEFORE, SENT.replace("+00:00", "Z"), SENT.replace("901+", "900+"), "x", ""])
def test_no_other_sort_key_counts_as_the_messages_time(sort_key: str) -> None:
    assert not stands_for(sort_key, NEWEST)
