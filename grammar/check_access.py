"""Parts of values: `xs[i]`, `xs[a:b]`, `record with { field: value }`."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import fit, missing
from grammar.check_infer import check, infer
from grammar.check_members import no_field
from grammar.constants import folded_number
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import INT, NONE, STR, UNKNOWN, DictOf, DistOf, ListOf, RecordType, TupleOf, Type, options


def index(c: Checker, expr: s.Index) -> Type:
    """`xs[i]`: an item of a list or text, the value of a key of a dict, a fixed place of a tuple."""
    kind = infer(c, expr.value)
    if isinstance(kind, TupleOf):
        return _tuple_item(c, expr, kind)
    if isinstance(kind, DictOf):
        check(c, expr.index, kind.key, f"a key of '{c.quoted(expr.value)}'")
        return kind.value
    position = infer(c, expr.index)
    if not _sequence(c, expr.value, kind, "indexed"):
        return UNKNOWN
    fit(c, expr.index, position, INT, "an index")
    return kind.item if isinstance(kind, ListOf) else STR


def _tuple_item(c: Checker, expr: s.Index, kind: TupleOf) -> Type:
    infer(c, expr.index)
    place = folded_number(expr.index, c.constants)
    if not isinstance(place, int):
        c.report(
            "E215",
            expr.index,
            what=f"'{c.quoted(expr.value)}' is a tuple",
            problem="its index has to be a plain integer",
        )
    elif not -len(kind.items) <= place < len(kind.items):
        c.report(
            "E215",
            expr.index,
            what=f"'{c.quoted(expr.value)}' has {len(kind.items)} items",
            problem=f"there is no item {place}",
        )
    else:
        return kind.items[place]
    return UNKNOWN


def part(c: Checker, expr: s.Slice) -> Type:
    """`xs[a:b]`: a part of a list or text, of the same type."""
    kind = infer(c, expr.value)
    for bound in (expr.start, expr.stop):
        if bound is not None:
            check(c, bound, INT, "a bound of this slice")
    if not _sequence(c, expr.value, kind, "sliced"):
        return UNKNOWN
    return kind if isinstance(kind, ListOf) else STR


def _sequence(c: Checker, expr: s.Expr, kind: Type, done: str) -> bool:
    """Whether `kind` is a list or a text; reports what else it is."""
    if isinstance(kind, ListOf) or assignable(kind, STR) and kind != UNKNOWN:
        return True
    if kind == UNKNOWN:
        return False
    if isinstance(kind, DistOf):
        c.drawn_by_mistake(expr, kind)
    elif NONE in options(kind) and kind != NONE:
        missing(c, expr, kind)
    else:
        what = f"'{c.quoted(expr)}' is {show(kind)}"
        hint = f"its fields are read as `{c.quoted(expr)}.field`" if isinstance(kind, RecordType) else None
        c.report("E215", expr, what=what, problem=f"it cannot be {done}", hint=hint)
    return False


def update(c: Checker, expr: s.RecordUpdate) -> Type:
    """`r with {f: v}`: a record like r; every field exists, once, and takes what it is given."""
    kind = infer(c, expr.record)
    seen: set[str] = set()
    for each in expr.updates:
        name = each.name.name
        if name in seen:
            c.report("E111", each.name, what=f"field '{name}'", where="this `with`")
        seen.add(name)
        known = kind.fields.get(name) if isinstance(kind, RecordType) else None
        if known is not None:
            check(c, each.value, known.type, f"field '{name}'")
            continue
        infer(c, each.value)
        if isinstance(kind, RecordType):
            no_field(c, each.name, kind)
    if not isinstance(kind, RecordType) and kind != UNKNOWN:
        hint = (
            "for a dict write `d + {key: value}`" if isinstance(kind, DictOf) else "only records have fields"
        )
        c.report(
            "E214",
            expr.record,
            what=f"'{c.quoted(expr.record)}' is {show(kind)}: it has no fields to change",
            hint=hint,
        )
        return UNKNOWN
    return kind
