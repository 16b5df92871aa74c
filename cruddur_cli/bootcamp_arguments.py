"""The bootcamp's arguments: `seed prod`, `drop cruddur-messages prod`, `patterns/get-conversation`."""

from collections.abc import Mapping, Sequence

from typer.core import TyperArgument, TyperCommand, TyperOption

from cruddur_cli.commands.arguments import MESSAGE

PATTERNS = "patterns/"
PROD = "prod"


def modern(words: Sequence[str], commands: Mapping[str, TyperCommand]) -> list[str]:
    """The same command line in this program's form: only a `prod` at the end means `--prod`."""
    if not words:
        return []
    name, *rest = words
    name = name.removeprefix(PATTERNS)
    if name not in commands:
        return [name, *rest]
    parameters = commands[name].params
    arguments = [parameter for parameter in parameters if isinstance(parameter, TyperArgument)]
    if any((argument.metavar or "").endswith(MESSAGE) for argument in arguments):
        return [name, *rest]
    options = [parameter for parameter in parameters if isinstance(parameter, TyperOption)]
    is_flag = {word: option.is_flag for option in options for word in option.opts}
    last = len(rest) - 1
    while last >= 0 and is_flag.get(rest[last]):
        last -= 1
    is_value = last > 0 and is_flag.get(rest[last - 1]) is False
    if last >= 0 and rest[last] == PROD and not is_value:
        rest[last] = "--prod"
    return [name, *rest]
