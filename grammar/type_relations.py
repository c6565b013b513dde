"""Where one type may stand for another: subtyping, unions, what two types have in common.

`assignable(a, b)` is subtyping without any change of the value: `"yes"` is a `str`, `int` is an `int?`, lists and dicts
(which never change) vary with their items. The one implicit conversion, int -> float, and the run-time check
float -> prob are `conversion`'s, and the checker notes where they happen.
"""

from __future__ import annotations

from collections.abc import Iterable

from grammar.types import (
    FLOAT,
    GRAMMAR,
    INT,
    MODEL,
    NEVER,
    NONE,
    NUMBERS,
    PROB,
    REGEX,
    REWARD,
    STR,
    UNKNOWN,
    Basic,
    DictOf,
    DistOf,
    Function,
    ListOf,
    Literal,
    RecordType,
    TupleOf,
    Type,
    Union,
    options,
    parts,
)


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
