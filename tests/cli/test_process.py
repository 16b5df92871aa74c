"""bin/ddb as a process: from any directory, with a closed pipe, a closed terminal, and Ctrl-C."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DDB, REPOSITORY, Environment, run_process
from tests.engines.fixtures import CruddurTable

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@contextmanager
def begun(environment: Environment, *words: str, **streams: Any) -> Iterator[Any]:
    """A running command, whose streams are pipes unless they are given; it is ended in any case."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    with subprocess.Popen([str(DDB), *words], env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def environment(process_environment: Environment, ministack_table: CruddurTable) -> Environment:
    for number in range(3):
        items: list[Any] = [
            {"pk": {"S": f"OTHER#{number}"}, "sk": {"S": str(line)}, "x": {"S": "y" * 9000}} for line in range(25)
        ]
        requests: Any = {ministack_table.name: [{"PutRequest": {"Item": item}} for item in items]}
        ministack_table.client.batch_write_item(RequestItems=requests)
    return process_environment | {"AWS_ENDPOINT_URL_DYNAMODB": ministack_table.endpoint}


def test_it_runs_from_any_directory_and_through_a_link(
    environment: Environment, ministack_table: CruddurTable, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "ddb"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(DDB, link.parent))
    for program in (DDB, link):
        words = ("describe", ministack_table.name, "--json")
        assert '"ACTIVE"' in run_process(environment, *words, cwd=tmp_path, program=program).out


