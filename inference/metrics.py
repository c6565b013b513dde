"""What repeated sampling is worth: coverage and its law, and resampling against an imperfect verifier.

Counts are of independent attempts at one problem: n made, `correct` of them right. Numbers in, numbers out; nothing
here looks at a result, so attempts can come from anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.errors import CapabilityError, OptionError


def pass_at_k(n: int, correct: int, k: int) -> float:
    """P(at least one of k attempts is right), without bias: 1 - C(n - correct, k) / C(n, k) (Chen et al. 2021).

    Raises OptionError where k > n: fewer attempts than k do not tell.
    """
    if not 0 <= correct <= n:
        raise OptionError(f"pass_at_k: expected 0 <= correct <= n, found correct={correct} of n={n}.")
    if not 1 <= k <= n:
        raise OptionError(f"pass_at_k: expected 1 <= k <= n, found k={k} of n={n} attempts. Make at least k attempts.")
    if n - correct < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - correct + 1, n + 1))


def coverage(counts: Sequence[tuple[int, int]], ks: Sequence[int]) -> list[float]:
    """For each k the mean of `pass_at_k` over problems, given as (n, correct) (Brown et al. 2024)."""
    if not counts:
        raise OptionError("coverage: there are no problems; expected one (n, correct) for each.")
    return [math.fsum(pass_at_k(n, correct, k) for n, correct in counts) / len(counts) for k in ks]


@dataclass(frozen=True, slots=True)
class CoverageLaw:
    """The exponentiated power law log(coverage) = a * k ** b, with a < 0 and b < 0. A fit, not an identity."""

    a: float
    b: float

    def __call__(self, k: float) -> float:
        return math.exp(self.a * k**self.b)


def fit_coverage(ks: Sequence[float], coverages: Sequence[float]) -> CoverageLaw:
    """The law that fits a coverage curve best in least squares (Brown et al. 2024). Needs scipy and at least two ks."""
    try:
        from scipy.optimize import curve_fit
    except ImportError:
        raise CapabilityError("fit_coverage needs scipy: pip install scipy.") from None
    if len(ks) != len(coverages) or len(set(ks)) < 2:
        raise OptionError(
            f"fit_coverage: expected as many coverages as ks and two different ks, found {len(ks)} and {len(coverages)}."
        )
    if not all(0.0 < c <= 1.0 for c in coverages):
        raise OptionError("fit_coverage: coverages must lie in (0, 1]; log 0 has no power law. Leave out small ks.")

    def law(k: Any, a: float, b: float) -> Any:
        return np.exp(a * k**b)

    (a, b), _ = curve_fit(law, [float(k) for k in ks], list(coverages), p0=(-1.0, -0.5), maxfev=10_000)
    return CoverageLaw(float(a), float(b))


@dataclass(frozen=True)
class Resampling:
    """Attempts until a verifier accepts one, k at most, then abstain (Stroebl, Kapoor & Narayanan 2024).

    shares            of the kinds of problem, summing to 1
    p_correct         an attempt at a problem of each kind is right
    completeness      the verifier accepts a right attempt
    soundness         it rejects a wrong one
    value, cost       of a right and of a wrong accepted attempt; abstaining is worth 0
    """

    shares: Sequence[float]
    p_correct: Sequence[float]
    completeness: float = 1.0
    soundness: float = 1.0
    value: float = 1.0
    cost: float = 0.0

    def __post_init__(self) -> None:
        chances = [*self.shares, *self.p_correct, self.completeness, self.soundness]
        if len(self.shares) != len(self.p_correct) or not all(0.0 <= p <= 1.0 for p in chances):
            raise OptionError(
                "Resampling: expected a share and a p_correct for each kind, and probabilities in [0, 1]."
            )
        if abs(math.fsum(self.shares) - 1.0) > 1e-9:
            raise OptionError(f"Resampling: shares must sum to 1, found {math.fsum(self.shares)}.")

    def accepts(self) -> list[tuple[float, float]]:
        """For each kind (P(an attempt is right and accepted), P(it is wrong and accepted))."""
        return [(self.completeness * p, (1.0 - self.soundness) * (1.0 - p)) for p in self.p_correct]

    @property
    def accuracy(self) -> list[float]:
        """P(right | accepted) of each kind: the bound that no number of attempts lifts."""
        return [right / (right + wrong) if right + wrong else 0.0 for right, wrong in self.accepts()]

    @property
    def break_even(self) -> list[float]:
        """The cost of a wrong answer beyond which another attempt at a problem of this kind loses."""
        return [self.value * right / wrong if wrong else math.inf for right, wrong in self.accepts()]

    @property
    def ceiling(self) -> float:
        """P(right) with attempts without end."""
        return math.fsum(share * a for share, a in zip(self.shares, self.accuracy, strict=True))

    def reward(self, k: float) -> float:
        """The expected value of at most k attempts; k may be math.inf."""
        return math.fsum(gain / rate * (1.0 - (1.0 - rate) ** k) for gain, rate in self._kinds())

    @property
    def best_k(self) -> float:
        """The number of attempts with the largest expected value: 0 where any attempt loses, math.inf where none does.

        With a verifier better than chance the k-th attempt is worth less and less, so this is where its value changes
        sign: only the hard kinds are still unanswered by then.
        """
        kinds = self._kinds()
        if not kinds:
            return 0
        slowest = min(rate for _, rate in kinds)

        def next_is_worth_it(k: int) -> bool:
            """Whether attempt k + 1 adds value; scaled by the slowest kind, so that nothing underflows."""
            if slowest == 1.0:
                return k == 0 and math.fsum(gain for gain, _ in kinds) > 0.0
            return math.fsum(gain * ((1.0 - rate) / (1.0 - slowest)) ** k for gain, rate in kinds) > 0.0

        if math.fsum(gain for gain, rate in kinds if rate == slowest) > 0.0 and slowest < 1.0:
            return math.inf if self.reward(math.inf) > 0.0 else 0
        if not next_is_worth_it(0):
            return 0
        low, high = 0, 1
        while next_is_worth_it(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if next_is_worth_it(middle) else (low, middle)
        return high

    def _kinds(self) -> list[tuple[float, float]]:
        """(share * expected value of an attempt, P(accepted)) of each kind that is ever accepted at a gain or loss."""
        kinds = [
            (share * (self.value * right - self.cost * wrong), right + wrong)
            for share, (right, wrong) in zip(self.shares, self.accepts(), strict=True)
        ]
        return [(gain, rate) for gain, rate in kinds if gain != 0.0]
