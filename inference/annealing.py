"""Entropic annealing: how much to flatten the weights that resampling goes by (Giannone et al. 2025, arXiv 2510.05825).

Early rewards are overconfident, and resampling by them leaves a handful of ancestors. While the population is poor and
the run young, shares are taken from weights ** (1 / temperature) instead. A child then weighs w / (N * share) in place
of the average weight, so that the sum of the weights keeps its expectation: nothing is biased, unlike as published.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ppl.population import effective_sample_size, normalise

POOR = 0.5  # annealed while ESS / N is below this,
YOUNG = 0.5  # and the share of the run that is behind below this


def by_ess(log_weights: Sequence[float], progress: float) -> float:
    """N / ESS * (1 - progress)."""
    return len(log_weights) / effective_sample_size(log_weights) * (1.0 - progress)


def by_entropy(log_weights: Sequence[float], progress: float) -> float:
    """1 / (H + (1 - H) * progress), where H in [0, 1] is the weights' entropy over that of equal ones."""
    weights = normalise(log_weights)
    entropy = -math.fsum(w * math.log(w) for w in weights if w > 0.0) / math.log(len(weights))
    return 1.0 / (entropy + (1.0 - entropy) * progress)


def by_time(log_weights: Sequence[float], progress: float) -> float:
    """2 - progress, whatever the weights."""
    return 2.0 - progress


SCHEDULES: dict[str, Callable[[Sequence[float], float], float]] = {
    "ess": by_ess,
    "entropy": by_entropy,
    "time": by_time,
}


def temperature(schedule: str, log_weights: Sequence[float], progress: float) -> float:
    """At least 1, which is no annealing. `progress` in [0, 1] is the share of the run that is behind."""
    if progress >= YOUNG or not 0.0 < effective_sample_size(log_weights) < POOR * len(log_weights):
        return 1.0
    return max(1.0, SCHEDULES[schedule](log_weights, progress))
