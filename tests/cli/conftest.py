"""Runs the command line in this process or in one of its own, against an engine."""

import functools
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest

from cruddur_cli import local_system, settlement, target
from cruddur_cli.main import main
from cruddur_cli.smoke import notes
from cruddur_messages.audit import confirm
from cruddur_messages.person import passes
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.load import SeedLoader
from tests.engines.fixtures import CruddurTable

REPOSITORY = Path(__file__).parents[2]
DDB = REPOSITORY / "bin" / "ddb"

Environment = dict[str, str]

read_models_once = functools.cache(botocore.loaders.create_loader)
"""The descriptions of AWS's services: each command creates clients, which takes longer than the command itself."""


@dataclass(frozen=True)
class Result:
    """The result of a command line."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Ddb = Callable[..., Result]
At = Callable[..., Result]


@pytest.fixture
def ministack_table(cruddur_table_on: Callable[[str], CruddurTable], ministack_endpoint: str) -> CruddurTable:
    """A table on the emulator. DynamoDB Local refuses empty strings, and more than ten actions in a transaction."""
    return cruddur_table_on(ministack_endpoint)


@pytest.fixture(scope="session", params=["ministack", pytest.param("dynamodb_local", marks=pytest.mark.proof)])
def seeded(request: pytest.FixtureRequest, cruddur_table_on: Callable[[str], CruddurTable]) -> CruddurTable:
    """A table with the seed, one for all tests that only read it, or write into conversations of their own."""
    table = replace(cruddur_table_on(request.getfixturevalue(f"{request.param}_endpoint")), engine=request.param)
    conversations = seed_file.load()
    SeedLoader(client=table.client, table_name=table.name).load(conversations)
    assert settlement.settle(table.client, table.name, [one.message_group_uuid for one in conversations]) == {}
    return table


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No endpoint, no credentials, no region, no users' database, no system of make up."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DATABASE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(botocore.session, "create_loader", read_models_once)
    monkeypatch.setattr(local_system, "SYSTEM", tmp_path / "system.json")
    monkeypatch.setattr(target, "DYNAMODB_LOCAL", "http://127.0.0.1:9")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses before something is read or tried again: nobody else writes, and nothing arrives late."""
    monkeypatch.setattr(confirm, "SECONDS_BETWEEN_READINGS", 0.0)
    monkeypatch.setattr(passes, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(notes, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(notes, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(target, "LOCAL_ATTEMPTS", 1)


@pytest.fixture
def ddb(nowhere: None, quick: None, capfd: pytest.CaptureFixture[str]) -> Ddb:  # noqa: ARG001
    """Runs a command line in this process."""

    def run(*words: str) -> Result:
        capfd.readouterr()
        try:
            status = main(words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        captured = capfd.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def at(ddb: Ddb, monkeypatch: pytest.MonkeyPatch) -> At:
    """Runs a command line on a table: `at(table, "scan", "--json")`."""

    def run(table: CruddurTable, *words: str) -> Result:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint)
        return ddb(*words, "--table", table.name)

    return run


@pytest.fixture
def process_environment(nowhere: None) -> Environment:  # noqa: ARG001
    """The environment of a process that sees only what a test sets."""
    return {**os.environ, "COLUMNS": "100"}


def run_process(environment: Environment, *words: str, cwd: Path, program: Path = DDB) -> Result:
    """Run bin/ddb as a process."""
    command = [str(program), *words]
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return Result(ended.returncode, ended.stdout, ended.stderr)
