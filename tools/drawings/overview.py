"""The way of a message in one picture, drawn from the synthesized templates.

`python -m tools.drawings.overview` writes docs/overview.svg. The picture follows the reader's colour scheme.
"""

from pathlib import Path
from xml.sax.saxutils import escape

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tools.synthesis import synthesize
from tools.template import Template, Templates, only, resources

PICTURE = REPOSITORY / "docs/overview.svg"
WIDTH, HEIGHT = 1064, 330

STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --faint: #57606a; --box: #f6f8fa; --line: #8c959f; --way: #0969da }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9da7b3; --box: #161b22; --line: #6e7681; --way: #58a6ff }
}
.paper { fill: var(--paper) }
.box { fill: var(--box); stroke: var(--line) }
text { font: 13px sans-serif; fill: var(--faint); text-anchor: middle }
.title { font-weight: bold; font-size: 15px; fill: var(--ink) }
.item { fill: var(--paper); stroke: var(--line) }
.way { stroke: var(--way); stroke-width: 2; fill: none; marker-end: url(#head) }
.head { fill: var(--way) }
"""


def draw(templates: Templates) -> str:
    """An SVG picture of a stage; each label that can change is a value of a template."""
    table = only(templates["table"], "AWS::DynamoDB::Table")["Properties"]
    main = templates["main"]
    mapping = only(main, "AWS::Lambda::EventSourceMapping")["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>The way of a message: backend, table, stream, projection, and back into the table</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" orient="auto">'
            '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
            *_box(14, 130, 150, 66, "Flask backend", "with our policy"),
            *_box(284, 14, 250, 302, table["TableName"], f"index {index['IndexName']}", sub_y=298),
            *_item(50, f"{schema.MESSAGE_PREFIX}  messages"),
            *_item(130, f"{schema.GROUP_ROW_PREFIX}  group rows: the inboxes"),
            *_item(210, f"{schema.CONVERSATION_PREFIX}  conversation items"),
            *_box(660, 44, 194, 66, "event source mapping", f"up to {mapping['BatchSize']} records"),
            *_box(660, 204, 194, 66, "projection", _runtime(main)),
            *_box(920, 44, 130, 66, "failure queue", "SQS"),
            *_box(920, 204, 130, 66, f"{len(resources(main, 'AWS::CloudWatch::Alarm'))} alarms", "e-mail by SNS"),
            *_arrow("M164 150 C 230 150 230 77 294 77", 206, 100, "send"),
            *_arrow("M296 157 C 230 157 230 180 166 180", 226, 204, "list an inbox"),
            *_arrow("M522 77 H 658", 596, 68, "stream"),
            *_label(596, 96, table["StreamSpecification"]["StreamViewType"]),
            *_arrow("M757 110 V 202", 786, 162, "batches"),
            *_arrow("M660 222 C 580 222 600 157 524 157", 640, 186, "moves rows"),
            *_arrow("M660 240 H 524", 596, 258, "next version"),
            *_label(618, 290, "in one transaction,"),
            *_label(618, 307, "by a gateway endpoint"),
            *_arrow("M854 77 H 918", 884, 68, "gives up"),
            *_arrow("M854 237 H 918", 884, 228, "counts"),
            "</svg>",
            "",
        ]
    )


def current() -> str:
    """The picture of prod, whose templates have every alarm."""
    return draw(synthesize("prod"))


def _box(x: int, y: int, width: int, height: int, title: str, sub: str, *, sub_y: int | None = None) -> list[str]:
    middle = x + width // 2
    title_y = y + 24 if sub_y else y + height // 2 - 4
    return [
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>',
        f'<text class="title" x="{middle}" y="{title_y}">{escape(title)}</text>',
        *_label(middle, sub_y or y + height // 2 + 16, sub),
    ]


def _item(y: int, text: str) -> list[str]:
    return [f'<rect class="item" x="296" y="{y}" width="226" height="54" rx="4"/>', *_label(409, y + 32, text)]


def _arrow(path: str, x: int, y: int, text: str) -> list[str]:
    return [f'<path class="way" d="{path}"/>', *_label(x, y, text)]


def _label(x: int, y: int, text: str) -> list[str]:
    return [f'<text x="{x}" y="{y}">{escape(text)}</text>']


def _runtime(main: Template) -> str:
    function = only(main, "AWS::Lambda::Function")["Properties"]
    return f"{function['Runtime']}, {', '.join(function['Architectures'])}"


if __name__ == "__main__":
    Path(PICTURE).write_text(current())
