"""Brute force, written apart from everything it is compared with: plain Python, exact fractions, no ppl."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

HALF = {False: Fraction(1, 2), True: Fraction(1, 2)}


def coin(p: Fraction | float | str) -> dict[bool, Fraction]:
    p = Fraction(p)
    return {False: 1 - p, True: p}


def brute(body: Callable[[Callable[[Mapping[Any, Any]], Any], Callable[[Any], None]], Any]) -> dict[Any, Fraction]:
    """{value: mass} of body(pick, weigh): `pick` a value from a table of probabilities, `weigh` by a factor."""
    measure: dict[Any, Fraction] = {}
    open_paths: list[tuple[Any, ...]] = [()]
    while open_paths:
        path = open_paths.pop()
        mass, depth = Fraction(1), 0

        def pick(table: Mapping[Any, Any], path: tuple[Any, ...] = path) -> Any:
            nonlocal mass, depth
            if depth == len(path):
                open_paths.extend((*path, value) for value in table)
                raise LookupError
            value = path[depth]
            mass, depth = mass * Fraction(table[value]), depth + 1
            return value

        def weigh(factor: Any) -> None:
            nonlocal mass
            mass *= Fraction(factor)

        try:
            value = body(pick, weigh)
        except LookupError:
            continue
        if mass:
            measure[value] = measure.get(value, Fraction(0)) + mass
    return measure
