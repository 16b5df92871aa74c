"""The output of a command, drawn as a terminal: reads it from standard input, and writes an SVG picture to its output.

To draw the pictures of the README again, where nothing runs:

    export TERM=xterm-256color TTY_COMPATIBLE=1 TTY_INTERACTIVE=0 COLUMNS=80 PYTEST_ADDOPTS=--color=yes
    make up | sed '/^What to do next:/,$d' | .venv/bin/python -m tools.terminal 80 make up > docs/make-up.svg
    make test | sed -n '/What was proven/,/└/p; $p' |
        .venv/bin/python -m tools.terminal 90 make test > docs/make-test.svg
"""

import io
import re
import sys

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

_SHOW_CURSOR = re.compile(r"\x1b\[\?25[lh]")
_WEB_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def draw(columns: int, command: str, output: str) -> str:
    """An SVG picture of the output, with its colours; it loads no font from the web."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ {command}\n{_SHOW_CURSOR.sub('', output).rstrip()}"), soft_wrap=False)
    code_format = _WEB_FONT.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title=command, code_format=code_format, unique_id="recorded")


if __name__ == "__main__":
    sys.stdout.write(draw(int(sys.argv[1]), " ".join(sys.argv[2:]), sys.stdin.read()))
