"""Commands that look after the table: verify, rebuild, redrive."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cruddur_cli.console import summary
from cruddur_cli.conversation_reader import ConversationReader
from cruddur_cli.errors import DdbError
from cruddur_cli.healing import Healer, Healing
from cruddur_cli.rebuilding import Checkpoint, heal_all
from cruddur_cli.redriving import FailedBatch, FailureQueue, UnknownNoticeError, read_batch
from cruddur_cli.run import AsJson, Capacity, Prod, Run, TableName, UnitsPerSecond, Yes, run
from cruddur_cli.settling import projection
from cruddur_cli.verification import MEANINGS, Finding, Problem, TableSeen
from cruddur_cli.verifying import Suspect, confirmed, read_table, suspects_of

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

Examples = Annotated[int, typer.Option(min=0, help="How many examples of each problem to show.")]

EXAMPLES = 3
BROKEN = 1


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(epilog="Example: bin/ddb verify --prod --units-per-second 500")(verify)
    app.command(epilog="Example: bin/ddb rebuild --prod --dry-run")(rebuild)
    app.command(epilog="Example: bin/ddb redrive --prod --queue https://sqs.us-east-1.amazonaws.com/1234/failures")(
        redrive
    )


def verify(
    prod: Prod = False,
    table: TableName = None,
    examples: Examples = EXAMPLES,
    units_per_second: UnitsPerSecond = None,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> int:
    """Check that every inbox is right; exit status 1 if any is not.

    Reads the whole table and writes nothing. What the system is just about to settle is not reported.
    """
    with run(
        prod=prod, table_name=table, as_json=as_json, capacity=capacity, units_per_second=units_per_second
    ) as this:
        seen = _read(this)
        findings = _confirmed(this, _reader(this), seen, list(seen.findings()))
        _report(this, seen, findings, examples)
        return BROKEN if findings else 0


def rebuild(
    prod: Prod = False,
    table: TableName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an interrupted run has left.")] = False,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Where to note what is left to do.")
    ] = None,
    examples: Examples = EXAMPLES,
    units_per_second: UnitsPerSecond = None,
    yes: Yes = False,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> int:
    """Put right what verify finds, while the system runs; exit status 1 if something is left for a person.

    An interrupted run goes on where it was. No message is changed, but for the form of mixed timestamps.
    """
    with run(
        prod=prod, table_name=table, as_json=as_json, capacity=capacity, units_per_second=units_per_second
    ) as this:
        if dry_run:
            return _foresee(this, examples)
        this.announce_write("rebuilding")
        if this.target.is_aws:
            this.confirm(yes=yes)
        checkpoint = Checkpoint(state) if state else Checkpoint.of(this.target)
        if restart:
            checkpoint.remove()
        return BROKEN if _rebuild(this, checkpoint, examples) else 0


def redrive(
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="URL", help="The failure queue, if make up does not tell.")
    ] = None,
    prod: Prod = False,
    table: TableName = None,
    yes: Yes = False,
    as_json: AsJson = False,
    capacity: Capacity = False,
) -> int:
    """Settle what ended in the failure queue, and take it off the queue; exit status 1 if something stays there.

    Records that the stream no longer has (24 hours) cannot be read again: for them the table is rebuilt.
    """
    with run(prod=prod, table_name=table, as_json=as_json, capacity=capacity) as this:
        url = queue or this.target.failure_queue_url
        if url is None:
            raise DdbError(
                "which failure queue? name it with --queue URL: the output FailureQueueUrl of the projection's stack"
            )
        this.announce_write("redriving")
        return _redrive(this, FailureQueue(this.target.queues(), url), yes=yes)


def _reader(this: Run) -> ConversationReader:
    return ConversationReader(client=this.client, table_name=this.target.table_name)


def _healer(this: Run, reader: ConversationReader) -> Healer:
    return Healer(client=this.client, table_name=this.target.table_name, reader=reader, named=this.people.by_uuid)


def _read(this: Run) -> TableSeen:
    total = this.item_count()
    with this.output.progress("read", total) as bar:
        return read_table(this.client, this.target.table_name, on_items=bar.advance)


def _confirmed(this: Run, reader: ConversationReader, seen: TableSeen, findings: Sequence[Finding]) -> list[Finding]:
    conversations = len({finding.message_group_uuid for finding in findings})
    with this.output.progress("look again", conversations) as bar:
        return confirmed(reader, seen, findings, on_looked=bar.advance)


def _foresee(this: Run, examples: int) -> int:
    reader = _reader(this)
    seen = _read(this)
    findings = _confirmed(this, reader, seen, list(seen.findings()))
    suspects = suspects_of(seen, findings)
    healer = _healer(this, reader)
    with this.output.progress("foresee", len(suspects)) as bar:
        foreseen = heal_all(
            suspects,
            lambda suspect: healer.foresee(suspect.message_group_uuid, suspect.known_members, rekey=suspect.rekey),
            None,
            on_done=bar.advance,
        )
    done = _total(foreseen)
    _report(this, seen, findings, examples, would_be_done=done)
    return 0


def _rebuild(this: Run, checkpoint: Checkpoint, examples: int) -> list[Finding]:
    """Heal what is left of an interrupted run, then what the table shows; the answer is what stays broken."""
    reader = _reader(this)
    left = checkpoint.left()
    healings: list[Healing] = []
    if left:
        this.output.note(f"going on with {len(left):,} conversations of an interrupted run")
        healings += _heal(this, reader, left, checkpoint)
    seen = _read(this)
    findings = list(seen.findings())
    suspects = suspects_of(seen, findings)
    if suspects:
        checkpoint.begin(suspects)
        reader.forget_inboxes()
        healings += _heal(this, reader, suspects, checkpoint)
        reader.forget_inboxes()
    checkpoint.remove()
    lasting = _confirmed(this, reader, seen, findings)
    failures = [healing for healing in healings if healing.failure]
    for healing in failures[:examples]:
        this.output.note(f"conversation {healing.message_group_uuid} is not settled: {healing.failure}")
    _report(this, seen, lasting, examples, done=_total(healings))
    return lasting


def _heal(
    this: Run, reader: ConversationReader, suspects: Sequence[Suspect], checkpoint: Checkpoint | None
) -> list[Healing]:
    healer = _healer(this, reader)
    with this.output.progress("heal", len(suspects)) as bar:
        return heal_all(
            suspects,
            lambda suspect: healer.heal(suspect.message_group_uuid, suspect.known_members, rekey=suspect.rekey),
            checkpoint,
            on_done=bar.advance,
        )


def _total(healings: Sequence[Healing]) -> dict[str, int]:
    return dict(sum((healing.done for healing in healings), Counter[str]()))


def _report(
    this: Run,
    seen: TableSeen,
    findings: Sequence[Finding],
    examples: int,
    *,
    done: dict[str, int] | None = None,
    would_be_done: dict[str, int] | None = None,
) -> None:
    by_problem: dict[Problem, list[Finding]] = {}
    for finding in findings:
        by_problem.setdefault(finding.problem, []).append(finding)
    if this.output.as_json:
        this.output.document(
            {
                "table": this.target.table_name,
                "at": this.target.endpoint or f"AWS, {this.target.region}",
                "items": seen.counts.items,
                "messages": seen.counts.messages,
                "group_rows": seen.counts.rows,
                "conversations": len(seen.conversations),
                "ok": not findings,
                "problems": {problem.value: len(found) for problem, found in by_problem.items()},
                "examples": [_example(finding) for found in by_problem.values() for finding in found[:examples]],
                **({"done": done} if done is not None else {}),
                **({"would_be_done": would_be_done} if would_be_done is not None else {}),
            }
        )
        return
    if by_problem:
        rows = [(f"{len(found):,}", problem, MEANINGS[problem]) for problem, found in by_problem.items()]
        this.output.table(["how many", "problem", "what it means"], rows)
        for finding in [finding for found in by_problem.values() for finding in found[:examples]]:
            this.output.paragraph("  " + _example_line(finding))
    if done is not None:
        this.output.line(f"done: {summary(done)}")
    if would_be_done is not None:
        this.output.line(f"would be done: {summary(would_be_done)}")
    read = (
        f"{seen.counts.messages:,} messages and {seen.counts.rows:,} rows of {len(seen.conversations):,} conversations"
    )
    verdict = f"{len(findings):,} promises are broken" if findings else "every promise is kept"
    this.output.paragraph(f"{verdict}: {read}")
    if findings and done is not None:
        this.output.note("what is left cannot be put right without knowing more: look at the examples, item by item")
    elif findings and would_be_done is None:
        this.output.note("bin/ddb rebuild --dry-run says what can be put right")


def _example(finding: Finding) -> dict[str, Any]:
    return {**finding._asdict(), "problem": finding.problem.value}


def _example_line(finding: Finding) -> str:
    member = f", member {finding.member_uuid}" if finding.member_uuid else ""
    place = f", at {finding.sort_key}" if finding.sort_key else ""
    return f"{finding.problem}: conversation {finding.message_group_uuid or '(none)'}{member}{place}"


def _redrive(this: Run, queue: FailureQueue, *, yes: bool) -> int:
    counts: Counter[str] = Counter()
    too_old: list[MessageTypeDef] = []
    while taken := queue.take():
        for message in taken:
            counts["messages"] += 1
            answer = _redrive_one(this, message, counts)
            if answer is None:
                too_old.append(message)
            elif answer:
                queue.remove(message)
                counts["removed"] += 1
            else:
                counts["left in the queue"] += 1
    if too_old:
        this.output.note(f"the stream no longer has the records of {len(too_old):,} messages: rebuilding the table")
        if this.target.is_aws:
            this.confirm(yes=yes)
        broken = _rebuild(this, Checkpoint.of(this.target), EXAMPLES)
        for message in too_old:
            if broken:
                queue.give_back(message)
                counts["left in the queue"] += 1
            else:
                queue.remove(message)
                counts["removed"] += 1
    if this.output.as_json:
        this.output.document(dict(counts))
    else:
        this.output.line(f"failure queue: {summary(counts)}")
    return BROKEN if counts["left in the queue"] else 0


def _redrive_one(this: Run, message: "MessageTypeDef", counts: Counter[str]) -> bool | None:
    """Settle what a message of the queue concerns; None where the stream no longer tells what that is."""
    try:
        failed = FailedBatch.from_body(message.get("Body", ""))
    except UnknownNoticeError as unknown:
        this.output.note(f"message {message.get('MessageId')} is left in the queue: {unknown}")
        return False
    if failed.table_name != this.target.table_name:
        this.output.note(f"message {message.get('MessageId')} is left in the queue: it is about {failed.table_name}")
        return False
    batch = read_batch(this.target.streams(), failed)
    if batch is None:
        return None
    counts["unusable records"] += len(batch.unusable)
    healer = _healer(this, _reader(this))
    is_settled = True
    for settlement in projection(this).settle_all(batch.dirty):
        counts["conversations"] += 1
        failure = settlement.failure and healer.heal(settlement.message_group_uuid, ()).failure
        if failure:
            is_settled = False
            this.output.note(f"conversation {settlement.message_group_uuid} is not settled: {failure}")
    return is_settled
