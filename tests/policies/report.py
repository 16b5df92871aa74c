"""A pytest plugin: what a test has found out, printed at the end of the run, also where workers ran it."""

from typing import Any

PRINTED = "printed"
"""The name of the property by which a test hands a line to the summary: `record_property(PRINTED, line)`."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the lines."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    lines = [line for report in reports for name, line in getattr(report, "user_properties", ()) if name == PRINTED]
    if lines:
        terminalreporter.section("found out")
        for line in lines:
            terminalreporter.write_line(line)
