"""DynamoDB's condition, key condition and update expressions, as far as this project uses them, compiled to functions.

Follows the Developer Guide, "Condition and filter expressions, operators, and functions"; test_memory_engine.py
compares it with real engines.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Item = Mapping[str, Any]
Names = Mapping[str, str]
Values = Mapping[str, Any]
Condition = Callable[[Item, Names, Values], bool]
Operand = Callable[[Item, Names, Values], Any]

_TERM = re.compile(
    r"\s*(?:attribute_(?P<kind>exists|not_exists)\s*\((?P<path>[#\w]+)\)|(?P<left>[#:\w]+)\s*=\s*(?P<right>[#:\w]+))\s*"
)


def equal(left: Any, right: Any) -> bool:
    """Whether two attribute values are equal: of one type, numbers by value, sets whatever their order."""
    if left is None or right is None:
        return False
    return bool(left == right or ("S" not in left and _comparable(left) == _comparable(right)))


def _comparable(value: Any) -> Any:
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return kind, float(inner)
        case "SS" | "BS":
            return kind, frozenset(inner)
        case "NS":
            return kind, frozenset(float(number) for number in inner)
        case "L":
            return kind, [_comparable(element) for element in inner]
        case "M":
            return kind, {name: _comparable(element) for name, element in inner.items()}
        case _:
            return kind, inner


@lru_cache(maxsize=4096)
def condition(expression: str) -> Condition:
    """Compile a condition, or a condition of keys. Raises ValueError if this module does not support it."""
    parts = [[_term(text) for text in part.split(" AND ")] for part in expression.split(" OR ")]
    return lambda item, names, values: any(all(term(item, names, values) for term in terms) for terms in parts)


@lru_cache(maxsize=256)
def update(expression: str) -> Callable[[Item, Names, Values], dict[str, Any]]:
    """Compile an update made of `SET name = :value, ...` and `REMOVE name, ...`."""
    clauses = re.findall(r"(SET|REMOVE)\s+(.*?)(?=\s+(?:SET|REMOVE)\s|$)", expression)

    def apply(item: Item, names: Names, values: Values) -> dict[str, Any]:
        changed = dict(item)
        for kind, body in clauses:
            for part in body.split(","):
                name, _, value = (piece.strip() for piece in part.partition("="))
                if kind == "SET":
                    changed[names.get(name, name)] = values[value]
                else:
                    changed.pop(names.get(name, name), None)
        return changed

    return apply


def _term(text: str) -> Condition:
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(f"not supported: {text}")
    if found["kind"]:
        path, is_wanted = _operand(found["path"]), found["kind"] == "exists"
        return lambda item, names, values: (path(item, names, values) is not None) is is_wanted
    left, right = _operand(found["left"]), _operand(found["right"])
    return lambda item, names, values: equal(left(item, names, values), right(item, names, values))


def _operand(token: str) -> Operand:
    if token.startswith(":"):
        return lambda _item, _names, values: values[token]
    return lambda item, names, _values: item.get(names.get(token, token))
