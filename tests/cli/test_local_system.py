"""What `make` prints about the running system, tested without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cruddur_local import paths, system
from cruddur_local.errors import LocalSystemError
from cruddur_local.function_logs import for_people
from tests.cli.conftest import REPOSITORY


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `.local` of the test's own."""
    folder = paths.LOCAL
    for name, path in [*vars(paths).items()]:
        if isinstance(path, Path) and path.is_relative_to(folder):
            monkeypatch.setattr(paths, name, tmp_path / path.relative_to(paths.REPOSITORY))
    (tmp_path / ".local").mkdir()
    return tmp_path / ".local"


@pytest.mark.parametrize(
    ("logged", "line"),
    [
        (
            {"timestamp": "2026-11-21T16:29:00.5+00:00", "event": "batch_settled", "records": 3, "rows_moved": 0},
            "16:29:00  batch settled: 3 records",
        ),
        (
            {"event": "conversation_failed", "message_group_uuid": "1-2", "failure": "refused: X", "conflicts": 1200},
            "  conversation failed: message group uuid 1-2, failure refused: X, 1,200 conflicts",
        ),
        ({"event": "batch_settled", "records": 0, "lag_seconds": 0.5}, "  batch settled: lag seconds 0.5"),
        ({"event": "batch_settled", "records": 0}, "  batch settled: nothing to do"),
        ({"no": "event"}, '{"no": "event"}'),
        ("START RequestId: 1", None),
        ("REPORT RequestId: 1 Duration: 5 ms", None),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1]", "[1]"),
    ],
)
def test_a_log_line_is_formatted_for_people(logged: dict[str, object] | str, line: str | None) -> None:
    assert for_people(logged if isinstance(logged, str) else json.dumps(logged)) == line


def test_another_table_than_the_kept_one_is_refused(local: Path) -> None:
    (local / "state").mkdir()
    (local / "state" / "cruddur-table-name").write_text("mine\n")
    with pytest.raises(LocalSystemError, match="in the table mine, and would be lost with the table yours"):
        system.up(port=None, keep_state=True, overrides=["table_name=yours"], console=Console(quiet=True))


def test_the_environment_can_be_undone_without_a_system() -> None:
    undo = subprocess.run(
        [sys.executable, "-m", "cruddur_local", "env", "--undo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "lambda", "PATH": ""},
    )
    assert undo.stdout.startswith("unset AWS_ENDPOINT_URL ")
    assert "DDB_TABLE_NAME" in undo.stdout
