"""What every distribution obeys: what `sample` draws, what `log_prob` says and what `support` lists are one thing."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np

from ppl.boundary import label
from ppl.dist import Deferred, as_distribution
from ppl.errors import SupportError
from ppl.requests import perform
from ppl.testing.enumeration import NotEnumerable, enumerate_outcomes

CELLS, NODES = 40, 40  # of a histogram, and points in each at which its density is taken
OUTSIDE = (object(), "no such value \x00", -1e300)  # hardly a value of anything


def check_distribution(dist: Any, *, draws: int = 20_000, seed: int = 0, tolerance: float = 1e-12) -> None:
    """Sampling agrees with log_prob, and with support where there is one.

    Distributions that draw by comparing uniforms are enumerated: P(sample = v) = exp(log_prob(v)) to `tolerance` (give
    1e-6 for float32) for every v, and what cannot be drawn has log_prob -inf or is refused. Others (numbers only) are compared on a histogram of `draws` draws,
    each cell within 5.5 standard errors: a right distribution fails for 4 seeds in a million, with 100 cells.
    """
    dist = as_distribution(dist)
    try:
        _check_enumerated(dist, tolerance)
    except NotEnumerable:
        _check_histogram(dist, draws, np.random.default_rng(seed))
    assert dist.kind == as_distribution(dist).kind
    hash(dist.kind)


def _check_enumerated(dist: Any, tolerance: float) -> None:
    masses: dict[Any, float] = {}
    values: dict[Any, Any] = {}
    for p, (value, log_prob) in enumerate_outcomes(lambda streams: _draw(dist, streams.rng())):
        assert log_prob is None or abs(log_prob - dist.log_prob(value)) < 1e-9, (
            f"{dist!r}: {value!r} was drawn with log-prob {log_prob}, but log_prob says {dist.log_prob(value)}"
        )
        values[label(value)] = value
        masses[label(value)] = masses.get(label(value), 0.0) + p
    for name, value in values.items():
        if not dist.weighted:
            log_prob = dist.log_prob(value)
            assert abs(masses[name] - math.exp(log_prob)) < tolerance, (
                f"{dist!r}: {value!r} is drawn with probability {masses[name]!r} but has log_prob {log_prob!r}"
            )
    for value in OUTSIDE:
        with suppress(TypeError, ValueError, SupportError):
            assert dist.log_prob(value) == -math.inf, f"{dist!r}: log_prob({value!r}) is not -inf"
    if dist.finite:
        positive = [label(v) for v in dist.support() if dist.log_prob(v) > -math.inf]
        assert len(positive) == len(set(positive)), f"{dist!r}: its support repeats values"
        missing = set(masses) ^ set(positive)
        assert dist.weighted or not missing, f"{dist!r}: support and draws differ in {missing!r}"


def _draw(dist: Any, rng: Any) -> tuple[Any, float | None]:
    """A draw, with its log-prob where the distribution gives one along."""
    if not isinstance(dist, Deferred):
        return dist.sample(rng), None
    drawn = perform(dist.draw(rng))
    return drawn.value, drawn.log_prob


def _check_histogram(dist: Any, draws: int, rng: Any) -> None:
    found = [dist.sample(rng) for _ in range(draws)]
    numbers = np.array([float(v) for v in found])
    cells = _atoms(dist, found) if all(n == int(n) for n in numbers) else _bins(dist, numbers)
    for name, count, p in cells:
        error = abs(count - draws * p)
        assert error <= 5.5 * math.sqrt(draws * p * (1 - p)) + 1, (
            f"{dist!r}: {count} of {draws} draws fell in {name}, whose probability by log_prob is {p:.6g}"
        )


def _atoms(dist: Any, found: list[Any]) -> list[tuple[str, int, float]]:
    values = {float(v): v for v in found}
    counts = Counter(float(v) for v in found)
    atoms = [(repr(v), counts[n], math.exp(dist.log_prob(v))) for n, v in values.items()]
    seen = math.fsum(p for _, _, p in atoms)
    assert seen <= 1.0 + 1e-9, f"{dist!r}: the values drawn have total probability {seen}"
    return [*atoms, ("values never drawn", 0, max(0.0, 1.0 - seen))]


def _bins(dist: Any, numbers: Any) -> list[tuple[str, int, float]]:
    """Cells between quantiles of the draws; probabilities by the midpoint rule on exp(log_prob)."""
    edges = np.quantile(numbers, np.linspace(0.0, 1.0, CELLS + 1))
    rows = []
    for low, high in pairwise(edges):
        width = (high - low) / NODES
        density = [math.exp(dist.log_prob(float(low + (k + 0.5) * width))) for k in range(NODES)]
        rows.append(
            (f"[{low:.4g}, {high:.4g})", int(np.sum((numbers >= low) & (numbers < high))), width * sum(density))
        )
    return rows
