"""`make pages` as a process, on a system of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.checkout import Checkout
from tests.engines.fixtures import free_port


@dataclass
class Server:
    """`make pages` on the running system of a checkout; `variables` are further words for make."""

    checkout: Checkout
    port: int
    variables: tuple[str, ...]
    process: "subprocess.Popen[str] | None" = None

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def begin(self) -> None:
        """Start it, and wait until it prints its address."""
        self.process = self.checkout.begin_target("-s", "pages", f"PORT={self.port}", *self.variables)
        assert self.process.stdout is not None
        printed = self.process.stdout.readline()
        assert self.address in printed, printed or self.process.communicate()

    def end(self) -> str:
        """Press Ctrl-C, and return the server's error output."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.communicate(timeout=120)[1]


@contextmanager
def serving(folder: Path, *variables: str) -> Iterator[Server]:
    """A system in a new checkout in `folder`, and its server."""
    checkout = Checkout.make(folder)
    try:
        refused = checkout.make_target("pages", succeeds=False)
        assert "error: the system does not run; start it with make up" in refused.stderr
        assert "make pages" in checkout.make_target("up", f"PORT={free_port()}").stdout
        server = Server(checkout, free_port(), variables)
        server.begin()
        yield server
        server.end()
    finally:
        checkout.make_target("down")
