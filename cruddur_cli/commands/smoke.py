"""The command `smoke`, which shows in seconds whether the system works."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cruddur_cli.commands.group import CommandGroup
from cruddur_cli.console import Column
from cruddur_cli.context import Context
from cruddur_cli.smoke import runs
from cruddur_cli.smoke.report import LoadReport, Report, highest_steady, joined
from cruddur_cli.smoke.talk import Place

BROKEN = 1
BOUNDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, float("inf"))
WIDTH = 30

smoke_test = CommandGroup("Does it work?")


@smoke_test.command("smoke", example="smoke --prod")
def smoke(
    context: Context,
    messages: Annotated[int, typer.Option(min=1, max=1000, help="How many messages to send.")] = 20,
    seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="The most seconds until a message is in every inbox; with --rate, also how long each rate is held.",
        ),
    ] = 30.0,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1000, help="Hold loads up to this many messages a second, and show at which the delay grows."
        ),
    ] = None,
) -> int:
    """Send messages between made-up people, wait for each in every inbox, and remove everything.

    Exit status 1, with the reason, if a message is late, a row is missing or duplicate, or the order is wrong. The next
    run removes what a killed run has left, and what came after a late one.
    """
    context.require_table()
    context.output.note(f"made-up people send messages in {context.target}")
    if not context.target.has_projection:
        context.output.note("nothing reads the stream here: this command settles the conversations itself")
    place = Place(
        context.client,
        context.target.table_name,
        None if context.target.has_projection else lambda group: context.settle_where_no_lambda_does([group]),
    )
    if rate is None:
        with context.output.progress("messages", messages) as bar:
            report = runs.talk(place, messages=messages, limit_seconds=seconds, on_delivered=lambda: bar.advance(1))
        return _print(context, report, {})
    held = runs.hold(
        place, rate=rate, seconds=seconds, limit_seconds=seconds, on_held=lambda one: _note_held(context, one)
    )
    return _print(
        context,
        joined(one.report for one in held),
        {"rates": [_rate_as_json(one) for one in held], **_verdict(context, held)},
    )


def _print(context: Context, report: Report, more: dict[str, object]) -> int:
    output = context.output
    if output.as_json:
        output.document(
            {
                "table": context.target.table_name,
                "at": context.target.place,
                "settled_by": "the projection" if context.target.has_projection else "this command",
                "ok": not report.problems,
                "delivered": len(report.delays),
                **_figures(report),
                "problems": report.problems,
                **more,
            }
        )
        return BROKEN if report.problems else 0
    if report.delays:
        output.table([Column("seconds"), Column("how many"), Column("")], _histogram(report.delays))
        figures = ", ".join(f"{name} {value:.2f} s" for name, value in report.figures.items())
        output.line(f"{len(report.delays):,} messages into every inbox: {figures}")
    for problem in report.problems:
        output.paragraph(problem)
    output.line("it does not work" if report.problems else "it works")
    return BROKEN if report.problems else 0


def _figures(report: Report) -> dict[str, float | None]:
    names = {"median": "median_seconds", "99 of 100": "seconds_of_99_in_100", "largest": "largest_seconds"}
    # JSON has no NaN.
    return {names[name]: round(value, 3) if report.delays else None for name, value in report.figures.items()}


def _histogram(delays: Sequence[float]) -> list[tuple[str, str, str]]:
    counts = [sum(low < delay <= high for delay in delays) for low, high in zip((-1.0, *BOUNDS), BOUNDS, strict=False)]
    last = max(number for number, count in enumerate(counts) if count)
    names = [f"to {bound:g}" for bound in BOUNDS[:-1]] + [f"above {BOUNDS[-2]:g}"]
    return [
        (name, f"{count:,}", "█" * -(-count * WIDTH // max(counts)))
        for name, count in zip(names, counts[: last + 1], strict=False)
    ]


def _note_held(context: Context, held: LoadReport) -> None:
    figures = held.report.figures
    delay = f"median delay {figures['median']:.2f} s, largest {figures['largest']:.2f} s"
    context.output.note(f"{held.asked:g} messages a second requested, {held.sent:.1f} sent: {delay}")


def _rate_as_json(held: LoadReport) -> dict[str, object]:
    return {
        "asked": held.asked,
        "sent": round(held.sent, 2),
        "messages": len(held.report.delays),
        **_figures(held.report),
    }


def _verdict(context: Context, held: Sequence[LoadReport]) -> dict[str, object]:
    steady = highest_steady(held)
    if not context.output.as_json:
        context.output.line(
            "the delay grew at the lowest rate"
            if steady is None
            else f"up to {steady:.1f} messages a second sent, the delay did not grow"
        )
    return {"highest_steady_rate": None if steady is None else round(steady, 2)}
