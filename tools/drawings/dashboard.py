"""The layout of the dashboard as a picture. `python -m tools.drawings.dashboard` writes docs/dashboard.svg."""

from collections.abc import Iterator
from itertools import chain
from xml.sax.saxutils import escape

from cruddur_infra import REPOSITORY, names
from cruddur_infra.constructs.projection import PART
from cruddur_infra.monitoring.alarms import Thresholds, alarms
from cruddur_infra.monitoring.dashboard import COLUMNS, Placed, placed
from cruddur_infra.monitoring.metrics import Watched
from cruddur_infra.stages import load

PICTURE = REPOSITORY / "docs/dashboard.svg"
COLUMN, ROW, GAP, LINE = 42, 30, 6, 17
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")


def draw() -> str:
    """An SVG picture of prod's dashboard: each widget with its title and labels."""
    settings = load()["prod"]
    watched = Watched(
        system=settings.system,
        function_name=names.function_name(settings.system, PART),
        log_group_name="",
        table_name=settings.table_name,
        mapping_id="",
        queue_name="",
        canary_log_group_name="",
    )
    thresholds = Thresholds(
        age_seconds=1,
        failures=1,
        user_errors=1,
        loop_factor=1,
        timeout_seconds=1,
        canary_minutes=5,
        canary_wait_seconds=1,
    )
    alarm_names = [alarm.name for alarm in alarms(watched, thresholds, full=True)]
    places = placed(watched, alarm_names, settings.memory_mb)
    width = COLUMNS * COLUMN
    height = max(place.y + place.widget.height for place in places) * ROW
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    paper = f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>'
    return "\n".join([f'{opening} font-size="12">', paper, *chain.from_iterable(map(_widget, places)), "</svg>", ""])


def _widget(place: Placed) -> Iterator[str]:
    """The title, and below it a coloured mark for each alarm or metric."""
    widget = place.widget
    x, y = place.x * COLUMN + GAP, place.y * ROW + GAP
    width, height = widget.width * COLUMN - 2 * GAP, widget.height * ROW - 2 * GAP
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#ffffff" stroke="#aab7b8"/>'
    yield f'<text x="{x + 10}" y="{y + 20}" font-weight="bold">{escape(widget.title)}</text>'
    if widget.single_value:
        yield f'<text x="{x + width // 2}" y="{y + height // 2 + 16}" font-size="36">0</text>'
        return
    across = 6 if widget.alarms else 1
    for number, label in enumerate(widget.alarms or widget.metrics):
        left, top = x + 12 + number % across * width // across, y + 40 + number // across * LINE
        colour = "#2ca02c" if widget.alarms else COLOURS[number % len(COLOURS)]
        yield f'<rect x="{left}" y="{top - 10}" width="11" height="11" fill="{colour}"/>'
        yield f'<text x="{left + 18}" y="{top}">{escape(label)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw())
