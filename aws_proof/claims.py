"""A claim, its possible results, and the two errors with which a step reports a difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_proof.world import World


class StopError(Exception):
    """The run cannot continue; the text is one line that says what is wrong, with what value, and what to do."""


class DiffersError(Exception):
    """The claim is not true; the text says what was seen."""


class Result(StrEnum):
    """The result of a claim."""

    AS_CLAIMED = "as claimed"
    DIFFERS = "differs"
    NOT_SHOWN = "not shown here"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Claim:
    """A statement about AWS and the step that tests it; the step returns what it has seen, or raises DiffersError.

    `not_on_emulator` is the reason why only AWS can show it, `never` the reason why no run can. `blocks` is True if the
    rest of its phase is meaningless without it.
    """

    id: str
    says: str
    step: "Callable[[World], str]"
    not_on_emulator: str | None = None
    never: str | None = None
    blocks: bool = False

    @property
    def how(self) -> str:
        """How it is tested."""
        return " ".join((self.step.__doc__ or "").split())

    def hidden_by(self, *, is_rehearsal: bool) -> str | None:
        """The reason why the step is skipped; None if it is not."""
        return self.never or (self.not_on_emulator if is_rehearsal else None)


@dataclass(frozen=True)
class Phase:
    """Claims that are tested in turn on one deployment of a stage; an interrupted run repeats the whole phase."""

    name: str
    stage: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Outcome:
    """The result of a claim in a phase."""

    phase: str
    claim: str
    result: Result
    seen: str
    seconds: float

    def as_json(self) -> Mapping[str, object]:
        """For the journal."""
        return {"phase": self.phase, "claim": self.claim, "result": self.result.value, "seen": self.seen} | {
            "seconds": round(self.seconds, 1)
        }


def claim(
    says: str, *, not_on_emulator: str | None = None, never: str | None = None, blocks: bool = False
) -> "Callable[[Callable[[World], str]], Claim]":
    """Make a claim of a step; its id is the step's name."""

    def of(step: "Callable[[World], str]") -> Claim:
        return Claim(step.__name__.replace("_", "-"), says, step, not_on_emulator, never, blocks)

    return of
