"""The promises of the projection, over generated schedules (docs/projection.md).

A failure prints the shortest schedule that Hypothesis finds, its story, and the command that plays it again.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests import report
from tests.projection import choices, simulation
from tests.projection.promises import ViolationError

pytestmark = pytest.mark.check

SCHEDULES = int(os.environ.get("CRUDDUR_SCHEDULES", "2000"))
FIRST_SEED = int(os.environ.get("CRUDDUR_FIRST_SEED", "0"))
SHARDS = max(20, SCHEDULES // 1000)
TOKENS = ["eNpjYGBgZ6A_YAQAA6wACQ==", *os.environ.get("CRUDDUR_SCHEDULE", "").split()]

CHUNK = 32
schedules = st.lists(
    st.binary(min_size=CHUNK, max_size=CHUNK), min_size=choices.SIZE // CHUNK, max_size=choices.SIZE // CHUNK
).map(b"".join)


def check_schedules(seed_number: int, count: int) -> None:
    """Generate and play this many schedules; the same ones for the same seed."""

    @seed(seed_number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(schedules)
    def play(schedule: bytes) -> None:
        try:
            simulation.run(schedule)
        except ViolationError as violation:
            token = choices.to_token(schedule)
            raise ViolationError(
                f"{violation}\nplay it again: "
                f"CRUDDUR_SCHEDULE={token} .venv/bin/pytest tests/projection/test_simulation.py -k token"
            ) from None

    play()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_promises_hold_on_every_schedule(shard: int, record_property: Callable[[str, object], None]) -> None:
    check_schedules(seed_number=FIRST_SEED + shard, count=SCHEDULES // SHARDS)
    record_property(report.COUNTED, (f"schedules, from seed {FIRST_SEED}", SCHEDULES // SHARDS))


@pytest.mark.parametrize("token", TOKENS)
def test_a_schedule_is_played_again_by_its_token(token: str) -> None:
    schedule = choices.from_token(token)
    assert choices.from_token(choices.to_token(schedule)) == schedule
    simulation.run(schedule)
