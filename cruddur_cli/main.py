"""The commands put together, and every error as one line on standard error."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer
from typer.exceptions import TyperException

from cruddur_cli.bootcamp_arguments import modern
from cruddur_cli.commands.conversations import conversations
from cruddur_cli.commands.maintenance import maintenance
from cruddur_cli.commands.smoke import smoke_test
from cruddur_cli.commands.tables import tables
from cruddur_cli.errors import explained, one_line

NAME = "ddb"
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE
WRONG_USE = 2

app = typer.Typer(
    name=NAME,
    help="Cruddur's messages in a person's hands: look at the table, use it, check it, repair it.",
    epilog="Acts on this machine; --prod means AWS. Every command has an example: bin/ddb COMMAND --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (tables, conversations, maintenance, smoke_test):
    app.add_typer(group.app)


def main(words: Sequence[str]) -> int:
    """Run a command line and answer its exit status: 0 only on success."""
    try:
        status = app(modern(words), prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except TyperException as wrong_use:
        text = one_line(wrong_use.format_message())
        return _say(text, WRONG_USE) if text else WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped", INTERRUPTED)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            return _say(one_line(str(error)), 1)
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
