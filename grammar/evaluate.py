"""Expressions as Python closures over a frame: literals, names, parts, texts, containers.

A frame is a list of slots: slot 0 holds the fuel that is left, the others variables and temporaries. An `Ev`
reads it and gives a value. A rule here is given the closures of an expression's operands, so that it serves
both ways: with operands that are closures too (nothing in it draws or calls), and with operands that the
machine computed before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from grammar import syntax as s
from grammar.chats import Chat
from grammar.diagnostics import Source
from grammar.faults import Exhausted, Fault, Fuel, RunFault, located
from grammar.grammars import Pattern
from grammar.primitives import checked_list, checked_text
from grammar.primitives_text import show
from grammar.symbols import ConstSymbol, ExternSymbol, FunctionSymbol, Local, ModelSymbol, Symbol
from grammar.type_relations import assignable
from grammar.types import CHAT, STR, DictOf, RecordType, TupleOf, Type
from grammar.values import Dict, Record
from grammar.vectors import List

if TYPE_CHECKING:
    from grammar.compile import Compiler

Frame = list[Any]
Ev = Callable[[Frame], Any]
FUEL = 0


def constant(value: Any) -> Ev:
    """The same value in every frame."""
    return lambda slots: value


def slot(index: int) -> Ev:
    """The value of a variable or temporary."""
    return itemgetter(index)


class Place(NamedTuple):
    """Where an expression stands, for what may go wrong in it."""

    source: Source
    span: s.Span

    def fault(self, code: str, **words: Any) -> RunFault:
        return located(Fault(code, **words), self.source, self.span)


def at_place(k: Compiler, expr: s.Node, run: Ev) -> Ev:
    """`run`, whose faults are told at the place of `expr`."""
    source, span = k.source, expr.span

    def located_run(slots: Frame) -> Any:
        try:
            return run(slots)
        except Fault as fault:
            raise located(fault, source, span) from None

    return located_run


# ------------------------------------------------------------------------------------------- literals, names


def literal(k: Compiler, expr: Any, parts: Sequence[Ev]) -> Ev:
    """Numbers, `true`, `false` and `none`."""
    return constant(expr.value)


def text(k: Compiler, expr: s.Text, parts: Sequence[Ev]) -> Ev:
    """A text with its holes filled in."""
    if expr.literal is not None:
        return constant(str(expr.literal))
    holes = iter(parts)
    pieces: list[str | Ev] = [str(part) if isinstance(part, str) else next(holes) for part in expr.parts]
    fuel = k.fuel

    def interpolate(slots: Frame) -> str:
        shown = [piece if isinstance(piece, str) else show(piece(slots)) for piece in pieces]
        return checked_text("".join(shown), fuel)

    return interpolate


def name(k: Compiler, expr: s.Name, parts: Sequence[Ev]) -> Ev:
    """The value that a name stands for where it is used."""
    return named(k, k.checked.names[expr])


def named(k: Compiler, symbol: Symbol) -> Ev:
    """The value that a name stands for."""
    if isinstance(symbol, Local):
        return slot(k.slot_of(symbol))
    if isinstance(symbol, ConstSymbol):
        return constant(k.linker.constant(symbol))
    if isinstance(symbol, ModelSymbol):
        return constant(k.linker.model(symbol))
    if isinstance(symbol, (FunctionSymbol, ExternSymbol)):
        return constant(k.linker.callable(symbol))
    raise TypeError(symbol)


def member(k: Compiler, expr: s.Member, parts: Sequence[Ev]) -> Ev:
    """A name of an imported file, a record's field, or a reading of a result."""
    if expr in k.checked.members:
        return named(k, k.checked.members[expr])
    kind = k.checked.types[expr.value]
    (value,) = parts
    if isinstance(kind, RecordType):
        place = list(kind.fields).index(expr.name.name)
        return lambda slots: value(slots)._values[place]
    field = expr.name.name  # of a result, in a test
    return lambda slots: _listed(getattr(value(slots), field))


def _listed(found: Any) -> Any:
    """A result's reading as a value of the language."""
    if hasattr(found, "tolist") and not isinstance(found, List):
        found = found.tolist()
    return List(found) if isinstance(found, list) else found


# ------------------------------------------------------------------------------------------------ containers


def list_of(k: Compiler, expr: s.ListExpr, parts: Sequence[Ev]) -> Ev:
    """`[a, b]`, its items in order."""
    fuel = k.fuel
    return lambda slots: checked_list(List([part(slots) for part in parts]), fuel)


def tuple_of(k: Compiler, expr: s.TupleExpr, parts: Sequence[Ev]) -> Ev:
    """`(a, b)`, its items in order."""
    return lambda slots: tuple([part(slots) for part in parts])


def dict_of(k: Compiler, expr: s.DictExpr, parts: Sequence[Ev]) -> Ev:
    """`{k: v}`; of equal keys the last one counts."""
    keys, values = parts[0::2], parts[1::2]
    return lambda slots: Dict([(key(slots), value(slots)) for key, value in zip(keys, values, strict=True)])


