"""The proofs bite: each deliberate fault in the projection breaks a promise."""

from collections.abc import Callable

import pytest

from tests import report
from tests.projection.mutations import MUTATIONS, Mutation, noticed_by

MOST_SCHEDULES = 6000
"""How many schedules a fault may take to show; most show in the cases that are explored before."""


def test_without_a_mutation_nothing_is_noticed() -> None:
    assert noticed_by(None, 100) is None


@pytest.mark.proof
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_is_noticed(mutation: Mutation, record_property: Callable[[str, object], None]) -> None:
    assert noticed_by(mutation, MOST_SCHEDULES) is not None
    record_property(report.COUNTED, (f"of {len(MUTATIONS)} mutations noticed", 1))
