"""A table that this app did not create, damaged by the bootcamp's handler, is adopted both ways (docs/adoption.md)."""

import json
import random

import pytest

from tests.aws.account import Account
from tests.aws.system import FIRST_BATCH_SECONDS, System
from tests.cli import damage
from tests.engines.fixtures import CruddurTable


@pytest.fixture(scope="module")
def hand_made(account: Account) -> tuple[System, list[str]]:
    """A table as `schema-load` creates it, damaged by the bootcamp's handler; and its messages."""
    name = f"{account.name}-adopted"
    system = System(account, name, "local" if account.is_emulator else "dev", name)
    table, chance = CruddurTable("", "", system.make_table(), name), random.Random(3)  # noqa: S311
    written = damage.write(table, chance, conversations=6, messages=3, sizes=(2,))
    damage.run_the_bootcamps_handler(table, written, chance)
    return system, messages_in(system)


@pytest.fixture(scope="module")
def adopted(hand_made: tuple[System, list[str]]) -> System:
    """The system on the stream of that table."""
    system, _ = hand_made
    system.deploy(stream_arn=stream_of(system))
    return system


@pytest.fixture(scope="module")
def imported(adopted: System) -> System:
    """The same table in a stack: the system is destroyed, which leaves the table; then `cdk import`."""
    adopted.cdk("destroy", "--all", "--force", stream_arn=stream_of(adopted))
    mapping = adopted.account.repository / ".local/aws-tests/import.json"
    mapping.write_text(json.dumps({"MessagesTable": {"TableName": adopted.table_name}}))
    words = ("import", f"{adopted.stack}-table", "--resource-mapping", str(mapping), "--force")
    adopted.cdk(*words, point_in_time_recovery="false")
    return adopted


def test_first_batch(adopted: System) -> None:
    """A new mapping on a stream reads its first batch within five minutes."""
    assert adopted.smoke(1, FIRST_BATCH_SECONDS).problems == []


def test_adoption_by_reference(adopted: System, hand_made: tuple[System, list[str]]) -> None:
    """A table that was created by hand is adopted by reference: no message is lost, and every inbox is right."""
    assert adopted.stacks() == [adopted.stack]
    require_repaired(adopted, hand_made[1])


def test_adoption_by_import(hand_made: tuple[System, list[str]], request: pytest.FixtureRequest) -> None:
    """The same table is adopted by import, and is not replaced."""
    system, messages = hand_made
    before = table_and_stream(system)
    request.getfixturevalue("imported")
    assert f"{system.stack}-table" in system.stacks()
    assert table_and_stream(system) == before
    assert messages_in(system) == messages


@pytest.mark.only_on_aws("the emulator detects no drift in a stack that was just imported")
def test_imported_table_equals_the_template(imported: System) -> None:
    """CloudFormation finds the imported table equal to the template."""
    imported.require_no_drift()


@pytest.mark.only_on_aws("in the emulator, an imported table has no stream attribute")
def test_imported_stream(imported: System, hand_made: tuple[System, list[str]]) -> None:
    """The main stack gets the stream of an imported table from the table stack."""
    stream = stream_of(imported)
    imported.deploy()
    assert imported.mapping()["EventSourceArn"] == stream == stream_of(imported)
    require_repaired(imported, hand_made[1])


def require_repaired(system: System, messages: list[str]) -> None:
    """Repair; the test fails if a message is missing or a promise is broken."""
    system.ddb("rebuild", "--yes")
    system.ddb("verify")
    assert messages_in(system) == messages
    system.require_smoke(messages=5)


def messages_in(system: System) -> list[str]:
    """Key and text of each message of the table, in order."""
    asked = {"TableName": system.table_name, "ConsistentRead": True}
    found = [one for one in system.account.pages("dynamodb", "scan", "Items", **asked) if "message" in one]
    messages = [one for one in found if one["pk"]["S"].startswith("MSG#")]
    return sorted(f"{one['pk']['S']} {one['sk']['S']} {one['message']['S']}" for one in messages)


def stream_of(system: System) -> str:
    return str(system.table()["LatestStreamArn"])


def table_and_stream(system: System) -> tuple[str, str]:
    table = system.table()
    return str(table.get("TableId", table["TableArn"])), stream_of(system)
