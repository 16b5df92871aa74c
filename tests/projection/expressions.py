"""DynamoDB's condition, key condition and update expressions, as far as this project uses them, compiled to functions.

Follows the Developer Guide, "Condition and filter expressions, operators, and functions"; test_memory_engine.py
compares it with real engines.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

Item = Mapping[str, Any]
Names = Mapping[str, str]
Values = Mapping[str, Any]
Condition = Callable[[Item, Names, Values], bool]
Operand = Callable[[Item, Names, Values], Any]

_TOKEN = re.compile(r"\s*([=()]|[#:]?\w+)")


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
    """Compile a condition. Raises ValueError if this module does not support it."""
    tokens = list(_tokens(expression))
    compiled = _disjunction(tokens)
    if tokens:
        raise ValueError(f"left over in a condition: {tokens}")
    return compiled


@lru_cache(maxsize=256)
def key_condition(expression: str) -> Condition:
    """Compile a key condition; BETWEEN is not supported."""
    return condition(expression)


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


def _tokens(expression: str) -> Iterator[str]:
    position = 0
    stripped = expression.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ValueError(f"not understood: {stripped[position:]}")
        yield match[1]
        position = match.end()


def _disjunction(tokens: list[str]) -> Condition:
    parts = [_conjunction(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        parts.append(_conjunction(tokens))
    if len(parts) == 1:
        return parts[0]
    return lambda item, names, values: any(part(item, names, values) for part in parts)


def _conjunction(tokens: list[str]) -> Condition:
    parts = [_term(tokens)]
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        parts.append(_term(tokens))
    if len(parts) == 1:
        return parts[0]
    return lambda item, names, values: all(part(item, names, values) for part in parts)


def _term(tokens: list[str]) -> Condition:
    if tokens[0] in _FUNCTIONS:
        function = _FUNCTIONS[tokens.pop(0)]
        _expect(tokens, "(")
        path = _operand(tokens)
        _expect(tokens, ")")
        return lambda item, names, values: function(path(item, names, values))
    left = _operand(tokens)
    _expect(tokens, "=")
    right = _operand(tokens)
    return lambda item, names, values: equal(left(item, names, values), right(item, names, values))


def _operand(tokens: list[str]) -> Operand:
    token = tokens.pop(0)
    if token.startswith(":"):
        return lambda _item, _names, values: values[token]
    if token.startswith("#"):
        return lambda item, names, _values: item.get(names[token])
    return lambda item, _names, _values: item.get(token)


def _expect(tokens: list[str], token: str) -> None:
    if not tokens or tokens.pop(0) != token:
        raise ValueError(f"expected {token}")


_FUNCTIONS: dict[str, Callable[[Any], bool]] = {
    "attribute_exists": lambda value: value is not None,
    "attribute_not_exists": lambda value: value is None,
}
