"""Commands that keep the table right: verify, rebuild, redrive."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.config import Config

from cruddur_cli import completion, local_system
from cruddur_cli.commands.arguments import Yes, file_option
from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.commands.report import report
from cruddur_cli.console import summary
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError, WrongUseError
from cruddur_cli.maintenance import findings_file
from cruddur_cli.maintenance.checkpoint import Checkpoint, identity
from cruddur_cli.maintenance.rebuild import Outcome, Rebuild
from cruddur_cli.maintenance.redrive import REMAINING, Redrive
from cruddur_cli.maintenance.repair import Repairer
from cruddur_cli.maintenance.spark import check_on
from cruddur_cli.maintenance.table_export import TableExport
from cruddur_cli.maintenance.verify import check_export, verify_export
from cruddur_cli.maintenance.verify import verify as verify_table
from cruddur_cli.output_file import require_writable
from cruddur_messages.audit.checks import Finding
from cruddur_messages.audit.export import Export
from cruddur_messages.audit.reader import ConversationReader

Examples = Annotated[int, typer.Option(min=0, help="How many examples of each problem to show.")]

EXAMPLES = 3
LOCAL_MASTER = "local[*]"
BROKEN = 1

maintenance = CommandGroup("Maintenance")


class Engine(StrEnum):
    """What checks an export."""

    PROCESS = "process"
    SPARK = "spark"


def s3_client(*, prod: bool) -> Any:
    """A client for the buckets of exports, by boto3's own configuration; with `prod`, no endpoint variable counts."""
    options: dict[str, Any] = {"ignore_configured_endpoint_urls": True} if prod else {}
    return boto3.client("s3", config=Config(**options))


@maintenance.command("verify", example="verify --prod --units-per-second 500", takes=["units_per_second"])
def verify(
    context: Context,
    export: Annotated[
        str | None,
        typer.Option(
            "--export",
            metavar="LOCATION",
            help="Check an export instead: a folder with manifest-summary.json, or s3://bucket/prefix/AWSDynamoDB/id.",
            autocompletion=completion.files,
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the export alone: read nothing again from the table.")
    ] = False,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Check the export in this process, or on Spark (make spark).")
    ] = Engine.PROCESS,
    master: Annotated[str, typer.Option("--master", help="Spark's cluster.")] = LOCAL_MASTER,
    findings: Annotated[
        Path | None, file_option("--findings", "Write what is found to a file, for bin/ddb rebuild.")
    ] = None,
    examples: Examples = EXAMPLES,
) -> int:
    """Check that every inbox is right; exit status 1 if any is not.

    Reads the whole table and writes nothing. Changes that the projection is still settling are not reported.
    """
    if export is None and (offline or engine is Engine.SPARK):
        raise WrongUseError("--offline and --engine spark check an export: name it with --export LOCATION")
    if master != LOCAL_MASTER and engine is Engine.PROCESS:
        raise WrongUseError("--master goes with --engine spark")
    source = None
    if findings:
        require_writable(findings, option="--findings")
    if export is None:
        context.require_table()
        found = verify_table(
            context.client,
            context.target.table_name,
            expected_items=context.item_count(),
            show_progress=context.output.progress,
        )
    else:
        prod = bool(context.params["prod"])
        exported = Export(export, lambda: s3_client(prod=prod))
        if offline:
            source = (exported.table_name, exported.location)
            exported.require_table(context.params.get("table") or exported.table_name)
        else:
            exported.require_table(context.target.table_name)
            context.require_table()
        found = verify_export(
            exported,
            None if offline else ConversationReader(client=context.client, table_name=context.target.table_name),
            check=check_on(master, prod=prod) if engine is Engine.SPARK else check_export,
            show_progress=context.output.progress,
        )
    if findings:
        findings_file.write(findings, confirmed=found.findings, unconfirmed=found.unconfirmed)
    report(context, found.contents, found.findings, examples, unconfirmed=found.unconfirmed, source=source)
    return BROKEN if found.findings or found.unconfirmed else 0


@maintenance.command("export-table", example="export-table backup --prod", takes=["units_per_second"])
def export_table(
    context: Context,
    folder: Annotated[Path, typer.Argument(help="A new folder, or that of an interrupted run.")],
) -> None:
    """Write the table to files, as DynamoDB's own export has it. A new run continues an interrupted one.

    For verify --export, and as a backup. It reads the whole table; DynamoDB's export to S3 does not.
    """
    context.require_table()
    exporting = TableExport(client=context.client, table_name=context.target.table_name, folder=folder)
    items = exporting.run(show_progress=context.output.progress)
    document = {"table": context.target.table_name, "folder": str(folder), "items": items}
    context.output.result(document, f"{items:,} items of {context.target} are in {folder}")


