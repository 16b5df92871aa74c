"""The recorded output of a command, drawn as a terminal. `python -m drawings.terminal` writes docs/make-up.svg.

To record again, where nothing runs: `TERM=xterm-256color TTY_COMPATIBLE=1 TTY_INTERACTIVE=0 COLUMNS=80 make up`, with
its standard output in drawings/recordings/make-up.txt.
"""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from cruddur_infra import REPOSITORY

RECORDING = REPOSITORY / "drawings/recordings/make-up.txt"
PICTURE = REPOSITORY / "docs/make-up.svg"
COMMAND = "make up"
COLUMNS = 80

HINTS = "\nWhat to do next:"
"""The hints at the end are left out of the picture: the README lists the commands."""

_SHOW_CURSOR = re.compile(r"\x1b\[\?25[lh]")
_WEB_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def draw(recording: str) -> str:
    """An SVG picture of the output, with the colours that were recorded; it loads no font from the web."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    shown = _SHOW_CURSOR.sub("", recording).partition(HINTS)[0].rstrip()
    console.print(Text.from_ansi(f"$ {COMMAND}\n{shown}"), soft_wrap=False)
    code_format = _WEB_FONT.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title=COMMAND, code_format=code_format, unique_id="recorded")


if __name__ == "__main__":
    Path(PICTURE).write_text(draw(RECORDING.read_text()))
