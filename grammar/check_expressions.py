"""Expressions: their types, from the inside out, with what is asked for from the outside in.

`infer(c, expr, want)` gives the type of an expression. `want` is the type that its place asks for, or None; it decides
what an empty list is, whether a text keeps its literal type, and whether an integer in a list is a float, but nothing
is compared with it here: `check` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grammar import check_access, check_binders, check_calls, check_operators, check_sites
from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import fit, need_bool, need_shown
from grammar.check_members import field_of
from grammar.check_narrowing import assume
from grammar.check_types import hashable, imported_member
from grammar.patterns import bad_pattern
from grammar.symbols import (
    ConstSymbol,
    ExternSymbol,
    FunctionSymbol,
    Local,
    ModelSymbol,
    ModuleSymbol,
    Symbol,
    TypeSymbol,
)
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    INT,
    MAX_SIZE,
    NEVER,
    NONE,
    REGEX,
    STR,
    UNKNOWN,
    DictOf,
    DistOf,
    Function,
    ListOf,
    Literal,
    TupleOf,
    Type,
    assignable,
    mentions,
    merge,
    options,
    show,
    size,
)


def check(c: Checker, expr: s.Expr, want: Type, place: str) -> Type:
    """Check that an expression may stand where a `want` is asked for; `place` names that in a message."""
    found = infer(c, expr, want)
    fit(c, expr, found, want, place)
    return found


def infer(c: Checker, expr: s.Expr, want: Type | None = None) -> Type:
    """The type of an expression; UNKNOWN where something was reported."""
    kind = _RULES[type(expr)](c, expr, want)
    if kind not in _SMALL and size(kind) > MAX_SIZE:
        c.report("E229", expr, what="the type of this value", limit=MAX_SIZE)
        kind = UNKNOWN
    c.module.types[expr] = kind
    return kind


_SMALL = frozenset({INT, FLOAT, BOOL, STR, NONE, CHAT, UNKNOWN})


# ------------------------------------------------------------------------------------------------- literals


def _text(c: Checker, expr: s.Text, want: Type | None) -> Type:
    for part in expr.parts:
        if not isinstance(part, str):
            need_shown(c, part, infer(c, part))
    if expr.literal is not None and want is not None and any(isinstance(o, Literal) for o in options(want)):
        literal = Literal(expr.literal)
        return STR if STR in options(want) else literal
    return STR


def _regex(c: Checker, expr: s.Regex, want: Type | None) -> Type:
    problem = bad_pattern(expr.pattern)
    if problem is not None:
        start = expr.span.start + 3 + problem.at
        c.report("E223", c.source.span(start, start + max(1, problem.length)), problem=problem.message)
    return REGEX


def _list(c: Checker, expr: s.ListExpr, want: Type | None) -> Type:
    return ListOf(items(c, expr.items, item_asked(want), "an item of this list"))


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
    lists = [o for o in options(want) if isinstance(o, ListOf)] if want is not None else []
    return lists[0].item if len(lists) == 1 else None


def _tuple(c: Checker, expr: s.TupleExpr, want: Type | None) -> Type:
    asked = (
        [o for o in options(want) if isinstance(o, TupleOf) and len(o.items) == len(expr.items)]
        if want
        else []
    )
    if len(asked) != 1:
        return TupleOf(tuple(infer(c, item) for item in expr.items))
    for item, kind in zip(expr.items, asked[0].items):
        check(c, item, kind, "an item of this tuple")
    return asked[0]


def _dict(c: Checker, expr: s.DictExpr, want: Type | None) -> Type:
    asked = dict_asked(want)
    keys = tuple(entry.key for entry in expr.entries)
    values = tuple(entry.value for entry in expr.entries)
    _report_doubles(c, keys)
    key = items(c, keys, asked and asked.key, "a key of this dict")
    value = items(c, values, asked and asked.value, "a value of this dict")
    if not hashable(key):
        c.report("E224", keys[0], found=show(key))
        return UNKNOWN
    return DictOf(key, value)


def dict_asked(want: Type | None) -> DictOf | None:
    dicts = [o for o in options(want) if isinstance(o, DictOf)] if want is not None else []
    return dicts[0] if len(dicts) == 1 else None


def _report_doubles(c: Checker, keys: tuple[s.Expr, ...]) -> None:
    seen: set[object] = set()
    for key in keys:
        value = (
            key.literal
            if isinstance(key, s.Text)
            else key.value
            if isinstance(key, (s.IntLiteral, s.BoolLiteral))
            else None
        )
        if value is not None and (type(value), value) in seen:
            c.report("E111", key, what=f"key {c.quoted(key)}", where="this dict")
        seen.add((type(value), value))


def _chat(c: Checker, expr: s.ChatExpr, want: Type | None) -> Type:
    for turn in expr.turns:
        found = infer(c, turn.value)
        if isinstance(found, DistOf):
            c.drawn_by_mistake(turn.value, found)
        elif not assignable(found, STR):
            name = c.quoted(turn.value)
            hint = f'write `{turn.role.name} "${{{name}}}"`' if found in (INT, FLOAT, BOOL) else None
            c.report("E310", turn.value, role=turn.role.name, found=show(found), hint=hint)
    return CHAT


# ---------------------------------------------------------------------------------------------------- names


def _name(c: Checker, expr: s.Name, want: Type | None) -> Type:
    symbol = c.use(expr)
    return UNKNOWN if symbol is None else value_of(c, expr, symbol)


def value_of(c: Checker, expr: s.Expr, symbol: Symbol) -> Type:
    """The type of a name where it is used as a value."""
    if isinstance(symbol, Local):
        return c.value_type(symbol)
    if c.fixed and isinstance(symbol, (FunctionSymbol, ExternSymbol, ModelSymbol)):
        c.report("E109", expr, place=c.fixed, name=symbol.name)
        return UNKNOWN
    match symbol:
        case ConstSymbol():
            if not symbol.ready:
                c.report("E107", expr, name=symbol.name, line=symbol.decl.span.line)
            return symbol.type
        case FunctionSymbol() | ExternSymbol():
            c.body.facts.mentions[symbol] = None
            return Function(tuple(p.type for p in symbol.params), symbol.result)
        case ModelSymbol():
            return symbol.type
        case TypeSymbol():
            hint = (
                f"write `{symbol.name}(...)` for a value of it"
                if symbol.record
                else "it stands behind ':' or 'is' only"
            )
            c.report("E112", expr, name=symbol.name, what="a type", hint=hint)
        case ModuleSymbol():
            c.report(
                "E112", expr, name=symbol.name, what="an imported file", hint=f"write `{symbol.name}.name`"
            )
        case _:
            c.report(
                "E112",
                expr,
                name=symbol.name,
                what="a built-in function",
                hint=f"call it, or write `fn(x: ...) => {symbol.name}(x)`",
            )
    return UNKNOWN


def module_member(c: Checker, expr: s.Expr) -> tuple[bool, Symbol | None]:
    """Whether an expression is `alias.name` of an imported file, and what that is (None if it was reported)."""
    if not isinstance(expr, s.Member) or not isinstance(expr.value, s.Name):
        return False, None
    alias = c.lookup(expr.value.name)
    if not isinstance(alias, ModuleSymbol):
        return False, None
    c.use(expr.value)
    symbol = imported_member(c, alias.module, alias.name, expr.name)
    if symbol is not None:
        c.module.members[expr] = symbol
    return True, symbol


def _member(c: Checker, expr: s.Member, want: Type | None) -> Type:
    qualified, symbol = module_member(c, expr)
    if qualified:
        return UNKNOWN if symbol is None else value_of(c, expr, symbol)
    kind = infer(c, expr.value)
    return field_of(c, expr, kind)


# ------------------------------------------------------------------------------------------------ conditions


def _conditional(c: Checker, expr: s.Conditional, want: Type | None) -> Type:
    condition(c, expr.condition, "the condition of this `if`")
    branches, kinds = (expr.then, expr.otherwise), []
    for branch, truth in zip(branches, (True, False)):
        mark = c.mark()
        assume(c, expr.condition, truth)
        kinds.append(infer(c, branch, want))
        c.undo(mark)
    merged = merge(*kinds)
    if merged is None and want is not None:
        for branch, kind in zip(branches, kinds):
            fit(c, branch, kind, want, "this branch")
        return want
    if merged is None:
        c.report(
            "E228",
            expr.otherwise,
            place="the value after `else`",
            first=show(kinds[0]),
            second=show(kinds[1]),
        )
        return UNKNOWN
    for branch, kind in zip(branches, kinds):
        fit(c, branch, kind, merged, "this branch")
    return merged


def condition(c: Checker, expr: s.Expr, place: str) -> None:
    need_bool(c, expr, infer(c, expr), place)


_RULES: dict[type, Callable[[Checker, Any, Type | None], Type]] = {
    s.Name: _name,
    s.IntLiteral: lambda c, expr, want: INT,
    s.FloatLiteral: lambda c, expr, want: FLOAT,
    s.BoolLiteral: lambda c, expr, want: BOOL,
    s.NoneLiteral: lambda c, expr, want: NONE,
    s.Text: _text,
    s.Regex: _regex,
    s.ListExpr: _list,
    s.TupleExpr: _tuple,
    s.DictExpr: _dict,
    s.Comprehension: lambda c, expr, want: check_binders.comprehension(c, expr, want),
    s.ChatExpr: _chat,
    s.Unary: lambda c, expr, want: check_operators.unary(c, expr),
    s.Binary: lambda c, expr, want: check_operators.binary(c, expr, want),
    s.Compare: lambda c, expr, want: check_operators.compare(c, expr),
    s.Logical: lambda c, expr, want: check_operators.logical(c, expr, want),
    s.IsType: lambda c, expr, want: check_operators.is_type(c, expr),
    s.Conditional: _conditional,
    s.Lambda: lambda c, expr, want: check_binders.function(c, expr, want),
    s.Call: lambda c, expr, want: check_calls.call(c, expr, want),
    s.Member: _member,
    s.Index: lambda c, expr, want: check_access.index(c, expr),
    s.Slice: lambda c, expr, want: check_access.part(c, expr),
    s.RecordUpdate: lambda c, expr, want: check_access.update(c, expr),
    s.Sample: lambda c, expr, want: check_sites.check_sample(c, expr),
}
