"""The few functions of CloudWatch's metric math that the alarms use, on one period's values.

CloudWatch User Guide, "Using math expressions with CloudWatch metrics".
"""

import ast
from collections.abc import Mapping


def names(expression: str) -> set[str]:
    """The metrics that an expression refers to."""
    found = (node.id for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Name))
    return {name for name in found if name not in ("IF", "FILL")}


def value(expression: str, values: Mapping[str, float | None]) -> float:
    """The value of an expression; None is a metric without data in the period."""
    return _value(_parsed(expression).body, values)


def _parsed(expression: str) -> ast.Expression:
    return ast.parse(expression, mode="eval")


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Call(func=ast.Name(id="FILL"), args=[ast.Name(id=name), otherwise]):
            found = values[name]
            return _value(otherwise, values) if found is None else found
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            return _value(then if _value(condition, values) else otherwise, values)
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            return float(_value(left, values) > _value(right, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, values) + _value(right, values)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, values) - _value(right, values)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, values) * _value(right, values)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _value(left, values) / _value(right, values)
    raise ValueError(f"not supported: {ast.unparse(node)}")
