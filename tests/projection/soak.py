"""Plays any number of schedules with a progress bar, or one again with its story.

python -m tests.projection.soak --schedules 1000000 python -m tests.projection.soak --replay TOKEN
"""

import secrets
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).parents[2] / "lambda"))

from tests.projection import choices, simulation
from tests.projection.invocations import ViolationError
from tests.projection.test_simulation import check_schedules

SLICE = 250


def check_slice(seed: int) -> str | None:
    """Play a slice of schedules; returns the story of a broken promise, if there is one."""
    try:
        check_schedules(seed, SLICE)
    except ViolationError as violation:
        return str(violation)
    return None


def main(
    schedules: Annotated[int, typer.Option(min=1, help="How many schedules to play.")] = 1_000_000,
    processes: Annotated[int, typer.Option(min=1, help="How many processes play them.")] = 2,
    seed: Annotated[int | None, typer.Option(help="Where to begin; each run begins elsewhere unless told.")] = None,
    replay: Annotated[str | None, typer.Option(help="Play one schedule again, and tell its story.")] = None,
) -> None:
    """Play generated schedules against the projection until one breaks a promise."""
    if replay is not None:
        _replay(replay)
        return
    first = secrets.randbits(48) if seed is None else seed
    typer.echo(f"seed {first}: python -m tests.projection.soak --seed {first} --schedules {schedules}")
    columns = (TextColumn("schedules"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, ProcessPoolExecutor(processes) as pool:
        bar = progress.add_task("schedules", total=schedules)
        slices = [pool.submit(check_slice, first + number) for number in range(-(-schedules // SLICE))]
        for done in as_completed(slices):
            progress.update(bar, advance=SLICE)
            if (violation := done.result()) is not None:
                pool.shutdown(cancel_futures=True)
                progress.stop()
                typer.echo(violation)
                raise typer.Exit(1)
    typer.echo("every promise has been kept")


def _replay(token: str) -> None:
    try:
        schedule = choices.from_token(token)
    except ValueError as error:
        raise typer.BadParameter(f"{token} is no schedule: copy it whole") from error
    played = simulation.Simulation(schedule)
    try:
        played.play()
    except ViolationError as violation:
        typer.echo("\n".join([*played.story, f"=> {violation}"]))
        raise typer.Exit(1) from None
    typer.echo("\n".join([*played.story, "every promise has been kept"]))


if __name__ == "__main__":
    typer.run(main)
