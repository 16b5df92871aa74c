"""Commands that keep the table right: verify, rebuild, redrive."""

from pathlib import Path
from typing import Annotated

import typer

from cruddur_cli import completion, local_system
from cruddur_cli.commands.group import CommandGroup, Yes
from cruddur_cli.commands.report import report
from cruddur_cli.console import summary
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError, WrongUseError
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Outcome, Rebuild
from cruddur_cli.maintenance.redrive import LEFT, FailureQueue, Redrive
from cruddur_cli.maintenance.repair import Repairer
from cruddur_cli.maintenance.verify import verify as verify_table
from cruddur_messages.audit.reader import ConversationReader

Examples = Annotated[int, typer.Option(min=0, help="How many examples of each problem to show.")]

EXAMPLES = 3
BROKEN = 1

maintenance = CommandGroup("Maintenance")


@maintenance.command("verify", example="verify --prod --units-per-second 500", takes=["units_per_second"])
def verify(context: Context, examples: Examples = EXAMPLES) -> int:
    """Check that every inbox is right; exit status 1 if any is not.

    Reads the whole table and writes nothing. Changes that the projection is still settling are not reported.
    """
    context.require_table()
    found = verify_table(
        context.client,
        context.target.table_name,
        expected_items=context.item_count(),
        show_progress=context.output.progress,
    )
    report(context, found.snapshot, found.findings, examples)
    return BROKEN if found.findings else 0


@maintenance.command("rebuild", example="rebuild --prod --dry-run", takes=["units_per_second"])
def rebuild(
    context: Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start again instead of continuing an interrupted run.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="The file for what is left to do.", autocompletion=completion.files
        ),
    ] = None,
    examples: Examples = EXAMPLES,
    yes: Yes = False,
) -> int:
    """Repair what verify finds, while the system runs; exit status 1 if something is left for a person.

    A new run continues an interrupted one. Messages do not change, except the form of mixed timestamps.
    """
    if dry_run:
        if restart or state:
            raise WrongUseError(
                "--dry-run changes nothing, so it does not go with --state and --restart: leave them out"
            )
        context.require_table()
        previewed = _rebuild_of(context).preview()
        report(context, previewed.snapshot, previewed.findings, examples, would_be_done=previewed.done)
        return 0
    checkpoint = _checkpoint(context, state)
    checkpoint.require_writable()
    context.require_table()
    context.output.note(f"rebuilding {context.target}")
    if context.target.is_aws:
        context.confirm(yes=yes)
    if restart:
        checkpoint.remove()
    return BROKEN if _rebuild(context, checkpoint, examples).findings else 0


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
    reader = ConversationReader(client=context.client, table_name=table_name)
    redriving = Redrive(
        client=context.client,
        streams=context.target.streams(),
        table_name=table_name,
        queue=FailureQueue(context.target.queues(), url),
        repairer=Repairer(
            client=context.client, table_name=table_name, reader=reader, named=lambda uuid: context.people.by_uuid(uuid)
        ),
        note=context.output.note,
    )
    redriving.run()
    if redriving.too_old:
        messages = f"{len(redriving.too_old):,} messages"
        context.output.note(f"the stream no longer has the records of {messages}: rebuilding the table")
        if context.target.is_aws:
            context.confirm(yes=yes)
        outcome = _rebuild(context, _checkpoint(context, None), EXAMPLES)
        redriving.table_is_rebuilt(is_right=not outcome.findings)
    if context.output.as_json:
        context.output.document(dict(redriving.counts))
    else:
        context.output.line(f"failure queue: {summary(redriving.counts)}")
    return BROKEN if redriving.counts[LEFT] else 0


def _rebuild(context: Context, checkpoint: Checkpoint, examples: int) -> Outcome:
    rebuilding = _rebuild_of(context)
    if left := checkpoint.left():
        context.output.note(f"continuing an interrupted run: {len(left):,} conversations are left")
    outcome = rebuilding.run(checkpoint)
    for repair in outcome.failures[:examples]:
        context.output.note(f"conversation {repair.message_group_uuid} is not settled: {repair.failure}")
    report(context, outcome.snapshot, outcome.findings, examples, done=outcome.done)
    return outcome


def _rebuild_of(context: Context) -> Rebuild:
    return Rebuild(
        client=context.client,
        table_name=context.target.table_name,
        named=lambda uuid: context.people.by_uuid(uuid),
        expected_items=context.item_count(),
        show_progress=context.output.progress,
    )


def _checkpoint(context: Context, state: Path | None) -> Checkpoint:
    target = context.target
    return Checkpoint(state or local_system.checkpoint_path(target.table_name, f"{target.endpoint}/{target.region}"))
