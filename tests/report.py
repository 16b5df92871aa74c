"""A pytest plugin: what tests have found out, printed at the end of the run, also where workers ran them."""

from collections import Counter
from typing import Any

PRINTED = "printed"
"""The property by which a test hands a line to the summary: `record_property(PRINTED, line)`."""

COUNTED = "counted"
"""The property by which tests add up to a line of the summary: `record_property(COUNTED, (what, how_many))`."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the lines, and the sums over the tests that have passed."""
    found = [
        (name, value, kind == "passed")
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, ())
        for name, value in getattr(report, "user_properties", ())
    ]
    sums: Counter[str] = Counter()
    for what, how_many in (value for name, value, has_passed in found if name == COUNTED and has_passed):
        sums[what] += how_many
    lines = [value for name, value, _ in found if name == PRINTED]
    lines += [f"{how_many:,} {what}" for what, how_many in sums.items()]
    if lines:
        terminalreporter.section("found out")
        for line in lines:
            terminalreporter.write_line(line)
