"""What a distribution is: anything with `sample(rng)` and `log_prob(value)`, and `support()` when finite.

torch and Pyro distributions and users' own objects are adapted (`as_distribution`); those that a model answers are
`Deferred`. The families are in `ppl.dist`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Sequence
from itertools import product
from typing import Any, ClassVar, TypeVar

import numpy as np

from ppl.errors import SupportError, UsageError
from ppl.requests import Drawn, Plan, perform

T = TypeVar("T")
NEG_INF = -math.inf
LISTED = 4096  # values of an `iid` that is treated as finite


class Distribution:
    """Base of our families. `log_prob` is a natural-log density, -inf outside the support.

    `kind` is equal for two distributions exactly when a value of one may be kept as a value of the other by a Markov
    chain: same family and same support.
    """

    deferred: ClassVar[bool] = False
    at_once: bool = False  # `sample` asks no model, so it may be handed a stream that others will use after it
    weighted: bool = False  # draws carry log p - log q != 0, as under a token mask
    caveat: str = ""  # what a reader of the result must know of values drawn from it; it stands among the warnings
    rescorable: bool = True  # log_prob of a given value can be had; False where a served model only draws

    def sample(self, rng: Any) -> Any:
        """Draw a value; all randomness comes from `rng`, which has the methods of numpy's Generator."""
        raise NotImplementedError

    def log_prob(self, value: Any) -> float:
        """The natural logarithm of the density at a value (of its probability, for a discrete one); -inf outside."""
        raise NotImplementedError

    def support(self) -> Sequence[Any]:
        """The values, for a finite distribution; SupportError otherwise."""
        raise SupportError(f"{self!r} has no finite support to enumerate")

    @property
    def finite(self) -> bool:
        """Whether `support` can list the values, so that engines may branch on them."""
        return False

    def outside(self, value: Any) -> bool:
        """Whether no parameters of the family could give the value: observing it is a mistake, not a weight of zero."""
        return False

    @property
    def kind(self) -> Hashable:
        """Equal where a value of one may be kept as a value of the other; never a function of the value."""
        return type(self).__name__


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


def distribution_at(primitive: str, name: Any, dist: Any) -> Distribution:
    """The distribution of a site, or an error that names it."""
    if not isinstance(name, str):
        form = "sample('step', dist)" if primitive == "sample" else "observe('y', dist, value)"
        raise UsageError(f"{primitive}: expected a name first, as in {form}; found {name!r}.")
    try:
        return as_distribution(dist)
    except UsageError as error:
        raise UsageError(f"{primitive}({name!r}, ...): {error}") from None


class _Iid(Distribution):
    def __init__(self, dist: Distribution, n: int) -> None:
        self.dist, self.n, self.at_once = dist, n, dist.at_once
        self.weighted, self.rescorable, self.caveat = dist.weighted, dist.rescorable, dist.caveat

    def sample(self, rng: Any) -> list[Any]:
        return [self.dist.sample(rng) for _ in range(self.n)]

    def log_prob(self, value: Sequence[Any]) -> float:
        return math.fsum(self.dist.log_prob(v) for v in value) if len(value) == self.n else NEG_INF

    @property
    def finite(self) -> bool:
        """Whether its values are few enough to be listed."""
        return self.dist.finite and len(self.dist.support()) ** self.n <= LISTED

    def support(self) -> Sequence[Any]:
        return list(map(list, product(self.dist.support(), repeat=self.n))) if self.finite else super().support()

    def outside(self, value: Sequence[Any]) -> bool:
        return len(value) != self.n or any(map(self.dist.outside, value))

    @property
    def kind(self) -> Hashable:
        return ("iid", self.n, self.dist.kind)

    def __repr__(self) -> str:
        return f"iid({self.dist!r}, {self.n})"


class _DeferredIid(Deferred, _Iid):
    dist: Deferred

    @property
    def finite(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DeferredIid) and self.n == other.n and bool(self.dist == other.dist)

    def __hash__(self) -> int:
        return hash(self.kind)

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
            log_p, log_q = sum(d.log_prob for d in drawn), sum(d.log_q for d in drawn)
            return Drawn([d.value for d in drawn], log_p, log_q, next((d.reason for d in drawn if d.reason), ""))

        return Plan(plan.label, plan.requests, finish)

    def assess(self, value: Any) -> Plan[float]:
        if len(value) != self.n:
            return Plan("iid", [], lambda _: NEG_INF)
        plan = self._all([self.dist.assess(v) for v in value])
        return Plan(plan.label, plan.requests, lambda results: math.fsum(plan.finish(results)))


def iid(dist: Any, n: int) -> Distribution:
    """n independent draws as one choice: a list of n values, drawn in one batch.

    Finite if `dist` is, has no model behind it, and there are at most 4,096 such lists. UsageError for n below 0.
    """
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise UsageError(f"iid: n must be an int >= 0, found {n!r}. Write it as in iid(dist, 8).")
    inner = as_distribution(dist)
    return _DeferredIid(inner, n) if isinstance(inner, Deferred) else _Iid(inner, n)
