"""More of test_exhaustive.py, which takes minutes: two changes, with transactions that become visible item by item."""

import os
from collections.abc import Callable
from itertools import islice

import pytest

from tests.projection import exhaustive
from tests.projection.exhaustive import FEW_ACTIONS

pytestmark = pytest.mark.proof

Record = Callable[[str, object], None]
FIRST_SEED = int(os.environ.get("CRUDDUR_FIRST_SEED", "0"))
SHARDS = 16
"""All cases with several transactions take half an hour: CRUDDUR_FIRST_SEED chooses one in this many."""


@pytest.mark.parametrize("members", [2, 3])
def test_every_interleaving_of_two_changes_seen_item_by_item(members: int, record_property: Record) -> None:
    exhaustive.explore_all(exhaustive.cases(2, members=(members,)), record_property, is_gradual=True)


def test_of_several_transactions_seen_item_by_item_every_interleaving_of_some_cases(record_property: Record) -> None:
    some = islice(exhaustive.cases(2, members=(2,)), FIRST_SEED % SHARDS, None, SHARDS)
    exhaustive.explore_all(some, record_property, max_actions=FEW_ACTIONS, is_gradual=True)
