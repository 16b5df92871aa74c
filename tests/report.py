"""A pytest plugin: one table at the end of the run with what was proven, also if several processes ran the tests."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rich.console import Console
from rich.table import Table

PRINTED = "printed"
"""The property with which a test adds a line to the summary: `record_property(PRINTED, line)`."""

COUNTED = "counted"
"""The property with which tests add a row to the table: `record_property(COUNTED, (kind, how_many))`."""

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


@dataclass
class Proof:
    """A line of the table."""

    cases: int = 0
    failures: int = 0
    seconds: float = 0.0


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the lines of the tests, and the table if the run had more than one kind."""
    stats = terminalreporter.stats
    for line in (value for outcome in OUTCOMES for value in _handed_over(stats.get(outcome, ()), PRINTED)):
        terminalreporter.write_line(line)
    proofs = _proofs(stats)
    if len(proofs) > 1:
        table = Table("kind of proof", title="What was proven", title_justify="left")
        for heading in ("cases", "failures", "seconds"):
            table.add_column(heading, justify="right")
        for kind, proof in sorted(proofs.items()):
            table.add_row(kind, f"{proof.cases:,}", f"{proof.failures:,}", f"{proof.seconds:,.0f}")
        Console(file=terminalreporter._tw._file, width=100).print(table)


def _proofs(stats: Any) -> dict[str, Proof]:
    """Each kind, with the time of all processes added up."""
    counted = {
        _function(report): value[0] for report in stats.get("passed", ()) for value in _handed_over([report], COUNTED)
    }
    proofs: dict[str, Proof] = defaultdict(Proof)
    for outcome in (*OUTCOMES, ""):  # Without a name: setup and teardown of tests.
        for report in stats.get(outcome, ()):
            if not hasattr(report, "duration"):  # A warning, or a file that cannot be imported.
                continue
            proof = proofs[counted.get(_function(report), _folder(report))]
            proof.seconds += report.duration
            proof.failures += outcome in ("failed", "error", "xpassed")
            if outcome == "passed":
                proof.cases += sum(value[1] for value in _handed_over([report], COUNTED)) or 1
            elif outcome == "failed":
                proof.cases += 1
    return proofs


def _handed_over(reports: Any, name: str) -> Iterator[Any]:
    return (
        value
        for report in reports
        for found, value in getattr(report, "user_properties", ())
        if found == name and getattr(report, "when", "") == "call"
    )


def _function(report: Any) -> str:
    return str(report.nodeid).partition("[")[0]


def _folder(report: Any) -> str:
    """The folder of tests/ that holds the test, in words."""
    path = PurePosixPath(str(report.nodeid).partition("::")[0])
    return (path.parts[1] if len(path.parts) > 2 else path.stem).replace("_", " ")
