"""Values that are known before anything runs: arguments of models and engines, limits, probabilities as written.

Only literals, arithmetic on numbers, and names of constants with one plain value are folded, so that folding takes
time and room linear in what was written. Whatever else is a value of the run.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from grammar import syntax as s

MAX_BITS = 4096
"""The largest integer of the language."""

Scalar = int | float | bool | str | None

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


class NotConstant(Exception):
    """`node` is the part that is only known in a run."""

    def __init__(self, node: s.Node) -> None:
        super().__init__(node)
        self.node = node


def fold(expr: s.Node, constants: Mapping[str, Scalar]) -> Any:
    """The plain value of a constant expression: scalars, lists, tuples and dicts of them. NotConstant otherwise."""
    match expr:
        case s.IntLiteral() | s.FloatLiteral() | s.BoolLiteral():
            return expr.value
        case s.NoneLiteral():
            return None
        case s.Text() if expr.plain:
            return expr.literal
        case s.Name() if expr.name in constants:
            return constants[expr.name]
        case s.ListExpr():
            return [fold(item, constants) for item in expr.items]
        case s.TupleExpr():
            return tuple(fold(item, constants) for item in expr.items)
        case s.DictExpr():
            return {_key(entry.key, constants): fold(entry.value, constants) for entry in expr.entries}
        case s.Unary() if expr.op != "not":
            value = _number(expr.operand, constants)
            return -value if expr.op == "-" else value
        case s.Binary():
            return _arithmetic(expr, _number(expr.left, constants), _number(expr.right, constants))
    raise NotConstant(expr)


def folded_number(expr: s.Node, constants: Mapping[str, Scalar]) -> int | float | None:
    """The number that an expression always is, or None."""
    try:
        return _number(expr, constants)
    except NotConstant:
        return None


def _number(expr: s.Node, constants: Mapping[str, Scalar]) -> int | float:
    if isinstance(expr, (s.IntLiteral, s.FloatLiteral, s.Name, s.Unary, s.Binary)):
        value = fold(expr, constants)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    raise NotConstant(expr)


def _key(expr: s.Expr, constants: Mapping[str, Scalar]) -> Any:
    key = fold(expr, constants)
    if isinstance(key, (list, dict)):
        raise NotConstant(expr)
    return key


def _arithmetic(expr: s.Binary, left: int | float, right: int | float) -> int | float:
    if expr.op == "**" and (abs(right) > MAX_BITS or left < 0 and not isinstance(right, int)):
        raise NotConstant(expr)
    if expr.op == "**" and isinstance(left, int) and left.bit_length() * right > 2 * MAX_BITS:
        raise NotConstant(expr)
    try:
        value: int | float = _ARITHMETIC[expr.op](left, right)
    except (ArithmeticError, ValueError):
        raise NotConstant(expr) from None
    fits = value.bit_length() <= MAX_BITS if isinstance(value, int) else math.isfinite(value)
    if not fits:
        raise NotConstant(expr)
    return value
