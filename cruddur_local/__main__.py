"""The commands behind `make up`, `down`, `status`, `env`, `pages`, `logs` and `dynamodb-local`."""

import os
import shlex
import signal
import sys
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from cruddur_local import dynamodb_local, environment, function_logs, system
from cruddur_local import pages as messages_page
from cruddur_local.errors import LocalSystemError

NEXT_STEPS = """
What to do next:
  eval "$(make -s env)"  points boto3, the AWS CLI and the Flask backend here
  bin/ddb --help         lists, sends, watches, checks and repairs
  make pages             serves the messages page in a browser
  make status            shows what runs, where, and whether its data is kept
  make logs              prints what the projection logs; FOLLOW=1 continues
  make up                deploys what you have changed
  make down              stops the system and deletes its data; KEEP=1 keeps it"""

HOW_TO_UNDO = 'eval "$(make -s env UNDO=1)"'

HARMLESS = {"AWS_PAGER", "AWS_DEFAULT_OUTPUT"}
"""Any other AWS variable may lead to another endpoint, or to other credentials, than those of the running system."""

INTERRUPTED = 128 + signal.SIGINT

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="The emulator's port.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the data after the next down.")] = False,
    setting: Annotated[list[str] | None, typer.Option(help="A setting of the stage, name=value.")] = None,
) -> None:
    """Start the emulator, deploy all stacks into it, and show an inbox before and after a message."""
    system.up(port=port, keep_state=keep, overrides=setting or [], console=console)
    console.print(NEXT_STEPS, highlight=False)


@app.command()
def down(
    keep: Annotated[bool | None, typer.Option("--keep/--forget", help="Keep the data, or delete what is kept.")] = None,
) -> None:
    """Stop the system and remove its files."""
    system.down(keep_state=keep, console=console)


@app.command()
def status() -> None:
    """Show what runs, where, and whether its data is kept."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in system.status().items():
        table.add_row(name, Text(value))
    console.print(table)


@app.command()
def env(undo: Annotated[bool, typer.Option(help="Print the commands that undo it.")] = False) -> None:
    """Print the environment of the running system, for a shell to evaluate."""
    if undo:
        typer.echo(f"unset {' '.join(system.VARIABLES)}")
        return
    variables = system.variables()
    others = {name for name in os.environ if name.startswith("AWS_")} - variables.keys() - HARMLESS
    typer.echo(f"unset {' '.join(sorted({'AWS_PROFILE', *others}))}")
    for name, value in (variables | environment.without_proxy()).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    if not sys.stdout.isatty():
        typer.echo(f"This shell now points to {variables['AWS_ENDPOINT_URL']}; {HOW_TO_UNDO} undoes it.", err=True)


@app.command()
def logs(
    follow: Annotated[bool, typer.Option(help="Continue until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they were logged.")] = False,
) -> None:
    """Print what the projection has logged."""
    function_logs.show(system.running(), follow=follow, as_json=as_json, console=console)


@app.command()
def pages(
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="The page's port.")] = None,
) -> None:
    """Serve the messages page of the running system until Ctrl-C."""
    messages_page.serve(system.running(), port=port)


@app.command("dynamodb-local")
def run_dynamodb_local(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port to listen on.")] = dynamodb_local.PORT,
) -> None:
    """Run DynamoDB Local in the foreground until Ctrl-C."""
    dynamodb_local.serve(port)


def main() -> None:
    """Run a command; an error that a person can fix is one line on standard error, with exit status 1."""
    try:
        app(standalone_mode=False)
    except (LocalSystemError, OSError) as error:
        sys.exit(f"error: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"error: the system did not respond as expected ({' '.join(str(error).split())}); is it still up?")
    except TyperException as wrong_use:
        sys.exit(f"error: {wrong_use.format_message()}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
