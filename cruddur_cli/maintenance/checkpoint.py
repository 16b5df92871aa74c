"""A file of what remains to do of a rebuild, so that a new run continues an interrupted one."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance.repair import Suspect
from cruddur_cli.output_file import cannot_be_written, require_writable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

STATE = "--state"


def identity(table: "TableDescriptionTypeDef") -> dict[str, str]:
    """What tells a table from one of another account or region, and from one that was recreated under its name."""
    return {"tableArn": table["TableArn"], "created": table["CreationDateTime"].astimezone(UTC).isoformat()}


class Checkpoint:
    """A file with a line about the table, then one per conversation found and one per conversation repaired.

    `table` returns the identity of the table. Safe to share between threads.
    """

    def __init__(self, path: Path, table: Callable[[], Mapping[str, str]]) -> None:
        self.path = path
        self._table = table
        self._lock = Lock()

    def require_writable(self) -> None:
        """Raise DdbError if the file cannot be written. Called before any work is done."""
        try:
            if self.path.exists() and not self.path.is_file():
                raise DdbError(f"{self.path} is not a file: name another one with --state")
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_be_written(self.path, error, option=STATE) from error
        for path in (self.path, self._unfinished):
            require_writable(path, option=STATE)

    def begin(self, suspects: Sequence[Suspect]) -> None:
        """Write what there is to do. Raises DdbError if the file cannot be written."""
        lines = [self._table(), *map(asdict, suspects)]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished.write_text("".join(json.dumps(line) + "\n" for line in lines))
            self._unfinished.replace(self.path)
        except OSError as error:
            raise cannot_be_written(self.path, error, option=STATE) from error

    def done(self, suspect: Suspect) -> None:
        """Write that a conversation is repaired."""
        with self._lock, self.path.open("a") as notes:
            notes.write(json.dumps({"done": suspect.message_group_uuid}) + "\n")

    def remaining(self) -> list[Suspect]:
        """What is still to do; empty if no run was interrupted.

        Raises DdbError if the file is not a checkpoint, or one of another table.
        """
        try:
            lines = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
            if not lines:
                return []
            table, *lines = lines
            done = {line["done"] for line in lines if "done" in line}
            suspects = [
                Suspect(line["message_group_uuid"], tuple(line["known_members"]), line["rekey"], line["newest_key"])
                for line in lines
                if "done" not in line
            ]
            arn = table["tableArn"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DdbError(f"{self.path} is not a list of conversations to repair: delete it") from error
        if table != self._table():
            raise DdbError(
                f"{self.path} is what a rebuild of another table ({arn}) has left to do: begin anew with rebuild "
                "--restart, or name another file with --state"
            )
        return [suspect for suspect in suspects if suspect.message_group_uuid not in done]

    def remove(self) -> None:
        """Delete the file: nothing remains to do."""
        self.path.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")
