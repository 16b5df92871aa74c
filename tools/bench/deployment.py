"""What a cold start costs, beside a bare client, and what `make up` takes; writes docs/bench/deployment.md.

Run: make bench-deployment
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from cruddur_infra import REPOSITORY
from tools import document

DOCUMENT = REPOSITORY / "docs/bench/deployment.md"
ROUNDS = 7
HANDLER = "import cruddur_messages.projection.handler"
BARE_CLIENT = "import boto3; boto3.client('dynamodb')"
VARIABLES = {"TABLE_NAME": "any", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


def main() -> None:
    """Measure, and write the document."""
    programs = [[sys.executable, "-c", code] for code in (HANDLER, BARE_CLIENT)]
    rounds = [[_seconds(REPOSITORY, *program) for program in programs] for _ in track(range(ROUNDS + 1))]
    # The first round fills the caches.
    handler, bare = map(statistics.median, zip(*rounds[1:], strict=True))
    cells = (f"{handler:.2f} s", f"{bare:.2f} s", f"{handler / bare:.2f}")
    document.write(DOCUMENT, {"| handler and client": [cells], "| `make up`": _make_up()})


def _make_up() -> Iterator[tuple[str, str]]:
    """The rows for a fresh clone, with the packages in the caches of uv and npm, and for a second run."""
    with tempfile.TemporaryDirectory() as folder:
        _seconds(REPOSITORY, "git", "clone", "--quiet", ".", folder)
        try:
            for which in ("first, in a fresh clone", "second"):
                yield which, f"{_seconds(Path(folder), 'make', 'up'):.0f} s"
        finally:
            _seconds(Path(folder), "make", "down")


def _seconds(folder: Path, *command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**VARIABLES, **os.environ}, check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
