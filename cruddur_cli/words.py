"""The bootcamp's words: `seed prod`, `drop cruddur-messages prod`, `patterns/get-conversation`."""

from collections.abc import Sequence

PATTERNS = "patterns/"
PROD = "prod"
TAKES_PROD = frozenset(
    {
        "describe",
        "drop",
        "get-conversation",
        "list-conversations",
        "list-tables",
        "rebuild",
        "redrive",
        "scan",
        "schema-load",
        "seed",
        "verify",
    }
)
"""The commands of which no argument is free text."""


def modern(words: Sequence[str]) -> list[str]:
    """The same command in this program's words: a last `prod` means `--prod`, no other word does."""
    if not words:
        return []
    command, *rest = words
    command = command.removeprefix(PATTERNS)
    if command in TAKES_PROD and rest and rest[-1] == PROD and not _is_value_of_option(rest):
        rest[-1] = "--prod"
    return [command, *rest]


def _is_value_of_option(rest: Sequence[str]) -> bool:
    return len(rest) > 1 and rest[-2] in {"--table", "--queue", "--state", "--before"}
