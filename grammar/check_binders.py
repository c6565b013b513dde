"""Forms that give names to values: comprehensions, functions without a name, and the targets of `let` and `for`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import fit, missing
from grammar.check_infer import condition, dict_asked, infer, item_asked, items
from grammar.check_narrowing import assume
from grammar.check_types import hashable, resolve
from grammar.symbols import Local
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import INT, NONE, STR, UNKNOWN, DictOf, DistOf, Function, ListOf, TupleOf, Type, options


def comprehension(c: Checker, expr: s.Comprehension, want: Type | None) -> Type:
    """`[e for x in xs if c]`: e and c are checked with x as an item of xs, in a block of their own."""
    item = iterated(c, expr.iterable)
    mark = c.mark()
    with block(c):
        bind_targets(c, expr.targets, item, "loop", expr.iterable)
        if expr.condition is not None:
            condition(c, expr.condition, "the condition of this comprehension")
            assume(c, expr.condition, True)
        kind = _element(c, expr.element, want)
    c.undo(mark)
    return kind


def _element(c: Checker, element: s.Expr | s.Entry, want: Type | None) -> Type:
    if not isinstance(element, s.Entry):
        return ListOf(
            items(c, (element,), item_asked(want), "an item of this list")
        )
    asked = dict_asked(want)
    key = items(c, (element.key,), asked and asked.key, "a key of this dict")
    value = items(c, (element.value,), asked and asked.value, "a value of this dict")
    if not hashable(key):
        c.report("E224", element.key, found=show(key))
        return UNKNOWN
    return DictOf(key, value)


@contextmanager
def block(c: Checker) -> Iterator[None]:
    """Names bound inside are gone behind it."""
    c.open_block()
    try:
        yield
    finally:
        c.close_block()


def iterated(c: Checker, expr: s.Expr) -> Type:
    """What a loop over `expr` gives: items of a list, keys of a dict."""
    kind = infer(c, expr)
    if isinstance(kind, ListOf):
        return kind.item
    if isinstance(kind, DictOf):
        return kind.key
    if kind == UNKNOWN:
        return UNKNOWN
    name = c.quoted(expr)
    if isinstance(kind, DistOf):
        c.drawn_by_mistake(expr, kind)
    elif NONE in options(kind) and kind != NONE:
        missing(c, expr, kind)
    elif kind == INT:
        c.report("E216", expr, found=show(kind), hint=f"write `range({name})` to count from 0 to {name} - 1")
    elif assignable(kind, STR):
        c.report(
            "E216",
            expr,
            found=show(kind),
            hint=f"write `split({name})` for its words, or `lines`, `letters`, `numbers`",
        )
    else:
        c.report(
            "E216", expr, found=show(kind), hint="a loop goes over a list, the keys of a dict or a range"
        )
    return UNKNOWN


def bind_targets(c: Checker, targets: tuple[s.Identifier, ...], kind: Type, how: Any, value: s.Expr) -> None:
    """Declare the names that take a value apart, or the one that takes it whole."""
    if len(targets) == 1:
        given = value if how == "let" else None
        c.declare(targets[0], Local(targets[0].name, kind, targets[0].span, how, given))
        return
    items: tuple[Type, ...] = (UNKNOWN,) * len(targets)
    if isinstance(kind, TupleOf) and len(kind.items) == len(targets):
        items = kind.items
    elif isinstance(kind, DistOf):
        c.drawn_by_mistake(value, kind)
    elif kind != UNKNOWN:
        _report_unpacking(c, targets, kind, value)
    for target, item in zip(targets, items):
        c.declare(target, Local(target.name, item, target.span, how))


def _report_unpacking(c: Checker, targets: tuple[s.Identifier, ...], kind: Type, value: s.Expr) -> None:
    place = c.source.span(targets[0].span.start, targets[-1].span.end)
    hint = f"the value is {show(kind)}"
    if isinstance(kind, ListOf):
        hint = "a list has no fixed length; take its items by index: `xs[0]`, `xs[1]`"
    elif isinstance(c.module.types.get(value), DictOf):
        hint = "a loop over a dict gives its keys: `for k in d { let v = d[k] ... }`"
    elif isinstance(kind, TupleOf):
        hint = f"it has {len(kind.items)} items; write `_` for one that is not needed"
    c.report("E217", place, count=len(targets), found=show(kind), hint=hint)


def function(c: Checker, expr: s.Lambda, want: Type | None) -> Type:
    """`fn(x: T) => e`: what the place asks for fills in types that are not written."""
    mark = c.mark()
    with block(c):
        params = []
        for param in expr.params:
            kind = resolve(c, param.type)
            params.append(kind)
            if param.default is not None:
                c.report("E113", param.default, name=param.name.name)
                infer(c, param.default)
            c.declare(param.name, Local(param.name.name, kind, param.name.span, "parameter"))
        asked = (
            next((o.result for o in options(want) if isinstance(o, Function)), None)
            if want is not None
            else None
        )
        result = resolve(c, expr.result) if expr.result is not None else None
        found = infer(c, expr.body, result or asked)
        if result is not None:
            fit(c, expr.body, found, result, "the value of this fn")
    c.undo(mark)
    return Function(tuple(params), result if result is not None else found)
