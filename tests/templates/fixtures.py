"""The synthesized templates, made once for each stage and set of overrides in a test process."""

import functools
from collections.abc import Callable

import pytest

from drawings.template import Templates

STAGES = ("local", "dev", "prod")


@functools.cache
def synthesize(stage: str, **overrides: object) -> Templates:
    """Synthesize a stage, once for all tests of this process."""
    # Importing CDK starts Node; tests that do without are spared it.
    from drawings import synthesis

    return synthesis.synthesize(stage, **overrides)


@pytest.fixture(scope="session")
def templates() -> Callable[..., Templates]:
    """Synthesizes a stage: `templates("dev", billing="provisioned")`."""
    return synthesize
