"""More of test_exhaustive.py, which takes minutes: two changes, with transactions that become visible item by item."""

import os
from collections.abc import Callable

import pytest

from tests.projection import exhaustive
from tests.projection.exhaustive import FEW_ACTIONS

pytestmark = pytest.mark.proof

Record = Callable[[str, object], None]
FIRST_SEED = int(os.environ.get("CRUDDUR_FIRST_SEED", "0"))


@pytest.mark.parametrize("members", [2, 3])
def test_every_interleaving_of_two_changes_seen_item_by_item(members: int, record_property: Record) -> None:
    exhaustive.explore_all(exhaustive.cases(2, members=(members,), is_gradual=True), record_property)


@pytest.mark.parametrize("first", exhaustive.CHANGES)
def test_of_several_transactions_seen_item_by_item_every_interleaving_of_a_case(
    first: str, record_property: Record
) -> None:
    """All these cases take half an hour: the seed chooses one of the sixteen with this first change."""
    all_cases = exhaustive.cases(2, members=(2,), max_actions=FEW_ACTIONS, is_gradual=True)
    cases = [case for case in all_cases if case.changes[0] == first]
    chosen = cases[(FIRST_SEED + 3 * exhaustive.CHANGES.index(first)) % len(cases)]
    exhaustive.explore_all([chosen], record_property)
