"""Distributions: anything with `sample(rng)` and `log_prob(value)`, and `support()` when finite.

The finite families here draw by inverse CDF from one uniform, so that `ppl.testing`'s enumerating stream can walk
every outcome. torch and Pyro distributions are accepted as they are (`as_distribution`); distributions answered by a
model are `Deferred`.
(Longer than other files because it is the one list of families.)
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from ppl.errors import SupportError, UsageError
from ppl.requests import Drawn, Plan, perform

T = TypeVar("T")
NEG_INF = -math.inf


class Distribution:
    """Base of our families. `log_prob` is a natural-log density, -inf outside the support.

    `kind` is equal for two distributions exactly when a value of one may be kept as a value of the other by a Markov
    chain: same family and same support.
    """

    deferred: ClassVar[bool] = False
    weighted: bool = False  # draws carry log p - log q != 0, as under a token mask
    rescorable: bool = True  # log_prob of a given value can be had; False where a served model only draws

    def sample(self, rng: Any) -> Any:
        raise NotImplementedError

    def log_prob(self, value: Any) -> float:
        raise NotImplementedError

    def support(self) -> Sequence[Any]:
        """The values, for a finite distribution; SupportError otherwise."""
        raise SupportError(f"{self!r} has no finite support to enumerate")

    @property
    def finite(self) -> bool:
        return False

    def outside(self, value: Any) -> bool:
        """Whether no parameters of the family could give the value: observing it is a mistake, not a weight of zero."""
        return False

    @property
    def kind(self) -> Hashable:
        return type(self).__name__


class Finite(Distribution):
    """Finitely many values with normalised probabilities, in the order given."""

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
            self._index = {v: i for i, v in enumerate(self._values)}
        except TypeError:
            self._index = None

    def sample(self, rng: Any) -> Any:
        return self._values[bisect_right(self._cumulative, rng.random())]

    def log_prob(self, value: Any) -> float:
        if self._index is not None:
            try:
                i = self._index.get(value)
            except TypeError:
                return NEG_INF
            return NEG_INF if i is None else self._log[i]
        matches = [lp for v, lp in zip(self._values, self._log, strict=True) if v == value]
        return matches[0] if matches else NEG_INF

    def support(self) -> Sequence[Any]:
        return self._values

    def outside(self, value: Any) -> bool:
        return value not in self._values

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


class Deferred(Distribution):
    """A distribution whose answers need a model. `draw`, `assess` and `table` say what to ask; nothing runs yet.

    Outside a program `sample(rng)`, `log_prob(value)` and `support()` ask at once; inside one they are recorded
    effects, batched with every other particle's. Two that are equal (`==`) answer alike: a chain that keeps a value
    under an equal one keeps its recorded log-prob too, and asks nothing.
    """

    deferred: ClassVar[bool] = True

    def draw(self, rng: Any) -> Plan[Drawn]:
        """Draw one value; all randomness is taken from rng now."""
        raise NotImplementedError

    def assess(self, value: Any) -> Plan[float]:
        """The log-prob of a value."""
        raise NotImplementedError

    def table(self) -> Plan[list[tuple[Any, float]]]:
        """For finite ones: every value with its log-prob."""
        raise SupportError(f"{self!r} has no finite support to enumerate")

    def sample(self, rng: Any) -> Any:
        return perform(self.draw(rng)).value

    def log_prob(self, value: Any) -> float:
        return perform(self.assess(value))

    def support(self) -> Sequence[Any]:
        return [value for value, _ in perform(self.table())]


class _Iid(Distribution):
    def __init__(self, dist: Distribution, n: int) -> None:
        self.dist, self.n = dist, n

    def sample(self, rng: Any) -> list[Any]:
        return [self.dist.sample(rng) for _ in range(self.n)]

    def log_prob(self, value: Sequence[Any]) -> float:
        return math.fsum(self.dist.log_prob(v) for v in value) if len(value) == self.n else NEG_INF

    @property
    def kind(self) -> Hashable:
        return ("iid", self.n, self.dist.kind)

    def __repr__(self) -> str:
        return f"iid({self.dist!r}, {self.n})"


class _DeferredIid(Deferred):
    def __init__(self, dist: Deferred, n: int) -> None:
        self.dist, self.n, self.weighted = dist, n, dist.weighted

    def _all(self, plans: list[Plan[T]]) -> Plan[list[T]]:
        sizes = [len(p.requests) for p in plans]

        def finish(results: list[Any]) -> list[T]:
            rest = iter(results)
            return [p.finish([next(rest) for _ in range(k)]) for p, k in zip(plans, sizes, strict=True)]

        return Plan(f"iid {self.n}", [r for p in plans for r in p.requests], finish)

    def draw(self, rng: Any) -> Plan[Drawn]:
        plan = self._all([self.dist.draw(rng) for _ in range(self.n)])

        def finish(results: list[Any]) -> Drawn:
            drawn = plan.finish(results)
            return Drawn([d.value for d in drawn], sum(d.log_prob for d in drawn), sum(d.log_q for d in drawn))

        return Plan(plan.label, plan.requests, finish)

    def assess(self, value: Any) -> Plan[float]:
        if len(value) != self.n:
            return Plan("iid", [], lambda _: NEG_INF)
        plan = self._all([self.dist.assess(v) for v in value])
        return Plan(plan.label, plan.requests, lambda results: math.fsum(plan.finish(results)))

    @property
    def kind(self) -> Hashable:
        return ("iid", self.n, self.dist.kind)

    def __repr__(self) -> str:
        return f"iid({self.dist!r}, {self.n})"


def iid(dist: Any, n: int) -> Distribution:
    """n independent draws as one choice: a list of n values, drawn in one batch."""
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise UsageError(f"iid: n must be an int >= 0, found {n!r}. Write it as in iid(dist, 8).")
    inner = as_distribution(dist)
    return _DeferredIid(inner, n) if isinstance(inner, Deferred) else _Iid(inner, n)


class _Foreign(Distribution):
    """A user's own object with `sample(rng)` and `log_prob(value)`, and perhaps `support()`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def sample(self, rng: Any) -> Any:
        return self.inner.sample(rng)

    def log_prob(self, value: Any) -> float:
        return float(self.inner.log_prob(value))

    def support(self) -> Sequence[Any]:
        return list(self.inner.support()) if self.finite else super().support()

    def outside(self, value: Any) -> bool:
        return self.finite and value not in self.support()

    @property
    def finite(self) -> bool:
        return callable(getattr(self.inner, "support", None))

    @property
    def kind(self) -> Hashable:
        return (type(self.inner).__qualname__, tuple(map(repr, self.support())) if self.finite else None)

    def __repr__(self) -> str:
        return repr(self.inner)


def as_distribution(dist: Any) -> Distribution:
    """Ours as it is; a torch or Pyro distribution, or any object with `sample(rng)` and `log_prob(value)`, adapted."""
    if isinstance(dist, Distribution):
        return dist
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(dist, torch.distributions.Distribution):
        from ppl.bridge import TorchDistribution

        return TorchDistribution(dist)
    if callable(getattr(dist, "sample", None)) and callable(getattr(dist, "log_prob", None)):
        return _Foreign(dist)
    raise UsageError(
        f"expected a distribution (an object with sample(rng) and log_prob(value)), found {type(dist).__name__}: {dist!r}."
        " Write delta(value) for a certain value."
    )


__all__ = [
    "Continuous", "Deferred", "Distribution", "Finite", "as_distribution", "bernoulli", "beta", "categorical", "delta",
    "gamma", "geometric", "iid", "normal", "poisson", "uniform", "uniform_real",
]  # fmt: skip
