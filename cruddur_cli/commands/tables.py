"""Commands on the table as a whole: create it, look at it, fill it, delete it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from cruddur_cli import table_definition, users
from cruddur_cli.commands.arguments import Yes
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.console import Column, Cut, plain, summary
from cruddur_cli.context import Context
from cruddur_messages import schema
from cruddur_messages.dynamodb import error_code
from cruddur_messages.items import MESSAGE, USER_HANDLE
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.load import SeedLoader

tables = CommandGroup("The table")


@tables.command("schema-load", example="schema-load")
def schema_load(context: Context) -> None:
    """Create the table, with its index and its stream, and wait until it is active."""
    context.require_no_table()
    context.output.note(f"creating {context.target}")
    table_definition.create(context.client, context.target.table_name)
    description = _description(context)
    context.output.result(description, f"{context.target.table_name} is {description['status']}")


@tables.command("where", example="where --prod")
def where(context: Context) -> None:
    """Show where a command acts, and why."""
    target, system = context.target, context.target.system
    found = {
        "table": target.table_name,
        "at": target.place,
        "because": target.reason,
        "inboxes_are_settled_by": "the deployed projection" if target.has_projection else "bin/ddb itself",
        "users": users.source_name(system.get("users_file")),
    }
    if system:
        found |= {"kept_over_make_down": system.get("kept", "no"), "settings": system.get("settings") or "defaults"}
    _show(context, found)


@tables.command("list-tables", example="list-tables --prod", lacks=["table"])
def list_tables(context: Context) -> None:
    """List all tables."""
    pages = context.client.get_paginator("list_tables").paginate()
    names = [name for page in pages for name in page["TableNames"]]
    if context.output.as_json:
        context.output.document(names)
    elif names:
        context.output.table([Column("table")], [[name] for name in names])
    else:
        context.output.note(f"there is no table at {context.target.place}: bin/ddb schema-load creates one")


@tables.command("describe", example="describe --json", takes=["table_argument"])
def describe(context: Context) -> None:
    """Show the table's state, size, keys, index and stream, and how its data is protected."""
    _show(context, _description(context))


@tables.command("drop", example="drop cruddur-messages", takes=["table_argument"])
def drop(context: Context, yes: Yes = False) -> None:
    """Delete the table and all its items. Asks for its name."""
    context.require_own_table()
    items = context.item_count()
    context.output.note(f"deleting {context.target}")
    context.confirm(yes=yes)
    table_definition.drop(context.client, context.target.table_name)
    document = {"table": context.target.table_name, "items_at_last_count": items}
    context.output.result(document, f"{context.target.table_name} is deleted, with about {items:,} items")


@tables.command("seed", example="seed")
def seed(context: Context, yes: Yes = False) -> None:
    """Load the project's conversations. A second run changes nothing.

    With DATABASE_URL set, people of the seed who are users of the app get the app's ids and names.
    """
    conversations = _seed_conversations(context)
    context.require_table()
    context.output.note(f"seeding {context.target}")
    if context.target.is_aws:
        context.confirm(yes=yes)
    counts = _load(context, conversations)
    context.settle_where_no_lambda_does(conversation.message_group_uuid for conversation in conversations)
    context.output.result(counts, f"{len(conversations)} conversations of the seed: {summary(counts)}")


@tables.command("scan", example="scan --json | head")
def scan(
    context: Context,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many items.")] = None,
) -> None:
    """Print every item: one line each, with --json one JSON object per line."""
    total = context.item_count()
    pages = context.client.get_paginator("scan").paginate(
        TableName=context.target.table_name, PaginationConfig={"MaxItems": limit} if limit else {}
    )
    printed = 0
    with context.output.progress("scan", total, beside_output=True) as bar:
        for page in pages:
            for item in page["Items"]:
                value = plain(item)
                if context.output.as_json:
                    context.output.json_line(value)
                else:
                    context.output.line(_in_a_line(value))
            bar.advance(len(page["Items"]))
            printed += len(page["Items"])
    if not printed and not context.output.as_json:
        context.output.note(f"{context.target} is empty: bin/ddb seed loads the project's conversations")


def _show(context: Context, found: Mapping[str, Any]) -> None:
    if context.output.as_json:
        context.output.document(found)
    else:
        rows = [[name.replace("_", " "), value] for name, value in found.items()]
        context.output.table([Column(""), Column("value", Cut.WRAP, grows=True)], rows)


def _in_a_line(item: dict[str, Any]) -> str:
    names = (schema.SORT_KEY, schema.PARTITION_KEY, schema.INDEX_PARTITION_KEY, USER_HANDLE, MESSAGE)
    return "  ".join(str(item[name]) for name in names if name in item)


def _description(context: Context) -> dict[str, Any]:
    table = context.client.describe_table(TableName=context.target.table_name)["Table"]
    keys = [f"{key['AttributeName']} ({key['KeyType'].lower()})" for key in table.get("KeySchema", [])]
    stream = table.get("StreamSpecification", {})
    return {
        "table": table["TableName"],
        "at": context.target.place,
        "status": table["TableStatus"],
        "items_at_last_count": table.get("ItemCount", 0),
        "bytes_at_last_count": table.get("TableSizeBytes", 0),
        "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "keys": ", ".join(keys),
        "indexes": ", ".join(index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])),
        "stream": stream.get("StreamViewType", "off") if stream.get("StreamEnabled") else "off",
        "deletion_protection": "on" if table.get("DeletionProtectionEnabled") else "off",
        "encryption_key": table.get("SSEDescription", {}).get("KMSMasterKeyArn", "owned by AWS"),
        "point_in_time_recovery": _asked(lambda: _recovery(context)),
        "time_to_live": _asked(lambda: _time_to_live(context)),
        "arn": table.get("TableArn", ""),
    }


def _asked(ask: Callable[[], str]) -> str:
    """What an engine answers, or why it does not: these two calls have permissions of their own."""
    try:
        return ask()
    except ClientError as error:
        return f"unknown: {error_code(error)}"


def _recovery(context: Context) -> str:
    backups = context.client.describe_continuous_backups(TableName=context.target.table_name)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return "on" if recovery.get("PointInTimeRecoveryStatus") == "ENABLED" else "off"


def _time_to_live(context: Context) -> str:
    found = context.client.describe_time_to_live(TableName=context.target.table_name)["TimeToLiveDescription"]
    return found.get("AttributeName", "on") if found.get("TimeToLiveStatus") == "ENABLED" else "off"


def _seed_conversations(context: Context) -> Sequence[seed_file.SeedConversation]:
    """The seed of the system of `make up`, else the project's own; with the app's users if it has them."""
    conversations_path = Path(context.target.system.get("seed_file") or seed_file.CONVERSATIONS_PATH)
    users_path = Path(context.target.system.get("users_file") or seed_file.USERS_PATH)
    own = [context.users.by_handle(user.handle) or user for user in seed_file.load_users(users_path)]
    return seed_file.load_conversations(conversations_path, own)


def _load(context: Context, conversations: Sequence[seed_file.SeedConversation]) -> dict[str, int]:
    with context.output.progress("seed", None) as bar:

        def show() -> bool:
            # Called before each request.
            bar.set(loader.progress.done, loader.progress.total)
            return True

        loader = SeedLoader(client=context.client, table_name=context.target.table_name, has_time=show)
        return dict(loader.load(conversations))
