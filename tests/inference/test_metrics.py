"""Metrics of repeated sampling against closed forms and exact sums."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import betaln

from inference.metrics import CoverageLaw, Resampling, coverage, fit_coverage, pass_at_k
from ppl.errors import OptionError


def test_pass_at_k_of_three_right_in_ten():
    assert [pass_at_k(10, 3, k) for k in (1, 2, 5, 10)] == pytest.approx([0.3, 0.533333, 0.916667, 1.0], abs=1e-6)


@pytest.mark.parametrize(("n", "correct"), [(6, 0), (6, 2), (6, 5), (6, 6)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n, correct):
    attempts = [i < correct for i in range(n)]
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(attempts, k))
        assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-14)


def test_pass_at_k_is_unbiased_where_the_plug_in_estimate_is_not():
    n, k, p = 5, 3, 0.3
    chance = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    assert sum(q * pass_at_k(n, c, k) for c, q in enumerate(chance)) == pytest.approx(1 - 0.7**3, abs=1e-12)
    assert sum(q * (1 - (1 - c / n) ** k) for c, q in enumerate(chance)) == pytest.approx(0.572160, abs=1e-6)


def test_pass_at_k_stays_exact_for_many_attempts():
    exact = 1 - Fraction(math.comb(10_000 - 37, 500), math.comb(10_000, 500))
    assert pass_at_k(10_000, 37, 500) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("arguments", [(5, 2, 6), (5, 2, 0), (5, 6, 2), (5, -1, 2)])
def test_pass_at_k_refuses_what_it_cannot_tell(arguments):
    with pytest.raises(OptionError, match="pass_at_k"):
        pass_at_k(*arguments)


def test_coverage_is_the_mean_over_problems():
    counts = [(10, 3), (8, 0), (4, 4)]
    assert coverage(counts, [1, 4]) == pytest.approx([(0.3 + 0 + 1) / 3, (pass_at_k(10, 3, 4) + 0 + 1) / 3])
    with pytest.raises(OptionError, match="k=5 of n=4"):
        coverage(counts, [5])
    with pytest.raises(OptionError, match="no problems"):
        coverage([], [1])


KS = np.unique(np.round(np.logspace(0, 4, 40))).tolist()


@pytest.mark.parametrize(
    ("a", "b", "law", "error"),
    [
        (0.3, 2, (-1.9328, -0.3690), 0.0144),
        (0.15, 1, (-1.7707, -0.2162), 0.0398),
        (1, 9, (-3.3064, -0.7447), 0.0634),
    ],
)
def test_the_law_of_coverage_when_difficulty_is_beta(a, b, law, error):
    """P(right) ~ Beta(a, b) over problems: coverage at k is 1 - B(a, b + k) / B(a, b)."""

    def at(k):
        return 1 - math.exp(betaln(a, b + k) - betaln(a, b))

    if (a, b) == (0.3, 2):
        assert [at(k) for k in (1, 10, 100, 10_000)] == pytest.approx([0.1304, 0.4415, 0.7084, 0.9264], abs=5e-5)
    curve = [at(k) for k in KS]
    found = fit_coverage(KS, curve)
    assert (found.a, found.b) == pytest.approx(law, abs=5e-5)
    assert max(abs(found(k) - c) for k, c in zip(KS, curve, strict=True)) == pytest.approx(error, abs=5e-5)


def test_a_law_is_found_again_and_nonsense_refused():
    law = CoverageLaw(-2.5, -0.4)
    found = fit_coverage([1, 3, 10, 100], [law(k) for k in (1, 3, 10, 100)])
    assert (found.a, found.b) == pytest.approx((-2.5, -0.4), abs=1e-6)
    for ks, curve in ([[1], [0.5]], [[1, 2], [0.5]], [[1, 2], [0.0, 0.5]], [[3, 3], [0.1, 0.1]]):
        with pytest.raises(OptionError, match="fit_coverage"):
            fit_coverage(ks, curve)


# -- imperfect verifiers -------------------------------------------------------------------------------------------------


def verifier(cost):
    return Resampling((0.58, 0.42), (0.87, 0.13), completeness=1.0, soundness=0.75, value=1.0, cost=cost)


def test_the_bound_that_no_number_of_attempts_lifts():
    resampling = verifier(1.0)
    assert resampling.accuracy == pytest.approx([0.963989, 0.374101], abs=1e-6)
    assert resampling.break_even == pytest.approx([26.77, 0.5977], abs=5e-3)
    assert resampling.ceiling == pytest.approx(0.716236, abs=1e-6)
    assert resampling.reward(math.inf) == pytest.approx(0.716236 - 0.283764, abs=1e-6)


@pytest.mark.parametrize(
    ("cost", "rewards", "best"),
    [
        (0.7, (0.482060, 0.523874, 0.524567), 3),
        (1.0, (0.449000, 0.472381, 0.461352), 2),
        (2.0, (0.338800, 0.300737, 0.250637), 1),
        (4.0, (0.118400, -0.042550), 1),
        (30.0, (-2.7468,), 0),
        (0.5, (), math.inf),
    ],
)
def test_the_best_number_of_attempts(cost, rewards, best):
    resampling = verifier(cost)
    assert [resampling.reward(k) for k in range(1, 1 + len(rewards))] == pytest.approx(rewards, abs=1e-6)
    assert resampling.best_k == best


@pytest.mark.parametrize("seed", range(60))
def test_the_best_number_is_that_of_a_long_search(seed):
    rng = np.random.default_rng(seed)
    kinds = 1 + seed % 4
    shares = rng.dirichlet([1.0] * kinds)
    chances, (complete, sound) = rng.uniform(0.01, 0.99, size=kinds), rng.uniform(0.05, 0.99, size=2)
    resampling = Resampling(shares.tolist(), chances.tolist(), complete, sound, 1.0, float(rng.uniform(0, 3)))

    def reward(k):
        """Attempt by attempt: accepted right, accepted wrong, or on to the next."""
        total = 0.0
        for share, p in zip(shares, chances, strict=True):
            left = share
            for _ in range(k):
                total += left * (complete * p - resampling.cost * (1 - sound) * (1 - p))
                left *= 1 - complete * p - (1 - sound) * (1 - p)
        return total

    assert resampling.reward(7) == pytest.approx(reward(7), abs=1e-12)
    best = resampling.best_k
    rewards = [reward(k) for k in (0, 1, 2, 3, 5, 8, 13, 50, 400)]
    if best == math.inf:
        assert resampling.reward(math.inf) >= max(rewards) - 1e-9
    else:
        assert reward(best) >= max(rewards) - 1e-12
        assert reward(best) >= reward(best + 1) - 1e-12 and (best == 0 or reward(best) >= reward(best - 1) - 1e-12)


def test_shares_and_probabilities_are_checked():
    for shares, chances in ([(0.5, 0.4), (0.5, 0.5)], [(1.0,), (0.5, 0.5)], [(1.0,), (1.5,)]):
        with pytest.raises(OptionError, match="Resampling"):
            Resampling(shares, chances)
