"""A pytest plugin: how pytest-xdist spreads the tests over processes.

The tests of a file share what the file has set up, and stay together. Those that need nothing but time do not, and
come last, so that no process ends long before the other.
"""

from typing import Any

from xdist.scheduler import LoadScopeScheduling

ALONE = ("test_mutations.py", "test_real_streams.py", "test_simulation.py")
"""The files whose tests share nothing."""


class ByFile(LoadScopeScheduling):
    """As `--dist loadfile`, but for the files whose tests share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.endswith(ALONE) else file


def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByFile:
    """Answer pytest-xdist's question for a scheduler."""
    return ByFile(config, log)
