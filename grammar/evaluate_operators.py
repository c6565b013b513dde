"""Operators as closures: arithmetic within bounds, comparisons, `is`.

The checker has said what the operands are, so each closure does one thing. Integers stay below 2**4096; what
has no value (division by zero, a number that is too large) is a fault at the operator.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from grammar import syntax as s
from grammar.crossing import holds
from grammar.evaluate import FUEL, Ev, Frame, Place, joined
from grammar.faults import BIG
from grammar.types import FLOAT, INT, NUMBERS, PROB, DictOf, ListOf, RecordType, TupleOf, Type, options
from grammar.vectors import measure

if TYPE_CHECKING:
    from grammar.compile import Compiler


def binary(k: Compiler, expr: s.Binary, parts: Sequence[Ev]) -> Ev:
    """Arithmetic and `+` of two operands, by their types."""
    left, right = parts
    kinds = k.checked.types[expr.left], k.checked.types[expr.right]
    return combine(k, expr, expr.op, left, right, kinds, expr.right)


def combine(
    k: Compiler, place: s.Node, op: str, left: Ev, right: Ev, kinds: tuple[Type, Type], written: s.Expr
) -> Ev:
    """`left op right`; also for `x op= right`. `written` is the right side's expression."""
    if kinds[0] not in NUMBERS:
        return joined(k, place, left, right, kinds, written)
    whole = kinds == (INT, INT)
    at = Place(k.source, place.span)
    if op == "**":
        literal = isinstance(written, s.IntLiteral)
        return _int_power(left, right, at) if whole and literal else _float_power(left, right, at)
    if op in ("+", "-", "*"):
        apply = {"+": operator.add, "-": operator.sub, "*": operator.mul}[op]
        return _int(apply, left, right, at) if whole else _float(apply, left, right, at)
    apply = {"/": operator.truediv, "//": operator.floordiv, "%": operator.mod}[op]
    return _division(apply, left, right, at)


def _int(apply: Callable[[Any, Any], Any], left: Ev, right: Ev, at: Place) -> Ev:
    def compute(slots: Frame) -> int:
        value: int = apply(left(slots), right(slots))
        if -BIG < value < BIG:
            return value
        raise at.fault("E554", what="this integer")

    return compute


def _float(apply: Callable[[Any, Any], Any], left: Ev, right: Ev, at: Place) -> Ev:
    def compute(slots: Frame) -> float:
        try:
            return float(apply(left(slots), right(slots)))
        except OverflowError:  # an integer too large for a float
            raise at.fault("E554", what="this number") from None

    return compute


def _division(apply: Callable[[Any, Any], Any], left: Ev, right: Ev, at: Place) -> Ev:
    def compute(slots: Frame) -> Any:
        try:
            return apply(left(slots), right(slots))
        except ZeroDivisionError:
            raise at.fault("E552") from None
        except OverflowError:
            raise at.fault("E554", what="this quotient") from None

    return compute


def _int_power(left: Ev, right: Ev, at: Place) -> Ev:
    def compute(slots: Frame) -> int:
        base, exponent = left(slots), right(slots)
        if base in (0, 1, -1):
            return int(base ** (exponent if exponent < 2 else 2 + exponent % 2))
        if base.bit_length() * exponent <= 8192:
            value: int = base**exponent
            if -BIG < value < BIG:
                return value
        raise at.fault("E554", what="this integer")

    return compute


def _float_power(left: Ev, right: Ev, at: Place) -> Ev:
    def compute(slots: Frame) -> float:
        try:
            value: Any = float(left(slots)) ** float(right(slots))
        except ZeroDivisionError:
            raise at.fault("E552") from None
        except OverflowError:
            raise at.fault("E554", what="this power") from None
        if isinstance(value, complex):
            problem = "a negative number has no power with a fraction"
            raise at.fault("E557", problem=problem, mend="take the power of a number that is not negative")
        return float(value)

    return compute


def unary(k: Compiler, expr: s.Unary, parts: Sequence[Ev]) -> Ev:
    """`not`, `-` and `+`."""
    (operand,) = parts
    if expr.op == "not":
        return lambda slots: not operand(slots)
    return operand if expr.op == "+" else lambda slots: -operand(slots)


# ------------------------------------------------------------------------------------------------ comparisons


def compare(k: Compiler, expr: s.Compare, parts: Sequence[Ev]) -> Ev:
    """`==`, `in`, `<` and their kin."""
    left, right = parts
    kinds = k.checked.types[expr.left], k.checked.types[expr.right]
    if expr.op in ("in", "not in"):
        return _membership(expr.op == "in", left, right)
    if expr.op in ("==", "!="):
        return _equality(expr.op == "==", left, right, any(map(_composite, kinds)))
    apply = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[expr.op]
    return lambda slots: apply(left(slots), right(slots))


def _composite(kind: Type) -> bool:
    return any(isinstance(each, (ListOf, DictOf, TupleOf, RecordType)) for each in options(kind))


def _equality(equal: bool, left: Ev, right: Ev, composite: bool) -> Ev:
    def same(slots: Frame) -> bool:
        a, b = left(slots), right(slots)
        if composite:
            slots[FUEL] -= min(measure(a)[0], measure(b)[0]) >> 6
        return (a == b and (a.__class__ is bool) is (b.__class__ is bool)) is equal

    return same


def _membership(inside: bool, left: Ev, right: Ev) -> Ev:
    def found(slots: Frame) -> bool:
        part, holder = left(slots), right(slots)
        slots[FUEL] -= len(holder) >> 8
        return (part in holder) is inside

    return found


def is_type(k: Compiler, expr: s.IsType, parts: Sequence[Ev]) -> Ev:
    """`x is T`, asked of the value."""
    (value,) = parts
    kind, linker = k.checked.is_types[expr], k.linker
    return lambda slots: holds(value(slots), kind, linker.shape)


# ------------------------------------------------------------------------------------------------ conversions


def converted(k: Compiler, expr: s.Node, run: Ev, target: Type) -> Ev:
    """The value as a float, or checked to be a probability."""
    assert target in (FLOAT, PROB)
    checked, at = target == PROB, Place(k.source, expr.span)

    def convert(slots: Frame) -> float:
        try:
            value = float(run(slots))
        except OverflowError:
            raise at.fault("E554", what="this number") from None
        if checked and not 0.0 <= value <= 1.0:
            raise at.fault("E553", value=repr(value))
        return value

    return convert
