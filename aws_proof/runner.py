"""Tests the claims in turn. It records each result at once, continues an interrupted run, and removes everything."""

import shlex
from collections.abc import Sequence

from aws_proof import removal
from aws_proof.claims import Claim, DiffersError, Outcome, Phase, Result
from aws_proof.errors import explained
from aws_proof.world import World


class CutOffError(Exception):
    """The run was interrupted; the text is one line for the person who started it."""


def run(world: World, phases: Sequence[Phase]) -> None:
    """Test every claim of the phases that are not finished, and remove what each phase has created.

    Raises CutOffError if the run cannot continue. Then everything is removed, or the text has the command for it.
    """
    try:
        for phase in phases:
            if phase.name not in world.journal.finished_phases:
                _run_phase(world, phase)
                world.journal.finish(phase.name)
    except KeyboardInterrupt:
        raise CutOffError(f"interrupted; {clean_up(world)}") from None
    except Exception as error:
        text = explained(error)
        cleaned = clean_up(world)
        if text is None:
            world.say(cleaned)
            raise
        raise CutOffError(f"{text}; {cleaned}") from error


def clean_up(world: World) -> str:
    """Remove what was created, and return a text that says so; if that fails, the reason and the command for it."""
    try:
        world.journal.borrowed.clear()
        removal.remove_all(world)
    except (KeyboardInterrupt, Exception) as error:
        why = "interrupted again" if isinstance(error, KeyboardInterrupt) else explained(error) or repr(error)
        return f"what was created still exists ({why}): remove it with {removal_command(world)}"
    return "everything that was created is removed"


def removal_command(world: World) -> str:
    """The command that removes what this run has created."""
    rehearsal = " REHEARSE=1" if world.is_rehearsal else ""
    name, region = shlex.quote(world.journal.name), shlex.quote(world.journal.region)
    return f"make prove-on-aws CLEAN_UP=1 NAME={name} REGION={region}{rehearsal}"


def _run_phase(world: World, phase: Phase) -> None:
    world.stage = "local" if world.is_rehearsal else phase.stage
    world.notes.clear()
    # An interrupted run may have left something changed.
    world.give_back()
    blocked: Claim | None = None
    for claim in phase.claims:
        hidden = claim.hidden_by(is_rehearsal=world.is_rehearsal)
        begun = world.clock()
        world.say(f"{phase.name}: {claim.id}")
        if hidden:
            result, seen = Result.NOT_SHOWN, hidden
        elif blocked:
            result, seen = Result.NOT_RUN, f"{blocked.id} is not as claimed"
        else:
            result, seen = _test(world, claim)
            blocked = claim if claim.blocks and result is Result.DIFFERS else None
        world.journal.see(Outcome(phase.name, claim.id, result, seen, world.clock() - begun))
    world.give_back()
    removal.remove_all(world)


def _test(world: World, claim: Claim) -> tuple[Result, str]:
    try:
        return Result.AS_CLAIMED, claim.step(world)
    except DiffersError as differs:
        return Result.DIFFERS, " ".join(str(differs).split())
