"""An engine that several processes share is started once, and stopped when the last of them is done."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cruddur_local.waiting import wait_until
from tests.engines.sharing import shared


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Notes each start and each stop as a file."""
    (folder / f"started-{time.monotonic_ns()}").touch()
    yield "somewhere"
    (folder / f"stopped-{time.monotonic_ns()}").touch()


def count(folder: Path, kind: str) -> int:
    return len(list(folder.glob(f"{kind}-*")))


def use(folder: Path, number: int) -> None:
    """Use the engine until all processes use it."""
    with shared(folder, "engine", lambda: engine(folder)) as endpoint:
        assert endpoint == "somewhere"
        (folder / f"here-{number}").touch()
        assert wait_until(lambda: count(folder, "here") == 3)
        assert count(folder, "stopped") == 0
    (folder / f"gone-{number}").touch()


def test_three_processes_share_one_engine(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    users = [spawn.Process(target=use, args=(tmp_path, number)) for number in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0, 0, 0]
    assert (count(tmp_path, "started"), count(tmp_path, "stopped"), count(tmp_path, "gone")) == (1, 1, 3)
