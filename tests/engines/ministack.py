"""The AWS emulator MiniStack without TLS and IAM, as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cruddur_local import engine_process, environment


@contextmanager
def running(port: int, directory: Path) -> Iterator[str]:
    """Run the emulator on a port of this machine, with its files in a directory; yields its endpoint."""
    # Other variables of the user would point the emulator's own clients elsewhere.
    variables = environment.basic() | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(directory),
    }
    log = directory / "ministack.log"
    with log.open("wb") as output:
        engine = subprocess.Popen(
            [str(Path(sys.executable).with_name("ministack"))],
            env=variables,
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
