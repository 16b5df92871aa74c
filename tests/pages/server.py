"""`make pages` as a process."""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tests.end_to_end.checkout import Checkout


@dataclass
class Server:
    """`make pages` on the running system of a checkout; `variables` are further words for make."""

    checkout: Checkout
    port: int
    variables: Sequence[str] = ()
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
