"""The tests notice each deliberate fault in the projection."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from tests import report
from tests.projection.mutations import MUTATIONS, noticed_by

pytestmark = pytest.mark.proof

MOST_SCHEDULES = 6000
"""The most schedules in which a fault must be noticed; the explored cases notice most before."""


def test_without_a_mutation_nothing_is_noticed() -> None:
    assert noticed_by(nullcontext(), 100) is None


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_each_mutation_is_noticed(mutation: str, record_property: Callable[[str, object], None]) -> None:
    assert noticed_by(MUTATIONS[mutation], MOST_SCHEDULES) is not None
    record_property(report.COUNTED, ("mutations of the projection", 1))
