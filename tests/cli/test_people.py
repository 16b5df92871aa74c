"""Handles are looked up in the app's own Postgres if `DATABASE_URL` is set, else in the users file of the seed."""

import json
import uuid
from collections.abc import Callable, Iterator

import psycopg
import psycopg.conninfo
import pytest

from cruddur_cli import people
from cruddur_cli.errors import DdbError
from cruddur_messages.items import User
from cruddur_messages.seed import file as seed_file
from tests.access_patterns.people import items_of
from tests.cli.conftest import Result
from tests.engines import postgres
from tests.engines.fixtures import CruddurTable

BROWN = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000001", "Andrew from Postgres", "andrewbrown")
LONELY = User("9d1f5c0e-1a2b-4c3d-8e4f-000000000002", "O'Neil; DROP TABLE users", "o'neil")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres.running(tmp_path_factory.mktemp("postgres"), dict.fromkeys((BROWN, LONELY), "")) as url:
        yield url


def test_users_are_found_in_postgres_by_handle_and_by_id(database: str) -> None:
    source = people.PeopleOfPostgres(database)
    assert people.resolve(source, "andrewbrown") == BROWN
    assert people.resolve(source, "@o'neil") == LONELY
    assert people.resolve(source, LONELY.uuid.upper()) == LONELY
    assert people.first(source) == BROWN
    assert list(source.all()) == [BROWN, LONELY]


def test_a_user_missing_in_postgres_is_not_found(database: str) -> None:
    source = people.PeopleOfPostgres(database)
    for name in ("bayko", str(uuid.uuid4()), "' OR '1'='1", ""):
        with pytest.raises(DdbError, match="in DATABASE_URL: known are andrewbrown, o'neil"):
            people.resolve(source, name)


def test_the_seed_uses_the_apps_own_users(
    ddb: Callable[..., Result], cruddur_table: CruddurTable, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", cruddur_table.endpoint)
    assert ddb("seed", "--table", cruddur_table.name).status == 0
    senders = {item["user_uuid"]["S"] for item in items_of(cruddur_table) if "user_uuid" in item}
    of_file = {user.uuid for user in seed_file.parse_users(seed_file.USERS_PATH.read_text())}
    assert BROWN.uuid in senders
    assert len(senders & of_file) == len(of_file) - 1
    inbox = json.loads(ddb("list-conversations", "andrewbrown", "--json", "--table", cruddur_table.name).out)
    assert inbox["conversations"]


def test_the_users_file_is_used_without_a_database(nowhere: None) -> None:  # noqa: ARG001
    source = people.people()
    first = seed_file.parse_users(seed_file.USERS_PATH.read_text())[0]
    assert people.first(source) == first
    assert people.resolve(source, f" @{first.handle} ") == first
    assert people.resolve(source, first.uuid) == first


@pytest.mark.parametrize(
    "url",
    [
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
    ],
)
def test_a_database_that_does_not_respond_is_one_line_without_its_address(
    ddb: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, url: str, cruddur_table: CruddurTable
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", cruddur_table.endpoint)
    result = ddb("list-conversations", "ann")
    assert result.status == 1
    assert result.err.startswith("ddb: the users cannot be read from DATABASE_URL")
    assert people.FORM in result.err
    assert "s3cret" not in result.err
    assert result.err.count("\n") == 1


def test_a_database_without_users_is_one_line(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    url = psycopg.conninfo.make_conninfo(database, dbname="empty")
    with pytest.raises(DdbError, match='relation "users" does not exist'):
        people.PeopleOfPostgres(url).all()
