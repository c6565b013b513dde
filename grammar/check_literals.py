"""Literals: texts, patterns, lists, tuples, dicts and chats."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import need_shown
from grammar.check_infer import check, dict_asked, infer, item_asked, items
from grammar.check_types import hashable
from grammar.patterns import bad_pattern, bad_rules
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    INT,
    REGEX,
    STR,
    UNKNOWN,
    DictOf,
    DistOf,
    ListOf,
    Literal,
    TupleOf,
    Type,
    options,
)


def text(c: Checker, expr: s.Text, want: Type | None) -> Type:
    """A text is a `str`, or its own literal type where that is asked for; holes show any value that can be shown."""
    for part in expr.parts:
        if not isinstance(part, str):
            need_shown(c, part, infer(c, part))
    if expr.literal is not None and want is not None and any(isinstance(o, Literal) for o in options(want)):
        literal = Literal(expr.literal)
        return STR if STR in options(want) else literal
    return STR


def regex(c: Checker, expr: s.Regex, want: Type | None) -> Type:
    """The pattern is tried here, so that its mistake stands at its place in the literal."""
    problem = bad_pattern(expr.pattern)
    if problem is not None:
        start = expr.span.start + 3 + problem.at
        c.report("E223", c.source.span(start, start + max(1, problem.length)), problem=problem.message)
    return REGEX


def rules(c: Checker, expr: s.Expr) -> None:
    """Rules that are written out as a text are tried here; a mistake stands at its place in them where it has one."""
    if not isinstance(expr, s.Text) or expr.literal is None:
        return
    problem = bad_rules(expr.literal)
    if problem is None:
        return
    begins = c.source.text.find(expr.literal, expr.span.start, expr.span.end)
    if begins < 0 or problem.length == len(expr.literal):  # written with escapes, or wrong as a whole
        line = expr.literal.count("\n", 0, problem.at) + 1
        c.report("E233", expr, problem=problem.message + (f" (in line {line} of them)" if line > 1 else ""))
        return
    start = min(begins + problem.at, expr.span.end - 1)
    c.report("E233", c.source.span(start, start + problem.length), problem=problem.message)


def list_(c: Checker, expr: s.ListExpr, want: Type | None) -> Type:
    """`[a, b]`: a list of what is asked for, or of what its items have in common."""
    return ListOf(items(c, expr.items, item_asked(want), "an item of this list"))


def tuple_(c: Checker, expr: s.TupleExpr, want: Type | None) -> Type:
    """`(a, b)`: each item by the type that its place asks for."""
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


def dict_(c: Checker, expr: s.DictExpr, want: Type | None) -> Type:
    """`{k: v}`: keys that can be compared, none of them written twice."""
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


def chat(c: Checker, expr: s.ChatExpr, want: Type | None) -> Type:
    """`chat { user t }`: every turn is a text."""
    for turn in expr.turns:
        found = infer(c, turn.value)
        if isinstance(found, DistOf):
            c.drawn_by_mistake(turn.value, found)
        elif not assignable(found, STR):
            name = c.quoted(turn.value)
            hint = f'write `{turn.role.name} "${{{name}}}"`' if found in (INT, FLOAT, BOOL) else None
            c.report("E310", turn.value, role=turn.role.name, found=show(found), hint=hint)
    return CHAT


