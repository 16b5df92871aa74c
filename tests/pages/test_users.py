"""The backend's users from the app's own Postgres, and the choice of users and login by the environment."""

import re
from collections.abc import Iterator

import pytest

from cruddur_messages.items import User
from examples.backend import users as backend_users
from examples.backend.__main__ import app_of
from examples.backend.login import USER_HEADER
from examples.backend.users import UsersOfPostgres
from tests.engines import postgres
from tests.pages.conftest import headers

ANN = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000001", "Ann", "ann")
NELL = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000002", "O'Neil; DROP TABLE users", "o'neil")
ACCOUNTS = {ANN: "account-of-ann", NELL: "account-of-nell"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres.running(tmp_path_factory.mktemp("postgres"), ACCOUNTS) as url:
        yield url


def test_users_are_found_by_handle_id_and_cognito_id(database: str) -> None:
    users = UsersOfPostgres(database)
    assert list(users.all()) == [ANN, NELL]
    for user in (ANN, NELL):
        assert users.by_handle(user.handle) == user
        assert users.by_uuid(user.uuid) == user
        assert users.by_cognito_id(ACCOUNTS[user]) == user


@pytest.mark.parametrize("name", ["", "nobody", "' OR '1'='1", "a\0b", "\ud800", "Ann"])
def test_an_unknown_user_is_not_found(database: str, name: str) -> None:
    users = UsersOfPostgres(database)
    assert (users.by_handle(name), users.by_uuid(name), users.by_cognito_id(name)) == (None, None, None)


def test_the_environment_selects_the_users(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    response = app_of({"DATABASE_URL": database}).test_client().get("/api/users/@ann/short")
    assert response.json == vars(ANN)


def test_with_cognito_there_is_no_page_and_no_header(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    app = app_of({"DATABASE_URL": database, "COGNITO_USER_POOL_ID": "us-east-1_a", "COGNITO_USER_POOL_CLIENT_ID": "b"})
    for path, status in (("/", 404), ("/api/users", 404), ("/api/rows/x", 404), ("/api/message_groups", 401)):
        assert app.test_client().get(path, headers={USER_HEADER: "ann"}).status_code == status


def test_a_database_that_does_not_respond_is_no_stack_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(backend_users, "CONNECT_SECONDS", 0.5)
    client = app_of({"DATABASE_URL": "postgresql://ann:p@hunter2@127.0.0.1:9/x"}).test_client()
    for path in ("/api/users/@ann/short", "/api/message_groups"):
        response = client.get(path, headers=headers("ann"))
        assert (response.status_code, response.json) == (503, {"errors": ["unavailable"]})
        assert not re.search("Traceback|psycopg", response.text)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("origin", "is_allowed"), [("http://localhost:3000", True), ("http://elsewhere.example", False)]
)
def test_pages_of_another_origin_may_use_it_if_the_environment_names_them(
    monkeypatch: pytest.MonkeyPatch, origin: str, is_allowed: bool
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    client = app_of({"FRONTEND_URL": "http://localhost:3000/", "AWS_REGION": "us-east-1"}).test_client()
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    wanted = "Authorization, Content-Type, X-Cruddur-User"
    preflight = client.options("/api/messages", headers=asked | {"Access-Control-Request-Headers": wanted}).headers
    response = client.get("/api/users/@andrewbrown/short", headers={"Origin": origin}).headers
    for headers_of in (preflight, response):
        assert headers_of.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
    assert preflight.get("Access-Control-Allow-Headers") == (wanted if is_allowed else None)
    assert response.get("Access-Control-Expose-Headers") == ("Link" if is_allowed else None)
