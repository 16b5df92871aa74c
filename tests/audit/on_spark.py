"""Checks exports on Spark, run by Spark's own Python: each argument is a location; prints a JSON line for each.

`DIE` names a file; the first task that folds an export kills its executor, and leaves that file.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from cruddur_messages.audit.checks import Finding
from cruddur_messages.audit.export import DataFile, Export
from cruddur_messages.audit.snapshot import TableSnapshot
from cruddur_messages.audit.spark import check


class FatalExport(Export):
    """An export whose first reader dies half-way, with its executor."""

    def folds(self, file: DataFile) -> Iterator[TableSnapshot]:
        folds = list(super().folds(file))
        yield folds[0]
        died = Path(os.environ["DIE"])
        if not died.exists():
            died.touch()
            # A worker's parent is the daemon, and that one's parent is the executor.
            daemon = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
            os.kill(int(daemon[1]), signal.SIGKILL)
        yield from folds[1:]


def main() -> None:
    """Check each export on 1, 2 and 64 partitions."""
    context = SparkContext()
    context.setLogLevel("OFF")
    for location in sys.argv[1:]:
        export = (FatalExport if "DIE" in os.environ else Export)(location, dict)  # type: ignore[arg-type]
        for partitions in (1, 2, 64):
            found: list[Any] = check(context, export, partitions=partitions).collect()
            lines = sorted(value.to_json(confirmed=False) for value in found if isinstance(value, Finding))
            sys.stdout.write(json.dumps({"findings": lines, "conversations": found.count(None)}) + "\n")


if __name__ == "__main__":
    main()
