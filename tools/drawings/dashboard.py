"""The layout of the dashboard as a picture. `python -m tools.drawings.dashboard` writes docs/dashboard.svg."""

from pathlib import Path
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
    )
    thresholds = Thresholds(age_seconds=1, failures=1, user_errors=1, loop_factor=1, timeout_seconds=1)
    alarm_names = [alarm.name for alarm in alarms(watched, thresholds, full=True)]
    places = placed(watched, alarm_names, settings.memory_mb)
    width = COLUMNS * COLUMN
    height = max(place.y + place.widget.height for place in places) * ROW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="12">',
            f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>',
            *(line for place in places for line in _widget(place)),
            "</svg>",
            "",
        ]
    )


def _widget(place: Placed) -> list[str]:
    widget = place.widget
    x, y = place.x * COLUMN + GAP, place.y * ROW + GAP
    width, height = widget.width * COLUMN - 2 * GAP, widget.height * ROW - 2 * GAP
    drawn = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#ffffff" stroke="#aab7b8"/>',
        f'<text x="{x + 10}" y="{y + 20}" font-weight="bold">{escape(widget.title)}</text>',
    ]
    if widget.alarms:
        across = 6
        cell = (width - 20) / across
        for number, name in enumerate(widget.alarms):
            left, top = x + 10 + number % across * cell, y + 30 + number // across * 26
            drawn += [
                f'<rect x="{left:.0f}" y="{top}" width="{cell - 6:.0f}" height="21" rx="3" fill="#d5f0d5"/>',
                f'<text x="{left + 6:.0f}" y="{top + 15}" font-size="11">{escape(name)}</text>',
            ]
    elif widget.single_value:
        drawn.append(f'<text x="{x + width / 2:.0f}" y="{y + height / 2 + 16:.0f}" font-size="36">0</text>')
    else:
        for number, label in enumerate(widget.metrics):
            top = y + 40 + number * LINE
            colour = COLOURS[number % len(COLOURS)]
            drawn += [
                f'<line x1="{x + 12}" y1="{top - 4}" x2="{x + 32}" y2="{top - 4}" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{x + 40}" y="{top}">{escape(label)}</text>',
            ]
    return drawn


if __name__ == "__main__":
    Path(PICTURE).write_text(draw())
