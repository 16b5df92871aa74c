"""What `verify` and `rebuild` print of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from cruddur_cli.console import Column, Cut, summary
from cruddur_cli.context import Context
from cruddur_messages.audit.checks import MEANINGS, Finding, Problem
from cruddur_messages.audit.snapshot import TableSnapshot

REPORT_COLUMNS = (Column("how many"), Column("problem"), Column("what it means", Cut.WRAP, grows=True))


def report(
    context: Context,
    snapshot: TableSnapshot,
    findings: Sequence[Finding],
    examples: int,
    *,
    done: Mapping[str, int] | None = None,
    would_be_done: Mapping[str, int] | None = None,
) -> None:
    """Print the table's contents, its problems with `examples` of each, and what was or would be done."""
    by_problem: dict[Problem, list[Finding]] = {}
    for finding in findings:
        by_problem.setdefault(finding.problem, []).append(finding)
    shown = [finding for found in by_problem.values() for finding in found[:examples]]
    output = context.output
    if output.as_json:
        output.document(
            {
                "table": context.target.table_name,
                "at": context.target.place,
                "items": snapshot.counts.items,
                "messages": snapshot.counts.messages,
                "group_rows": snapshot.counts.rows,
                "conversations": snapshot.existing,
                "ok": not findings,
                "problems": {problem.value: len(found) for problem, found in by_problem.items()},
                "examples": [_as_json(finding) for finding in shown],
                **({"done": done} if done is not None else {}),
                **({"would_be_done": would_be_done} if would_be_done is not None else {}),
            }
        )
        return
    if by_problem:
        rows = [(f"{len(found):,}", problem, MEANINGS[problem]) for problem, found in by_problem.items()]
        output.table(REPORT_COLUMNS, rows)
        for finding in shown:
            output.paragraph("  " + _as_line(context, finding))
    if done is not None:
        output.paragraph(f"done: {summary(done)}")
    if would_be_done is not None:
        output.paragraph(f"would be done: {summary(would_be_done)}")
    counts = snapshot.counts
    read = f"{counts.messages:,} messages and {counts.rows:,} rows of {snapshot.existing:,} conversations"
    verdict = f"{len(findings):,} promises are broken" if findings else "every promise is kept"
    output.paragraph(f"{verdict}: {read}")
    if findings and done is not None:
        output.note("what is left cannot be repaired automatically: look at the examples, item by item")
    elif findings and would_be_done is None:
        output.note("bin/ddb rebuild --dry-run says what can be repaired")


def _as_json(finding: Finding) -> dict[str, Any]:
    return {**finding._asdict(), "problem": finding.problem.value}


def _as_line(context: Context, finding: Finding) -> str:
    member = f", member {context.name_of(finding.member_uuid)}" if finding.member_uuid else ""
    place = f", at {finding.sort_key}" if finding.sort_key else ""
    return f"{finding.problem}: conversation {finding.message_group_uuid or '(none)'}{member}{place}"
