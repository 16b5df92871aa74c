"""What all callers of DynamoDB share."""

import time
from typing import Any

import pytest

from cruddur_messages.dynamodb import get_items
from cruddur_messages.items import key_attributes
from tests.projection.memory_engine import MemoryEngine


def test_unprocessed_keys_are_asked_again_after_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    left = iter((3, 3, 1, 0))
    engine: Any = MemoryEngine(unprocessed=lambda _: next(left))
    keys = [key_attributes(("GRP#ann", f"{number:03}")) for number in range(102)]
    for key in keys:
        engine.put_item(TableName="table", Item=key)
    found = get_items(engine.batch_get_item, "table", keys)
    assert sorted(item["sk"]["S"] for item in found) == [key["sk"]["S"] for key in keys]
    assert 0.02 < pauses[0] < pauses[1] < pauses[2] <= 0.2
