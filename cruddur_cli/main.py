"""The program: all commands, and every error as one line on standard error."""

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from cruddur_cli import local_system
from cruddur_cli.bootcamp_arguments import modern
from cruddur_cli.commands.changes import changes
from cruddur_cli.commands.conversations import conversations
from cruddur_cli.commands.maintenance import maintenance
from cruddur_cli.commands.person import HELP as PERSON_HELP
from cruddur_cli.commands.person import TITLE as PERSON_TITLE
from cruddur_cli.commands.person import person
from cruddur_cli.commands.smoke import smoke_test
from cruddur_cli.commands.tables import tables
from cruddur_cli.commands.watch import watching
from cruddur_cli.errors import WrongUseError, explained, one_line

NAME = "ddb"
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE
WRONG_USE = 2
HELP = ["-h", "--help"]

app = typer.Typer(
    name=NAME,
    help="Work with Cruddur's messages: look at the table, use it, check it, repair it.",
    epilog="Acts on this machine; --prod means AWS. Every command has an example: bin/ddb COMMAND --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP},
)
for group in (tables, conversations, changes, watching, maintenance, smoke_test):
    app.add_typer(group.app)
app.add_typer(person.app, name="person", help=PERSON_HELP, rich_help_panel=PERSON_TITLE, no_args_is_help=True)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"{NAME} {local_system.version()}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options before a command."""


def _built() -> TyperGroup:
    """The program as typer runs it, without the type of flags in the help."""
    program = cast(TyperGroup, typer.main.get_command(app))
    for command in _with_all_below(program):
        with typer.Context(command, help_option_names=HELP) as context:
            for parameter in command.get_params(context):
                if isinstance(parameter, TyperOption) and parameter.is_flag:
                    parameter.metavar = ""
    return program


def _with_all_below(command: TyperCommand | TyperGroup) -> Iterator[TyperCommand | TyperGroup]:
    yield command
    if isinstance(command, TyperGroup):
        for below in _commands(command).values():
            yield from _with_all_below(below)


def _commands(program: TyperGroup) -> Mapping[str, TyperCommand]:
    return cast(Mapping[str, TyperCommand], program.commands)


def main(words: Sequence[str]) -> int:
    """Run a command line and return its exit status: 0 only on success."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every terminal can show every message.
            stream.reconfigure(errors="replace")
    # Bytes that are not UTF-8 arrive as lone surrogates.
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        return _say("a word is not text in UTF-8: write it in UTF-8", WRONG_USE)
    program = _built()
    try:
        status = program(modern(words, _commands(program)), prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except WrongUseError as wrong_use:
        return _say(str(wrong_use), WRONG_USE)
    except TyperException as wrong_use:
        text = one_line(wrong_use.format_message())
        return _say(text, WRONG_USE) if text else WRONG_USE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:
        text_or_none = explained(error)
        if text_or_none is None:
            raise
        return _say(text_or_none, 1)
    if status == INTERRUPTED:
        return _say("stopped", INTERRUPTED)
    return status if isinstance(status, int) else 0


def _say(text: str, status: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"{NAME}: {text}\n")
    return status
