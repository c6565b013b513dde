"""Calls as closures: of built-ins, record types, models, rewards, extern functions; and comprehensions.

Calls of functions and lambdas are the machine's (`compile.py`): they may draw and recurse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from grammar import distributions
from grammar import syntax as s
from grammar.builtins import Builtin
from grammar.distributions import Dist, Model
from grammar.evaluate import FUEL, Ev, Frame, constant
from grammar.faults import Exhausted, Fault, located, located_error
from grammar.grammars import Grammar
from grammar.primitives import charge, checked_list
from grammar.schemas import json_schema
from grammar.symbols import ExternSymbol, ResolvedCall
from grammar.types import FLOAT, RecordType
from grammar.values import Dict, Record
from grammar.vectors import List
from ppl.errors import PPLError

if TYPE_CHECKING:
    from grammar.compile import Compiler

KEYED = ("min", "max", "sorted")
OUT_OF_STEPS = "max_steps: the run takes more steps than its limit"


def call(k: Compiler, expr: s.Call, parts: Sequence[Ev]) -> Ev:
    """A call that is not of a function of the language; `parts` are the closures of `operands_of_call`."""
    resolved = k.checked.calls[expr]
    if resolved.kind == "grammar":
        return constant(Grammar("json", json_schema(resolved.type)))
    if resolved.kind == "record":
        return _record(k, resolved, parts)
    if resolved.kind == "extern":
        return _guarded(k, expr, _extern(k, resolved, parts))
    target = resolved.target
    assert isinstance(target, Builtin)
    if resolved.kind in ("model", "reward"):
        return _guarded(k, expr, _of_model(k, resolved, target, parts))
    if resolved.kind == "posterior":
        return _of_posterior(target.name, parts)
    return _guarded(k, expr, _builtin(k, resolved, target, parts))


def operands_of_call(resolved: ResolvedCall) -> list[s.Expr]:
    """What is evaluated for a call, in order: the receiver, then the arguments that are given."""
    if resolved.kind == "grammar":
        return []
    lead = [resolved.receiver] if resolved.receiver is not None else []
    return [*lead, *(arg for arg in resolved.args if arg is not None)]


def _guarded(k: Compiler, expr: s.Call, run: Ev) -> Ev:
    """`run`, whose faults and whose model's errors are told at the place of the call."""
    source, span = k.source, expr.span

    def guarded(slots: Frame) -> Any:
        try:
            return run(slots)
        except Fault as fault:
            raise located(fault, source, span) from None
        except PPLError as error:
            raise located_error(error, source, span) from None

    return guarded


def _filled(args: Sequence[Any], parts: Sequence[Ev], defaults: Sequence[Any]) -> list[Ev]:
    """One closure per parameter: the argument's, or the default."""
    given = iter(parts)
    filled = [next(given) if arg is not None else constant(defaults[i]) for i, arg in enumerate(args)]
    return filled


def _record(k: Compiler, resolved: ResolvedCall, parts: Sequence[Ev]) -> Ev:
    kind = resolved.target
    assert isinstance(kind, RecordType)
    linker, shape = k.linker, k.linker.shape(kind)
    fields = _filled(resolved.args, parts, [linker.field_default(kind, f) for f in kind.fields.values()])
    return lambda slots: linker.checked_record(Record(shape, tuple([field(slots) for field in fields])))


def _extern(k: Compiler, resolved: ResolvedCall, parts: Sequence[Ev]) -> Ev:
    symbol = resolved.target
    assert isinstance(symbol, ExternSymbol)
    function = k.linker.callable(symbol)
    args = _filled(resolved.args, parts, [k.linker.default(symbol, p) for p in symbol.params])
    return lambda slots: function([arg(slots) for arg in args])


def _builtin(k: Compiler, resolved: ResolvedCall, target: Builtin, parts: Sequence[Ev]) -> Ev:
    signature = target.signatures[resolved.signature]
    keyed = target.name in KEYED and any(p.name == "key" for p in signature.params)
    function = k.linker.primitives[f"{target.name} by key" if keyed else target.name]
    args = _filled(resolved.args, parts, [p.default for p in signature.params])
    if signature.result == FLOAT and target.name in ("sum", "abs"):
        function = _as_float(function)
    if len(args) == 1:
        (only,) = args

        def call_one(slots: Frame) -> Any:
            value = only(slots)
            slots[FUEL] -= charge((value,))
            return function(value)

        return call_one

    def call_many(slots: Frame) -> Any:
        values = [arg(slots) for arg in args]
        slots[FUEL] -= charge(values)
        return function(*values)

    return call_many


def _as_float(function: Callable[..., Any]) -> Callable[..., float]:
    return lambda value: float(function(value))


# -------------------------------------------------------------------------------------------------- models


def _of_model(k: Compiler, resolved: ResolvedCall, target: Builtin, parts: Sequence[Ev]) -> Ev:
    model, *rest = parts
    signature = target.signatures[resolved.signature]
    if resolved.kind == "reward":
        ask = distributions.step_rewards if target.name == "steps" else distributions.reward
        return lambda slots: ask(model(slots), *[each(slots) for each in rest])
    if target.name == "prompt":
        (text,) = rest
        return lambda slots: k.linker.prompt(text(slots))
    family = f"model.{target.name}"
    names = [p.name for p, arg in zip(signature.params, resolved.args, strict=False) if arg is not None]
    plain = [each for name, each in zip(names, rest, strict=True) if name in ("context", "choices")]
    options = [
        (name, each) for name, each in zip(names, rest, strict=True) if name not in ("context", "choices")
    ]

    def ask_model(slots: Frame) -> Dist:
        owner: Model = model(slots)
        given = tuple((name, each(slots)) for name, each in options)
        return Dist(family, (owner, *[each(slots) for each in plain]), given)

    return ask_model


def _of_posterior(name: str, parts: Sequence[Ev]) -> Ev:
    result, *args = parts
    return lambda slots: getattr(result(slots), name)(*[arg(slots) for arg in args])


# ------------------------------------------------------------------------------------------ comprehensions


def comprehension(k: Compiler, expr: s.Comprehension) -> Ev:
    """A comprehension in which nothing draws or calls; every item costs a step."""
    items = k.direct(expr.iterable)
    take = k.taker(expr.targets)
    keep = k.direct(expr.condition) if expr.condition is not None else None
    pair = expr.element if isinstance(expr.element, s.Entry) else None
    element = k.direct(pair.value if pair is not None else expr.element)  # type: ignore[arg-type]
    key = k.direct(pair.key) if pair is not None else None
    fuel = k.fuel

    def build(slots: Frame) -> Any:
        found = []
        for item in items(slots):
            slots[FUEL] -= 1
            if slots[FUEL] < 0:
                raise Exhausted(OUT_OF_STEPS)
            take(slots, item)
            if keep is None or keep(slots):
                found.append(element(slots) if key is None else (key(slots), element(slots)))
        if key is not None:
            return k.linker.checked_dict(Dict(found))
        return checked_list(List(found), fuel)

    return build