def test_without_the_projects_python_the_error_says_what_to_do(
    process_environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(DDB, tmp_path / "bin" / "ddb")
    ended = run_process(process_environment, "scan", cwd=REPOSITORY, program=tmp_path / "bin" / "ddb")
    assert ended.status == 1
    assert ended.err == f"ddb: there is no Python environment in {tmp_path}/.venv: run make setup\n"


def test_a_closed_pipe_is_no_traceback(environment: Environment, ministack_table: CruddurTable) -> None:
    scan = ("scan", "--json", "--table", ministack_table.name)
    with begun(environment, *scan) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() != 0


def test_ctrl_c_is_no_traceback(environment: Environment, ministack_table: CruddurTable) -> None:
    watch = ("watch", "--json", "--table", ministack_table.name)
    with begun(environment, *watch) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        note, end = err.splitlines()
        assert note.endswith(b"Ctrl-C ends it")
        assert end == b"ddb: stopped"
        assert process.returncode == 130


def test_a_closed_terminal_is_no_traceback(
    environment: Environment, ministack_table: CruddurTable, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    errors = tmp_path / "errors"
    watch = ("watch", "--every", "0.1", "--table", ministack_table.name)
    terminal = environment | {"TERM": "xterm"}
    with errors.open("wb") as err, begun(terminal, *watch, stdin=theirs, stdout=theirs, stderr=err) as process:
        os.close(theirs)
        shown = b""
        while b"message" not in shown:
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


def test_a_closed_pipe_ends_a_watch_in_which_nothing_changes(
    environment: Environment, ministack_table: CruddurTable
) -> None:
    watch = ("watch", "--table", ministack_table.name)
    with begun(environment, *watch) as process:
        assert b"with" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read().splitlines()[1:] == []
        assert process.wait() != 0


@pytest.mark.parametrize("words", [("--help",), ("send", "--help"), ("--version",)])
def test_help_into_a_closed_pipe_prints_no_error(environment: Environment, words: tuple[str, ...]) -> None:
    with begun(environment, *words) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def drawn(environment: Environment, columns: int, *words: str) -> list[str]:
    """What a command prints on a terminal of this width, line by line, without control sequences."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    terminal = {**environment, "TERM": "xterm"}
    terminal.pop("COLUMNS", None)
    with begun(terminal, *words, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        printed = b""
        with suppress(OSError):
            while chunk := os.read(ours, 100_000):
                printed += chunk
        assert process.wait() == 0
    os.close(ours)
    return [CONTROL.sub("", line).rstrip() for line in printed.decode().splitlines()]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_shows_whole_messages_and_people_first(
    environment: Environment, ministack_table: CruddurTable, columns: int
) -> None:
    table = ("--table", ministack_table.name)
    assert run_process(environment, "seed", *table, cwd=REPOSITORY).status == 0
    text = "a rather long message which " * 5 + "has an end"
    assert run_process(environment, "send", "bayko", text, *table, cwd=REPOSITORY).status == 0
    read = drawn(environment, columns, "get-conversation", "bayko", "--limit", "1", *table)
    assert read[0].startswith("from")
    assert all(len(line) <= columns for line in read)
    assert [word for word in text.split() if word not in " ".join(read)] == []
    listed = drawn(environment, columns, "list-conversations", *table)
    assert listed[0].split()[:3] == ["with", "unread", "message"]
    assert len(listed) == 5
    assert all(len(line) <= columns for line in listed)
    assert listed[1].startswith("bayko")
    assert "a rather" in listed[1]
    assert "…" in listed[1]
    assert listed[1].endswith("2c8cfd87")


def test_watch_marks_what_is_new(environment: Environment, ministack_table: CruddurTable) -> None:
    table = ("--table", ministack_table.name)
    assert run_process(environment, "seed", *table, cwd=REPOSITORY).status == 0
    watch = ("watch", "bayko", "--every", "0.1", *table)
    with begun(environment, *watch) as process:
        place = f"{ministack_table.name} at {ministack_table.endpoint}"
        assert process.stderr.readline().decode() == f"bayko's inbox in {place}; Ctrl-C ends it\n"
        first = [process.stdout.readline() for _ in range(3)]
        assert not any(line.startswith(b"*") for line in first)
        assert run_process(environment, "send", "bayko", "new", *table, cwd=REPOSITORY).status == 0
        line = process.stdout.readline()
        while not line.startswith(b"*"):
            line = process.stdout.readline()
        assert b"new" in line


def offered(environment: Environment, *words: str) -> list[str]:
    line = " ".join(["ddb", *words])
    complete = {"_DDB_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    return run_process(environment | complete, cwd=REPOSITORY).out.split()


def test_completion_offers_people_and_conversations(environment: Environment, ministack_table: CruddurTable) -> None:
    table = ("--table", ministack_table.name)
    assert run_process(environment, "seed", *table, cwd=REPOSITORY).status == 0
    assert offered(environment, "list-conversations", "a") == ["andrewbrown"]
    assert offered(environment, "watch", "@m") == ["@mina"]
    assert offered(environment, "send", "--from", "to") == ["tomas"]
    assert offered(environment, *table, "get-conversation", "2c") == []
    assert offered(environment, "get-conversation", *table, "2c") == ["2c8cfd87-e3c0-5ade-a324-c64f93c6000e"]
    assert offered(environment, "send", *table, "bay") == ["bayko"]
    assert offered(environment, "send", "--prod", "bay") == []
    # Other tests may have more tables than completion offers.
    assert ministack_table.name in offered(environment, "drop", ministack_table.name[:-1])
    assert offered(environment, "rebuild", "--state", "doc") == ["docs/"]
    assert offered(environment, "start", "doc") == []


def test_a_terminal_that_is_not_utf_8_shows_replacements(
    environment: Environment, ministack_table: CruddurTable
) -> None:
    table, latin = ("--table", ministack_table.name), environment | {"PYTHONIOENCODING": "latin-1"}
    sent = run_process(latin, "start", "\N{SNOWMAN} and ok", "--to", "bayko", *table, cwd=REPOSITORY)
    assert (sent.status, "Traceback" in sent.err) == (0, False)
    for words in (("list-conversations",), ("get-conversation",), ("watch", "--for", "0"), ("scan",)):
        assert "? and ok" in run_process(latin, *words, *table, cwd=REPOSITORY).out
    for words in (("list-conversations",), ("get-conversation",), ("watch", "--for", "0"), ("scan",)):
        assert "\\u2603 and ok" in run_process(latin, *words, "--json", *table, cwd=REPOSITORY).out
    assert run_process(latin, "send", "--help", cwd=REPOSITORY).status == 0


def test_the_version_is_printed(environment: Environment, tmp_path: Path) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["cruddur"]["version"]
    assert run_process(environment, "--version", cwd=tmp_path).out == f"ddb {version}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed(process_environment: Environment, shell: str, tmp_path: Path) -> None:
    complete = {
        "_DDB_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "ddb re",
        "COMP_WORDS": "ddb re",
        "COMP_CWORD": "1",
    }
    if shell == "fish":
        complete["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    result = run_process(process_environment | complete, cwd=tmp_path)
    assert "rebuild" in result.out
    assert "redrive" in result.out
    assert "seed" not in result.out
