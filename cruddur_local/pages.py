"""The messages page of examples/backend, on the running system."""

import json
import os
import sys
from typing import NoReturn

from cruddur_local import environment, paths
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError


def serve(emulator: Emulator, *, port: int | None) -> NoReturn:
    """Replace this process with the backend, in the environment of `make env`. Raises LocalSystemError."""
    try:
        table_name = json.loads(paths.SYSTEM.read_text())["table_name"]
    except FileNotFoundError:
        raise LocalSystemError("the system is not deployed yet; wait for make up to end") from None
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    search_path = os.pathsep.join([str(paths.REPOSITORY), str(paths.REPOSITORY / "lambda")])
    ours = emulator.variables | {"DDB_TABLE_NAME": table_name, "PYTHONPATH": search_path}
    variables = inherited | environment.without_proxy() | ours
    words = [] if port is None else ["--port", str(port)]
    os.execve(sys.executable, [sys.executable, "-m", "examples.backend", *words], variables)  # noqa: S606
