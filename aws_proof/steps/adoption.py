"""A table that this app did not create, damaged by the bootcamp's handler, is adopted both ways (docs/adoption.md)."""

import json
import random
from typing import Any

from aws_proof.claims import DiffersError, claim
from aws_proof.steps.deployment import nothing_drifts, stacks_of
from aws_proof.world import FOLDER, World
from cruddur_cli import table_definition

CONVERSATIONS, MESSAGES = 6, 3


@claim(
    "A table that was created by hand is adopted by reference. No message is lost, and every inbox is right.",
    blocks=True,
)
def adoption_by_reference(world: World) -> str:
    """A table as `schema-load` creates it, damaged by the bootcamp's handler, is adopted and repaired.

    `cdk deploy -c stream_arn=...`, `rebuild`, `verify`, and `bin/ddb smoke`.
    """
    world.notes["messages"] = make_damaged_table(world)
    world.deploy(stream_arn=stream_of(world))
    if f"{world.system}-table" in stacks_of(world):
        raise DiffersError("there is a stack for a table that this app did not create")
    world.notes["first batch"] = world.require_smoke(messages=1, limit_seconds=300)
    return repaired(world)


@claim("A new mapping on a stream reads its first batch within five minutes.")
def first_batch(world: World) -> str:
    """The delay of the first message after the adoption by reference."""
    return f"after the deployment: {world.notes['first batch']}"


@claim("The same table is adopted by import, and is not replaced.", blocks=True)
def adoption_by_import(world: World) -> str:
    """The system is destroyed, which leaves the table. Then `cdk import`; ids of table and stream are compared."""
    before = table_of(world)
    world.cdk("destroy", "--all", "--force", stream_arn=stream_of(world))
    mapping = FOLDER / "import.json"
    mapping.parent.mkdir(parents=True, exist_ok=True)
    mapping.write_text(json.dumps({"MessagesTable": {"TableName": world.table_name}}))
    settings = {"point_in_time_recovery": "false"}
    world.cdk("import", f"{world.system}-table", "--resource-mapping", str(mapping), "--force", **settings)
    if f"{world.system}-table" not in stacks_of(world):
        raise DiffersError("there is no stack for the table")
    if table_of(world) != before:
        raise DiffersError(f"the table was {before}, it is {table_of(world)}")
    return f"imported, with the same stream: {before[1]}"


@claim(
    "CloudFormation finds the imported table equal to the template.",
    not_on_emulator="the emulator detects no drift in a stack that was just imported",
)
def imported_table(world: World) -> str:
    """Drift detection of the table stack, directly after the import."""
    return nothing_drifts.step(world)


@claim(
    "The main stack gets the stream of an imported table from the table stack.",
    not_on_emulator="in the emulator, an imported table has no stream attribute",
)
def imported_stream(world: World) -> str:
    """`cdk deploy --all` without `stream_arn`, after the import; then `bin/ddb smoke`."""
    stream = stream_of(world)
    world.deploy()
    if stream_of(world) != stream or world.mapping()["EventSourceArn"] != stream:
        raise DiffersError(f"the mapping reads {world.mapping()['EventSourceArn']}, the table had {stream}")
    world.require_smoke(messages=1, limit_seconds=300)
    return repaired(world)


def make_damaged_table(world: World) -> list[str]:
    """Create a table without a stack, damage it, and return the keys and texts of its messages."""
    # The bootcamp's handler is in the tests.
    from tests.cli import damage
    from tests.engines.fixtures import CruddurTable

    dynamodb = world.client("dynamodb")
    world.journal.make("table", world.table_name)
    table_definition.create(dynamodb, world.table_name)
    table = CruddurTable("", "", dynamodb, world.table_name)
    chance = random.Random(3)  # noqa: S311
    written = damage.write(table, chance, conversations=CONVERSATIONS, messages=MESSAGES, sizes=(2,))
    damage.run_the_bootcamps_handler(table, written, chance)
    return messages_in(dynamodb, world.table_name)


def repaired(world: World) -> str:
    """Repair and compare. Raises DiffersError if a message is missing or a promise is broken."""
    for command in (("rebuild", "--yes"), ("verify",)):
        status, result = world.ddb(*command)
        if status:
            raise DiffersError(f"{command[0]}: exit status {status}: {result}")
    now = messages_in(world.client("dynamodb"), world.table_name)
    if now != world.notes["messages"]:
        raise DiffersError(f"there were {len(world.notes['messages'])} messages, there are {len(now)}")
    return f"all {len(now)} messages are there, verify finds nothing, {world.require_smoke(messages=5)}"


def messages_in(dynamodb: Any, table_name: str) -> list[str]:
    """Key and text of each message of the table, in order."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True)
    found = (item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("MSG#"))
    return sorted(f"{item['pk']['S']} {item['sk']['S']} {item['message']['S']}" for item in found)


def table_of(world: World) -> tuple[str, str]:
    """The table's id and its stream."""
    table = world.client("dynamodb").describe_table(TableName=world.table_name)["Table"]
    return str(table.get("TableId", table["TableArn"])), str(table["LatestStreamArn"])


def stream_of(world: World) -> str:
    """The table's stream."""
    return table_of(world)[1]
