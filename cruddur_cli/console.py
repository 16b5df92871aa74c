"""The output of commands: results on standard output, everything else on standard error."""

import base64
import json
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Any, SupportsBytes, cast

from boto3.dynamodb.types import Binary, TypeDeserializer
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cruddur_messages.items import AttributeMap

WIDTH_OF_A_PIPE = 100_000
"""The width of a pipe. Nothing is cut, since the reader may be a program."""

NARROW = 60
"""A terminal with fewer columns gets the necessary columns only."""


class Cut(Enum):
    """How a cell that is too wide is shortened."""

    NEVER = auto()
    ELLIPSIS = auto()
    WRAP = auto()


@dataclass(frozen=True)
class Column:
    """A column of a table. One that `grows` gets the width that the others leave, and is last in a pipe."""

    title: str
    cut: Cut = Cut.NEVER
    grows: bool = False


_deserialize = TypeDeserializer().deserialize


def printable(text: str) -> str:
    """A text on one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def plain(item: AttributeMap) -> dict[str, Any]:
    """An item as JSON has it: numbers exactly, binary data as base64 text, sets as sorted lists."""
    return {name: plain_value(_deserialize(value)) for name, value in item.items()}


def plain_value(value: Any) -> Any:
    """A value of boto3's deserializer as `plain` has it."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else value
        case Binary():
            return base64.b64encode(bytes(cast(SupportsBytes, value))).decode()
        case set() | frozenset():
            return sorted(plain_value(member) for member in value)
        case dict():
            return {name: plain_value(nested) for name, nested in value.items()}
        case list():
            return [plain_value(nested) for nested in value]
    return value


def json_text(value: Any, *, ensure_ascii: bool = False) -> str:
    """A value of `plain` as JSON. The standard library has no numbers of more than 17 digits."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            pairs = (
                f"{json_text(name, ensure_ascii=ensure_ascii)}: {json_text(of, ensure_ascii=ensure_ascii)}"
                for name, of in value.items()
            )
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(json_text(member, ensure_ascii=ensure_ascii) for member in value)}]"
    return json.dumps(value, ensure_ascii=ensure_ascii)


class Output:
    """Where a command writes; with `as_json`, standard output carries JSON and nothing else."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._ensure_ascii = not (sys.stdout.encoding or "").lower().startswith("utf")
        self.is_terminal = sys.stdout.isatty()
        width = None if self.is_terminal else WIDTH_OF_A_PIPE
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=False, width=width)
        self._notes = Console(stderr=True, highlight=False, soft_wrap=True)

    def document(self, document: Any) -> None:
        """Print one JSON document."""
        sys.stdout.write(json.dumps(document, ensure_ascii=self._ensure_ascii, indent=2) + "\n")

    def result(self, document: Any, text: str) -> None:
        """Print what a command has done: as a JSON document, or as a line for people."""
        if self.as_json:
            self.document(document)
        else:
            self.paragraph(text)

    def json_line(self, value: Any, *, flush: bool = False) -> None:
        """Print one JSON value on a line of its own, at once with `flush`."""
        sys.stdout.write(json_text(value, ensure_ascii=self._ensure_ascii) + "\n")
        if flush:
            sys.stdout.flush()

    def line(self, text: str) -> None:
        """Print a line for people, cut to the terminal's width."""
        self.console.print(Text(printable(text)), no_wrap=True, overflow="ellipsis")

    @property
    def is_narrow(self) -> bool:
        """Whether there is room for the necessary columns only."""
        return self.console.width < NARROW

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
        """Print a table for people."""
        self.console.print(self._table(columns, rows))

    def _table(self, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> Table:
        """A table whose cells have no control characters."""
        order = list(range(len(columns)))
        if not self.is_terminal:
            order.sort(key=lambda number: columns[number].grows)
        drawn = Table(box=None, pad_edge=False, header_style="bold", expand=self.is_terminal)
        for number in order:
            column = columns[number]
            drawn.add_column(
                column.title,
                no_wrap=column.cut is not Cut.WRAP,
                overflow="fold" if column.cut is Cut.WRAP else "ellipsis",
                ratio=1 if column.grows else None,
                min_width=self._min_width(column, [str(row[number]) for row in rows]),
                max_width=None if column.grows or column.cut is Cut.NEVER else max(12, self.console.width // 4),
            )
        for row in rows:
            drawn.add_row(*(Text(printable(str(row[number]))) for number in order))
        return drawn

    def _min_width(self, column: Column, cells: Sequence[str]) -> int:
        widest = max(map(cell_len, [column.title, *cells]))
        return widest if column.cut is Cut.NEVER else min(widest, 8)

    def paragraph(self, text: str) -> None:
        """Print a line for people, wrapped and never cut."""
        self.console.print(Text(printable(text)), soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a note on standard error."""
        self._notes.print(Text(printable(text)))

    def require_reader(self) -> None:
        """Raise BrokenPipeError if the terminal is gone or the pipe is closed."""
        if self.is_terminal and not sys.stdout.isatty():
            raise BrokenPipeError
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if not self.is_terminal and any(poll.poll(0)):
            raise BrokenPipeError

    @contextmanager
    def live(self) -> Iterator[Callable[[Sequence[Column], Sequence[Sequence[object]]], None]]:
        """A table that is redrawn in place on a terminal, and printed again for each change elsewhere."""
        if not sys.stdout.isatty():

            def print_once_more(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
                self.table(columns, rows)
                sys.stdout.flush()

            yield print_once_more
            return
        with Live(console=self.console, auto_refresh=False) as live:
            yield lambda columns, rows: live.update(self._table(columns, rows), refresh=True)

    @contextmanager
    def progress(self, what: str, total: int | None, *, beside_output: bool = False) -> Iterator["Bar"]:
        """A progress bar on standard error, if that is a terminal.

        With `beside_output`, the command prints meanwhile: then there is no bar if both go to a terminal.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        is_hidden = not sys.stderr.isatty() or (beside_output and sys.stdout.isatty())
        with Progress(*columns, console=self._notes, transient=True, disable=is_hidden) as progress:
            yield Bar(progress, what, total)


class Bar:
    """A progress bar in use. Safe to share between threads."""

    def __init__(self, progress: Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def advance(self, by: int) -> None:
        """Add to the steps done."""
        self._progress.advance(self._task, by)

    def set(self, done: int, total: int) -> None:
        """Set the steps done and the total."""
        self._progress.update(self._task, completed=done, total=total)


def summary(counts: Mapping[str, int]) -> str:
    """Counts in words, without those that are zero."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "nothing"
