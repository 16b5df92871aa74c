"""The bootcamp's words: `seed prod`, `drop cruddur-messages prod`, `patterns/get-conversation`."""

from collections.abc import Sequence

PATTERNS = "patterns/"
PROD = "prod"
TAKES_PROD = frozenset(
    {
        "add-member",
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
        "watch",
    }
)
"""The commands of which no argument is free text."""

FLAGS = frozenset({"--capacity", "--dry-run", "--json", "--restart", "--yes"})
"""What may come after the last word."""

OPTIONS = frozenset({"--before", "--every", "--for", "--of", "--queue", "--state", "--table"})
"""Options whose value may be any word."""


def modern(words: Sequence[str]) -> list[str]:
    """The same command in this program's words: a last `prod` means `--prod`, no other word does."""
    if not words:
        return []
    command, *rest = words
    command = command.removeprefix(PATTERNS)
    last = len(rest) - 1
    while last >= 0 and rest[last] in FLAGS:
        last -= 1
    is_value = last > 0 and rest[last - 1] in OPTIONS
    if command in TAKES_PROD and last >= 0 and rest[last] == PROD and not is_value:
        rest[last] = "--prod"
    return [command, *rest]
