"""Signatures of built-ins, read from the notation that the documentation prints.

    sorted(items: list[T], key: fn(T) -> O, reverse: bool = false) -> list[T]
    normal(mu: float, sd: float > 0) -> dist[float]
    min(first: O, second: O, ...) -> O

`T K V A B C` stand for any type; `O` for one whose values have an order (numbers, texts, tuples of them), `S` for
one that can be written as text, `W` for a text (literal types are kept). A bound behind a type holds for constant
arguments. Parameters behind `*` are given by name only; `...` takes more arguments like the last one. Besides the
language's own types there are `number` (int, float or prob), `context` (a chat or a text) and `texts` (a text or a
list of them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from grammar import types as t
from grammar.type_relations import assignable, conversion, merge, optional, union
from grammar.types import NEVER, Basic, DictOf, DistOf, Function, ListOf, TupleOf, Type, Union, Var, mentions
from ppl.registry import REQUIRED

ORDERED, SHOWN, WORDS = "O", "S", "W"
"""Type parameters that do not take every type."""

_SHORT: dict[str, Type] = {
    "number": union((t.INT, t.FLOAT, t.PROB)),
    "context": union((t.CHAT, t.STR)),
    "texts": union((t.STR, t.ListOf(t.STR))),
}
_TOKEN = re.compile(r'\s*(->|>=|<=|\.\.\.|"[^"]*"|-?\d[\d.]*|\w+|\S)')
_CONSTANTS = {"none": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. `low`, `high` and `above` (exclusive) bound a constant argument."""

    name: str
    type: Type
    default: object = REQUIRED
    low: float | None = None
    high: float | None = None
    above: float | None = None

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def bound_broken(self, value: float) -> str | None:
        """What a value has to be and is not, in words."""
        if self.low is not None and value < self.low:
            return f"at least {self.low:g}"
        if self.above is not None and value <= self.above:
            return f"more than {self.above:g}"
        if self.high is not None and value > self.high:
            return f"at most {self.high:g}"
        return None


@dataclass(frozen=True, slots=True)
class Signature:
    """`text` is the notation it was read from; `repeats` says that the last parameter takes further arguments, and
    parameters from index `named` on are given by name only."""

    text: str
    params: tuple[Param, ...]
    result: Type
    repeats: bool = False
    named: int | None = None


@cache
def signature(text: str) -> Signature:
    """Read one signature; ValueError where it does not follow the notation."""
    return _Reader(text).signature()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*_TOKEN.findall(text), ""]
        self.at = 0

    def signature(self) -> Signature:
        self.take()
        self.take("(")
        params: list[Param] = []
        repeats, named = False, None
        while not self.skip(")"):
            if self.skip("*"):
                named = len(params)
            elif self.skip("..."):
                repeats = True
            else:
                params.append(self.param())
            self.skip(",")
        self.take("->")
        return Signature(self.text, tuple(params), self.type(), repeats, named)

    def param(self) -> Param:
        name = self.take()
        self.take(":")
        kind = self.type()
        bounds: dict[str, float] = {}
        for operator, word in ((">=", "low"), (">", "above"), ("<=", "high")):
            if self.skip(operator):
                bounds[word] = float(self.take())
        default = self.constant() if self.skip("=") else REQUIRED
        return Param(name, kind, default, **bounds)

    def constant(self) -> object:
        token = self.take()
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token.startswith('"'):
            return token[1:-1]
        return float(token) if "." in token else int(token)

    def type(self) -> Type:
        options = [self.short_type()]
        while self.skip("|"):
            options.append(self.short_type())
        return union(options)

    def short_type(self) -> Type:
        kind = self.atom()
        return optional(kind) if self.skip("?") else kind

    def atom(self) -> Type:
        token = self.take()
        if token == "(":
            return t.TupleOf(self.types(")"))
        if token == "fn":
            self.take("(")
            params = self.types(")")
            self.take("->")
            return t.Function(params, self.type())
        if token.startswith('"'):
            return t.Literal(token[1:-1])
        if self.skip("["):
            return build_generic(token, self.types("]"))
        return _SHORT.get(token) or t.NAMED.get(token) or Var(token)

    def types(self, closer: str) -> tuple[Type, ...]:
        found = [self.type()]
        while self.skip(","):
            found.append(self.type())
        self.take(closer)
        return tuple(found)

    def take(self, wanted: str = "") -> str:
        token: str = self.tokens[self.at]
        if not token or (wanted and token != wanted):
            raise ValueError(f"expected {wanted or 'more'!r} before {token!r} in {self.text!r}")
        self.at += 1
        return token

    def skip(self, token: str) -> bool:
        if self.tokens[self.at] != token:
            return False
        self.at += 1
        return True


GENERIC_ARITY = {"list": 1, "dict": 2, "dist": 1}


def build_generic(name: str, args: tuple[Type, ...]) -> Type:
    """`list[...]`, `dict[...]`, `dist[...]` of as many types as `GENERIC_ARITY` says."""
    if name == "dict":
        return t.DictOf(*args)
    return t.ListOf(*args) if name == "list" else t.DistOf(*args)


def bind(wanted: Type, found: Type, bindings: dict[str, Type]) -> bool:
    """Match a parameter's type with an argument's, filling in type parameters. False if they do not fit."""
    match wanted, found:
        case _, Basic("unknown"):
            return True
        case Var(name), _:
            merged = merge(bindings.get(name, NEVER), found)
            if merged is not None:
                bindings[name] = merged
            return merged is not None
        case (ListOf(a), ListOf(b)) | (DistOf(a), DistOf(b)):
            return bind(a, b, bindings)
        case DictOf(), DictOf():
            return bind(wanted.key, found.key, bindings) and bind(wanted.value, found.value, bindings)
        case TupleOf(a_items), TupleOf(b_items):
            return len(a_items) == len(b_items) and all(
                bind(a, b, bindings) for a, b in zip(a_items, b_items)
            )
        case Function(), Function():
            if len(wanted.params) != len(found.params):
                return False
            pairs = [*zip(wanted.params, found.params), (wanted.result, found.result)]
            return all(bind(a, b, bindings) for a, b in pairs)
        case Union(), _ if mentions(wanted, VARS):
            return any(bind(option, found, bindings) for option in wanted.options)
    return assignable(found, wanted) or conversion(found, wanted) is not None


def substitute(kind: Type, bindings: Mapping[str, Type]) -> Type:
    """The type with its parameters filled in; an unbound one becomes NEVER (the item type of `[]`)."""
    match kind:
        case Var(name):
            return bindings.get(name, NEVER)
        case ListOf(item):
            return ListOf(substitute(item, bindings))
        case DistOf(value):
            return DistOf(substitute(value, bindings))
        case DictOf(key, value):
            return DictOf(substitute(key, bindings), substitute(value, bindings))
        case TupleOf(items):
            return TupleOf(tuple(substitute(item, bindings) for item in items))
        case Function(params, result):
            return Function(tuple(substitute(p, bindings) for p in params), substitute(result, bindings))
        case Union(options=all_options):
            return union(substitute(option, bindings) for option in all_options)
    return kind


VARS = frozenset(Var(name) for name in "TKVABCOSW")
