"""The families of distributions: finite ones, densities on the reals, counts; and `iid` of any.

Finite ones draw by inverse CDF from one uniform, so that `ppl.testing`'s enumerating stream can walk every outcome.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ppl.boundary import plain
from ppl.distribution import Deferred, Distribution, as_distribution, iid
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
    """True with probability p."""
    p = float(p)
    if not 0.0 <= p <= 1.0:
        raise UsageError(f"bernoulli: p must lie in [0, 1], found {p}")
    return Finite([False, True], [1.0 - p, p], "bernoulli")


def uniform(values: Sequence[Any]) -> Finite:
    """Each element of a non-empty sequence with equal probability; repeated elements count repeatedly."""
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
    """The value, with certainty."""
    return Finite([value], [1.0], "delta")


class Continuous(Distribution):
    """Base of the densities on the reals; `parameters` are for messages only."""

    at_once = True

    def __init__(self, **parameters: float) -> None:
        self.__dict__.update({k: float(v) for k, v in parameters.items()})
        self._parameters = parameters

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v:g}' for k, v in self._parameters.items())})"


def _positive(family: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not 0.0 < value < math.inf:
            raise UsageError(f"{family}: {name} must be positive and finite, found {value}")


class normal(Continuous):  # noqa: N801  (families read as functions)
    """Normal with mean `mu` and standard deviation `sd`."""

    mu: float
    sd: float

    def __init__(self, mu: float, sd: float) -> None:
        _positive("normal", sd=sd)
        if not math.isfinite(mu):
            raise UsageError(f"normal: mu must be finite, found {mu}")
        super().__init__(mu=mu, sd=sd)

    def sample(self, rng: Any) -> float:
        return float(rng.normal(self.mu, self.sd))

    def log_prob(self, value: float) -> float:
        return -0.5 * ((value - self.mu) / self.sd) ** 2 - math.log(self.sd) - 0.5 * math.log(2 * math.pi)


class uniform_real(Continuous):  # noqa: N801
    """Uniform on [low, high)."""

    low: float
    high: float

    def __init__(self, low: float, high: float) -> None:
        if not -math.inf < low < high < math.inf:
            raise UsageError(f"uniform_real: low must be below high, both finite; found {low} and {high}")
        super().__init__(low=low, high=high)

    def sample(self, rng: Any) -> float:
        return self.low + (self.high - self.low) * float(rng.random())

    def log_prob(self, value: float) -> float:
        return -math.log(self.high - self.low) if self.low <= value <= self.high else NEG_INF

    @property
    def kind(self) -> Hashable:
        return ("uniform_real", self.low, self.high)


class beta(Continuous):  # noqa: N801
    """Beta(a, b) on (0, 1)."""

    a: float
    b: float

    def __init__(self, a: float, b: float) -> None:
        _positive("beta", a=a, b=b)
        super().__init__(a=a, b=b)

    def sample(self, rng: Any) -> float:
        return float(rng.beta(self.a, self.b))

    def log_prob(self, value: float) -> float:
        if not 0.0 < value < 1.0:
            return NEG_INF
        norm = math.lgamma(self.a) + math.lgamma(self.b) - math.lgamma(self.a + self.b)
        return (self.a - 1) * math.log(value) + (self.b - 1) * math.log1p(-value) - norm

    def outside(self, value: float) -> bool:
        return not 0.0 < value < 1.0


class gamma(Continuous):  # noqa: N801
    """Gamma with `shape` and `rate` (mean shape / rate)."""

    shape: float
    rate: float

    def __init__(self, shape: float, rate: float = 1.0) -> None:
        _positive("gamma", shape=shape, rate=rate)
        super().__init__(shape=shape, rate=rate)

    def sample(self, rng: Any) -> float:
        return float(rng.gamma(self.shape, 1.0 / self.rate))

    def log_prob(self, value: float) -> float:
        if value <= 0.0:
            return NEG_INF
        k, r = self.shape, self.rate
        return k * math.log(r) + (k - 1) * math.log(value) - r * value - math.lgamma(k)

    def outside(self, value: float) -> bool:
        return value <= 0.0


class poisson(Distribution):  # noqa: N801
    """Counts with mean `rate`; infinite support."""

    at_once = True

    def __init__(self, rate: float) -> None:
        _positive("poisson", rate=rate)
        self.rate = float(rate)

    def sample(self, rng: Any) -> int:
        return int(rng.poisson(self.rate))

    def log_prob(self, value: int) -> float:
        if self.outside(value):
            return NEG_INF
        return value * math.log(self.rate) - self.rate - math.lgamma(value + 1)

    def outside(self, value: float) -> bool:
        return not 0 <= value < math.inf or value != int(value)

    def __repr__(self) -> str:
        return f"poisson(rate={self.rate:g})"


class geometric(Distribution):  # noqa: N801
    """The number of trials up to and including the first success; support 1, 2, ..."""

    at_once = True

    def __init__(self, p: float) -> None:
        if not 0.0 < p <= 1.0:
            raise UsageError(f"geometric: p must lie in (0, 1], found {p}")
        self.p = float(p)

    def sample(self, rng: Any) -> int:
        return 1 if self.p == 1.0 else 1 + int(math.log1p(-rng.random()) / math.log1p(-self.p))

    def log_prob(self, value: int) -> float:
        if self.outside(value):
            return NEG_INF
        if self.p == 1.0:
            return 0.0 if value == 1 else NEG_INF
        return (value - 1) * math.log1p(-self.p) + math.log(self.p)

    def outside(self, value: float) -> bool:
        return not 1 <= value < math.inf or value != int(value)

    def __repr__(self) -> str:
        return f"geometric(p={self.p:g})"


__all__ = [
    "Continuous", "Deferred", "Distribution", "Finite", "as_distribution", "bernoulli", "beta", "categorical", "delta",
    "gamma", "geometric", "iid", "normal", "poisson", "uniform", "uniform_real",
]  # fmt: skip
