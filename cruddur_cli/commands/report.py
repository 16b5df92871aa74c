"""What `verify` and `rebuild` print of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from cruddur_cli.console import Column, Cut, summary
from cruddur_cli.context import Context
from cruddur_messages.audit.checks import MEANINGS, Finding, Problem
from cruddur_messages.audit.snapshot import Contents

REPORT_COLUMNS = (Column("how many"), Column("problem"), Column("what it means", Cut.WRAP, grows=True))


def report(
    context: Context,
    contents: Contents | None,
    findings: Sequence[Finding],
    examples: int,
    *,
    unconfirmed: Sequence[Finding] = (),
    source: tuple[str, str] | None = None,
    done: Mapping[str, int] | None = None,
    would_be_done: Mapping[str, int] | None = None,
    redriven: Mapping[str, int] | None = None,
) -> None:
    """Print the table's contents, its problems with `examples` of each, and what was or would be done.

    The `unconfirmed` findings were not read again. `source` is the table's name and what was read instead of it.
    As JSON, the report is the part `rebuild` of what was `redriven`.
    """
    by_problem: dict[Problem, list[Finding]] = {}
    for finding in (*findings, *unconfirmed):
        by_problem.setdefault(finding.problem, []).append(finding)
    shown = [finding for found in by_problem.values() for finding in found[:examples]]
    output = context.output
    if output.as_json:
        table_name, place = source or (context.target.table_name, context.target.place)
        document = {
            "table": table_name,
            "at": place,
            **(_contents(contents) if contents else {}),
            "ok": not by_problem,
            "problems": {problem.value: len(found) for problem, found in by_problem.items()},
            **({"unconfirmed": len(unconfirmed)} if unconfirmed else {}),
            "examples": [_as_json(finding) for finding in shown],
            **({"done": done} if done is not None else {}),
            **({"would_be_done": would_be_done} if would_be_done is not None else {}),
        }
        output.document(document if redriven is None else {**redriven, "rebuild": document})
        return
    if by_problem:
        rows = [(f"{len(found):,}", problem, MEANINGS[problem]) for problem, found in by_problem.items()]
        output.table(REPORT_COLUMNS, rows)
        handles = context.handles({finding.member_uuid for finding in shown})
        for finding in shown:
            output.paragraph("  " + _as_line(finding, handles))
    if done is not None:
        output.paragraph(f"done: {summary(done)}")
    if would_be_done is not None:
        output.paragraph(f"would be done: {summary(would_be_done)}")
    verdict = "every promise is kept"
    if by_problem:
        verdict = f"{len(findings) + len(unconfirmed):,} promises are broken"
        verdict += f", {len(unconfirmed):,} of them as the export has them" if unconfirmed else ""
    if contents:
        counts = contents.counts
        verdict += (
            f": {counts.messages:,} messages and {counts.rows:,} rows of {contents.conversations:,} conversations"
        )
    output.paragraph(verdict)
    if findings and done is not None:
        output.note("what is left cannot be repaired automatically: look at the examples, item by item")
    elif by_problem and would_be_done is None:
        output.note("bin/ddb rebuild --dry-run says what can be repaired")


def _contents(contents: Contents) -> dict[str, int]:
    counts = contents.counts
    return {
        "items": counts.items,
        "messages": counts.messages,
        "group_rows": counts.rows,
        "conversations": contents.conversations,
    }


def _as_json(finding: Finding) -> dict[str, Any]:
    return {**finding._asdict(), "problem": finding.problem.value}


def _as_line(finding: Finding, handles: Mapping[str, str]) -> str:
    member = f", member {handles[finding.member_uuid]}" if finding.member_uuid else ""
    place = f", at {finding.sort_key}" if finding.sort_key else ""
    return f"{finding.problem}: conversation {finding.message_group_uuid or '(none)'}{member}{place}"
