"""A table that this app did not create, damaged by the bootcamp's handler, is adopted both ways (docs/adoption.md).

This file stays the last one: it ends with the removal of everything.
"""

import json
import random
from functools import partial

import pytest

from tests.access_patterns.people import items_in
from tests.aws import removal
from tests.aws.account import TAG, Account
from tests.aws.system import FIRST_BATCH_SECONDS, System
from tests.cli import damage
from tests.engines.fixtures import CruddurTable


@pytest.fixture(scope="module")
def hand_made(account: Account) -> System:
    """A table as `schema-load` creates it, damaged by the bootcamp's handler."""
    name = f"{account.name}-adopted"
    system = System(account, name, "local" if account.is_emulator else "dev", name)
    table, chance = CruddurTable("", "", system.make_table(), name), random.Random(3)  # noqa: S311
    written = damage.write(table, chance, conversations=6, messages=3, sizes=(2,))
    damage.run_the_bootcamps_handler(table, written, chance)
    return system


@pytest.fixture(scope="module")
def messages(hand_made: System) -> list[str]:
    """The messages of that table."""
    return messages_in(hand_made)


@pytest.fixture(scope="module")
def adopted(hand_made: System, messages: list[str]) -> System:
    """The system on the stream of that table."""
    assert messages
    hand_made.deploy(stream_arn=stream_of(hand_made))
    return hand_made


@pytest.fixture(scope="module")
def imported(adopted: System) -> System:
    """The same table in a stack: the system is destroyed, which leaves the table; then `cdk import`."""
    adopted.cdk("destroy", "--all", "--force", stream_arn=stream_of(adopted))
    mapping = json.dumps({"MessagesTable": {"TableName": adopted.table_name}})
    words = ("import", f"{adopted.stack}-table", "--resource-mapping-inline", mapping, "--force")
    adopted.cdk(*words, point_in_time_recovery="false")
    return adopted


def test_first_batch(adopted: System) -> None:
    """A new mapping on a stream reads its first batch within five minutes."""
    assert adopted.smoke(1, FIRST_BATCH_SECONDS).problems == []


def test_adoption_by_reference(adopted: System, messages: list[str]) -> None:
    """A table that was created by hand is adopted by reference: no message is lost, and every inbox is right."""
    assert adopted.stacks() == [adopted.stack]
    require_repaired(adopted, messages)


def test_adoption_by_import(hand_made: System, messages: list[str], request: pytest.FixtureRequest) -> None:
    """The same table is adopted by import, and is not replaced."""
    before = hand_made.table()
    request.getfixturevalue("imported")
    assert f"{hand_made.stack}-table" in hand_made.stacks()
    for lasting in ("TableArn", "CreationDateTime", "LatestStreamArn"):
        assert hand_made.table()[lasting] == before[lasting]
    assert messages_in(hand_made) == messages


@pytest.mark.only_on_aws("the emulator detects no drift in a stack that was just imported")
def test_imported_table_equals_the_template(imported: System) -> None:
    """CloudFormation finds the imported table equal to the template."""
    imported.require_no_drift()


def test_imported_stream(imported: System, messages: list[str]) -> None:
    """The main stack gets the stream of an imported table from the table stack (on the emulator, by the setting)."""
    stream = stream_of(imported)
    # In the emulator, an imported table has no stream attribute.
    imported.deploy(**({"stream_arn": stream} if imported.account.is_emulator else {}))
    assert imported.mapping()["EventSourceArn"] == stream == stream_of(imported)
    require_repaired(imported, messages)


def test_nothing_is_left(account: Account) -> None:
    """When everything is removed, no resource has the tag of this run, and none its name."""
    # What an adoption has left when it was killed: on the emulator, other tests may run elsewhere.
    System(account, account.name, "dev", f"{account.name}-left").make_table()
    removal.remove_all(account)
    assert removal.find(account) == []
    asked = {"TagFilters": [{"Key": TAG, "Values": [account.name]}]}
    tagged = partial(account.pages, "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", **asked)
    # It lists what is deleted for a time; the names of tables were compared above.
    account.within(60, "nothing has the tag", lambda: all(":table/" in one["ResourceARN"] for one in tagged()))


def require_repaired(system: System, messages: list[str]) -> None:
    """Repair; the test fails if a message is missing or a promise is broken."""
    system.ddb("rebuild", "--yes")
    system.ddb("verify")
    assert messages_in(system) == messages
    system.require_smoke(messages=5)


def messages_in(system: System) -> list[str]:
    """Key and text of each message of the table, in order."""
    found = items_in(system.place.client, system.table_name)
    return sorted(json.dumps(one, sort_keys=True) for one in found if one["pk"]["S"].startswith("MSG#"))


def stream_of(system: System) -> str:
    return str(system.table()["LatestStreamArn"])
