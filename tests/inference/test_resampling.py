"""Resampling schemes by enumeration: E[count_i] = n W_i exactly, their spread, zero weights, rounding at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.resampling import SCHEMES
from ppl.population import effective_sample_size, log_sum_exp, normalise
from ppl.testing import enumerate_outcomes

WEIGHTS = [
    (1.0,),
    (0.5, 0.5),
    (0.0, 1.0, 0.0),
    (0.7, 0.0, 0.3),
    (0.1, 0.2, 0.3, 0.4),
    (1 / 3, 1 / 3, 1 / 3),
    (1e-9, 1 - 1e-9),
    (0.25, 0.25, 0.0, 0.5),
]
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def outcomes(scheme, weights, n):
    return enumerate_outcomes(lambda streams: scheme(weights, n, streams.rng()))


@schemes
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_counts_are_unbiased(scheme, weights, n):
    if scheme is SCHEMES["multinomial"] and n == 5:
        n = 4
    table = outcomes(scheme, weights, n)
    assert all(sum(counts) == n for _, counts in table)
    for i, weight in enumerate(weights):
        mean = math.fsum(p * counts[i] for p, counts in table)
        assert abs(mean - n * weight) < 1e-12
        assert weight > 0 or all(counts[i] == 0 for _, counts in table)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(SCHEMES)),
    st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any),
    st.integers(1, 4),
)
def test_counts_are_unbiased_for_any_weights(scheme, parts, n):
    weights = [part / sum(parts) for part in parts]
    table = outcomes(SCHEMES[scheme], weights, n)
    for i, weight in enumerate(weights):
        assert abs(math.fsum(p * counts[i] for p, counts in table) - n * weight) < 1e-12


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_systematic_and_residual_counts_are_near_their_means(weights):
    for _, counts in outcomes(SCHEMES["systematic"], weights, 3):
        assert all(abs(c - 3 * w) < 1 for c, w in zip(counts, weights, strict=True))
    for _, counts in outcomes(SCHEMES["stratified"], weights, 3):
        assert all(abs(c - 3 * w) < 2 for c, w in zip(counts, weights, strict=True))
    for _, counts in outcomes(SCHEMES["residual"], weights, 3):
        assert all(c >= math.floor(3 * w) for c, w in zip(counts, weights, strict=True))


def test_multinomial_is_multinomial():
    weights = (0.2, 0.5, 0.3)
    table = {}
    for p, counts in outcomes(SCHEMES["multinomial"], weights, 3):
        table[tuple(counts)] = table.get(tuple(counts), 0.0) + p
    for counts, p in table.items():
        ways = math.factorial(3) / math.prod(map(math.factorial, counts))
        assert p == pytest.approx(ways * math.prod(w**c for w, c in zip(weights, counts, strict=True)))


class Edge:
    """A stream at the edge of what numpy gives: 0, or the largest float below 1."""

    def __init__(self, u):
        self.u = u

    def random(self, size=None):
        return self.u if size is None else [self.u] * size


@schemes
@pytest.mark.parametrize("u", [0.0, float(np.nextafter(1.0, 0.0))])
def test_rounding_never_leaves_the_population(scheme, u):
    """Cumulated weights may end below 1 and n W above an integer; no index falls off, no dead particle is chosen."""
    rng = np.random.default_rng(0)
    for m in (1, 3, 64, 257):
        weights = normalise([float(w) for w in rng.normal(0, 5, size=m)] + [-math.inf])
        counts = scheme(weights, m, Edge(u))
        assert sum(counts) == m and counts[-1] == 0 and min(counts) >= 0
        equal = scheme([1 / m] * m, m, Edge(u))
        assert sum(equal) == m
    assert SCHEMES["residual"]([0.1] * 10, 10, Edge(u)) == [1] * 10


def test_weights_as_logarithms():
    assert log_sum_exp([]) == log_sum_exp([-math.inf]) == -math.inf
    assert log_sum_exp([1000.0, 1000.0]) == pytest.approx(1000 + math.log(2))
    assert normalise([-math.inf, -2000.0, -2000.0]) == [0.0, 0.5, 0.5]
    assert normalise([-math.inf]) == [0.0]
    assert effective_sample_size([]) == effective_sample_size([-math.inf]) == 0.0
    assert effective_sample_size([3.0] * 5 + [-math.inf]) == pytest.approx(5.0)
    assert effective_sample_size([math.log(0.5), math.log(0.25), math.log(0.25)]) == pytest.approx(1 / 0.375)
