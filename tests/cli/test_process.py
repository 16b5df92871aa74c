"""bin/ddb as a process: from any directory, with a pipe that closes, a terminal that goes away, and Ctrl-C."""

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DDB, REPOSITORY, Environment, run_process
from tests.engines.fixtures import CruddurTable


@contextmanager
def begun(environment: Environment, *words: str, **streams: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that runs, and is ended whatever happens."""
    with subprocess.Popen([str(DDB), *words], env=environment, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def environment(process_environment: Environment, ministack_table: CruddurTable) -> Environment:
    for number in range(3):
        ministack_table.client.batch_write_item(
            RequestItems={
                ministack_table.name: [
                    {
                        "PutRequest": {
                            "Item": {"pk": {"S": f"OTHER#{number}"}, "sk": {"S": str(line)}, "x": {"S": "y" * 9000}}
                        }
                    }
                    for line in range(25)
                ]
            }
        )
    return process_environment | {"AWS_ENDPOINT_URL_DYNAMODB": ministack_table.endpoint}


def test_it_runs_from_any_directory_and_through_a_link(
    environment: Environment, ministack_table: CruddurTable, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "ddb"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(DDB, link.parent))
    for program in (str(DDB), str(link)):
        ended = subprocess.run(
            [program, "describe", ministack_table.name, "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert '"ACTIVE"' in ended.stdout


def test_without_the_projects_python_it_says_what_to_do(process_environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(DDB, tmp_path / "bin" / "ddb")
    ended = subprocess.run(
        [str(tmp_path / "bin" / "ddb"), "scan"], env=process_environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == f"ddb: there is no Python environment in {tmp_path}/.venv: run make setup\n"


def test_a_pipe_that_closes_is_no_traceback(environment: Environment, ministack_table: CruddurTable) -> None:
    scan = ("scan", "--json", "--table", ministack_table.name)
    with begun(environment, *scan, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() != 0


def test_ctrl_c_is_no_traceback(environment: Environment, ministack_table: CruddurTable) -> None:
    watch = ("watch", "--json", "--table", ministack_table.name)
    with begun(environment, *watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert err == b"ddb: stopped\n"
        assert process.returncode == 130


def test_a_terminal_that_goes_away_is_no_traceback(
    environment: Environment, ministack_table: CruddurTable, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    errors = tmp_path / "errors"
    watch = ("watch", "--every", "0.1", "--table", ministack_table.name)
    terminal = environment | {"TERM": "xterm"}
    with errors.open("wb") as err, begun(terminal, *watch, stdin=theirs, stdout=theirs, stderr=err) as process:
        os.close(theirs)
        shown = b""
        while b"last message" not in shown:
            shown += os.read(ours, 100_000)
        os.close(ours)
        ministack_table.client.put_item(
            TableName=ministack_table.name,
            Item={
                "pk": {"S": "GRP#5a1c9f0e-7d43-4c1b-9e62-0b8f4d27a1c3"},
                "sk": {"S": "2026-01-01T00:00:00+00:00"},
                "message_group_uuid": {"S": "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"},
            },
        )
        assert process.wait() != 0
    assert b"Traceback" not in errors.read_bytes()


def test_a_progress_bar_is_for_a_terminal_only(environment: Environment, ministack_table: CruddurTable) -> None:
    quiet = run_process(environment, "verify", "--json", "--table", ministack_table.name, cwd=REPOSITORY)
    assert (quiet.status, quiet.err) == (0, "")
    ours, theirs = pty.openpty()
    verify = ("verify", "--json", "--table", ministack_table.name)
    with begun(environment | {"TERM": "xterm"}, *verify, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        out, _ = process.communicate()
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert b"read" in shown
    assert out.decode() == quiet.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_complete(process_environment: Environment, shell: str, tmp_path: Path) -> None:
    complete = {
        "_DDB_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "ddb re",
        "COMP_WORDS": "ddb re",
        "COMP_CWORD": "1",
    }
    if shell == "fish":
        complete["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    answer = run_process(process_environment | complete, cwd=tmp_path)
    assert "rebuild" in answer.out
    assert "redrive" in answer.out
    assert "seed" not in answer.out
