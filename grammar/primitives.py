"""The built-in functions: what they do to values. Which exist, and their signatures, is said in
`builtins.py`.

A function takes the arguments of its signature in order, defaults filled in; functions of functions (`key=`)
are given the keys instead, which the machine has computed. What a function cannot answer is a `Fault`; what
grows past the limits ends the particle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from grammar import distributions, grammars, primitives_text
from grammar.distributions import Dist
from grammar.faults import BIG, Exhausted, Fault, Fuel, refused
from grammar.grammars import Pattern
from grammar.primitives_text import show
from grammar.values import Dict
from grammar.vectors import List, check_size

_NUMBER = re.compile(r"(?:(?<![\w)])-)?(?:[0-9]+(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = 1300  # longer integers have more than 4096 bits


def checked_int(value: int) -> int:
    """An integer of at most so many bits."""
    if -BIG < value < BIG:
        return value
    raise Fault("E554", what="this integer")


def checked_text(text: str, fuel: Fuel) -> str:
    """A text within the limit of its length."""
    if len(text) > fuel.max_text:
        raise Exhausted(f"max_text: a text is longer than {fuel.max_text} characters")
    return text


def checked_list(items: List, fuel: Fuel) -> List:
    """A list within the limits of length, size and depth."""
    if len(items) > fuel.max_list:
        raise Exhausted(f"max_list: a list has more than {fuel.max_list} items")
    check_size(items._weight, items._depth, fuel)
    return items


# --------------------------------------------------------------------------------------------------- numbers


def log(x: float, floor: float | None = None) -> float:
    """The natural logarithm, -inf at 0; with a floor, of at least that."""
    if floor is not None:
        x = max(x, floor)
    if x < 0:
        raise refused("log", f"{show(x)} is negative", "the logarithm is of numbers that are not negative")
    return math.log(x) if x > 0 else -math.inf


def exp(x: float) -> float:
    """e to the x; a fault where that is too large."""
    try:
        return math.exp(x)
    except OverflowError:
        raise Fault("E554", what=f"exp({show(x)})") from None


def round_number(x: float, digits: int | None = None) -> Any:
    """To an integer, half to even; with digits, to a float."""
    try:
        return round(x) if digits is None else float(round(x, digits))
    except (ValueError, OverflowError):
        raise refused("round", f"{show(x)} has no nearest integer", "round a finite number") from None


def to_int(x: Any) -> int | None:
    """`int(x)`: of a text, none if it does not spell one."""
    if isinstance(x, str):
        return _spelled(x)
    try:
        return checked_int(int(x))
    except (ValueError, OverflowError):
        raise refused("int", f"{show(x)} is no integer", "turn a finite number into an integer") from None


def _spelled(text: str) -> int | None:
    text = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    if len(text) > _DIGITS:
        return None
    value = int(text)
    return value if -BIG < value < BIG else None  # a model's text may spell anything


def to_float(x: Any) -> float | None:
    """`float(x)`: of a text, none if it does not spell one."""
    if not isinstance(x, str):
        return float(x)
    text = x.strip()
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None  # too large for a float


def numbers(s: str) -> List:
    """All numbers that stand in a text, in order."""
    return List(number for number in map(float, _NUMBER.findall(s)) if math.isfinite(number))


def total(items: List) -> Any:
    """The sum of a list."""
    found = sum(items)
    return checked_int(found) if isinstance(found, int) else found


# ----------------------------------------------------------------------------------------- lists and dicts


def _extreme(pick: Callable[..., Any], name: str) -> Callable[..., Any]:
    def best(*values: Any) -> Any:
        items = values[0] if len(values) == 1 else values
        if not items:
            raise refused(name, "the list is empty", f"test its length first, or write `{name}([...] + xs)`")
        return pick(items)

    return best


smallest, largest = _extreme(min, "min"), _extreme(max, "max")


def best_by(pick: Callable[..., Any], name: str) -> Callable[[List, List], Any]:
    """min or max of the items by their keys; the first of equal ones."""

    def best(items: List, keys: List) -> Any:
        if not items:
            raise refused(name, "the list is empty", "test its length first")
        found = list(keys)
        return items[found.index(pick(found))]

    return best


def in_order(items: List, reverse: bool = False) -> List:
    """Sorted, equal ones as they stood."""
    return List(sorted(items, reverse=reverse))


def in_order_by(items: List, keys: List, reverse: bool = False) -> List:
    """Sorted by keys, equal ones as they stood."""
    values, found = list(items), list(keys)
    return List(values[i] for i in sorted(range(len(values)), key=found.__getitem__, reverse=reverse))


def span(start: int, stop: int | None = None, step: int = 1) -> range:
    """The integers of `range(...)`, as Python's."""
    if step == 0:
        raise refused("range", "its step is 0", "a step is positive or negative")
    found = range(start) if stop is None else range(start, stop, step)
    try:
        len(found)
    except OverflowError:
        raise Exhausted("max_list: a range has more than 2**63 integers") from None
    return found


