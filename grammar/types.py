"""What a value of a `.scale` program may be, and where one type may stand for another.

Types are immutable and compare by what they say; a record type is equal only to itself. `assignable(a, b)` is subtyping
without any change of the value: `"yes"` is a `str`, `int` is an `int?`, lists and dicts (which never change) vary
with their items. The one implicit conversion, int -> float, and the run-time check float -> prob are `conversion`'s, and
the checker notes where they happen. A log weight is a `float` (`logp` is another way to write it); `prob` is apart,
so that a probability is never added up as if it were a log weight.

UNKNOWN is the type of what was already reported: it fits everywhere, so that one mistake gives one message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from grammar.syntax import Expr

MAX_SIZE = 256
"""The most parts of one type; aliases that double would otherwise grow without end."""

MAX_LITERALS = 64
"""So many texts at most keep their literal types in a `categorical`, `uniform` or `choice`."""


@dataclass(frozen=True, slots=True)
class Basic:
    """int float prob bool str none chat regex grammar model reward, and the two ends `never` and `unknown`."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """The type of one text."""

    value: str


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Type


@dataclass(frozen=True, slots=True)
class DictOf:
    key: Type
    value: Type


@dataclass(frozen=True, slots=True)
class TupleOf:
    items: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class DistOf:
    """A distribution over values of a type."""

    value: Type


@dataclass(frozen=True, slots=True)
class Function:
    params: tuple[Type, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class PosteriorOf:
    """What `posterior` is in a test; `evidence` is False for a search engine's result."""

    value: Type
    evidence: bool = True


@dataclass(frozen=True, slots=True)
class BestOf:
    """`posterior.best`: a trace and its value."""

    value: Type


@dataclass(frozen=True, slots=True)
class RecordField:
    name: str
    type: Type
    default: Expr | None = None
    doc: str = ""

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(eq=False, slots=True)
class RecordType:
    """A record, known by its declaration: `fields` are filled in once all names of its file are known."""

    name: str
    path: str
    fields: dict[str, RecordField] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"RecordType({self.name})"


@dataclass(frozen=True, slots=True)
class Union:
    """Two or more options, none of them part of another; build it with `union`. Order counts only for showing."""

    options: tuple[Type, ...] = field(compare=False)
    members: frozenset[Type] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Var:
    """A type parameter in the signature of a built-in."""

    name: str


Type: TypeAlias = (
    Basic
    | Literal
    | ListOf
    | DictOf
    | TupleOf
    | DistOf
    | Function
    | RecordType
    | Union
    | Var
    | PosteriorOf
    | BestOf
)

INT, FLOAT, PROB, BOOL = Basic("int"), Basic("float"), Basic("prob"), Basic("bool")
STR, NONE, CHAT = Basic("str"), Basic("none"), Basic("chat")
REGEX, GRAMMAR, MODEL, REWARD = Basic("regex"), Basic("grammar"), Basic("model"), Basic("reward")
NEVER, UNKNOWN = Basic("never"), Basic("unknown")

NUMBERS = frozenset({INT, FLOAT, PROB})
NAMED: dict[str, Type] = {
    **{t.name: t for t in (INT, FLOAT, PROB, BOOL, STR, NONE, CHAT, REGEX, GRAMMAR, MODEL, REWARD)},
    "logp": FLOAT,
}
"""The types that a file can write by name."""


# -------------------------------------------------------------------------------------------------- building


def union(options: Iterable[Type]) -> Type:
    """The type of values of any of the options: flat, without those that are part of another; NEVER if there is none."""
    flat: dict[Type, None] = {}
    for option in options:
        flat.update(dict.fromkeys(option.options if isinstance(option, Union) else (option,)))
    if UNKNOWN in flat:
        return UNKNOWN
    flat.pop(NEVER, None)
    if STR in flat:
        flat = {t: None for t in flat if not isinstance(t, Literal)}
    simple = [t for t in flat if isinstance(t, (Basic, Literal, RecordType))]
    others = [t for t in flat if not isinstance(t, (Basic, Literal, RecordType))]
    kept = [t for t in others if not any(t != o and assignable(t, o) for o in others)]
    options = [t for t in flat if t in simple or t in kept] if others else simple
    if len(options) <= 1:
        return options[0] if options else NEVER
    return Union(tuple(options), frozenset(options))


def optional(inner: Type) -> Type:
    """`T?`"""
    return union([inner, NONE])


def options(kind: Type) -> tuple[Type, ...]:
    """The types that a union is of; a type that is none is its only one."""
    return kind.options if isinstance(kind, Union) else (kind,)


def without(kind: Type, part: Type) -> Type:
    """The options of `kind` that are not values of `part`."""
    return union(o for o in options(kind) if not assignable(o, part)) if kind != UNKNOWN else kind


