"""The recorded output of commands, drawn as terminals. `python -m tools.drawings.terminal` writes docs/make-*.svg.

To record again, where nothing runs:

    export TERM=xterm-256color TTY_COMPATIBLE=1 TTY_INTERACTIVE=0
    COLUMNS=80 make up > tools/drawings/recordings/make-up.txt
    PYTEST_ADDOPTS=--color=yes make test | sed -n '/What was proven/,/└/p; $p' > tools/drawings/recordings/make-test.txt
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from cruddur_infra import REPOSITORY

_SHOW_CURSOR = re.compile(r"\x1b\[\?25[lh]")
_WEB_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


@dataclass(frozen=True)
class Recording:
    """A command; of its output, what stands before `end` is shown, if it is given."""

    command: str
    columns: int
    end: str | None = None

    @property
    def path(self) -> Path:
        """The output, with the codes of its colours."""
        return REPOSITORY / "tools/drawings/recordings" / f"{self._name}.txt"

    @property
    def picture(self) -> Path:
        """The drawing."""
        return REPOSITORY / "docs" / f"{self._name}.svg"

    @property
    def _name(self) -> str:
        return self.command.replace(" ", "-")


RECORDINGS = (
    # The README lists the commands that the hints at the end name.
    Recording("make up", columns=80, end="\nWhat to do next:"),
    Recording("make test", columns=90),
)


def draw(recording: Recording) -> str:
    """An SVG picture of the output, with the colours that were recorded; it loads no font from the web."""
    console = Console(
        record=True, width=recording.columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    shown = _SHOW_CURSOR.sub("", recording.path.read_text())
    if recording.end is not None:
        shown = shown.partition(recording.end)[0]
    console.print(Text.from_ansi(f"$ {recording.command}\n{shown.rstrip()}"), soft_wrap=False)
    code_format = _WEB_FONT.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title=recording.command, code_format=code_format, unique_id="recorded")


if __name__ == "__main__":
    for one in RECORDINGS:
        one.picture.write_text(draw(one))
