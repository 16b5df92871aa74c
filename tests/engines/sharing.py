"""An engine for all processes of a test run: the first process starts it, and stops it when the others are done."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, ReadWriteLock


@contextmanager
def shared(folder: Path, name: str, start: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Yield the endpoint of the engine that `start` runs; `folder` is the same for all processes of the run."""
    note = folder / f"{name}.endpoint"
    coming_and_going = FileLock(folder / f"{name}.lock")
    users = ReadWriteLock(folder / f"{name}.users")
    with ExitStack() as ending:
        with coming_and_going:
            if note.exists():
                ending.enter_context(users.read_lock())
            else:
                note.write_text(ending.enter_context(start()))
                ending.enter_context(_no_user_left(note, coming_and_going, users))
            endpoint = note.read_text()
        yield endpoint


@contextmanager
def _no_user_left(note: Path, coming_and_going: FileLock, users: ReadWriteLock) -> Iterator[None]:
    """Before the end, admit no further process, and wait until the present ones are done."""
    try:
        yield
    finally:
        with coming_and_going:
            note.unlink()
        with users.write_lock():
            pass
