"""What a run has found."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

GROWTH = 2.0
GROWTH_FLOOR_SECONDS = 0.5
"""A delay has grown when its median is above this, and above GROWTH times that of the lowest rate."""


@dataclass
class Report:
    """The result of a run: the seconds until each message was in every inbox, and the problems."""

    delays: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def figures(self) -> Mapping[str, float]:
        """The median, what 99 of 100 messages do not exceed, and the largest, in seconds; NaN if nothing arrived."""
        delays = sorted(self.delays) or [math.nan]
        return {
            "median": statistics.median(delays),
            "99 of 100": delays[math.ceil(len(delays) * 0.99) - 1],
            "largest": delays[-1],
        }


def joined(reports: Iterable[Report]) -> Report:
    """Several reports as one."""
    whole = Report()
    for report in reports:
        whole.delays += report.delays
        whole.problems += report.problems
    return whole


@dataclass(frozen=True)
class LoadReport:
    """A load that was held: the messages a second that were requested and sent, and the report."""

    asked: float
    sent: float
    report: Report


def highest_steady(held: Sequence[LoadReport]) -> float | None:
    """The highest rate, in messages sent a second, before the delay grew; None if even the lowest was too high."""
    steady: float | None = None
    for one in held:
        usual = max(GROWTH_FLOOR_SECONDS, held[0].report.figures["median"] * GROWTH)
        if one.report.problems or not one.report.figures["median"] <= usual:
            break
        steady = one.sent
    return steady
