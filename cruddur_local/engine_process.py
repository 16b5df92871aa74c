"""An engine that runs as a process of ours: when it is ready, and how it is stopped."""

import subprocess
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from cruddur_local.waiting import wait_until

STOP_SECONDS = 10
ANSWER_SECONDS = 10


def is_ready(engine: "subprocess.Popen[bytes]", url: str, *, status: int = 200) -> bool:
    """Wait until a GET of the URL has the status; False where the process ends before, or hangs."""
    wait_until(lambda: engine.poll() is not None or _status(url) == status)
    return engine.poll() is None and _status(url) == status


def _status(url: str) -> int | None:
    try:
        with urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status)
    except HTTPError as refusal:
        return refusal.code
    except (URLError, OSError):
        return None


def stop(engine: "subprocess.Popen[bytes]") -> None:
    """End the process, by force if it does not go."""
    engine.terminate()
    try:
        engine.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
