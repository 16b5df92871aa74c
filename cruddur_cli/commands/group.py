"""The declaration of commands and of the options that they share."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast

import typer
from botocore.exceptions import ClientError
from typer.core import TyperCommand

from cruddur_cli import completion
from cruddur_cli.context import Context
from cruddur_cli.errors import DdbError
from cruddur_messages.dynamodb import error_code
from cruddur_messages.store.errors import RejectedError

PROGRAM = "bin/ddb"
ANOTHER_LAYOUT = frozenset({"ResourceNotFoundException", "ValidationException"})
"""How DynamoDB refuses a call that needs other keys or another index than the table has."""

_Parameters = ParamSpec("_Parameters")
_Status = TypeVar("_Status", int, None)

options = typer.Typer(add_completion=False)


def _not_empty(name: str | None) -> str | None:
    """Refuse what `--table "$UNSET"` passes, which would otherwise mean the default table."""
    if name == "":
        raise typer.BadParameter("it is empty; name a table, or leave this out")
    return name


TABLE: Any = {"help": "The table, if not the default.", "autocompletion": completion.tables, "callback": _not_empty}


@options.command()
def _shared(
    table_argument: Annotated[str | None, typer.Argument(metavar="TABLE", **TABLE)] = None,
    prod: Annotated[bool, typer.Option("--prod", help="Act on AWS, not on this machine.")] = False,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", **TABLE)] = None,
    units_per_second: Annotated[
        float | None,
        typer.Option("--units-per-second", metavar="N", min=1, help="Limit the read and write units consumed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    capacity: Annotated[bool, typer.Option("--capacity", help="Print the capacity units consumed.")] = False,
) -> None:
    """The parameters that commands share; the context has their values."""


SHARED = {parameter.name: parameter for parameter in typer.main.get_command(options).params}

RARE = frozenset({"table_argument", "units_per_second"})
"""Only the commands that take them explicitly have them."""


class TableCommand(TyperCommand):
    """A command that acts on a table: it has the parameters of `shared` after its own."""

    context_class = Context
    shared: ClassVar[Collection[str]] = ()

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.params += [SHARED[name] for name in self.shared]

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises DdbError for what the store rejects, and for a table with other keys or no index."""
        context = cast(Context, ctx)
        assert self.callback is not None
        own = {name: value for name, value in context.params.items() if name not in SHARED}
        try:
            return context.invoke(self.callback, **own)
        except RejectedError as rejected:
            text, user_uuid = str(rejected), rejected.user_uuid
            handles = context.handles([user_uuid]) if user_uuid else {}
            raise DdbError(text.replace(user_uuid, handles[user_uuid]) if user_uuid else text) from rejected
        except ClientError as error:
            if error_code(error) in ANOTHER_LAYOUT:
                context.require_table()
            raise
        finally:
            if context.params["capacity"]:
                context.output.note(f"consumed: {context.meter}")


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

        A command has all shared parameters except the RARE ones that it does not list in `takes`, and those that it
        lists in `lacks`.
        """

        class Declared(TableCommand):
            shared = tuple(option for option in SHARED if option in takes or option not in {*RARE, *lacks})

        epilog = f"Example: {PROGRAM} {example}"
        return self.app.command(name, cls=Declared, epilog=epilog, rich_help_panel=self._title)
