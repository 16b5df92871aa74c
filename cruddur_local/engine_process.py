"""An engine as a child process: waiting until it is ready, and stopping it."""

import subprocess
from urllib.error import HTTPError

from cruddur_local import environment
from cruddur_local.waiting import wait_until

STOP_SECONDS = 10
RESPONSE_SECONDS = 10


def is_ready(engine: "subprocess.Popen[bytes]", url: str, *, status: int = 200) -> bool:
    """Wait until a GET of the URL returns the status; False if the process ends before, or hangs."""
    wait_until(lambda: engine.poll() is not None or _status(url) == status)
    return engine.poll() is None and _status(url) == status


def _status(url: str) -> int | None:
    try:
        with environment.open_directly(url, timeout=RESPONSE_SECONDS) as response:
            return int(response.status)
    except HTTPError as refusal:
        return refusal.code
    except OSError:
        return None


def stop(engine: "subprocess.Popen[bytes]") -> None:
    """Terminate the process, and kill it if it does not end."""
    engine.terminate()
    try:
        engine.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
