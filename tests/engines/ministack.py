"""The AWS emulator MiniStack, plain (no TLS, no IAM), as a process of the tests' own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

MISLEADING = ("AWS_", "SSL_", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Beginnings of environment variables that would point the emulator's own clients elsewhere."""

START_SECONDS = 60
STOP_SECONDS = 10


@contextmanager
def running(port: int, directory: Path) -> Iterator[str]:
    """Run the emulator on a port of this machine, with its files in a directory; answers its endpoint."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(MISLEADING)}
    environment |= {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(directory),
    }
    log = directory / "ministack.log"
    with log.open("wb") as output:
        engine = subprocess.Popen(
            [str(Path(sys.executable).with_name("ministack"))],
            env=environment,
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            _wait_until_ready(endpoint, engine, log)
            yield endpoint
        finally:
            _stop(engine)


def _wait_until_ready(endpoint: str, engine: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while engine.poll() is None and time.monotonic() < give_up:
        try:
            with urlopen(f"{endpoint}/_ministack/ready", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"MiniStack did not get ready; its log ends with: {log.read_text()[-2000:]}")


def _stop(engine: "subprocess.Popen[bytes]") -> None:
    engine.terminate()
    try:
        engine.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
