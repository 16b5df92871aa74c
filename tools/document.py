"""The tables of documents whose rows programs write; headers, and what stands around, are written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path

Rows = Iterable[Iterable[object]]


def filled(document: str, header: str, rows: Rows) -> str:
    """The document with these rows in the only table whose header begins so. Raises ValueError if there is none."""
    if document.count(f"\n{header}") != 1:
        raise ValueError(f"the document does not have one table whose header begins with {header}")
    before, found, rest = document.partition(f"\n{header}")
    table, gap, after = rest.partition("\n\n")
    names, rule, *_ = table.splitlines()
    lines = (f"| {' | '.join(map(str, cells))} |" for cells in rows)
    return before + found + "\n".join([names, rule, *lines]) + (gap or "\n") + after


def write(path: Path, tables: Mapping[str, Rows]) -> None:
    """Fill tables of the document at `path`, by the beginnings of their headers. Raises ValueError as `filled` does."""
    document = path.read_text()
    for header, rows in tables.items():
        document = filled(document, header, rows)
    path.write_text(document)
