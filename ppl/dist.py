"""The families of distributions: finite ones (written in `ppl.finite`), densities on the reals, counts; `iid` of any.

`log_prob` is the natural logarithm of the density (of the probability, for finite ones and counts), -inf outside the
support. Parameters that make no distribution raise UsageError, which names them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable
from typing import Any

from ppl.distribution import Deferred, Distribution, as_distribution, iid
from ppl.errors import UsageError
from ppl.finite import Finite, bernoulli, categorical, delta, inverse_cdf, uniform

NEG_INF = -math.inf
TINY = sys.float_info.min  # rounding may put a draw on the border of its support, where its density says it cannot be
ALMOST_ONE = 1.0 - sys.float_info.epsilon / 2


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
    """Uniform on [low, high): density 1 / (high - low)."""

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
    """Beta(a, b) on (0, 1): density x^(a - 1) (1 - x)^(b - 1) / B(a, b)."""

    a: float
    b: float

    def __init__(self, a: float, b: float) -> None:
        _positive("beta", a=a, b=b)
        super().__init__(a=a, b=b)

    def sample(self, rng: Any) -> float:
        return min(max(float(rng.beta(self.a, self.b)), TINY), ALMOST_ONE)

    def log_prob(self, value: float) -> float:
        if not 0.0 < value < 1.0:
            return NEG_INF
        norm = math.lgamma(self.a) + math.lgamma(self.b) - math.lgamma(self.a + self.b)
        return (self.a - 1) * math.log(value) + (self.b - 1) * math.log1p(-value) - norm

    def outside(self, value: float) -> bool:
        return not 0.0 < value < 1.0


class gamma(Continuous):  # noqa: N801
    """Gamma with `shape` k and `rate` r on x > 0: density r^k x^(k - 1) e^(-r x) / Gamma(k), mean k / r."""

    shape: float
    rate: float

    def __init__(self, shape: float, rate: float = 1.0) -> None:
        _positive("gamma", shape=shape, rate=rate)
        super().__init__(shape=shape, rate=rate)

    def sample(self, rng: Any) -> float:
        return max(float(rng.gamma(self.shape, 1.0 / self.rate)), TINY)

    def log_prob(self, value: float) -> float:
        if value <= 0.0:
            return NEG_INF
        k, r = self.shape, self.rate
        return k * math.log(r) + (k - 1) * math.log(value) - r * value - math.lgamma(k)

    def outside(self, value: float) -> bool:
        return value <= 0.0


class poisson(Distribution):  # noqa: N801
    """Counts 0, 1, 2, ... with mean `rate`: P(n) = rate^n e^(-rate) / n!"""

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
    """The number of trials up to and including the first success: P(n) = p (1 - p)^(n - 1) for n = 1, 2, ..."""

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
    "gamma", "geometric", "iid", "inverse_cdf", "normal", "poisson", "uniform", "uniform_real",
]  # fmt: skip
