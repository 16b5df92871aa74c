"""The promises of the projection in every interleaving of small cases (exhaustive.py)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import pytest

from tests import report
from tests.projection import exhaustive

SHARDS = 16


@pytest.mark.check
@pytest.mark.parametrize("max_actions", [100, exhaustive.FEW_ACTIONS])
def test_every_interleaving_of_one_change(max_actions: int, record_property: Callable[[str, object], None]) -> None:
    _explore(exhaustive.cases(changes=1), max_actions, record_property)


@pytest.mark.parametrize(("members", "max_actions"), [((1, 2, 3), 100), ((2,), exhaustive.FEW_ACTIONS)])
def test_every_interleaving_of_two_changes(
    members: tuple[int, ...], max_actions: int, record_property: Callable[[str, object], None]
) -> None:
    _explore(exhaustive.cases(changes=2, members=members), max_actions, record_property)


@pytest.mark.proof
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_interleaving_of_three_changes_between_two(
    shard: int, record_property: Callable[[str, object], None]
) -> None:
    _explore(islice(exhaustive.cases(changes=3, members=(2,)), shard, None, SHARDS), 100, record_property)


def _explore(
    cases: Iterable[exhaustive.Case], max_actions: int, record_property: Callable[[str, object], None]
) -> None:
    states = sum(exhaustive.explore(replace(case, max_actions=max_actions)) for case in cases)
    record_property(report.COUNTED, ("states of small cases explored, every interleaving", states))
