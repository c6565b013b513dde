"""What a condition tells about the variables in it: `x != none`, `x is T`, `x == "text"`, joined by and, or, not."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.symbols import Local
from grammar.type_relations import union, within, without
from grammar.types import NONE, Literal, Type


def assume(c: Checker, condition: s.Expr, truth: bool) -> None:
    """Narrow the variables of a checked condition, given that it came out as `truth`."""
    match condition:
        case s.Unary(op="not"):
            assume(c, condition.operand, not truth)
        case s.Logical() if (condition.op == "and") == truth:
            assume(c, condition.left, truth)
            assume(c, condition.right, truth)
        case s.IsType():
            _learn(c, condition.value, c.module.is_types.get(condition), truth)
        case s.Compare(op="==" | "!="):
            for value, other in ((condition.left, condition.right), (condition.right, condition.left)):
                _learn(c, value, _one_value(other), truth == (condition.op == "=="))


def _one_value(expr: s.Expr) -> Type | None:
    """The type that has this expression's value only."""
    if isinstance(expr, s.NoneLiteral):
        return NONE
    if isinstance(expr, s.Text) and expr.literal is not None:
        return Literal(expr.literal)
    return None


def _learn(c: Checker, value: s.Expr, part: Type | None, truth: bool) -> None:
    local = c.module.names.get(value)
    if part is None or not isinstance(local, Local):
        return
    known = c.type_of(local)
    c.narrow(local, within(known, part) if truth else without(known, part))


def settle(c: Checker, ends: list[dict[Local, Type]]) -> None:
    """After branches that meet again: a variable has the types it has at the end of any of them.

    Each of `ends` is what was learnt in a branch that reaches the meeting point, by now forgotten.
    """
    met: dict[Local, list[Type]] = {}
    for end in ends:
        for local, kind in end.items():
            met.setdefault(local, []).append(kind)
    for local, kinds in met.items():
        others = [c.type_of(local)] if len(kinds) < len(ends) else []
        c.narrow(local, union(dict.fromkeys([*kinds, *others])))
