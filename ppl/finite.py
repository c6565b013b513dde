"""Choices among finitely many values: `categorical`, `bernoulli`, `uniform`, `delta`.

They draw by inverse CDF from one uniform, so that `ppl.testing`'s enumerating stream can walk every outcome.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ppl.boundary import plain
from ppl.distribution import Distribution
from ppl.errors import UsageError

NEG_INF = -math.inf


class Finite(Distribution):
    """Finitely many values with normalised probabilities, in the order given."""

    at_once = True

    def __init__(self, values: Sequence[Any], probabilities: Sequence[float], name: str) -> None:
        self._values = list(values)
        self._name = name
        heaviest = max(probabilities)
        probabilities = [p / heaviest for p in probabilities]  # so that no sum overflows
        total = math.fsum(probabilities)
        self._log = [math.log(p / total) if p > 0 else NEG_INF for p in probabilities]
        cumulative, running = [], 0.0
        for p in probabilities:
            running += p / total
            cumulative.append(running)
        last = max(i for i, p in enumerate(probabilities) if p > 0)
        cumulative[last:] = [1.0] * (len(cumulative) - last)
        self._cumulative = cumulative
        self._index: dict[Any, int] | None
        try:
            self._index = {plain(v): i for i, v in enumerate(self._values)}
        except TypeError:
            self._index = None

    def sample(self, rng: Any) -> Any:
        return self._values[bisect_right(self._cumulative, rng.random())]

    def log_prob(self, value: Any) -> float:
        i = self._position(value)
        return NEG_INF if i is None else self._log[i]

    def _position(self, value: Any) -> int | None:
        """Which of the values this is (arrays and tensors by what they hold), or None."""
        if self._index is None:
            return next((i for i, v in enumerate(self._values) if v == value), None)
        try:
            return self._index.get(plain(value))
        except TypeError:
            return None

    def support(self) -> Sequence[Any]:
        return self._values

    def outside(self, value: Any) -> bool:
        return self._position(value) is None

    @property
    def finite(self) -> bool:
        return True

    @property
    def kind(self) -> Hashable:
        return ("finite", tuple(map(repr, self._values)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{v!r}: {math.exp(lp):.4g}" for v, lp in zip(self._values[:6], self._log, strict=False))
        return f"{self._name}({{{shown}{', ...' if len(self._values) > 6 else ''}}})"


def categorical(table: Mapping[Any, float]) -> Finite:
    """A choice among the keys, with non-negative weights that are normalised for you.

    A key of weight 0 belongs to the support: observing it kills the execution, where observing a value that is not
    listed is an error. Raises UsageError on negative, NaN or all-zero weights.
    """
    if not isinstance(table, Mapping):
        raise UsageError(
            f"categorical expects a dict value -> probability, as in categorical({{'a': 0.3, 'b': 0.7}}); found {table!r}"
        )
    weights = [float(p) for p in table.values()]
    for value, p in zip(table, weights, strict=True):
        if not 0.0 <= p < math.inf:
            raise UsageError(f"categorical: the weight of {value!r} is {p}; weights must be finite and >= 0")
    if not any(weights):
        raise UsageError(f"categorical: no value of {dict(table)!r} has a positive weight")
    return Finite(list(table), weights, "categorical")


def bernoulli(p: float) -> Finite:
    """True with probability p, else False. Raises UsageError for p outside [0, 1]."""
    p = float(p)
    if not 0.0 <= p <= 1.0:
        raise UsageError(f"bernoulli: p must lie in [0, 1], found {p}")
    return Finite([False, True], [1.0 - p, p], "bernoulli")


def uniform(values: Sequence[Any]) -> Finite:
    """Each element of a non-empty sequence with equal probability; repeated elements count repeatedly.

    UsageError for an empty sequence, and for a number, which is no sequence (see `uniform_real`).
    """
    if isinstance(values, (int, float)):
        raise UsageError(
            f"uniform expects a sequence, as in uniform(range(6)); found {values!r}. For reals: uniform_real(low, high)"
        )
    items = list(values)
    if not items:
        raise UsageError("uniform: the sequence is empty")
    try:
        counts: dict[Any, int] = {}
        for item in items:
            counts[item] = counts.get(item, 0) + 1
        return Finite(list(counts), list(counts.values()), "uniform")
    except TypeError:  # not hashable: count by comparison
        distinct = [item for i, item in enumerate(items) if items.index(item) == i]
        return Finite(distinct, [items.count(item) for item in distinct], "uniform")


def delta(value: Any) -> Finite:
    """The value, with certainty: log_prob is 0 there and -inf elsewhere."""
    return Finite([value], [1.0], "delta")


def inverse_cdf(probabilities: Sequence[float], u: Any) -> int:
    """The index at which the running sum first exceeds u in [0, 1). Compares `u < c` only: u may be symbolic."""
    last = max(i for i, p in enumerate(probabilities) if p > 0.0)
    running = 0.0
    for i in range(last):
        running += probabilities[i]
        if probabilities[i] > 0.0 and u < running:
            return i
    return last
