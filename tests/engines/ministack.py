"""The AWS emulator MiniStack without TLS and IAM, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cruddur_local import engine_process

MISLEADING = ("AWS_", "SSL_", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Prefixes of environment variables that would point the emulator's own clients elsewhere."""


@contextmanager
def running(port: int, directory: Path) -> Iterator[str]:
    """Run the emulator on a port of this machine, with its files in a directory; yields its endpoint."""
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
            if not engine_process.is_ready(engine, f"{endpoint}/_ministack/ready"):
                raise RuntimeError(f"MiniStack did not start; its log ends with: {log.read_text()[-2000:]}")
            yield endpoint
        finally:
            engine_process.stop(engine)
