"""Prints, for a shell to evaluate, the environment in which tools/install runs pip, uv and npm.

Of the user's configuration it keeps what says where packages come from: mirrors, certificates, proxies, caches. What it
leaves out says where they go and which are installed: a target, the user's site, constraints.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

SOURCES = re.compile(
    "(default|extra)?-?index(-url|-strategy|-.+-(username|password))?|find-links|no-index|offline|keyring-provider"
    "|cert|client-cert|native-tls|system-certs|trusted-host|(allow-)?insecure-host|proxy|(http-|default-)?timeout"
    "|retries|(no-)?cache(-dir)?"
)
"""The names of the settings of pip and of uv that are kept."""

Value = TypeVar("Value")

OTHERS = re.compile("(PIP|UV|PYTHON)_?.*|NODE_(ENV|OPTIONS|PATH)|VIRTUAL_ENV|CONDA_PREFIX")


def main() -> None:
    """Print what to unset and what to set; argv[1] is the file to which uv's own settings are written."""
    of_pip, of_uv = _settings_of_pip(), _kept(_variables("UV_"))
    for option, variable in (
        ("index-url", "DEFAULT_INDEX"),
        ("trusted-host", "INSECURE_HOST"),
        *([("no-index", "NO_INDEX"), ("find-links", "FIND_LINKS")] if "no-index" in of_pip else []),
    ):
        if option in of_pip:
            of_uv.setdefault(variable.lower().replace("_", "-"), of_pip[option])
    settings = {f"PIP_{_variable(name)}": value for name, value in of_pip.items()}
    settings |= {f"UV_{_variable(name)}": value for name, value in of_uv.items()}
    settings |= {"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": sys.argv[1]}
    for option, names in (("cert", ["SSL_CERT_FILE"]), ("proxy", ["HTTP_PROXY", "HTTPS_PROXY"])):
        settings |= {name: of_pip[option] for name in names if option in of_pip and name not in os.environ}
    Path(sys.argv[1]).write_text(_settings_of_uv())
    lines = [f"unset {name}" for name in os.environ if OTHERS.fullmatch(name)]
    print("\n".join([*lines, *(f"export {name}={shlex.quote(value)}" for name, value in settings.items())]))  # noqa: T201


def _settings_of_pip() -> dict[str, str]:
    """What pip's files and variables say, by pip's own order: a command's section, then the variables, comes last."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        sys.exit(listed.stderr)
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        found.get(section, {})[name] = ast.literal_eval(value)
    return _kept({name: value for section in found.values() for name, value in section.items()})


def _settings_of_uv() -> str:
    """What uv's files say, as one file of uv's. Those of a folder above this one are not for us."""
    of_user = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv/uv.toml"
    named = os.environ.get("UV_CONFIG_FILE")
    kept: dict[str, object] = {}
    for path in [Path(named)] if named else [Path("/etc/uv/uv.toml"), of_user]:
        if path.is_file():
            kept |= _kept(tomllib.loads(path.read_text(encoding="utf-8")))
    # JSON's strings, lists and truth values are TOML's too.
    indexes = kept.pop("index", [])
    tables = [table for table in indexes if isinstance(table, dict)] if isinstance(indexes, list) else []
    return "\n".join(_assignments(kept) + [line for table in tables for line in ["[[index]]", *_assignments(table)]])


def _assignments(table: Mapping[str, object]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


def _variables(prefix: str) -> dict[str, str]:
    """The variables with a prefix, by the names of their settings."""
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(prefix)
    }


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _kept(settings: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in settings.items() if SOURCES.fullmatch(name)}


if __name__ == "__main__":
    main()
