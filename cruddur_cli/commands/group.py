"""The declaration of commands and of the options that they share."""

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from cruddur_cli import completion, target
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.console import Output
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError
from cruddur_messages.store.errors import RejectedError

PROGRAM = "bin/ddb"

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_Parameters = ParamSpec("_Parameters")
_Status = TypeVar("_Status", int, None)

_SHARED: dict[str, tuple[Any, Any]] = {
    "table_argument": (
        Annotated[
            str | None,
            typer.Argument(metavar="TABLE", help="The table, if not the default.", autocompletion=completion.tables),
        ],
        None,
    ),
    "prod": (Annotated[bool, typer.Option("--prod", help="Act on AWS, not on this machine.")], False),
    "table": (
        Annotated[
            str | None,
            typer.Option(
                "--table", metavar="NAME", help="The table, if not the default.", autocompletion=completion.tables
            ),
        ],
        None,
    ),
    "units_per_second": (
        Annotated[
            float | None,
            typer.Option("--units-per-second", metavar="N", min=1, help="Limit the read and write units consumed."),
        ],
        None,
    ),
    "as_json": (Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")], False),
    "capacity": (Annotated[bool, typer.Option("--capacity", help="Print the capacity units consumed.")], False),
}
"""Type and default of each shared parameter."""

RARE = frozenset({"table_argument", "units_per_second"})
"""Only the commands that take them explicitly have them."""


class CommandGroup:
    """Commands that belong together, under a title in the help."""

    def __init__(self, title: str) -> None:
        self.app = typer.Typer()
        self._title = title

    def command(
        self, name: str, *, example: str, takes: Collection[str] = (), lacks: Collection[str] = ()
    ) -> Callable[
        [Callable[Concatenate[Context, _Parameters], _Status]], Callable[Concatenate[Context, _Parameters], _Status]
    ]:
        """Declare a command: a function of the context and of its own parameters. It returns its exit status or None.

        The shared options make the context. A command has all of them except the RARE ones that it does not list in
        `takes`, and those that it lists in `lacks`.
        """

        def declare(
            function: Callable[Concatenate[Context, _Parameters], _Status],
        ) -> Callable[Concatenate[Context, _Parameters], _Status]:
            shared = [option for option in _SHARED if option in takes or option not in {*RARE, *lacks}]
            command = self.app.command(name, epilog=f"Example: {PROGRAM} {example}", rich_help_panel=self._title)
            command(_with_shared_parameters(function, shared))
            return function

        return declare


def _with_shared_parameters(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """The function as typer sees it: with the shared parameters instead of the context."""

    def run(**arguments: Any) -> Any:
        given = {name: arguments.pop(name, _SHARED[name][1]) for name in _SHARED}
        context = Context(
            target=target.resolve(prod=given["prod"], table_name=_one_table(given["table_argument"], given["table"])),
            output=Output(as_json=given["as_json"]),
            meter=CapacityMeter(given["units_per_second"]),
        )
        try:
            return function(context, **arguments)
        except RejectedError as rejected:
            raise DdbError(context.with_handles(str(rejected))) from rejected
        finally:
            if given["capacity"]:
                context.output.note(f"consumed: {context.meter}")

    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_SHARED[name][1], annotation=_SHARED[name][0])
        for name in names
    ]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = function.__doc__
    return run


def _one_table(argument: str | None, option: str | None) -> str | None:
    if argument and option and argument != option:
        raise DdbError(f"two tables are named: {argument} and --table {option}")
    return argument or option
