"""More of test_exhaustive.py, which takes minutes: two changes, with transactions that become visible item by item."""

from collections.abc import Callable

import pytest

from tests.projection import exhaustive
from tests.projection.exhaustive import FEW_ACTIONS

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(("members", "max_actions"), [(2, 100), (3, 100), (2, FEW_ACTIONS)])
@pytest.mark.parametrize("last", exhaustive.CHANGES)
def test_every_interleaving_of_two_changes_seen_item_by_item(
    last: str, members: int, max_actions: int, record_property: Callable[[str, object], None]
) -> None:
    cases = (case for case in exhaustive.cases(2, members=(members,)) if case.changes[-1] == last)
    exhaustive.explore_all(cases, record_property, max_actions=max_actions, is_gradual=True)