def chat(k: Compiler, expr: s.ChatExpr, parts: Sequence[Ev]) -> Ev:
    """`chat { ... }`: one turn a line; an assistant turn at the end stays open, for the model to go on with."""
    roles = [turn.role.name for turn in expr.turns]
    opens = bool(roles) and roles[-1] in ("assistant", "prefill")
    roles = ["assistant" if role == "prefill" else role for role in roles]
    fuel = k.fuel

    def build(slots: Frame) -> Chat:
        texts = [part(slots) for part in parts]
        turns = tuple((role, (each,)) for role, each in zip(roles, texts, strict=True))
        if opens and len(turns) > 1:
            return Chat(turns[:-1]).plus_text(texts[-1], fuel)
        built = Chat(turns)
        if built.length > fuel.max_text:
            raise Exhausted(f"max_text: a chat is longer than {fuel.max_text} characters")
        return built

    return build


def index(k: Compiler, expr: s.Index, parts: Sequence[Ev]) -> Ev:
    """`xs[i]` and `d[k]`; a fault where there is nothing."""
    kind = k.checked.types[expr.value]
    value, key = parts
    what = k.quoted(expr.value)
    if isinstance(kind, TupleOf):
        return lambda slots: value(slots)[key(slots)]
    if isinstance(kind, DictOf):

        def look_up(slots: Frame) -> Any:
            holder, wanted = value(slots), key(slots)
            try:
                return holder[wanted]
            except KeyError:
                raise Fault("E551", key=_quoted(wanted)) from None

        return at_place(k, expr, look_up)

    def item(slots: Frame) -> Any:
        holder, wanted = value(slots), key(slots)
        try:
            return holder[wanted]
        except IndexError:
            length = f"{len(holder)} {'characters' if isinstance(holder, str) else 'items'}"
            raise Fault("E550", index=wanted, what=what, length=length) from None

    return at_place(k, expr, item)


def _quoted(key: Any) -> str:
    return f'"{key}"' if isinstance(key, str) else show(key)


def part(k: Compiler, expr: s.Slice, parts: Sequence[Ev]) -> Ev:
    """`xs[a:b]`, as in Python: bounds beyond the ends are the ends."""
    value, *bounds = parts
    rest = iter(bounds)
    nothing = constant(None)
    start = next(rest) if expr.start is not None else nothing
    stop = next(rest) if expr.stop is not None else nothing

    def cut(slots: Frame) -> Any:
        holder = value(slots)
        slots[FUEL] -= len(holder) >> 6
        return holder[start(slots) : stop(slots)]

    return cut


def update(k: Compiler, expr: s.RecordUpdate, parts: Sequence[Ev]) -> Ev:
    """`r with {f: v}`: a changed copy."""
    record, *values = parts
    kind = k.checked.types[expr.record]
    assert isinstance(kind, RecordType)
    fields = list(kind.fields)
    places = [fields.index(each.name.name) for each in expr.updates]

    def change(slots: Frame) -> Record:
        changed = zip(places, [value(slots) for value in values], strict=True)
        return k.linker.checked_record(record(slots).changed(changed))

    return change


def pattern(k: Compiler, expr: s.Regex, parts: Sequence[Ev]) -> Ev:
    """`re"..."`, compiled once."""
    return constant(Pattern(expr.pattern))


# ------------------------------------------------------------------------------------------------------ sums


def joined(k: Compiler, place: s.Node, left: Ev, right: Ev, kinds: tuple[Type, Type], written: s.Expr) -> Ev:
    """`+` of texts, lists, dicts and chats; `written` is the right side's expression."""
    fuel = k.fuel
    if assignable(kinds[0], STR):

        def concatenate(slots: Frame) -> str:
            whole: str = left(slots) + right(slots)
            slots[FUEL] -= len(whole) >> 12
            return whole if len(whole) <= fuel.max_text else checked_text(whole, fuel)

        return concatenate
    if kinds[0] == CHAT:
        if kinds[1] == CHAT:
            return at_place(k, place, lambda slots: left(slots).plus_chat(right(slots)))
        return lambda slots: left(slots).plus_text(right(slots), fuel)
    if isinstance(kinds[0], DictOf):
        return lambda slots: k.linker.checked_dict(left(slots).plus(right(slots)))
    if isinstance(written, s.ListExpr) and len(written.items) == 1 and not k.busy(written):
        return _appended(left, k.direct(written.items[0]), fuel)

    def extend(slots: Frame) -> List:
        added = right(slots)
        slots[FUEL] -= len(added) >> 6
        return checked_list(left(slots).plus(added), fuel)

    return extend


def _appended(left: Ev, item: Ev, fuel: Fuel) -> Ev:
    """`xs + [x]`, the way lists grow."""

    def append(slots: Frame) -> List:
        grown: List = left(slots).append(item(slots))
        checked = len(grown) <= fuel.max_list and grown._depth == 1
        return grown if checked else checked_list(grown, fuel)

    return append
