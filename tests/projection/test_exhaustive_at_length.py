"""More of test_exhaustive.py, which takes minutes: three changes."""

from collections.abc import Callable

import pytest

from tests.projection import exhaustive

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("last", exhaustive.CHANGES)
def test_every_interleaving_of_three_changes(
    last: str, members: int, record_property: Callable[[str, object], None]
) -> None:
    cases = exhaustive.cases(3, members=(members,))
    exhaustive.explore_all((case for case in cases if case.changes[-1] == last), record_property)
