"""A copy of the repository, in which a test runs the README's commands as a user would."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cruddur_infra import REPOSITORY
from cruddur_local.emulator import REGION
from tests.aws.account import Account
from tests.end_to_end import hostile

COPIED = (
    "Makefile",
    "app.py",
    "bin",
    "cdk.json",
    "cruddur_cli",
    "cruddur_infra",
    "cruddur_local",
    "examples",
    "lambda",
    "pyproject.toml",
    "requirements",
    "requirements.txt",
    "stages.toml",
    "tools",
)
SHARED = (".venv", "node_modules")
INSTALLED = ("--old-file=node_modules/.stamp", "--old-file=.venv/base.stamp", "--old-file=.venv/local.stamp")
"""The stamps of finished installations, so that make installs nothing into the shared folders."""

_EXPORT = re.compile(r"export (\w+)=(.*)")


@dataclass(frozen=True)
class Checkout:
    """The copy in `folder`; it has a system of its own, and a user whose configuration is in everybody's way."""

    folder: Path
    proxy: str = "http://127.0.0.1:9"

    @classmethod
    def make(cls, folder: Path, **more: str) -> "Checkout":
        """Copy the repository's files, and share what is installed."""
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / name)
        for name in SHARED:
            (folder / name).symlink_to(REPOSITORY / name)
        hostile.home(folder / "home")
        return cls(folder, **more)

    def make_target(self, *words: str, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `make` with these words, in the user's environment."""
        ended = subprocess.run(
            ["make", *INSTALLED, *words],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode == 0) is succeeds, f"make {' '.join(words)}: {ended.stdout}\n{ended.stderr}"
        return ended

    def begin_target(self, *words: str) -> subprocess.Popen[str]:
        """Start `make` with these words, in a process group of its own as a terminal does."""
        # A background process of a script ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(
            ["make", *INSTALLED, *words],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def interrupt(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """Press Ctrl-C: everything in the terminal's process group gets the signal."""
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate()

    def cdk(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the CDK CLI against the running system, as `make env` sets it up."""
        return subprocess.run(
            ["node_modules/.bin/cdk", *words, "--context", "stage=local", "--output", ".local/cdk.out"],
            cwd=self.folder,
            env=_inherited("HOME") | {"PYTHONPATH": "/nowhere", "PYTHONSAFEPATH": "1"} | self.variables(),
            capture_output=True,
            text=True,
            check=True,
        )

    def variables(self) -> dict[str, str]:
        """The variables that `make env` prints."""
        lines = self.make_target("-s", "env").stdout.splitlines()
        return {found[1]: found[2] for found in map(_EXPORT.fullmatch, lines) if found}

    def account(self, name: str = "") -> Account:
        """The account of the running system."""
        variables = _inherited("HOME") | self.variables()
        variables["AWS_ENDPOINT_URL_DYNAMODB"] = variables["AWS_ENDPOINT_URL"]
        return Account(name, REGION, variables, self.folder)

    def _environment(self) -> dict[str, str]:
        return _inherited() | hostile.VARIABLES | hostile.behind(self.proxy) | {"HOME": str(self.folder / "home")}


def _inherited(*more: str) -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", *more) if name in os.environ}
