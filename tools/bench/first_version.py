"""The handler of this project's first version, from the repository's history, for comparison."""

import importlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

COMMIT = "edb040a8c72da164c5adf14adfe45ce3ab8044ea"
PACKAGE = "cruddur_messages"


@contextmanager
def handler_module() -> Iterator[Any]:
    """The module `stream_handler` as it was; it calls DynamoDB by its attribute `_dynamodb`.

    Raises RuntimeError if the history does not have it, as in a shallow clone.
    """
    repository = Path(__file__).parents[2]
    archived = subprocess.run(["git", "archive", COMMIT, "lambda"], cwd=repository, capture_output=True, check=False)
    if archived.returncode:
        raise RuntimeError("the first version is not in this clone's history: git fetch --unshallow")
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
        todays = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGE)}
        sys.path.insert(0, str(Path(folder) / "lambda"))
        try:
            module = importlib.import_module(f"{PACKAGE}.stream_handler")
        finally:
            sys.path.pop(0)
            for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
                del sys.modules[name]
            sys.modules.update(todays)
        yield module
