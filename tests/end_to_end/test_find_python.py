"""`make` uses the first Python that is new enough, and says what to do if there is none."""

import subprocess
import sys
from pathlib import Path

from cruddur_infra import REPOSITORY

SCRIPT = REPOSITORY / "tools/find-python"


def find(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )


def put(folder: Path, name: str, line: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)


def test_an_old_python3_does_not_hide_a_new_one(tmp_path: Path) -> None:
    put(tmp_path, "python3", "exit 1")
    put(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    assert find(tmp_path).stdout == "python3.12\n"


def test_without_a_new_one_it_says_what_to_install(tmp_path: Path) -> None:
    put(tmp_path, "python3", "exit 1")
    ended = find(tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "3.11" in line
    assert "make PYTHON_3=" in line
