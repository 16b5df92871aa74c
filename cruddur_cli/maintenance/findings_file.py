"""The file of findings: written by verify and by the audit on AWS, read by rebuild."""

from collections.abc import Collection, Iterator
from pathlib import Path

from cruddur_cli.errors import DdbError
from cruddur_messages.audit.checks import Finding


def write(path: Path, *, confirmed: Collection[Finding], unconfirmed: Collection[Finding]) -> None:
    """Write a line for each finding. Raises DdbError if the file cannot be written."""
    try:
        with path.open("w") as file:
            file.writelines(finding.to_json(confirmed=True) + "\n" for finding in confirmed)
            file.writelines(finding.to_json(confirmed=False) + "\n" for finding in unconfirmed)
    except OSError as error:
        raise DdbError(f"{path} cannot be written ({error.strerror}): name another file with --findings") from error


def read(path: Path) -> list[Finding]:
    """The findings of a file, or of all files `*.jsonl` in a folder. Raises DdbError for anything else."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DdbError(f"{path} has no file *.jsonl: name the folder of an audit's findings")
    return [finding for file in files for finding in _lines(file)]


def _lines(path: Path) -> Iterator[Finding]:
    number = 0
    try:
        with path.open() as file:
            for line in file:
                number += 1
                yield Finding.from_json(line)
    except OSError as error:
        raise DdbError(f"{path} cannot be read ({error.strerror}): name a file that verify --findings wrote") from error
    except (ValueError, RecursionError) as error:
        raise DdbError(f"line {number} of {path} is not a finding: name a file that verify --findings wrote") from error
