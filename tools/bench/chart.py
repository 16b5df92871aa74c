"""Charts with two logarithmic axes, as a small SVG picture that follows the reader's colour scheme."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN, LEGEND_LINE = 400, 280, 44, 16
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c")
STYLE = """
svg { font: 12px sans-serif; --ink: #1f2328; --grid: #d0d7de; --paper: #ffffff }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --grid: #30363d; --paper: #0d1117 } }
text { fill: var(--ink) } .grid { stroke: var(--grid) } .paper { fill: var(--paper) }
.line { fill: none; stroke-width: 2 } .middle { text-anchor: middle } .end { text-anchor: end }
"""


@dataclass(frozen=True)
class Line:
    """A line through points, all positive; `colour` counts in COLOURS."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: int
    is_dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over an axis that has a name; the title says what the other axis is."""

    title: str
    x_name: str
    lines: Sequence[Line]


def svg(charts: Sequence[Chart]) -> str:
    """The charts side by side, each with its legend below."""
    height = HEIGHT + MARGIN + LEGEND_LINE * max(len(chart.lines) for chart in charts)
    body = [element for place, chart in enumerate(charts) for element in _chart(chart, place * WIDTH)]
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(charts)} {height}" role="img">'
    paper = '<rect class="paper" width="100%" height="100%"/>'
    return "\n".join([opening, f"<style>{STYLE}</style>", paper, *body, "</svg>", ""])


def _chart(chart: Chart, left: int) -> Iterator[str]:
    xs, ys = ([point[axis] for line in chart.lines for point in line.points] for axis in (0, 1))
    begin, end, top, bottom = left + MARGIN, left + WIDTH - MARGIN // 2, MARGIN, HEIGHT - MARGIN
    across = {tick: _place(tick, xs, begin, end) for tick in _ticks(xs)}
    up = {tick: _place(tick, ys, bottom, top) for tick in _ticks(ys)}
    yield f'<text class="middle" x="{(begin + end) // 2}" y="{top - 14}">{escape(chart.title)}</text>'
    yield f'<text class="middle" x="{(begin + end) // 2}" y="{bottom + 36}">{escape(chart.x_name)}</text>'
    for tick, x in across.items():
        yield f'<path class="grid" d="M{x} {top}V{bottom}"/>'
        yield f'<text class="middle" x="{x}" y="{bottom + 16}">{tick:,.10g}</text>'
    for tick, y in up.items():
        yield f'<path class="grid" d="M{begin} {y}H{end}"/>'
        yield f'<text class="end" x="{begin - 4}" y="{y + 4}">{tick:,.10g}</text>'
    for number, line in enumerate(chart.lines):
        stroke = f'class="line" stroke="{COLOURS[line.colour]}"' + ' stroke-dasharray="5 4"' * line.is_dashed
        path = " ".join(f"{_place(x, xs, begin, end)},{_place(y, ys, bottom, top)}" for x, y in line.points)
        legend = HEIGHT + 10 + number * LEGEND_LINE
        yield f'<polyline {stroke} points="{path}"/><path {stroke} d="M{begin} {legend}h24"/>'
        yield f'<text x="{begin + 32}" y="{legend + 4}">{escape(line.label)}</text>'


def _ticks(values: Sequence[float]) -> list[float]:
    """The powers of ten around the values."""
    return [10.0**power for power in range(floor(log10(min(values))), ceil(log10(max(values))) + 1)]


def _place(value: float, values: Sequence[float], begin: int, end: int) -> float:
    ticks = _ticks(values)
    return round(begin + (end - begin) * log10(value / ticks[0]) / log10(ticks[-1] / ticks[0]), 1)
