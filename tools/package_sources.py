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
from pathlib import Path

SOURCES = re.compile(
    "(default|extra)?-?index(-url|-strategy|-.+-(username|password))?|find-links|no-index|offline|keyring-provider"
    "|cert|client-cert|native-tls|system-certs|trusted-host|(allow-)?insecure-host|proxy|(http-|default-)?timeout"
    "|retries|(no-)?cache(-dir)?"
)
"""The names of the settings of pip and of uv that are kept."""

OTHERS = re.compile("(PIP|UV|PYTHON)_?.*|NODE_(ENV|OPTIONS|PATH)|VIRTUAL_ENV|CONDA_PREFIX")

ALSO = {
    "index-url": ["UV_DEFAULT_INDEX"],
    "trusted-host": ["UV_INSECURE_HOST"],
    "cert": ["SSL_CERT_FILE"],
    "proxy": ["HTTP_PROXY", "HTTPS_PROXY"],
}
"""The variables with which uv gets a setting of pip, unless the user has set them."""


def main() -> None:
    """Print what to unset and what to set; argv[1] is the file to which uv's own settings are written."""
    of_pip = _settings_of_pip()
    also = ALSO | ({"no-index": ["UV_NO_INDEX"], "find-links": ["UV_FIND_LINKS"]} if "no-index" in of_pip else {})
    settings = {name: of_pip[option] for option, names in also.items() if option in of_pip for name in names}
    settings |= {name: os.environ[name] for name in settings.keys() & os.environ.keys()}
    settings |= {f"PIP_{name.upper().replace('-', '_')}": value for name, value in of_pip.items()}
    settings |= {name: value for name, value in os.environ.items() if name.startswith("UV_") and _is_source(name[3:])}
    settings |= {"PIP_CONFIG_FILE": os.devnull, "UV_CONFIG_FILE": sys.argv[1]}
    Path(sys.argv[1]).write_text(_settings_of_uv())
    lines = [f"unset {name}" for name in os.environ if OTHERS.fullmatch(name)]
    print("\n".join([*lines, *(f"export {name}={shlex.quote(value)}" for name, value in settings.items())]))  # noqa: T201


def _settings_of_pip() -> dict[str, str]:
    """What pip's files and variables say, by pip's own order: a command's section, then the variables, comes last."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        sys.exit(listed.stderr)
    lines = [line.partition("=") for line in listed.stdout.splitlines()]
    found = {tuple(key.rpartition(".")[::2]): ast.literal_eval(value) for key, _, value in lines}
    sections = ("global", "install", ":env:")
    return {name: found[of, name] for section in sections for of, name in found if of == section and _is_source(name)}


def _settings_of_uv() -> str:
    """What uv's files say, as one file of uv's. Those of a folder above this one are not for us."""
    of_user = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv/uv.toml"
    named = os.environ.get("UV_CONFIG_FILE")
    kept: dict[str, object] = {}
    for path in [Path(named)] if named else [Path("/etc/uv/uv.toml"), of_user]:
        if path.is_file():
            kept |= {
                name: one for name, one in tomllib.loads(path.read_text(encoding="utf-8")).items() if _is_source(name)
            }
    # JSON's strings, lists and truth values are TOML's too, but not its objects.
    indexes = kept.pop("index", [])
    tables = [kept, *(indexes if isinstance(indexes, list) else [])]
    return "[[index]]\n".join(
        "".join(f"{name} = {json.dumps(one)}\n" for name, one in table.items()) for table in tables
    )


def _is_source(name: str) -> bool:
    return SOURCES.fullmatch(name.lower().replace("_", "-")) is not None


if __name__ == "__main__":
    main()
