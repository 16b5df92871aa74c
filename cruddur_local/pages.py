"""The messages page of examples/backend, on the running system."""

import os
import sys
from typing import NoReturn

from cruddur_local import environment, paths, system
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError


def serve(emulator: Emulator, *, port: int | None) -> NoReturn:
    """Replace this process with the backend, in the environment of `make env`. Raises LocalSystemError."""
    description = system.description()
    if not description:
        raise LocalSystemError("the system is not deployed yet; wait for make up to end")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    search_path = os.pathsep.join([str(paths.REPOSITORY), str(paths.REPOSITORY / "lambda")])
    ours = emulator.variables | {system.TABLE_VARIABLE: description["table_name"], "PYTHONPATH": search_path}
    variables = inherited | environment.without_proxy() | ours
    words = [] if port is None else ["--port", str(port)]
    os.execve(sys.executable, [sys.executable, "-m", "examples.backend", *words], variables)  # noqa: S606
