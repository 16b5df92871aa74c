"""How long-running work reports its progress, independent of the display."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Work under way. Safe to share between threads."""

    def advance(self, by: int) -> None:
        """Add to the steps done."""


ShowProgress = Callable[[str, int | None], AbstractContextManager[Progress]]
"""Called with a name of the work and its number of steps, if that is known."""


class _Nobody:
    def advance(self, by: int) -> None:
        """Report to nobody."""


@contextmanager
def no_progress(_what: str, _total: int | None) -> Iterator[Progress]:
    """Report to nobody."""
    yield _Nobody()
