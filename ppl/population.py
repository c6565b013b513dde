"""Weighted populations: sums of weights kept as logarithms.

A population {(trace_i, log w_i)} stands for the measure sum_i w_i delta(trace_i). The one contract of every weighted
engine is E[sum_i w_i f(t_i)] = Z * E_posterior[f] for every f.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NEG_INF = -math.inf


def log_sum_exp(log_weights: Sequence[float]) -> float:
    """log(sum(exp(log_weights))); -inf for none."""
    top = max(log_weights, default=NEG_INF)
    if top == NEG_INF:
        return NEG_INF
    return top + math.log(math.fsum(math.exp(w - top) for w in log_weights))


def normalise(log_weights: Sequence[float]) -> list[float]:
    """Weights that sum to 1; all zero if every weight is zero."""
    top = max(log_weights, default=NEG_INF)
    if top == NEG_INF:
        return [0.0] * len(log_weights)
    weights = [math.exp(w - top) for w in log_weights]
    total = math.fsum(weights)
    return [w / total for w in weights]


def effective_sample_size(log_weights: Sequence[float]) -> float:
    """(sum w)^2 / sum w^2 (Kong, Liu & Wong 1994): n for equal weights, 1 for one survivor, 0 for none."""
    weights = normalise(log_weights)
    squares = math.fsum(w * w for w in weights)
    return 1.0 / squares if squares else 0.0
