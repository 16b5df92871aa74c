"""Commands on the table as a whole: make it, look at it, fill it, take it away."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Annotated, Any

import typer

from cruddur_cli import table_definition
from cruddur_cli.console import plain, summary
from cruddur_cli.errors import DdbError
from cruddur_cli.run import AsJson, Capacity, Prod, Run, TableName, Yes, run
from cruddur_cli.settling import settle
from cruddur_messages import schema
from cruddur_messages.items import MESSAGE, USER_HANDLE
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.load import Seed

SECONDS_BETWEEN_BARS = 0.1


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command("schema-load", epilog="Example: bin/ddb schema-load")(schema_load)
    app.command("list-tables", epilog="Example: bin/ddb list-tables --prod")(list_tables)
    app.command(epilog="Example: bin/ddb describe --json")(describe)
    app.command(epilog="Example: bin/ddb drop cruddur-messages")(drop)
    app.command(epilog="Example: bin/ddb seed")(seed)
    app.command(epilog="Example: bin/ddb scan --json | head")(scan)


def schema_load(prod: Prod = False, table: TableName = None, as_json: AsJson = False) -> None:
    """Create the table, with its index and its stream, and wait until it is active."""
    with run(prod=prod, table_name=table, as_json=as_json) as this:
        this.announce_write("creating")
        table_definition.create(this.client, this.target.table_name)
        description = _described(this)
        if as_json:
            this.output.document(description)
        else:
            this.output.line(f"{this.target.table_name} is {description['status']}")


def list_tables(prod: Prod = False, as_json: AsJson = False) -> None:
    """List the tables there are."""
    with run(prod=prod, table_name=None, as_json=as_json) as this:
        pages = this.client.get_paginator("list_tables").paginate()
        names = [name for page in pages for name in page["TableNames"]]
        if as_json:
            this.output.document(names)
        else:
            this.output.table(["table"], [[name] for name in names])


def describe(
    table_name: Annotated[str | None, typer.Argument(metavar="[TABLE]", show_default=False)] = None,
    prod: Prod = False,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Show the table's state, size, keys, index and stream."""
    with run(prod=prod, table_name=table_name or table, as_json=as_json) as this:
        description = _described(this)
        if as_json:
            this.output.document(description)
        else:
            this.output.table(["", "value"], [[name.replace("_", " "), value] for name, value in description.items()])


def drop(
    table_name: Annotated[str | None, typer.Argument(metavar="[TABLE]", show_default=False)] = None,
    prod: Prod = False,
    table: TableName = None,
    yes: Yes = False,
) -> None:
    """Delete the table with everything in it. Asks for its name."""
    if table_name and table and table_name != table:
        raise DdbError(f"which table? {table_name} is named, and --table says {table}")
    with run(prod=prod, table_name=table_name or table) as this:
        this.require_own_table()
        this.announce_write("deleting")
        items = this.item_count()
        this.confirm(yes=yes)
        table_definition.drop(this.client, this.target.table_name)
        this.output.line(f"{this.target.table_name} is deleted, with about {items:,} items")


def seed(
    prod: Prod = False,
    table: TableName = None,
    yes: Yes = False,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Load the project's conversations. Doing it again changes nothing.

    With DATABASE_URL set, those of its people who are among the app's users appear under the app's ids and names.
    """
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        this.announce_write("seeding")
        this.require_table()
        if this.target.is_aws:
            this.confirm(yes=yes)
        conversations = _seed_conversations(this)
        counts = _load(this, conversations)
        if not this.target.has_projection:
            settle(this, [conversation.message_group_uuid for conversation in conversations])
        if as_json:
            this.output.document(counts)
        else:
            this.output.line(f"{len(conversations)} conversations of the seed: {summary(counts)}")


def scan(
    prod: Prod = False,
    table: TableName = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many items.")] = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> None:
    """Print every item: for people one line each, with --json one JSON object per line."""
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        total = this.item_count()
        pages = this.client.get_paginator("scan").paginate(
            TableName=this.target.table_name, PaginationConfig={"MaxItems": limit} if limit else {}
        )
        with this.output.progress("scan", total, beside_output=True) as bar:
            for page in pages:
                for item in page["Items"]:
                    value = plain(item)
                    if as_json:
                        this.output.json_line(value)
                    else:
                        this.output.line(_in_a_line(value))
                bar.advance(len(page["Items"]))


def _in_a_line(item: dict[str, Any]) -> str:
    names = (schema.SORT_KEY, schema.PARTITION_KEY, schema.INDEX_PARTITION_KEY, USER_HANDLE, MESSAGE)
    return "  ".join(str(item[name]) for name in names if name in item)


def _described(this: Run) -> dict[str, Any]:
    table = this.client.describe_table(TableName=this.target.table_name)["Table"]
    keys = [f"{key['AttributeName']} ({key['KeyType'].lower()})" for key in table.get("KeySchema", [])]
    stream = table.get("StreamSpecification", {})
    return {
        "table": table["TableName"],
        "at": this.target.endpoint or f"AWS, {this.target.region}",
        "status": table["TableStatus"],
        "items_at_last_count": table.get("ItemCount", 0),
        "bytes_at_last_count": table.get("TableSizeBytes", 0),
        "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "keys": ", ".join(keys),
        "indexes": ", ".join(index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])),
        "stream": stream.get("StreamViewType", "off") if stream.get("StreamEnabled") else "off",
        "arn": table.get("TableArn", ""),
    }


def _seed_conversations(this: Run) -> Sequence[seed_file.SeedConversation]:
    """The seed, for the app's own users where it has them."""
    users = seed_file.parse_users(seed_file.USERS_PATH.read_text(encoding="utf-8"))
    own = [this.people.by_handle(user.handle) or user for user in users]
    return seed_file.parse(seed_file.CONVERSATIONS_PATH.read_text(encoding="utf-8"), own)


def _load(this: Run, conversations: Sequence[seed_file.SeedConversation]) -> dict[str, int]:
    stopped = Event()
    seed = Seed(client=this.client, table_name=this.target.table_name, has_time=lambda: not stopped.is_set())
    with this.output.progress("seed", None) as bar, ThreadPoolExecutor(1) as pool:
        loading = pool.submit(seed.load, conversations)
        try:
            while not loading.done():
                bar.set(seed.progress.done, seed.progress.total)
                time.sleep(SECONDS_BETWEEN_BARS)
        finally:
            stopped.set()
        return dict(loading.result())
