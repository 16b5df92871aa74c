"""An engine that runs as a process of ours: when it is ready, and how it is stopped."""

import subprocess
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

STOP_SECONDS = 10


def is_ready(engine: "subprocess.Popen[bytes]", url: str, *, within_seconds: float, status: int = 200) -> bool:
    """Wait until a GET of the URL has the status; False where the process ends before, or the time is over."""
    give_up = time.monotonic() + within_seconds
    while engine.poll() is None and time.monotonic() < give_up:
        try:
            with urlopen(url, timeout=1) as answer:
                found = answer.status
        except HTTPError as refusal:
            found = refusal.code
        except (URLError, OSError):
            found = None
        if found == status:
            return True
        time.sleep(0.05)
    return False


def stop(engine: "subprocess.Popen[bytes]") -> None:
    """End the process, by force if it does not go."""
    engine.terminate()
    try:
        engine.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
