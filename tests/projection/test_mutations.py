"""The proof bites: each deliberate fault in the projection breaks a promise on some schedule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import report
from tests.projection.mutations import LAMBDA, MUTATIONS, Mutation, mutate, noticed_after

pytestmark = pytest.mark.proof

MOST_SCHEDULES = 6000
"""How many schedules a fault may take to show; most show within ten."""


def test_without_a_mutation_nothing_is_noticed() -> None:
    assert noticed_after(LAMBDA, 200) is None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_is_noticed(
    mutation: Mutation, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert noticed_after(mutate(mutation, tmp_path), MOST_SCHEDULES) is not None
    record_property(report.COUNTED, ("mutations of the projection", 1))
