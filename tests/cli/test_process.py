"""bin/ddb as a process (any directory, a closed pipe or terminal, Ctrl-C), what a terminal shows, and completion."""

import os
import pty
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DDB, REPOSITORY, At, Ddb, Environment, run_process
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
    items: list[Any] = [{"pk": {"S": "OTHER"}, "sk": {"S": str(line)}, "x": {"S": "y" * 30_000}} for line in range(25)]
    requests: Any = {ministack_table.name: [{"PutRequest": {"Item": item}} for item in items]}
    ministack_table.client.batch_write_item(RequestItems=requests)
    return process_environment | {"AWS_ENDPOINT_URL_DYNAMODB": ministack_table.endpoint}


def test_it_runs_from_any_directory_and_through_a_link(process_environment: Environment, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "ddb"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(DDB, link.parent))
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["cruddur"]["version"]
    (tmp_path / "typing.py").write_text("raise ImportError('a file of the directory is run')")
    for program in (DDB, link):
        assert run_process(process_environment, "--version", cwd=tmp_path, program=program).out == f"ddb {version}\n"


def test_without_the_projects_python_the_error_says_what_to_do(
    process_environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(DDB, tmp_path / "bin" / "ddb")
    ended = run_process(process_environment, "scan", cwd=REPOSITORY, program=tmp_path / "bin" / "ddb")
    assert ended.status == 1
    assert ended.err == f"ddb: there is no Python environment in {tmp_path}/.venv: run make setup\n"


@pytest.mark.parametrize(
    "seen", [b"cruddur_cli.errors", b"Ctrl-C ends it"], ids=["while the program is imported", "while it watches"]
)
def test_ctrl_c_is_no_traceback(environment: Environment, ministack_table: CruddurTable, seen: bytes) -> None:
    watch = ("watch", "--json", "--table", ministack_table.name)
    with begun(environment | {"PYTHONPROFILEIMPORTTIME": "1"}, *watch) as process:
        assert next(line for line in process.stderr if seen in line)
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stderr if not line.startswith(b"import time:")]
        assert rest == [b"ddb: stopped\n"]
        # Python ends by the signal itself if that came while it ran `exec`. A shell shows 130 for both.
        assert process.wait() in (130, -signal.SIGINT)


def test_closed_standard_streams_are_no_traceback(process_environment: Environment, tmp_path: Path) -> None:
    closed = f"{DDB} --version >&- && {DDB} --version <&- 2>&-"
    ended = run_process(process_environment, "-c", closed, cwd=tmp_path, program=Path("/bin/sh"))
    assert (ended.status, ended.out.count("\n"), ended.err) == (0, 1, "")


@pytest.mark.parametrize(
    ("words", "notes"), [(("scan", "--json"), 0), (("watch",), 1)], ids=["while it prints", "while nothing changes"]
)
def test_a_closed_pipe_is_no_traceback(
    environment: Environment, ministack_table: CruddurTable, words: tuple[str, ...], notes: int
) -> None:
    with begun(environment, *words, "--table", ministack_table.name) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert len(process.stderr.read().splitlines()) == notes
        assert process.wait() != 0


@pytest.mark.parametrize(
    "words", ["--help", *(pytest.param(w, marks=pytest.mark.proof) for w in ("send --help", "--version"))]
)
def test_help_into_a_closed_pipe_prints_no_error(process_environment: Environment, words: str) -> None:
    with begun(process_environment, *words.split()) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


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


def test_a_progress_bar_is_for_a_terminal_only(at: At, environment: Environment, ministack_table: CruddurTable) -> None:
    quiet = at(ministack_table, "verify", "--json")
    assert (quiet.status, quiet.err) == (0, "")
    ours, theirs = pty.openpty()
    verify = ("verify", "--json", "--table", ministack_table.name)
    with begun(environment | {"TERM": "xterm"}, *verify, stderr=theirs) as process:
        os.close(theirs)
        out, _ = process.communicate()
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert b"read" in shown
    assert out.decode() == quiet.out


