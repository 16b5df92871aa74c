"""What the tests of the projection share."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.projection import settlement as projection


@pytest.fixture(autouse=True)
def modules_as_they_were() -> Iterator[None]:
    """The simulation puts its own table, clock and threads into the handler's modules; they go when the test ends."""
    saved = [(module, dict(vars(module))) for module in (projection, stream_handler)]
    yield
    for module, names in saved:
        vars(module).update(names)
