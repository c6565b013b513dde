"""Resampling schemes: how many children each particle gets.

Each takes normalised weights W_1..W_m, a number n and a stream, and returns counts, in the particles' order, with
E[count_i] = n W_i: the one property that keeps evidence unbiased. Written as plain loops over one or n uniforms, so
that `ppl.testing` can enumerate them exactly (systematic and stratified are piecewise constant in theirs).

Douc, Cappe & Moulines 2005 compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Resampler = Callable[[Sequence[float], int, Any], list[int]]


def _spread(weights: Sequence[float], points: Sequence[Any]) -> list[int]:
    """Count how many of the increasing points in [0, 1) fall into each weight's share of the line."""
    last = max(i for i, w in enumerate(weights) if w > 0)
    counts = [0] * len(weights)
    i, bound = 0, weights[0]
    for point in points:
        while i < last and not point < bound:
            i += 1
            bound += weights[i]
        counts[i] += 1
    return counts


def systematic(weights: Sequence[float], n: int, rng: Any) -> list[int]:
    """Counts with one uniform u for all points (u + i) / n (Carpenter, Clifford & Fearnhead 1999).

    `weights` W sum to 1; each count is n W_i rounded down or up.
    """
    u = rng.random()
    return _spread(weights, [(u + i) / n for i in range(n)])


def stratified(weights: Sequence[float], n: int, rng: Any) -> list[int]:
    """Counts with one uniform u_i in each stratum, at points (u_i + i) / n (Kitagawa 1996). `weights` sum to 1."""
    return _spread(weights, [(u + i) / n for i, u in enumerate(rng.random(n))])


def multinomial(weights: Sequence[float], n: int, rng: Any) -> list[int]:
    """Counts of n independent draws (Gordon, Salmond & Smith 1993). `weights` sum to 1."""
    counts = [0] * len(weights)
    for u in rng.random(n):
        for i, c in enumerate(_spread(weights, [u])):
            counts[i] += c
    return counts


def residual(weights: Sequence[float], n: int, rng: Any) -> list[int]:
    """Counts of floor(n W_i) for certain, the rest multinomially from what is left (Liu & Chen 1998). `weights` W sum to 1."""
    counts = [int(n * w + 1e-12) for w in weights]
    left = n - sum(counts)
    if left:
        rests = [max(n * w - c, 0.0) for w, c in zip(weights, counts, strict=True)]
        total = sum(rests)
        for i, c in enumerate(multinomial([r / total for r in rests], left, rng)):
            counts[i] += c
    return counts


SCHEMES: dict[str, Resampler] = {
    "systematic": systematic,
    "stratified": stratified,
    "residual": residual,
    "multinomial": multinomial,
}