@maintenance.command("rebuild", example="rebuild --prod --dry-run", takes=["units_per_second"])
def rebuild(
    context: Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start again instead of continuing an interrupted run.")
    ] = False,
    state: Annotated[Path | None, file_option("--state", "The file for what is left to do.")] = None,
    findings: Annotated[
        Path | None, file_option("--findings", "Repair what this file names and nothing else, without a scan.")
    ] = None,
    examples: Examples = EXAMPLES,
    yes: Yes = False,
) -> int:
    """Repair what verify finds, while the system runs; exit status 1 if something is left for a person.

    A new run continues an interrupted one. Messages do not change, except the form of mixed timestamps.
    """
    found = findings_file.read(findings) if findings else None
    if dry_run:
        if restart or state:
            raise WrongUseError(
                "--dry-run changes nothing, so it does not go with --state and --restart: leave them out"
            )
        context.require_table()
        previewed = _rebuild_of(context, found).preview()
        report(context, previewed.contents, previewed.findings, examples, would_be_done=previewed.done)
        return 0
    # A run for a file repairs what the file names, not what remains of another run. The folder `.` has no name.
    own_state = Path(f"{findings.resolve()}.remaining") if findings else None
    checkpoint = _checkpoint(context, state or own_state)
    checkpoint.require_writable()
    context.require_table()
    context.output.note(f"rebuilding {context.target}")
    if context.target.is_aws:
        context.confirm(yes=yes)
    if restart:
        checkpoint.remove()
    outcome = _rebuild(context, checkpoint, examples, found)
    report(context, outcome.contents, outcome.findings, examples, done=outcome.done)
    return BROKEN if outcome.findings else 0


@maintenance.command("redrive", example="redrive --prod --queue https://sqs.us-east-1.amazonaws.com/1234/failures")
def redrive(
    context: Context,
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="URL", help="The failure queue; make up sets the default.")
    ] = None,
    yes: Yes = False,
) -> int:
    """Settle what is in the failure queue, and remove it there; exit status 1 if something stays in the queue.

    Records that the stream no longer has (24 hours) cannot be read again: then the table is rebuilt.
    """
    url = queue or context.target.system.get("failure_queue_url")
    if url is None:
        raise DdbError("which failure queue? name it with --queue URL: the output FailureQueueUrl of the main stack")
    context.require_table()
    context.output.note(f"redriving {context.target}")
    table_name = context.target.table_name
    redriving = Redrive(
        client=context.client,
        streams=context.target.streams(),
        queues=context.target.queues(),
        queue_url=url,
        table_name=table_name,
        repairer=Repairer(client=context.client, table_name=table_name, named=lambda uuid: context.users.by_uuid(uuid)),
        note=context.output.note,
    )
    redriving.run()
    counts = redriving.counts
    outcome, refused = None, None
    if redriving.too_old:
        messages = f"{len(redriving.too_old):,} messages"
        context.output.note(f"the stream no longer has the records of {messages}: rebuilding the table")
        try:
            if context.target.is_aws:
                context.confirm(yes=yes, otherwise="the table is not rebuilt")
            outcome = _rebuild(context, _checkpoint(context, None), EXAMPLES)
        except DdbError as error:
            refused = error
        redriving.end(is_rebuilt=outcome is not None and not outcome.findings)
    if outcome is not None:
        report(context, outcome.contents, outcome.findings, EXAMPLES, done=outcome.done, redriven=counts)
    if outcome is None or not context.output.as_json:
        context.output.result(dict(counts), f"failure queue: {summary(counts)}")
    if refused is not None:
        raise refused
    return BROKEN if counts[REMAINING] else 0


def _rebuild(
    context: Context, checkpoint: Checkpoint, examples: int, found: Collection[Finding] | None = None
) -> Outcome:
    rebuilding = _rebuild_of(context, found)
    if remaining := checkpoint.remaining():
        context.output.note(f"continuing an interrupted run: {len(remaining):,} conversations are left")
    outcome = rebuilding.run(checkpoint)
    for repair in outcome.failures[:examples]:
        context.output.note(f"conversation {repair.message_group_uuid} is not settled: {repair.failure}")
    return outcome


def _rebuild_of(context: Context, found: Collection[Finding] | None) -> Rebuild:
    return Rebuild(
        client=context.client,
        table_name=context.target.table_name,
        named=lambda uuid: context.users.by_uuid(uuid),
        found=found,
        expected_items=context.item_count(),
        show_progress=context.output.progress,
    )


def _checkpoint(context: Context, state: Path | None) -> Checkpoint:
    target = context.target
    path = state or local_system.checkpoint_path(target.table_name, f"{target.endpoint}/{target.region}")
    return Checkpoint(path, lambda: identity(context.client.describe_table(TableName=target.table_name)["Table"]))
