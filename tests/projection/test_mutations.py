"""The tests notice each deliberate fault in the projection."""

from collections.abc import Callable

import pytest

from tests import report
from tests.projection.mutations import MUTATIONS, Mutation, noticed_by

pytestmark = pytest.mark.proof

MOST_SCHEDULES = 6000
"""The most schedules in which a fault must be noticed; the explored cases notice most before."""


def test_without_a_mutation_nothing_is_noticed() -> None:
    assert noticed_by(None, 100) is None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_is_noticed(mutation: Mutation, record_property: Callable[[str, object], None]) -> None:
    assert noticed_by(mutation, MOST_SCHEDULES) is not None
    record_property(report.COUNTED, ("mutations of the projection", 1))