def drawn(at: At, monkeypatch: pytest.MonkeyPatch, columns: int, table: CruddurTable, *words: str) -> list[str]:
    """What a command prints on a terminal of this width, line by line, without control sequences."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        assert at(table, *words).status == 0
        terminal.flush()
        printed = os.read(ours, 100_000)
    os.close(ours)
    return [CONTROL.sub("", line).rstrip() for line in printed.decode().splitlines()]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_shows_whole_messages_and_people_first(
    at: At, monkeypatch: pytest.MonkeyPatch, seeded: CruddurTable, columns: int
) -> None:
    text = "a rather long message which " * 5 + "has an end"
    assert at(seeded, "send", "bayko", text).status == 0
    read = drawn(at, monkeypatch, columns, seeded, "get-conversation", "bayko", "--limit", "1")
    assert read[0].startswith("from")
    assert all(len(line) <= columns for line in read)
    assert [word for word in text.split() if word not in " ".join(read)] == []
    listed = drawn(at, monkeypatch, columns, seeded, "list-conversations", "--limit", "4")
    assert listed[0].split()[:3] == ["with", "unread", "message"]
    assert all(len(line) <= columns for line in listed)
    assert listed[1].startswith("bayko")
    assert re.search("  a rat.*…", listed[1])
    assert listed[1].endswith("2c8cfd87")


def test_a_terminal_that_is_not_utf_8_shows_replacements(
    at: At, monkeypatch: pytest.MonkeyPatch, ministack_table: CruddurTable, tmp_path: Path
) -> None:
    def printed(*words: str) -> str:
        with (tmp_path / "out").open("w", encoding="latin-1") as latin, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", latin)
            assert at(ministack_table, *words).status == 0
        return (tmp_path / "out").read_text(encoding="latin-1")

    printed("start", "\N{SNOWMAN} and ok", "--to", "bayko")
    for words in (("list-conversations",), ("get-conversation",), ("watch", "--for", "0"), ("scan",)):
        assert "? and ok" in printed(*words)
        assert "\\u2603 and ok" in printed(*words, "--json")
    assert printed("send", "--help")


def offered(ddb: Ddb, monkeypatch: pytest.MonkeyPatch, *words: str, shell: str = "bash") -> list[str]:
    """What the completion of a shell offers for a command line, at its end."""
    line = " ".join(["ddb", *words])
    with monkeypatch.context() as patch:
        for name, value in {
            "_DDB_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }.items():
            patch.setenv(name, value)
        return ddb().out.split()


def test_completion_offers_people_and_conversations(
    ddb: Ddb, monkeypatch: pytest.MonkeyPatch, seeded: CruddurTable
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", seeded.endpoint)
    table, pair = ("--table", seeded.name), "2c8cfd87-e3c0-5ade-a324-c64f93c6000e"
    for words, offers in {
        ("list-conversations", "a"): ["andrewbrown"],
        ("watch", "@m"): ["@mina"],
        ("send", "--from", "to"): ["tomas"],
        (*table, "get-conversation", "2c8"): [],
        ("get-conversation", *table, "2c8"): [pair],
        ("send", *table, "bay"): ["bayko"],
        ("send", "--prod", "bay"): [],
        ("rebuild", "--state", f"{REPOSITORY}/doc"): [f"{REPOSITORY}/docs/"],
        ("start", "doc"): [],
    }.items():
        assert offered(ddb, monkeypatch, *words) == offers, words
    # Other tests may have more tables than completion offers.
    assert seeded.name in offered(ddb, monkeypatch, "drop", seeded.name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed(ddb: Ddb, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    shown = " ".join(offered(ddb, monkeypatch, "re", shell=shell))
    assert "rebuild" in shown
    assert "redrive" in shown
    assert "seed" not in shown
