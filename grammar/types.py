"""What a value of a `.scale` program may be.

Types are immutable and compare by what they say; a record type is equal only to itself. A log weight is a `float`
(`logp` is another way to write it); `prob` is apart, so that a probability is never added up as if it were a log weight.
Which type may stand for which is `type_relations`' matter.

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



def options(kind: Type) -> tuple[Type, ...]:
    """The types that a union is of; a type that is none is its only one."""
    return kind.options if isinstance(kind, Union) else (kind,)


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




