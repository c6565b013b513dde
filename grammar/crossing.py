"""The border between `.scale` values and Python's: what comes in is checked by type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grammar.chats import Chat
from grammar.distributions import Dist, Model
from grammar.faults import BIG, Fuel
from grammar.grammars import Grammar, Pattern
from grammar.primitives import checked_list, checked_text
from grammar.type_names import show
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    GRAMMAR,
    INT,
    MODEL,
    NONE,
    PROB,
    REGEX,
    REWARD,
    STR,
    DictOf,
    DistOf,
    Function,
    ListOf,
    Literal,
    RecordField,
    RecordType,
    TupleOf,
    Type,
    Union,
)
from grammar.values import Dict, Record, Shape
from grammar.vectors import List, check_size, measure

ShapeOf = Callable[[RecordType], Shape]


def holds(value: Any, kind: Type, shape_of: ShapeOf) -> bool:
    """Whether a value is of a type."""
    match kind:
        case Union():
            return any(holds(value, option, shape_of) for option in kind.options)
        case RecordType():
            return isinstance(value, Record) and value._shape == shape_of(kind)
        case Literal(text):
            return isinstance(value, str) and value == text
        case ListOf(item):
            return isinstance(value, List) and all(holds(each, item, shape_of) for each in value)
        case DictOf(key, of):
            pairs = value.items() if isinstance(value, Dict) else [(None, None)]
            return isinstance(value, Dict) and all(
                holds(a, key, shape_of) and holds(b, of, shape_of) for a, b in pairs
            )
        case TupleOf(items):
            return (
                type(value) is tuple
                and len(value) == len(items)
                and all(map(lambda v, t: holds(v, t, shape_of), value, items))
            )
        case DistOf():
            return isinstance(value, Dist)
        case Function():
            return callable(value)
    if kind == PROB:
        return type(value) is float and 0.0 <= value <= 1.0
    found = _BASIC.get(kind)
    return found is not None and isinstance(value, found) and (kind == BOOL or not isinstance(value, bool))


_BASIC: dict[Type, type] = {
    INT: int, FLOAT: float, BOOL: bool, STR: str, NONE: type(None), CHAT: Chat, REGEX: Pattern,
    GRAMMAR: Grammar, MODEL: Model, REWARD: Model,
}  # fmt: skip


class Mismatch(Exception):
    """A Python value that is not of the type asked for; the text says what was found."""


class Border:
    """Takes Python's values in, for programs with these record types, defaults of fields, and limits."""

    def __init__(
        self, shape_of: ShapeOf, default_of: Callable[[RecordType, RecordField], Any], fuel: Fuel
    ) -> None:
        self.shape_of, self.default_of, self.fuel = shape_of, default_of, fuel

    def take(self, value: Any, kind: Type) -> Any:
        """A Python value as one of `kind`. Raises Mismatch; Exhausted if it is past the limits."""
        taken = self._take(value, kind)
        check_size(*measure(taken), self.fuel)
        return taken

    def _take(self, value: Any, kind: Type) -> Any:
        match kind:
            case Union():
                return self._option(value, kind)
            case RecordType():
                return self._record(value, kind)
            case Literal(text) if isinstance(value, str) and value == text:
                return value
            case ListOf(item) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
                return checked_list(List([self._take(each, item) for each in value]), self.fuel)
            case DictOf(key, of) if isinstance(value, Mapping):
                return Dict([(self._take(each, key), self._take(value[each], of)) for each in value])
            case TupleOf(items) if isinstance(value, Sequence) and len(value) == len(items):
                return tuple(map(self._take, value, items))
        return self._basic(value, kind)

    def _basic(self, value: Any, kind: Type) -> Any:
        plain = not isinstance(value, bool)
        if kind in (FLOAT, PROB) and plain and hasattr(value, "__float__") and not isinstance(value, str):
            number = float(value)
            if kind == FLOAT or 0.0 <= number <= 1.0:
                return number
        elif kind == INT and plain and hasattr(value, "__index__"):
            if -BIG < (whole := value.__index__()) < BIG:
                return whole
        elif kind == BOOL and (not plain or type(value).__name__ == "bool_"):
            return bool(value)
        elif kind == STR and isinstance(value, str):
            return checked_text(value, self.fuel)
        elif kind == NONE and value is None:
            return None
        elif kind == CHAT:
            return self._chat(value)
        elif kind in (MODEL, REWARD):
            return _model(value, kind == REWARD)
        raise Mismatch(f"expected {show(kind)}, found {_shown(value)}")

    def _option(self, value: Any, kind: Union) -> Any:
        """The option that the value is of as it is, else the first that it can be turned into."""
        ordered = sorted(kind.options, key=lambda option: not holds(value, option, self.shape_of))
        for option in ordered:
            try:
                return self._take(value, option)
            except Mismatch:
                continue
        raise Mismatch(f"expected {show(kind)}, found {_shown(value)}")

    def _record(self, value: Any, kind: RecordType) -> Any:
        shape = self.shape_of(kind)
        if isinstance(value, Record) and value._shape == shape:
            return value
        fields = kind.fields.values()
        required = {f.name for f in fields if f.required}
        if not isinstance(value, Mapping) or not required <= set(value) <= set(kind.fields):
            wanted = ", ".join(f"{f.name}: {show(f.type)}" for f in fields)
            raise Mismatch(f"expected a {kind.name}, a dict of {wanted}; found {_shown(value)}")
        given = (
            self._take(value[f.name], f.type) if f.name in value else self.default_of(kind, f) for f in fields
        )
        return Record(shape, tuple(given))

    def _chat(self, value: Any) -> Chat:
        """A chat, a text (a prompt), or turns: pairs of role and text, or dicts with role and content."""
        if isinstance(value, Chat):
            return value
        if isinstance(value, str):
            return Chat(checked_text(value, self.fuel))
        if isinstance(value, Sequence) and value:
            pairs = [(t["role"], t["content"]) if isinstance(t, Mapping) else tuple(t) for t in value]
            if all(len(p) == 2 and all(isinstance(each, str) for each in p) for p in pairs):
                return Chat(tuple((role, (text,)) for role, text in pairs))
        raise Mismatch(f"expected a chat, as pairs of role and text; found {_shown(value)}")


def _model(value: Any, is_reward: bool) -> Model:
    if isinstance(value, Model):
        return value
    if not callable(value):
        raise Mismatch(f"expected a {'reward' if is_reward else 'model'}, found {_shown(value)}")
    return Model(str(getattr(value, "name", "model")), lambda: value, is_reward)


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) < 60 else shown[:57] + '...'}"


def give(value: Any) -> Any:
    """A value as extern functions see it: lists and dicts are Python's own."""
    if isinstance(value, List):
        return [give(each) for each in value]
    if isinstance(value, Dict):
        return {key: give(each) for key, each in value.items()}
    if type(value) is tuple:
        return tuple(map(give, value))
    return value
