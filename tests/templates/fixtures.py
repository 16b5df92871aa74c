"""The synthesized templates, cached for each stage and set of overrides in a test process."""

import functools
from collections.abc import Callable

import pytest

from tools import synthesis
from tools.synthesis import Templates

STAGES = ("local", "dev", "prod")

each_stage = pytest.mark.parametrize("stage", ["local", "dev", pytest.param("prod", marks=pytest.mark.check)])
"""For tests of the templates of every stage; `make check` tests only those of prod."""


synthesize = functools.cache(synthesis.synthesize)


@pytest.fixture(scope="session")
def templates() -> Callable[..., Templates]:
    """Synthesizes a stage: `templates("dev", billing="provisioned")`."""
    return synthesize
