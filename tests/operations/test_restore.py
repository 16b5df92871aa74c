"""A restored table takes over and belongs to a stack again: docs/operations.md, "Restore the table", rehearsed."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cruddur_cli import table_definition
from cruddur_local.waiting import wait_until
from cruddur_messages import schema
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import items_in, person
from tests.end_to_end.checkout import Checkout
from tests.engines.fixtures import free_port

pytestmark = pytest.mark.proof

TABLE_STACK = "cruddur-messages-local-table"
WITHOUT_ASKING = ("--require-approval", "never")
RESTORED = "cruddur-messages-restored"


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A running system without conversations."""
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    try:
        made.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        yield made
    finally:
        made.make_target("down")


def ddb(checkout: Checkout, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's bin/ddb on the restored table."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    words = [str(checkout.folder / "bin/ddb"), command, "--table", RESTORED, *options]
    environment = kept | checkout.variables()
    return subprocess.run(words, cwd=checkout.folder, env=environment, capture_output=True, text=True, check=False)


def test_a_restored_table_takes_over_and_belongs_to_the_stack(checkout: Checkout, tmp_path: Path) -> None:
    """The emulator restores no table, so a copy takes the place of the restore."""
    dynamodb = checkout.account().client("dynamodb")
    store = MessageStore(client=dynamodb, table_name=schema.TABLE_NAME)
    ann, cy = person("ann"), person("cy")
    lost = store.start_conversation((ann, cy), sender=ann, message="the lost message").message
    assert wait_until(lambda: f"'{schema.CONVERSATION_PREFIX}" in str(items_in(dynamodb)))
    before = items_in(dynamodb)
    dynamodb.delete_item(TableName=schema.TABLE_NAME, Key={name: lost.to_attributes()[name] for name in ("pk", "sk")})

    table_definition.create(dynamodb, RESTORED)
    for item in before:
        dynamodb.put_item(TableName=RESTORED, Item=item)
    stream_arn = dynamodb.describe_table(TableName=RESTORED)["Table"]["LatestStreamArn"]
    to_it = ("--context", "seed=false", "--context", f"table_name={RESTORED}")
    stream = ("--context", f"stream_arn={stream_arn}")
    checkout.cdk("deploy", "--all", *to_it, *stream, *WITHOUT_ASKING)
    rebuilt = ddb(checkout, "rebuild", "--yes")
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr

    checkout.cdk("destroy", TABLE_STACK, "--force", "--context", "seed=false")
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"MessagesTable": {"TableName": RESTORED}}))
    checkout.cdk("import", TABLE_STACK, "--resource-mapping", str(mapping), "--force", *to_it)
    checkout.cdk("deploy", TABLE_STACK, *to_it, *WITHOUT_ASKING)
    # In the emulator, an imported table has no stream attribute, so the main stack keeps the stream by setting.
    checkout.cdk("deploy", "--all", *to_it, *stream, *WITHOUT_ASKING)
    resources = checkout.account().client("cloudformation").describe_stack_resources(StackName=TABLE_STACK)
    assert RESTORED in [found["PhysicalResourceId"] for found in resources["StackResources"]]

    store = MessageStore(client=dynamodb, table_name=RESTORED)
    store.send(lost.message_group_uuid, sender=cy, message="found again")
    assert wait_until(lambda: [row.message for row in store.list_conversations(ann.uuid).items] == ["found again"])
    texts = [message.message for message in store.get_conversation(lost.message_group_uuid).items]
    assert texts == ["the lost message", "found again"]
    verified = ddb(checkout, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
