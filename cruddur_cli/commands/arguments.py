"""The arguments and options that several commands have."""

from typing import Annotated, Any

import typer

from cruddur_cli import completion


def handle_option(name: str, text: str) -> Any:
    """An option that takes a handle."""
    return typer.Option(name, metavar="HANDLE", help=text, autocompletion=completion.handles)


def handle_argument(text: str | None) -> Any:
    """An argument that takes a handle."""
    return typer.Argument(metavar="HANDLE", help=text, show_default=False, autocompletion=completion.handles)


def file_option(name: str, text: str) -> Any:
    """An option that takes a file."""
    return typer.Option(name, metavar="FILE", help=text, autocompletion=completion.files)


def conversation_argument(metavar: str, text: str) -> Any:
    """An argument that names a conversation."""
    completes = completion.conversations
    return typer.Argument(metavar=metavar, help=text, show_default=False, autocompletion=completes)


CONVERSATION = "The other person, or the conversation's id or the start of it."

MESSAGE = "MESSAGE"
"""The end of the metavar of an argument that takes a message. Its last word may be any word, also `prod`."""

Conversation = Annotated[str, conversation_argument("CONVERSATION", CONVERSATION)]
Text = Annotated[str, typer.Argument(metavar=MESSAGE, show_default=False)]
Handle = Annotated[str | None, handle_argument("The person; by default the first user.")]
Sender = Annotated[str | None, handle_option("--from", "The sender; by default the first user.")]
Of = Annotated[
    str | None, handle_option("--of", "The person whose inbox has the conversation; by default the first user.")
]
Before = Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="Continue where an earlier page ended.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