def contains(holder: Any, part: Any) -> bool:
    """`part in holder`."""
    return part in holder


def count(holder: Any, part: Any) -> int:
    """How often a part occurs, overlaps not counted."""
    if isinstance(holder, str) and not part:
        raise refused("count", "the part is empty", "count a part of at least one character")
    return holder.count(part)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------- the table


def table(fuel: Fuel) -> dict[str, Callable[..., Any]]:
    """The built-ins under limits; those with a `key` stand under `name by key`."""

    def text(make: Callable[..., str]) -> Callable[..., str]:
        return lambda *args: checked_text(make(*args), fuel)

    def items(make: Callable[..., List]) -> Callable[..., List]:
        return lambda *args: checked_list(make(*args), fuel)

    def join(parts: List, separator: str = "") -> str:
        found = list(parts)
        size = sum(map(len, found)) + len(separator) * max(0, len(found) - 1)
        if size > fuel.max_text:
            checked_text("x" * (fuel.max_text + 1), fuel)
        return separator.join(found)

    def replace(s: str, old: str, new: str) -> str:
        grown = len(s) + s.count(primitives_text.marked("replace", old)) * (len(new) - len(old))
        return (
            s.replace(old, new) if grown <= fuel.max_text else checked_text("x" * (fuel.max_text + 1), fuel)
        )

    def draws(dist: Dist, n: int) -> Dist:
        if n < 0:
            raise refused("iid", f"it was asked for {n} draws", "n is at least 0")
        if n > fuel.max_list:
            raise Exhausted(f"max_list: iid was asked for more than {fuel.max_list} draws")
        return Dist("iid", (dist, n))

    def integers(*bounds: int) -> List:
        found = span(*bounds)
        if len(found) > fuel.max_list:
            raise Exhausted(f"max_list: a list has more than {fuel.max_list} items")
        return List(found)

    return {
        "abs": abs, "round": round_number, "log": log, "exp": exp, "int": to_int, "float": to_float,
        "sum": total,
        "min": smallest, "max": largest, "min by key": best_by(min, "min"), "max by key": best_by(max, "max"),
        "len": len, "range": integers, "any": any, "all": all, "sorted": in_order,
        "sorted by key": in_order_by,
        "reversed": lambda xs: List(reversed(xs)), "zip": items(lambda *xs: List(zip(*xs))),
        "enumerate": items(lambda xs, start=0: List(enumerate(xs, start))), "get": lambda d, key: d.get(key),
        "contains": contains, "count": count, "str": show, "join": join, "split": items(primitives_text.split),
        "replace": replace,
        "lower": text(str.lower), "upper": text(str.upper), "strip": str.strip, "starts_with": str.startswith,
        "ends_with": str.endswith, "find": primitives_text.find, "letters": items(primitives_text.letters), "lines": items(primitives_text.lines),
        "after": primitives_text.after,
        "before": primitives_text.before, "first_match": Pattern.first_match, "matches": Pattern.matches,
        "numbers": items(numbers),
        "json": text(primitives_text.to_json), "choice": grammars.choice, "lark": grammars.lark,
        "log_prob": distributions.log_prob, "prob": distributions.prob,
        **{name: _dist(name) for name in distributions.FAMILIES if "." not in name}, "iid": draws,
    }  # fmt: skip


def _dist(family: str) -> Callable[..., Dist]:
    def make(*args: Any) -> Dist:
        made = Dist(family, args)
        made.built  # noqa: B018  (a bad parameter is met here, at its line)
        return made

    return make


def charge(args: Sequence[Any]) -> int:
    """The steps that a built-in costs for these arguments: work on long texts and lists is not free."""
    cost = 0
    for each in args:
        kind = type(each)
        if kind is List or kind is Dict:
            cost += len(each) >> 6
        elif isinstance(each, str):
            cost += len(each) >> 12
    return cost
