"""The synthesized templates, cached for each stage and set of overrides in a test process."""

import functools
from collections.abc import Callable

import pytest

from tools.template import Templates

STAGES = ("local", "dev", "prod")

each_stage = pytest.mark.parametrize("stage", ["local", "dev", pytest.param("prod", marks=pytest.mark.check)])
"""For tests of the templates of every stage; `make check` tests only those of prod."""


@functools.cache
def synthesize(stage: str, **overrides: object) -> Templates:
    """Synthesize a stage once for all tests of this process."""
    # Importing CDK starts Node, so only the tests that need it import it.
    from tools import synthesis

    return synthesis.synthesize(stage, **overrides)


@pytest.fixture(scope="session")
def templates() -> Callable[..., Templates]:
    """Synthesizes a stage: `templates("dev", billing="provisioned")`."""
    return synthesize
