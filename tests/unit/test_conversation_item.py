"""The size of the conversation item, and what it says of the message that is shown."""

from typing import Any

import pytest

from cruddur_messages.conversation_item import ConversationItem, fingerprint, update
from cruddur_messages.items import Message
from tests.projection.memory_engine import MemoryEngine
from tests.unit.projection.case import DAYS, message, strings

pytestmark = pytest.mark.check


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
