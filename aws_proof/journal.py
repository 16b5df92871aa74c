"""The journal of a run: what it creates and changes, on disk before it happens, so that the next run can clean up."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aws_proof.claims import Outcome, Result, StopError


@dataclass(frozen=True)
class Made:
    """Something in the account that has to be removed: its kind (see removal.py) and its name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Borrowed:
    """Something that was changed and has to be restored: its kind (see World.give_back), its name, its old value."""

    kind: str
    name: str
    before: str


@dataclass
class Journal:
    """One run, in one file. Every change is written at once."""

    path: Path
    name: str
    account: str
    region: str
    begun: str
    made: list[Made] = field(default_factory=list)
    borrowed: list[Borrowed] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    finished_phases: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> "Journal | None":
        """The journal of an interrupted run, None if there is none. Raises StopError if it is unreadable."""
        try:
            written: dict[str, Any] = json.loads(path.read_text())
            return cls(
                path=path,
                **{name: written[name] for name in ("name", "account", "region", "begun", "finished_phases")},
                made=[Made(**one) for one in written["made"]],
                borrowed=[Borrowed(**one) for one in written["borrowed"]],
                outcomes=[Outcome(**one | {"result": Result(one["result"])}) for one in written["outcomes"]],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StopError(
                f"{path} cannot be read ({error}): it lists what an earlier run has left in the account; look there "
                "for what has the tag of the run, remove it, and then this file"
            ) from error

    def save(self) -> None:
        """Write it, all or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = asdict(self) | {"path": None, "outcomes": [one.as_json() for one in self.outcomes]}
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps(text, indent=1))
        unfinished.replace(self.path)

    def make(self, kind: str, name: str) -> None:
        """Record what is about to be created."""
        if Made(kind, name) not in self.made:
            self.made.append(Made(kind, name))
            self.save()

    def gone(self, made: Made) -> None:
        """Record what has been removed."""
        self.made.remove(made)
        self.save()

    def see(self, outcome: Outcome) -> None:
        """Record the result of a claim, instead of an earlier result."""
        same = [one for one in self.outcomes if (one.phase, one.claim) == (outcome.phase, outcome.claim)]
        self.outcomes = [one for one in self.outcomes if one not in same] + [outcome]
        self.save()

    def finish(self, phase: str) -> None:
        """Record that a phase need not be repeated."""
        self.finished_phases.append(phase)
        self.save()

    def of(self, phase: str) -> Sequence[Outcome]:
        """The results of a phase so far."""
        return [one for one in self.outcomes if one.phase == phase]
