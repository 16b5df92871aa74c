"""What the command line uses of the checkout and of the system of `make up`.

Nothing else here imports from `cruddur_local`.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cruddur_cli.errors import DdbError
from cruddur_local.environment import session as session
from cruddur_local.paths import REBUILDS, REPOSITORY, SYSTEM


def description() -> Mapping[str, str]:
    """The description that `make up` wrote of its system; empty if none is up. Raises DdbError."""
    try:
        written = json.loads(SYSTEM.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DdbError(f"{SYSTEM} cannot be read ({error}): run make down, then make up") from error
    if not isinstance(written, dict):
        raise DdbError(f"{SYSTEM} does not describe a system: run make down, then make up")
    return {name: value for name, value in written.items() if isinstance(value, str)}


def checkpoint_path(table_name: str, place: str) -> Path:
    """The default file in which a rebuild of a table notes what remains to do."""
    return REBUILDS / f"{table_name}-{hashlib.sha256(f'{place}/{table_name}'.encode()).hexdigest()[:12]}.jsonl"


def version() -> str:
    """The project's version."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return str(settings["tool"]["cruddur"]["version"])
