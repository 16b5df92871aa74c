"""Fixtures for every test that needs a real engine; the first use starts it."""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from cruddur_cli import table_definition
from cruddur_local import dynamodb_local
from tests.engines import ministack, tables
from tests.engines.sharing import shared

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = itertools.count(1)

ENGINES = ("ministack", "dynamodb_local")
on_both_engines = pytest.mark.parametrize("cruddur_table", ENGINES, indirect=True)
"""For tests that compare the engines: they run on both in `make test` too."""

on_an_engine = settings(
    max_examples=int(os.environ.get("CRUDDUR_EXAMPLES", "8")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""For generated tests that call an engine: a few examples, and more in `make proof`."""


@dataclass(frozen=True)
class CruddurTable:
    """An empty cruddur table with a name of its own on a real engine; `engine` is one of `ENGINES`, or empty."""

    engine: str
    endpoint: str
    client: "DynamoDBClient"
    name: str


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def dynamodb_local_endpoint(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Amazon's DynamoDB Local, one for all test processes: it takes seconds to start, and serves them in parallel."""
    own = tmp_path_factory.getbasetemp()
    folder = own if worker_id == "master" else own.parent
    with shared(folder, "dynamodb-local", lambda: dynamodb_local.running(free_port())) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator, without TLS and IAM, one for each test process: it starts fast, and serves one call at a time."""
    with ministack.running(free_port(), tmp_path_factory.mktemp("ministack")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def cruddur_table_on() -> Callable[[str], CruddurTable]:
    """Creates a cruddur table with index and stream, under a fresh name, at the endpoint given."""

    def create(endpoint: str) -> CruddurTable:
        client = tables.dynamodb(endpoint)
        name = f"cruddur-messages-{os.getpid()}-{next(_numbers)}"
        table_definition.create(client, name)
        return CruddurTable("", endpoint, client, name)

    return create


@pytest.fixture(params=["ministack", pytest.param("dynamodb_local", marks=pytest.mark.proof)])
def cruddur_table(request: pytest.FixtureRequest, cruddur_table_on: Callable[[str], CruddurTable]) -> CruddurTable:
    """An empty cruddur table on the emulator, and in `make proof` on DynamoDB Local, which takes five times as long."""
    return replace(cruddur_table_on(request.getfixturevalue(f"{request.param}_endpoint")), engine=request.param)
