"""The promises of the projection in every interleaving of small cases (exhaustive.py)."""

from collections.abc import Callable

import pytest

from tests.projection import exhaustive
from tests.projection.exhaustive import FEW_ACTIONS

Record = Callable[[str, object], None]


@pytest.mark.check
@pytest.mark.parametrize("is_gradual", [False, True], ids=["at once", "item by item"])
@pytest.mark.parametrize("max_actions", [100, FEW_ACTIONS])
def test_every_interleaving_of_one_change(max_actions: int, is_gradual: bool, record_property: Record) -> None:
    exhaustive.explore_all(exhaustive.cases(1, max_actions=max_actions, is_gradual=is_gradual), record_property)


@pytest.mark.parametrize(("members", "max_actions"), [((1, 2, 3), 100), ((2,), FEW_ACTIONS)])
def test_every_interleaving_of_two_changes(members: tuple[int, ...], max_actions: int, record_property: Record) -> None:
    exhaustive.explore_all(exhaustive.cases(2, members=members, max_actions=max_actions), record_property)


def test_every_interleaving_of_two_changes_seen_item_by_item_by_one_member(record_property: Record) -> None:
    exhaustive.explore_all(exhaustive.cases(2, members=(1,), is_gradual=True), record_property)
