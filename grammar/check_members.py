"""`value.name`: fields of records and results, and methods that a value does not have."""

from __future__ import annotations

from grammar import syntax as s
from grammar.builtins import (
    DIST_METHODS,
    FUNCTIONS,
    MODEL_METHODS,
    POSTERIOR_FIELDS,
    POSTERIOR_METHODS,
    REWARD_METHODS,
    TRACE_FIELDS,
    WEIGHTED_ONLY,
)
from grammar.check_context import Checker, closest_hint
from grammar.check_fit import missing
from grammar.signatures import substitute
from grammar.symbols import ExternSymbol, FunctionSymbol
from grammar.type_names import show, with_article
from grammar.type_relations import without
from grammar.types import NONE, UNKNOWN, BestOf, DictOf, DistOf, PosteriorOf, RecordType, Type, options

FOREIGN_METHODS = {
    "append": "values never change; write `{value} = {value} + [item]`, or `{value} += [item]`",
    "extend": "values never change; write `{value} += items`",
    "pop": "values never change; write `{value}[:-1]` for all but the last item",
    "sort": "write `{value} = sorted({value})`",
    "format": 'put values into the text: "${{value}}"',
    "items": "write `for k in {value}` and `{value}[k]`",
    "keys": "a loop over a dict goes over its keys: `for k in {value}`",
    "values": "write `[{value}[k] for k in {value}]`",
    "update": "write `{value} + {{key: value}}`; the right side wins",
    "startswith": "write `{value}.starts_with(...)`",
    "endswith": "write `{value}.ends_with(...)`",
    "length": "write `len({value})`",
    "size": "write `len({value})`",
    "trim": "write `{value}.strip()`",
    "toString": "write `str({value})`",
    "tolower": "write `{value}.lower()`",
    "toLowerCase": "write `{value}.lower()`",
    "downcase": "write `{value}.lower()`",
    "toUpperCase": "write `{value}.upper()`",
    "upcase": "write `{value}.upper()`",
    "splitlines": "write `{value}.lines()`",
    "includes": "write `part in {value}`",
    "has": "write `part in {value}`",
    "has_key": "write `key in {value}`",
    "add": "values never change; write `{value} += [item]`",
    "insert": "values never change; write `{value}[:i] + [item] + {value}[i:]`",
    "remove": "values never change; write `[x for x in {value} if x != item]`",
    "reverse": "write `reversed({value})`",
    "substring": "write `{value}[start:stop]`",
    "map": "write `[f(x) for x in {value}]`",
    "filter": "write `[x for x in {value} if condition]`",
    "push": "values never change; write `{value} += [item]`",
    "index": "write `{value}.find(part)`; it is none where there is no such part",
    "isdigit": 'write `re"[0-9]+".matches({value})`',
    "match": 'write `re"...".matches({value})`, or `re"...".first_match({value})`',
    "log": "write `log({value})`",
}
"""What other languages call a method, and what to write here."""


def field_of(c: Checker, expr: s.Member, kind: Type) -> Type:
    """The type of `value.name` where it is not called."""
    name = expr.name.name
    if kind == UNKNOWN:
        return UNKNOWN
    if isinstance(kind, RecordType):
        if name in kind.fields:
            return kind.fields[name].type
        no_field(c, expr.name, kind)
    elif isinstance(kind, (PosteriorOf, BestOf)):
        return _result_field(c, expr, kind)
    elif NONE in options(kind) and isinstance(without(kind, NONE), RecordType):
        missing(c, expr.value, kind)
    elif isinstance(kind, DistOf):
        if name in DIST_METHODS:
            c.report(
                "E214", expr.name, what=f"'{name}' is a method", hint=f"call it: `{c.quoted(expr)}(...)`"
            )
        else:
            c.drawn_by_mistake(expr.value, kind)
    elif name in FUNCTIONS or name in MODEL_METHODS or name in REWARD_METHODS:
        c.report("E214", expr.name, what=f"'{name}' is a method", hint=f"call it: `{c.quoted(expr)}(...)`")
    elif isinstance(kind, DictOf):
        c.report(
            "E214",
            expr.name,
            what=f"a dict has no field '{name}'",
            hint=f'write `{c.quoted(expr.value)}["{name}"]`',
        )
    else:
        no_method(c, expr, kind, "field")
    return UNKNOWN


def no_field(c: Checker, name: s.Identifier, kind: RecordType) -> None:
    """Report a field that is not there, with the closest one that is."""
    hint = closest_hint(name.name, kind.fields) or f"its fields are {', '.join(kind.fields)}"
    c.report("E214", name, what=f"'{kind.name}' has no field '{name.name}'", hint=hint)


def _result_field(c: Checker, expr: s.Member, kind: PosteriorOf | BestOf) -> Type:
    name = expr.name.name
    fields = POSTERIOR_FIELDS if isinstance(kind, PosteriorOf) else TRACE_FIELDS
    if isinstance(kind, PosteriorOf) and name == "best":
        return BestOf(kind.value)
    if name in fields:
        if name in WEIGHTED_ONLY and isinstance(kind, PosteriorOf) and not kind.evidence:
            c.report("E445", expr.name, name=name)
        return substitute(fields[name], {"T": kind.value})
    if name in POSTERIOR_METHODS:
        c.report("E214", expr.name, what=f"'{name}' is a method", hint=f"call it: `{c.quoted(expr)}(...)`")
        return UNKNOWN
    known = [*fields, *(["best", *POSTERIOR_METHODS] if isinstance(kind, PosteriorOf) else [])]
    hint = closest_hint(name, known) or f"it has {', '.join(known)}"
    c.report("E214", expr.name, what=f"a {show(kind)} has no '{name}'", hint=hint)
    return UNKNOWN


def no_method(c: Checker, callee: s.Member, kind: Type, word: str = "method") -> None:
    """Report a method, or a field, that no value of this type has."""
    name, value = callee.name.name, c.quoted(callee.value)
    symbol = c.lookup(name)
    if isinstance(kind, RecordType):
        no_field(c, callee.name, kind)
        return
    if name in FOREIGN_METHODS:
        hint: str | None = FOREIGN_METHODS[name].format(value=value)
    elif isinstance(symbol, (FunctionSymbol, ExternSymbol)):
        hint = f"only built-in functions are also methods; write `{name}({value}, ...)`"
    else:
        hint = closest_hint(name, FUNCTIONS)
    c.report(
        "E214",
        callee.name,
        what=f"{with_article(kind)} has no {word} '{name}'",
        hint=hint or "docs/language.md lists the built-in functions",
    )
