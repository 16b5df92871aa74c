"""The backend as a process: where it listens, how it ends, and its error if it cannot start."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from cruddur_infra import LAMBDA_CODE, REPOSITORY
from cruddur_local import pages, paths
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError
from examples.backend.__main__ import main
from examples.backend.login import USER_HEADER
from tests.engines.fixtures import free_port

WAIT_SECONDS = 60


def environment(endpoint: str, **more: str) -> dict[str, str]:
    """The environment of a machine with only an engine."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{REPOSITORY}:{LAMBDA_CODE}",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        **more,
    }
    return {name: value for name, value in variables.items() if value}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "examples.backend", *words]


@contextmanager
def serving(endpoint: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The running process and its address."""
    process = subprocess.Popen(
        command("--port", str(free_port())),
        env=environment(endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found, process.communicate(timeout=WAIT_SECONDS)
        yield process, found[0]
    finally:
        process.kill()
        process.communicate(timeout=WAIT_SECONDS)


def response(address: str, data: bytes | None = None, **more: str) -> tuple[int, object]:
    """Status and JSON of a response; `more` are further headers."""
    asked = Request(address, data, {USER_HEADER: "bayko", "Content-Type": "application/json", **more})
    try:
        with urlopen(asked, timeout=WAIT_SECONDS) as found:
            return found.status, json.load(found)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def test_it_listens_on_this_machine_only_and_ends_with_ctrl_c(dynamodb_local_endpoint: str) -> None:
    with serving(dynamodb_local_endpoint) as (process, address):
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        assert address.startswith("http://127.0.0.1:")
        assert response(f"{address}api/users/@bayko/short")[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_SECONDS)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_body_of_10_mb_is_refused(dynamodb_local_endpoint: str) -> None:
    with serving(dynamodb_local_endpoint) as (_, address):
        status, errors = response(f"{address}api/messages", b"x" * 10_000_000)
        assert (status, errors) == (413, {"errors": ["request_entity_too_large"]})


def test_another_sites_name_that_leads_here_is_refused(dynamodb_local_endpoint: str) -> None:
    with serving(dynamodb_local_endpoint) as (_, address):
        for path in ("", "api/users", "api/message_groups"):
            assert response(address + path, Host="elsewhere.example") == (400, {"errors": ["bad_request"]})


def test_an_engine_that_does_not_respond_is_reported_as_unavailable() -> None:
    with serving(f"http://127.0.0.1:{free_port()}") as (_, address):
        for asked in (
            response(f"{address}api/message_groups"),
            response(f"{address}api/messages", b'{"handle": "mina", "message": "hi"}'),
        ):
            assert asked == (503, {"errors": ["unavailable"]})


ADDRESSES = ("hunter2", "postgresql://ann:%hunter2@db", "mysql://ann:hunter2@db/x")


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({}, ("--port", "65536"), "cannot listen on port 65536"),
        ({"COGNITO_USER_POOL_ID": "us-east-1_a"}, (), "set COGNITO_USER_POOL_CLIENT_ID and DATABASE_URL as well"),
        *(
            ({"DATABASE_URL": url}, (), "DATABASE_URL is no address of a PostgreSQL; it takes postgresql://")
            for url in ADDRESSES
        ),
        ({"AWS_DEFAULT_REGION": ""}, (), "region"),
    ],
)
def test_if_it_cannot_start_the_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "DATABASE_", "COGNITO_"))]:
        monkeypatch.delenv(name)
    for name, value in environment("http://127.0.0.1:1", **more).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["backend", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert said in str(ended.value)
    assert "hunter2" not in str(ended.value)
    assert re.fullmatch("error: .*", str(ended.value))


def test_a_taken_port_is_one_line(dynamodb_local_endpoint: str) -> None:
    port = dynamodb_local_endpoint.rpartition(":")[2]
    ended = subprocess.run(
        command("--port", port),
        env=environment(dynamodb_local_endpoint),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert re.fullmatch(f"error: cannot listen on port {port} .*; choose another one .*PORT=<number>\n", ended.stderr)


def test_a_system_that_is_not_deployed_yet_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SYSTEM", tmp_path / "system.json")
    with pytest.raises(LocalSystemError, match="not deployed yet; wait for make up"):
        pages.serve(Emulator(pid=1, born=0, port=1, keeps_state=False), port=None)