def within(kind: Type, part: Type) -> Type:
    """What is left of `kind` once a value is known to be a `part`."""
    if kind == UNKNOWN:
        return kind
    kept = [
        o if assignable(o, part) else part
        for o in options(kind)
        if assignable(o, part) or assignable(part, o)
    ]
    return union(kept)


def size(kind: Type) -> int:
    """The number of parts of a type; a record counts as one."""
    return 1 + sum(map(size, parts(kind)))


def parts(kind: Type) -> tuple[Type, ...]:
    """The types that a type is made of."""
    match kind:
        case ListOf(item) | DistOf(item):
            return (item,)
        case DictOf(key, value):
            return (key, value)
        case TupleOf(items):
            return items
        case Function(params, result):
            return (*params, result)
        case Union(options=all_options):
            return all_options
        case PosteriorOf(value=value) | BestOf(value=value):
            return (value,)
        case _:
            return ()


def mentions(kind: Type, wanted: Iterable[Type]) -> bool:
    """Whether one of the `wanted` types is `kind` or a part of it."""
    return kind in wanted or any(mentions(part, wanted) for part in parts(kind))


# -------------------------------------------------------------------------------------------------- relations


def assignable(found: Type, wanted: Type) -> bool:
    """Whether every value of `found` is, as it is, a value of `wanted`."""
    if found == wanted or found in (UNKNOWN, NEVER) or wanted == UNKNOWN:
        return True
    if isinstance(found, Union):
        if isinstance(wanted, Union) and found.members <= wanted.members:
            return True
        return all(assignable(option, wanted) for option in found.options)
    if isinstance(wanted, Union):
        if isinstance(found, Literal) and (found in wanted.members or STR in wanted.members):
            return True
        return any(assignable(found, option) for option in wanted.options if not isinstance(option, Literal))
    match found, wanted:
        case Literal(), Basic():
            return wanted == STR
        case Basic(), Basic():
            return (found, wanted) == (REGEX, GRAMMAR)
        case (ListOf(a), ListOf(b)) | (DistOf(a), DistOf(b)):
            return assignable(a, b)
        case DictOf(), DictOf():
            return assignable(found.key, wanted.key) and assignable(found.value, wanted.value)
        case TupleOf(a_items), TupleOf(b_items):
            return len(a_items) == len(b_items) and all(map(assignable, a_items, b_items))
        case Function(), Function():
            same = len(found.params) == len(wanted.params)
            return (
                same
                and all(map(assignable, wanted.params, found.params))
                and assignable(found.result, wanted.result)
            )
    return False


def conversion(found: Type, wanted: Type) -> Type | None:
    """The number type that a value of `found` is turned into where `wanted` is asked for: int -> float, or a number
    that is checked at run time to be a prob. None where there is no such conversion."""
    for target in (FLOAT, PROB):
        if found != target and found in (INT, FLOAT) and target in options(wanted):
            return target
    return None


def comparable(kind: Type) -> bool:
    """Whether values of a type have an equality: data and chats have."""
    if isinstance(kind, (DistOf, Function)) or kind in (MODEL, REWARD, REGEX, GRAMMAR):
        return False
    return all(map(comparable, parts(kind)))


def overlaps(a: Type, b: Type) -> bool:
    """Whether a value of `a` can be equal to one of `b`."""
    if UNKNOWN in (a, b) or assignable(a, b) or assignable(b, a):
        return True
    if isinstance(a, Union) or isinstance(b, Union):
        return any(overlaps(x, y) for x in options(a) for y in options(b))
    match a, b:
        case (ListOf(x), ListOf(y)):
            return overlaps(x, y)
        case DictOf(), DictOf():
            return overlaps(a.key, b.key) and overlaps(a.value, b.value)
        case TupleOf(xs), TupleOf(ys):
            return len(xs) == len(ys) and all(map(overlaps, xs, ys))
    return a in NUMBERS and b in NUMBERS


def join(a: Type, b: Type) -> Type | None:
    """The type of a value that is an `a` or a `b` where no other type is asked for: the wider of the two, an optional
    with `none`, a union of texts. None if they have nothing in common."""
    if UNKNOWN in (a, b):
        return UNKNOWN if NEVER in (a, b) else b if a == UNKNOWN else a
    if assignable(a, b):
        return b
    if assignable(b, a):
        return a
    if NONE in options(a) or NONE in options(b):
        inner = join(without(a, NONE), without(b, NONE))
        return None if inner is None else optional(inner)
    if all(isinstance(o, Literal) for o in (*options(a), *options(b))):
        return union((a, b))
    match a, b:
        case ListOf(x), ListOf(y):
            item = join(x, y)
            return None if item is None else ListOf(item)
        case DictOf(), DictOf():
            key, value = join(a.key, b.key), join(a.value, b.value)
            return None if key is None or value is None else DictOf(key, value)
    return None


def merge(a: Type, b: Type) -> Type | None:
    """`join`, or the number type that both become."""
    return join(a, b) or conversion(a, b) or conversion(b, a)


# ---------------------------------------------------------------------------------------------------- showing


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
