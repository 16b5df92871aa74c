"""How long work reports how far it is, without knowing who looks on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Work under way. Safe to share between threads."""

    def advance(self, by: int) -> None:
        """Go on by so many steps."""


ShowProgress = Callable[[str, int | None], AbstractContextManager[Progress]]
"""Given what is being done and how many steps it has, if that is known."""


class _Nobody:
    def advance(self, by: int) -> None:
        """Nobody looks on."""


@contextmanager
def no_progress(_what: str, _total: int | None) -> Iterator[Progress]:
    """Report to nobody."""
    yield _Nobody()
