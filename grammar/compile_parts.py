"""Expressions that draw or call: taken apart into steps, from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grammar import evaluate_calls, instructions
from grammar import syntax as s
from grammar.builtins import Builtin
from grammar.evaluate import Ev, at_place, constant, slot
from grammar.machine import Step
from grammar.primitives import span
from grammar.symbols import FunctionSymbol, ResolvedCall
from grammar.types import DictOf
from grammar.values import Dict
from grammar.vectors import List

if TYPE_CHECKING:
    from grammar.compile import Compiler

_TRIVIAL = (s.Name, s.IntLiteral, s.FloatLiteral, s.BoolLiteral, s.NoneLiteral, s.Lambda)


def value(k: Compiler, expr: s.Expr) -> Ev:
    """The closure of a busy expression, behind its steps."""
    match expr:
        case s.Sample() | s.Call() if _is_step(k, expr):
            target = k.fresh()
            _into(k, expr, target)
            return slot(target)
        case s.Logical():
            return _logical(k, expr)
        case s.Conditional():
            return _conditional(k, expr)
        case s.Comprehension():
            return _comprehension(k, expr)
        case s.Call() if key_of(k.checked.calls[expr]) is not None:
            return _keyed(k, expr)
    return k.combined(expr, operands(k, k.operands(expr)))


def into(k: Compiler, expr: s.Expr, target: int) -> None:
    """Put the value of an expression into a slot."""
    if k.busy(expr) and _is_step(k, expr) and expr not in k.checked.conversions:
        _into(k, expr, target)
        return
    ev = k.value(expr)
    k.emit(lambda then: instructions.assign(target, ev, then), expr)


def give_back(k: Compiler, expr: s.Expr) -> None:
    """`return`: leave the function with the value."""
    ev = k.value(expr)
    k.emit(lambda then: instructions.give_back(ev), expr)


def operands(k: Compiler, exprs: Sequence[s.Expr]) -> list[Ev]:
    """Closures of several expressions; what stands before a busy one is evaluated before it."""
    last = max((i for i, each in enumerate(exprs) if k.busy(each)), default=-1)
    found = []
    for i, each in enumerate(exprs):
        ev = k.value(each)
        if i < last and not (isinstance(each, _TRIVIAL) and each not in k.checked.conversions):
            target = k.fresh()
            _keep(k, each, target, ev)
            ev = slot(target)
        found.append(ev)
    return found


def _keep(k: Compiler, place: s.Node, target: int, ev: Ev) -> None:
    k.emit(lambda then: instructions.assign(target, ev, then), place)


# ------------------------------------------------------------------------------------------ draws and calls


def _is_step(k: Compiler, expr: s.Expr) -> bool:
    return (
        isinstance(expr, s.Sample)
        or isinstance(expr, s.Call)
        and k.checked.calls[expr].kind in ("function", "value")
    )


def _into(k: Compiler, expr: s.Expr, target: int) -> None:
    if isinstance(expr, s.Sample):
        _sample(k, expr, target)
        return
    assert isinstance(expr, s.Call)
    resolved = k.checked.calls[expr]
    symbol = resolved.target
    if isinstance(symbol, FunctionSymbol):
        code = k.linker.code(symbol)
        given = iter(operands(k, [arg for arg in resolved.args if arg is not None]))
        args = [
            next(given) if arg is not None else constant(k.linker.default(symbol, param))
            for param, arg in zip(symbol.params, resolved.args, strict=True)
        ]
        k.emit(lambda then: instructions.call(code, args, target, then), expr)
        return
    function, *values = operands(k, evaluate_calls.operands_of_call(resolved))
    k.emit(lambda then: instructions.call_value(function, values, target, then), expr)


def _sample(k: Compiler, expr: s.Sample, target: int) -> None:
    name = str(k.site)
    exprs = [expr.distribution] if expr.proposal is None else [expr.distribution, expr.proposal]
    evs = operands(k, exprs)
    made = [
        i
        for i, each in enumerate(exprs)
        if not (isinstance(each, s.Name) or k.linker.is_constant(k.checked, each))
    ]
    places = {i: k.fresh() for i in made}
    for i in made[:-1]:
        _keep(k, exprs[i], places[i], evs[i])
    dist, *rest = [slot(places[i]) if i in places else ev for i, ev in enumerate(evs)]
    proposal = rest[0] if rest else None
    if not made:
        here = k.here()
        k.emit(lambda then: instructions.draw(name, dist, proposal, target, here, then), expr)
        return
    last, after = made[-1], k.here() + 1

    def prepared(then: int) -> Step:
        return instructions.prepare(
            places[last], evs[last], instructions.draw(name, dist, proposal, target, after, then + 1)
        )

    k.emit(prepared, expr)
    k.emit(lambda then: instructions.draw(name, dist, proposal, target, after, then), expr)


# -------------------------------------------------------------------------------------------------- branches


def _logical(k: Compiler, expr: s.Logical) -> Ev:
    """The right side is evaluated only where it decides."""
    target, end = k.fresh(), [0]
    into(k, expr.left, target)
    if k.has_default(expr):
        k.emit(lambda then: instructions.jump_unless_none(target, then, end[0]), expr)
    elif expr.op == "and":
        k.emit(lambda then: instructions.jump_unless(slot(target), then, end[0]), expr)
    else:
        k.emit(lambda then: instructions.jump_unless(slot(target), end[0], then), expr)
    into(k, expr.right, target)
    k.bind(end)
    return slot(target)


def _conditional(k: Compiler, expr: s.Conditional) -> Ev:
    target, other, end = k.fresh(), [0], [0]
    test = k.value(expr.condition)
    k.emit(lambda then: instructions.jump_unless(test, then, other[0]), expr.condition)
    into(k, expr.then, target)
    k.emit(lambda then: instructions.jump(end[0]), expr.then)
    k.bind(other)
    into(k, expr.otherwise, target)
    k.bind(end)
    return slot(target)


# ---------------------------------------------------------------------------------------------------- loops


def _comprehension(k: Compiler, expr: s.Comprehension) -> Ev:
    """A loop that appends to a list; of a dict, pairs that become one at the end."""
    built = k.fresh()
    items, index = start_loop(k, expr.iterable)
    k.emit(lambda then: instructions.assign(built, constant(List()), then), expr)
    again, end = [k.here()], [0]
    take = k.taker(expr.targets)
    k.emit(lambda then: instructions.next_item(items, index, take, then, end[0]), expr.iterable)
    if expr.condition is not None:
        test = k.value(expr.condition)
        k.emit(lambda then: instructions.jump_unless(test, then, again[0]), expr.condition)
    pair = isinstance(expr.element, s.Entry)
    parts = [expr.element.key, expr.element.value] if isinstance(expr.element, s.Entry) else [expr.element]
    evs = operands(k, parts)
    element: Ev = (lambda slots: (evs[0](slots), evs[1](slots))) if pair else evs[0]
    k.emit(lambda then: instructions.append(built, element, k.fuel.max_list, then), expr)
    k.emit(lambda then: instructions.jump(again[0]), expr)
    k.bind(end)
    if pair:
        return lambda slots: k.linker.checked_dict(Dict(tuple(slots[built])))
    return lambda slots: k.linker.checked_list(slots[built])


def start_loop(k: Compiler, iterable: s.Expr) -> tuple[int, int]:
    """Slots of the sequence that a loop goes over and of the place where it is."""
    items, index = k.fresh(), k.fresh()
    ev = _sequence(k, iterable)
    _keep(k, iterable, items, ev)
    _keep(k, iterable, index, constant(0))
    return items, index


def _sequence(k: Compiler, iterable: s.Expr) -> Ev:
    """What a loop counts through: a list, the keys of a dict, or the integers of a `range`, which is not
    written out."""
    resolved = k.checked.calls.get(iterable) if isinstance(iterable, s.Call) else None
    if resolved is not None and isinstance(resolved.target, Builtin) and resolved.target.name == "range":
        bounds = operands(k, [arg for arg in resolved.args if arg is not None])
        return at_place(k, iterable, lambda slots: span(*[bound(slots) for bound in bounds]))
    ev = k.value(iterable)
    if isinstance(k.checked.types[iterable], DictOf):
        return lambda slots: ev(slots).keys()
    return ev


def key_of(resolved: ResolvedCall) -> s.Expr | None:
    """The function given as `key=` to min, max or sorted."""
    target = resolved.target
    if not isinstance(target, Builtin) or target.name not in evaluate_calls.KEYED:
        return None
    params = target.signatures[resolved.signature].params
    return next((arg for param, arg in zip(params, resolved.args) if param.name == "key"), None)


def _keyed(k: Compiler, expr: s.Call) -> Ev:
    """`sorted(items, key=f)`: the machine computes the keys, since f may draw; then the items are sorted."""
    resolved = k.checked.calls[expr]
    key = key_of(resolved)
    given = [arg for arg in resolved.args if arg is not None]
    evs = operands(k, given)
    places = []
    for each, ev in zip(given, evs, strict=True):
        places.append(k.fresh())
        _keep(k, each, places[-1], ev)
    items, function = places[0], places[given.index(key)]  # type: ignore[arg-type]
    keys, index, item, found = k.fresh(), k.fresh(), k.fresh(), k.fresh()
    for target, start in ((keys, List()), (index, 0)):
        _keep(k, expr, target, constant(start))
    again, end = [k.here()], [0]

    def take(slots: list[object], each: object) -> None:
        slots[item] = each

    k.emit(lambda then: instructions.next_item(items, index, take, then, end[0]), expr)
    k.emit(lambda then: instructions.call_value(slot(function), [slot(item)], found, then), expr)
    k.emit(lambda then: instructions.append(keys, slot(found), k.fuel.max_list, then), expr)
    k.emit(lambda then: instructions.jump(again[0]), expr)
    k.bind(end)
    parts = [slot(keys if each is key else place) for each, place in zip(given, places, strict=True)]
    return evaluate_calls.call(k, expr, parts)
