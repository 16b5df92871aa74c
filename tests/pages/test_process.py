"""What the environment says, where the process listens, how it ends, and its error if it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
import waitress
from flask.testing import FlaskClient

from cruddur_infra import LAMBDA_CODE, REPOSITORY
from cruddur_local import pages, paths
from cruddur_local.emulator import Emulator
from cruddur_local.errors import LocalSystemError
from cruddur_messages import timestamps
from examples.backend import users
from examples.backend.__main__ import app_of, main
from examples.backend.login import USER_HEADER
from tests.access_patterns.people import items_of
from tests.engines.fixtures import CruddurTable, free_port
from tests.pages.conftest import ACCOUNTS, headers

WAIT_SECONDS = 60
NOWHERE = "http://127.0.0.1:1"

COGNITO = {"COGNITO_USER_POOL_ID": "us-east-1_a", "COGNITO_USER_POOL_CLIENT_ID": "b"}


def environment(endpoint: str) -> dict[str, str]:
    """The environment of a machine with only an engine."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{REPOSITORY}:{LAMBDA_CODE}",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }


def enter(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "DATABASE_", "COGNITO_"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """Makes the app of an environment with these variables."""

    def create(endpoint: str = NOWHERE, **more: str) -> FlaskClient:
        enter(monkeypatch, environment(endpoint) | more)
        return app_of(os.environ).test_client()

    return create


def test_it_serves_this_machine_only_and_ends_with_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.backend", "--port", str(free_port())],
        env=environment(NOWHERE),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = re.search(r"http://127.0.0.1:\d+/", process.stdout.readline())
        assert address, process.communicate(timeout=WAIT_SECONDS)
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        with urlopen(f"{address[0]}api/users/@bayko/short", timeout=WAIT_SECONDS) as found:
            assert found.status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_SECONDS)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()
        process.communicate(timeout=WAIT_SECONDS)


@pytest.mark.parametrize("path", ["/", "/api/users", "/api/message_groups"])
def test_another_sites_name_that_leads_here_is_refused(client: Callable[..., FlaskClient], path: str) -> None:
    refused = client().get(path, headers=headers("bayko") | {"Host": "elsewhere.example"})
    assert (refused.status_code, refused.json) == (400, {"errors": ["bad_request"]})


@pytest.mark.parametrize("cruddur_table", ["ministack"], indirect=True)
def test_the_environment_says_how_long_messages_are_kept(
    client: Callable[..., FlaskClient], cruddur_table: CruddurTable
) -> None:
    backend = client(cruddur_table.endpoint, DDB_TABLE_NAME=cruddur_table.name, KEEP_DAYS="30")
    started = backend.post("/api/messages", json={"handle": "mina", "message": "hi"}, headers=headers("bayko"))
    assert started.status_code == 200
    (message,) = [item for item in items_of(cruddur_table) if "expires_at" in item]
    sent_at = timestamps.parse(message["sk"]["S"])
    assert sent_at is not None
    assert int(message["expires_at"]["N"]) == int((sent_at + timedelta(days=30)).timestamp())


def test_users_are_those_of_the_database_and_with_cognito_there_is_no_page_and_no_header(
    client: Callable[..., FlaskClient],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend = client(DATABASE_URL=database, **COGNITO)
    assert backend.get("/api/users/@ann/short").json == vars(next(iter(ACCOUNTS)))
    for path, status in (("/", 404), ("/api/users", 404), ("/api/rows/x", 404), ("/api/message_groups", 401)):
        assert backend.get(path, headers={USER_HEADER: "ann"}).status_code == status
    monkeypatch.setattr(sys, "argv", ["backend"])
    monkeypatch.setattr(waitress, "serve", lambda *_, **__: None)
    main()
    assert capsys.readouterr().out.startswith("API: http://127.0.0.1:")


@pytest.mark.parametrize(
    ("origin", "is_allowed"), [("http://localhost:3000", True), ("http://elsewhere.example", False)]
)
def test_pages_of_another_origin_may_use_it_if_the_environment_names_them(
    client: Callable[..., FlaskClient], origin: str, is_allowed: bool
) -> None:
    backend = client(FRONTEND_URL="http://localhost:3000/")
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    wanted = "Authorization, Content-Type, X-Cruddur-User"
    preflight = backend.options("/api/messages", headers=asked | {"Access-Control-Request-Headers": wanted}).headers
    response = backend.get("/api/users/@andrewbrown/short", headers={"Origin": origin}).headers
    for headers_of in (preflight, response):
        assert headers_of.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
    assert preflight.get("Access-Control-Allow-Headers") == (wanted if is_allowed else None)
    assert response.get("Access-Control-Expose-Headers") == ("Link" if is_allowed else None)


@pytest.mark.parametrize("database_url", ["", "postgresql://ann:p@hunter2@127.0.0.1:9/x"], ids=["engine", "database"])
def test_what_does_not_respond_is_reported_as_unavailable(
    client: Callable[..., FlaskClient],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    database_url: str,
) -> None:
    monkeypatch.setattr(users, "CONNECT_SECONDS", 0.5)
    backend = client(DATABASE_URL=database_url)
    responses = [
        backend.get("/api/message_groups", headers=headers("bayko")),
        backend.post("/api/messages", json={"handle": "mina", "message": "hi"}, headers=headers("bayko")),
    ]
    for response in responses:
        assert (response.status_code, response.json) == (503, {"errors": ["unavailable"]})
    assert "hunter2" not in caplog.text


NO_ADDRESS = "DATABASE_URL is no address of a PostgreSQL; it takes postgresql://"


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({}, ("--port", "65536"), "cannot listen on port 65536"),
        ({}, ("--port", "{taken}"), "choose another one with make pages PORT=<number>"),
        ({"COGNITO_USER_POOL_ID": "us-east-1_a"}, (), "set COGNITO_USER_POOL_CLIENT_ID and DATABASE_URL as well"),
        ({"DATABASE_URL": "hunter2"}, (), NO_ADDRESS),
        ({"DATABASE_URL": "postgresql://ann:%hunter2@db"}, (), NO_ADDRESS),
        ({"DATABASE_URL": "mysql://ann:hunter2@db/x"}, (), NO_ADDRESS),
        ({"KEEP_DAYS": "a year"}, (), "KEEP_DAYS is 'a year': give a whole number of days"),
        ({"KEEP_DAYS": "3000000"}, (), "keep_days is 3000000: give the days to keep messages, at most 36500"),
        ({"AWS_REGION": ""}, (), "region"),
    ],
)
def test_if_it_cannot_start_the_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    enter(monkeypatch, environment(NOWHERE) | more)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = listening.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["backend", *(word.format(taken=taken) for word in words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert said in str(ended.value)
    assert "hunter2" not in str(ended.value)
    assert re.fullmatch("error: .*", str(ended.value))


def test_a_system_that_is_not_deployed_yet_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SYSTEM", tmp_path / "system.json")
    with pytest.raises(LocalSystemError, match="not deployed yet; wait for make up"):
        pages.serve(Emulator(pid=1, born=0, port=1, keeps_state=False), port=None)
