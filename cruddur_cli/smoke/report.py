"""What a run has found."""

import math
import statistics
from collections.abc import Sequence
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
    def median(self) -> float:
        """Seconds; NaN if nothing arrived."""
        return statistics.median(self.delays) if self.delays else math.nan

    @property
    def percentile_99(self) -> float:
        """Seconds that 99 of 100 messages do not exceed; NaN if nothing arrived."""
        return sorted(self.delays)[math.ceil(len(self.delays) * 0.99) - 1] if self.delays else math.nan

    @property
    def largest(self) -> float:
        """Seconds; NaN if nothing arrived."""
        return max(self.delays, default=math.nan)


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
        usual = max(GROWTH_FLOOR_SECONDS, held[0].report.median * GROWTH)
        if one.report.problems or not one.report.median <= usual:
            break
        steady = one.sent
    return steady
