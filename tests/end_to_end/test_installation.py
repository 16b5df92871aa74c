"""tools/install and its errors: each is one line, and the next run continues."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY

NOWHERE = "http://127.0.0.1:9/simple"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": NOWHERE,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_NO_CACHE_DIR": "1",
    "UV_DEFAULT_INDEX": NOWHERE,
    "UV_NO_CACHE": "1",
}
"""A package index that refuses connections, and no cached packages."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a fresh clone that an installation needs, with a lock file of one small package."""
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    locked = (REPOSITORY / "requirements.txt").read_text().split("\n    # via", 1)[0]
    (tmp_path / "small.txt").write_text(locked + "\n")
    shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements")
    return tmp_path


def install(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit status and the lines printed."""
    ended = subprocess.run(
        ["tools/install", ".venv", "small.txt"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


def installed(folder: Path) -> bool:
    return bool(list(folder.glob(".venv/lib/python3*/site-packages/attr/__init__.py")))


def test_a_missing_network_is_one_line(folder: Path) -> None:
    status, lines = install(folder, **OFFLINE)
    assert status == 1
    assert lines[0] == "Installing small.txt ..."
    assert len(lines) == 2
    assert lines[1].startswith("error: small.txt could not be installed: ")
    assert "is the package index reachable?" in lines[1]


def test_an_old_python_is_one_line(folder: Path) -> None:
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15)), "python"):
        old = folder / "old" / name
        old.parent.mkdir(exist_ok=True)
        old.write_text("#!/bin/sh\nexit 1\n")
        old.chmod(0o755)
    status, lines = install(folder, PATH=f"{folder / 'old'}:{os.environ['PATH']}", PYTHON_3="")
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: no Python 3.11 or newer")


@pytest.mark.proof
def test_an_interrupted_installation_is_replaced(folder: Path) -> None:
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to("/nowhere/python3")
    assert install(folder) == (0, ["Installing small.txt ..."])
    assert installed(folder)


@pytest.mark.proof
def test_an_installation_continues_when_the_network_is_back(folder: Path) -> None:
    assert install(folder, **OFFLINE)[0] == 1
    assert install(folder) == (0, ["Installing small.txt ..."])
    assert installed(folder)


@pytest.mark.proof
def test_pip_installs_if_uv_cannot_be_installed(folder: Path) -> None:
    lock = folder / "requirements/dev.txt"
    lock.write_text(lock.read_text().replace("\nuv==", "\nuv==0.0.", 1))
    status, lines = install(folder)
    assert status == 0
    assert lines[0] == "Installing small.txt ..."
    assert lines[1].startswith("pip installed small.txt, which takes longer than uv; uv could not be installed: ")
    assert len(lines) == 2
    assert installed(folder)
