"""What a rebuild has left to do, noted in a file, so that an interrupted one goes on where it was."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance.repair import Suspect


class Checkpoint:
    """A file of one line per conversation found and repaired. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def begin(self, suspects: Sequence[Suspect]) -> None:
        """Note what there is to do. Raises DdbError where the file cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self.path.with_suffix(".new")
            unfinished.write_text("".join(json.dumps(asdict(suspect)) + "\n" for suspect in suspects))
            unfinished.replace(self.path)
        except OSError as error:
            raise DdbError(
                f"{self.path} cannot be written ({error.strerror}): name another file with --state"
            ) from error

    def done(self, suspect: Suspect) -> None:
        """Note that a conversation is repaired."""
        with self._lock, self.path.open("a") as notes:
            notes.write(json.dumps({"done": suspect.message_group_uuid}) + "\n")

    def left(self) -> list[Suspect]:
        """What is still to do; empty where nothing was interrupted. Raises DdbError where the file is none of ours."""
        try:
            lines = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
            done = {line["done"] for line in lines if "done" in line}
            suspects = [
                Suspect(line["message_group_uuid"], tuple(line["known_members"]), line["rekey"])
                for line in lines
                if "done" not in line
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DdbError(f"{self.path} is no list of conversations to repair: delete it") from error
        return [suspect for suspect in suspects if suspect.message_group_uuid not in done]

    def remove(self) -> None:
        """Forget it: there is nothing left to do."""
        self.path.unlink(missing_ok=True)
