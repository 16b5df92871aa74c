"""A table that this app did not create, damaged by its old handler, is adopted without losing an item, and repaired.

docs/adoption.md, rehearsed on the emulator, both ways.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cruddur_cli import table_definition
from cruddur_local.waiting import wait_until
from cruddur_messages import schema
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import person
from tests.cli import damage
from tests.end_to_end.checkout import Checkout
from tests.end_to_end.inboxes import items
from tests.engines.fixtures import CruddurTable, free_port

pytestmark = pytest.mark.proof

TABLE_STACK = "cruddur-messages-local-table"
WITHOUT_ASKING = ("--require-approval", "never")


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """An account with the CDK's bootstrap stack and nothing of this app."""
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    try:
        made.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        made.cdk("destroy", "--all", "--force")
        yield made
    finally:
        made.make_target("down")


def damaged_table(checkout: Checkout) -> list[dict[str, Any]]:
    """Create a table with `schema-load`, fill it, let the bootcamp's handler damage it, and return its items."""
    dynamodb = checkout.connection().client("dynamodb")
    table_definition.create(dynamodb, schema.TABLE_NAME)
    table = CruddurTable("", dynamodb.meta.endpoint_url, dynamodb, schema.TABLE_NAME)
    chance = random.Random(3)  # noqa: S311
    damage.run_the_bootcamps_handler(
        table, damage.write(table, chance, conversations=6, messages=3, sizes=(2,)), chance
    )
    return items(dynamodb)


def ddb(checkout: Checkout, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's bin/ddb on the running system."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return subprocess.run(
        [str(checkout.folder / "bin/ddb"), *words],
        cwd=checkout.folder,
        env=kept | checkout.variables(),
        capture_output=True,
        text=True,
        check=False,
    )


def by_key(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def check_it_works(checkout: Checkout, before: list[dict[str, Any]]) -> None:
    """Check that every message is there, that the inboxes are repaired, and that a new message reaches them."""
    dynamodb = checkout.connection().client("dynamodb")
    repaired = ddb(checkout, "rebuild", "--yes")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert ddb(checkout, "verify").returncode == 0
    assert by_key(messages_of(items(dynamodb))) == by_key(messages_of(before))
    store = MessageStore(client=dynamodb, table_name=schema.TABLE_NAME)
    ann, bo = person("ann"), person("bo")
    group = store.start_conversation((ann, bo), sender=ann, message="old way").message_group_uuid
    store.send(group, sender=bo, message="new way")
    assert wait_until(lambda: store.list_conversations(ann.uuid).items[0].message == "new way")
    assert ddb(checkout, "verify").returncode == 0


def messages_of(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in found if item["pk"]["S"].startswith(schema.MESSAGE_PREFIX)]


def stream_setting(checkout: Checkout) -> str:
    described = checkout.connection().client("dynamodb").describe_table(TableName=schema.TABLE_NAME)["Table"]
    return f"stream_arn={described['LatestStreamArn']}"


def test_by_import(checkout: Checkout, tmp_path: Path) -> None:
    """In the emulator, an imported table has no stream attribute, so the main stack gets the stream by setting."""
    before = damaged_table(checkout)
    stream = stream_setting(checkout)
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"MessagesTable": {"TableName": schema.TABLE_NAME}}))
    checkout.cdk("import", TABLE_STACK, "--resource-mapping", str(mapping), "--force")
    checkout.cdk("deploy", TABLE_STACK, "--context", "seed=false", *WITHOUT_ASKING)
    assert by_key(items(checkout.connection().client("dynamodb"))) == by_key(before)
    assert stream_setting(checkout) == stream
    resources = checkout.connection().client("cloudformation").describe_stack_resources(StackName=TABLE_STACK)
    physical = {found["LogicalResourceId"]: found["PhysicalResourceId"] for found in resources["StackResources"]}
    assert physical["MessagesTable"] == schema.TABLE_NAME
    checkout.cdk("deploy", "--all", "--context", "seed=false", "--context", stream, *WITHOUT_ASKING)
    check_it_works(checkout, before)


def test_by_reference(checkout: Checkout) -> None:
    before = damaged_table(checkout)
    stream = stream_setting(checkout)
    checkout.cdk("deploy", "--all", "--context", "seed=false", "--context", stream, *WITHOUT_ASKING)
    stacks = checkout.connection().client("cloudformation").describe_stacks()["Stacks"]
    assert TABLE_STACK not in [stack["StackName"] for stack in stacks if "DELETE" not in stack["StackStatus"]]
    check_it_works(checkout, before)
    checkout.cdk("destroy", "--all", "--force", "--context", "seed=false", "--context", stream)
    left = messages_of(items(checkout.connection().client("dynamodb")))
    assert [message for message in messages_of(before) if message not in left] == []
