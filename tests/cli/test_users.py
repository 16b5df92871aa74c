"""Handles are looked up in the app's own Postgres if `DATABASE_URL` is set, else in the users file of the seed."""

import uuid
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import psycopg
import psycopg.conninfo
import pytest

from cruddur_cli import users
from cruddur_cli.errors import DdbError
from cruddur_messages.items import User
from cruddur_messages.seed import file as seed_file
from tests.access_patterns.people import items_of
from tests.cli.conftest import At, Ddb
from tests.engines import postgres
from tests.engines.fixtures import CruddurTable

BROWN = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000001", "Andrew from Postgres", "andrewbrown")
LONELY = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000002", "O'Neil; DROP TABLE users", "o'neil")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres.running(tmp_path_factory.mktemp("postgres"), dict.fromkeys((BROWN, LONELY), "")) as url:
        yield url


def test_users_are_found_in_postgres_by_handle_and_by_id(database: str) -> None:
    source = users.UsersOfPostgres(database)
    assert users.resolve(source, "andrewbrown") == BROWN
    assert users.resolve(source, "@o'neil") == LONELY
    assert users.resolve(source, LONELY.uuid.upper()) == LONELY
    assert users.first(source) == BROWN
    assert list(source.all()) == [BROWN, LONELY]


def test_a_user_missing_in_postgres_is_not_found(database: str) -> None:
    source = users.UsersOfPostgres(database)
    for name in ("bayko", str(uuid.uuid4()), "' OR '1'='1", ""):
        with pytest.raises(DdbError, match="in DATABASE_URL: known are andrewbrown, o'neil"):
            users.resolve(source, name)


def test_the_seed_uses_the_apps_own_users(
    at: At, cruddur_table: CruddurTable, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    assert at(cruddur_table, "seed").status == 0
    senders = {item["user_uuid"]["S"] for item in items_of(cruddur_table) if "user_uuid" in item}
    of_file = {user.uuid for user in seed_file.parse_users(seed_file.USERS_PATH.read_text())}
    assert BROWN.uuid in senders
    assert len(senders & of_file) == len(of_file) - 1
    assert at(cruddur_table, "list-conversations", "andrewbrown", "--json").json["conversations"]


def test_a_report_connects_once_and_has_ids_without_a_database(
    at: At, ministack_table: CruddurTable, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = str(uuid.uuid4())
    for member in (BROWN.uuid, LONELY.uuid, stranger):
        malformed: Any = {"pk": {"S": f"GRP#{member}"}, "sk": {"S": "never"}}
        ministack_table.client.put_item(TableName=ministack_table.name, Item=malformed)
    connect = Mock(wraps=psycopg.connect)
    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setenv("DATABASE_URL", database)
    shown = at(ministack_table, "verify").out
    assert all(f"member {name}" in shown for name in (BROWN.handle, LONELY.handle, stranger))
    connect.side_effect = psycopg.OperationalError("timeout expired")
    assert f"member {BROWN.uuid}" in at(ministack_table, "verify").out
    assert connect.call_count == 2


def test_the_users_file_is_used_without_a_database(nowhere: None) -> None:  # noqa: ARG001
    source = users.open_users()
    first = seed_file.parse_users(seed_file.USERS_PATH.read_text())[0]
    assert users.first(source) == first
    assert users.resolve(source, f" @{first.handle} ") == first
    assert users.resolve(source, first.uuid) == first


def test_a_database_that_does_not_respond_is_one_line_without_its_address(
    ddb: Ddb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    for url in (
        "postgresql://127.0.0.1:9/x",
        "s3cret",
        "postgresql:///x?host=/nowhere",
        "postgresql://me:s3cret@127.0.0.1:9/x",
        "postgres:/me:s3cret@127.0.0.1/x",
        "postgresql://me:a@s3cret@127.0.0.1:9/x",
        "postgresql://me:s3cret@127.0.0.1:s3cret/x",
        "postgresql://me:s3cret@127.0.0.1:9/x?s3cret=1",
        "postgresql://me:s3cret@[127/x",
        "host=127.0.0.1 port=9 password='s3cret",
        "postgresql://me:%zzs3cret@127.0.0.1:9/x",
        "postgresql://" + "s3cret" * 60 + ":9/x",
    ):
        monkeypatch.setenv("DATABASE_URL", url)
        result = ddb("list-conversations", "ann")
        assert result.status == 1, url
        assert result.err.startswith("ddb: the users cannot be read from DATABASE_URL"), url
        assert users.FORM in result.err, url
        assert "s3cret" not in result.err, url
        assert result.err.count("\n") == 1, url


def test_a_database_without_users_is_one_line(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    url = psycopg.conninfo.make_conninfo(database, dbname="empty")
    with pytest.raises(DdbError, match='relation "users" does not exist'):
        users.UsersOfPostgres(url).all()
