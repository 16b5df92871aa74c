"""The conversation item, read and written."""

from typing import Any

import pytest

from cruddur_messages.conversation_item import ConversationItem, fingerprint, update
from cruddur_messages.items import Message
from tests.projection.memory_engine import MemoryEngine
from tests.unit.projection.case import DAYS, message, strings

pytestmark = pytest.mark.check

ROWS = {"a": DAYS[0], "b": DAYS[0], "c": DAYS[1]}


def written(*updates: Any) -> ConversationItem:
    engine = MemoryEngine()
    for one in updates:
        engine.update_item(**one)
    return ConversationItem.from_attributes(engine.items["CONV#g", "CONV"])


FIRST = update("t", "g", read=None, then=ConversationItem({"S": "1"}, ROWS, "f"))


def test_what_is_written_is_read_again() -> None:
    assert written(FIRST) == ConversationItem({"S": "1"}, ROWS, "f")


def test_rows_without_shown_are_unfinished() -> None:
    unfinished = ConversationItem({"S": "2"}, ROWS, None)
    assert written(FIRST, update("t", "g", read={"S": "1"}, then=unfinished)) == unfinished


@pytest.mark.parametrize("read", [None, {"S": "0"}])
def test_an_update_from_another_version_fails(read: dict[str, str] | None) -> None:
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        written(FIRST, update("t", "g", read=read, then=ConversationItem({"S": "2"}, {}, None)))


def test_the_item_is_in_no_index_and_fifty_members_fit_into_two_kilobytes() -> None:
    uuids = [f"{number:08}-1234-1234-1234-123456789012" for number in range(50)]
    engine = MemoryEngine()
    rows = {member: DAYS[number // 49] for number, member in enumerate(uuids)}
    whole = ConversationItem({"S": "v" * 32}, rows, "f" * 32)
    first: Any = update("t", "g" * 36, read=None, then=whole)
    engine.update_item(**first)
    (item,) = engine.items.values()
    assert "message_group_uuid" not in item
    sizes = [len(name) + len(item[name]["S"]) for name in item if name != "rows"]
    sets = item["rows"]["M"]
    assert sum(sizes) + 7 + sum(1 + len(sk) + sum(map(len, own["SS"])) for sk, own in sets.items()) <= 2048


@pytest.mark.parametrize("other", [{"sk": DAYS[1]}, {"message": "x"}, {"message_uuid": "x"}])
def test_different_messages_have_different_fingerprints(other: dict[str, str]) -> None:
    prints = {fingerprint(Message.from_attributes({**message(), **strings(**change)})) for change in ({}, other)}
    assert len({*prints, fingerprint(None)}) == 3
