"""The type of an expression, from the inside out, with what is asked for from the outside in.

`infer(c, expr, want)` gives the type of an expression by the rule of its form, which the checker holds
(`check_forms.RULES`), so that the modules of forms need not know one another. `want` is the type that its place asks
for, or None; it decides what an empty list is, whether a text keeps its literal type, and whether an integer in a list
is a float, but nothing is compared with it here: `check` does that.
"""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import fit, need_bool
from grammar.type_names import show
from grammar.type_relations import merge
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    INT,
    MAX_SIZE,
    NEVER,
    NONE,
    STR,
    UNKNOWN,
    DictOf,
    ListOf,
    Type,
    mentions,
    options,
    size,
)


def check(c: Checker, expr: s.Expr, want: Type, place: str) -> Type:
    """Check that an expression may stand where a `want` is asked for; `place` names that in a message."""
    found = infer(c, expr, want)
    fit(c, expr, found, want, place)
    return found


def infer(c: Checker, expr: s.Expr, want: Type | None = None) -> Type:
    """The type of an expression; UNKNOWN where something was reported."""
    kind = c.rules[type(expr)](c, expr, want)
    if kind not in _SMALL and size(kind) > MAX_SIZE:
        c.report("E229", expr, what="the type of this value", limit=MAX_SIZE)
        kind = UNKNOWN
    c.module.types[expr] = kind
    return kind


_SMALL = frozenset({INT, FLOAT, BOOL, STR, NONE, CHAT, UNKNOWN})


def items(c: Checker, exprs: tuple[s.Expr, ...], asked: Type | None, place: str) -> Type:
    """The type of several expressions in one place: what is asked for, or what they have in common."""
    if asked is None or mentions(asked, (UNKNOWN,)):
        return common(c, exprs, place, asked)
    for each in exprs:
        check(c, each, asked, place)
    return asked


def common(c: Checker, exprs: tuple[s.Expr, ...], place: str, want: Type | None = None) -> Type:
    """One type for several expressions; reports the first that has nothing in common with those before."""
    kinds = [infer(c, each, want) for each in exprs]
    merged: Type = NEVER
    for expr, kind in zip(exprs, kinds):
        joined = merge(merged, kind)
        if joined is None:
            c.report("E228", expr, place=place, first=show(merged), second=show(kind))
            return UNKNOWN
        merged = joined
    for expr, kind in zip(exprs, kinds):
        fit(c, expr, kind, merged, place)
    return merged


def item_asked(want: Type | None) -> Type | None:
    """What an item of a list has to be, where one list type is asked for."""
    lists = [o for o in options(want) if isinstance(o, ListOf)] if want is not None else []
    return lists[0].item if len(lists) == 1 else None


def dict_asked(want: Type | None) -> DictOf | None:
    """The dict that is asked for, where it is one."""
    dicts = [o for o in options(want) if isinstance(o, DictOf)] if want is not None else []
    return dicts[0] if len(dicts) == 1 else None


def condition(c: Checker, expr: s.Expr, place: str) -> None:
    """A condition is a `bool`; nothing else counts as true."""
    need_bool(c, expr, infer(c, expr), place)
