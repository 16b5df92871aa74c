"""Many conversations healed side by side, so that an interrupted run goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Event, Lock

from cruddur_cli.errors import DdbError
from cruddur_cli.healing import Healing
from cruddur_cli.target import Target
from cruddur_cli.verifying import Suspect
from cruddur_local.paths import REBUILDS

SIDE_BY_SIDE = 8

Heal = Callable[[Suspect], Healing]


class Checkpoint:
    """What an interrupted rebuild has left to do, in a file of one line per conversation found and healed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    @classmethod
    def of(cls, target: Target) -> "Checkpoint":
        """The checkpoint of a table."""
        place = hashlib.sha256(f"{target.endpoint}/{target.region}/{target.table_name}".encode()).hexdigest()[:12]
        return cls(REBUILDS / f"{target.table_name}-{place}.jsonl")

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
        """Note that a conversation is healed."""
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
            raise DdbError(f"{self.path} is no list of conversations to heal: delete it") from error
        return [suspect for suspect in suspects if suspect.message_group_uuid not in done]

    def remove(self) -> None:
        """Forget it: there is nothing left to do."""
        self.path.unlink(missing_ok=True)


def heal_all(
    suspects: Sequence[Suspect], heal: Heal, checkpoint: Checkpoint | None, *, on_done: Callable[[int], None]
) -> list[Healing]:
    """Heal conversations side by side; an error, or an interrupt, ends it after those that are under way."""
    stopped = Event()

    def work(suspect: Suspect) -> Healing | None:
        if stopped.is_set():
            return None
        try:
            healing = heal(suspect)
        except BaseException:
            stopped.set()
            raise
        if checkpoint is not None and healing.failure is None:
            checkpoint.done(suspect)
        on_done(1)
        return healing

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            return [healing for healing in pool.map(work, suspects) if healing is not None]
        finally:
            stopped.set()
