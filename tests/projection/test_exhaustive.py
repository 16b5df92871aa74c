"""The promises of the projection in every interleaving of small cases (exhaustive.py)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import pytest

from tests import report
from tests.projection import exhaustive

SHARDS = 32


@pytest.mark.parametrize("max_actions", [100, exhaustive.FEW_ACTIONS])
@pytest.mark.parametrize("changes", [1, 2])
def test_every_interleaving_of_a_few_changes(
    changes: int, max_actions: int, record_property: Callable[[str, object], None]
) -> None:
    _explore(exhaustive.cases(changes=changes), max_actions, record_property)


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_interleaving_of_three_changes(shard: int, record_property: Callable[[str, object], None]) -> None:
    _explore(islice(exhaustive.cases(changes=3), shard, None, SHARDS), 100, record_property)


def _explore(
    cases: Iterable[exhaustive.Case], max_actions: int, record_property: Callable[[str, object], None]
) -> None:
    states = sum(exhaustive.explore(replace(case, max_actions=max_actions)) for case in cases)
    record_property(report.COUNTED, ("states of small cases explored, every interleaving", states))
