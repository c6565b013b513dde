"""Types as a reader writes them, for messages and pages."""

from __future__ import annotations

from grammar.type_relations import assignable
from grammar.types import (
    INT,
    NEVER,
    NONE,
    NUMBERS,
    STR,
    UNKNOWN,
    Basic,
    BestOf,
    DictOf,
    DistOf,
    Function,
    ListOf,
    Literal,
    PosteriorOf,
    RecordType,
    TupleOf,
    Type,
    Union,
    Var,
)


def show(kind: Type) -> str:
    """The type as a file writes it."""
    match kind:
        case Basic(name) | Var(name):
            return name
        case RecordType():
            return kind.name
        case Literal(value):
            return quote(value)
        case ListOf(item):
            return f"list[{show(item)}]"
        case DictOf(key, value):
            return f"dict[{show(key)}, {show(value)}]"
        case TupleOf(items):
            return f"({', '.join(map(show, items))})"
        case DistOf(value):
            return f"dist[{show(value)}]"
        case Function(params, result):
            return f"fn({', '.join(map(show, params))}) -> {show(result)}"
        case PosteriorOf():
            return "posterior"
        case BestOf():
            return "trace"
        case Union():
            return _show_union(kind)


def _show_union(kind: Union) -> str:
    if kind.members == NUMBERS:
        return "number"
    rest = [o for o in kind.options if o != NONE]
    if len(rest) < len(kind.options) and len(rest) == 1:
        return f"({show(rest[0])})?" if isinstance(rest[0], Function) else f"{show(rest[0])}?"
    shown = [f"({show(o)})" if isinstance(o, Function) else show(o) for o in kind.options]
    return " | ".join([*shown[:8], "..."] if len(shown) > 9 else shown)


def quote(text: str) -> str:
    """A text as a file writes it, shortened."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    for character, escape in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("\n", "\\n"),
        ("\t", "\\t"),
        ("\r", "\\r"),
        ("${", "\\${"),
    ):
        shown = shown.replace(character, escape)
    return f'"{shown}"'


def with_article(kind: Type) -> str:
    """ "a text", "an int": a value of a type in the middle of a sentence."""
    if assignable(kind, STR) and kind not in (NEVER, UNKNOWN):
        return "a text"
    if isinstance(kind, (ListOf, DictOf, DistOf)):
        return {ListOf: "a list", DictOf: "a dict", DistOf: "a distribution"}[type(kind)]
    if isinstance(kind, Basic) and kind != NONE:
        return f"{'an' if kind == INT else 'a'} {kind.name}"
    return "none" if kind == NONE else f"a value of type {show(kind)}"
