"""Parallel tempering: swaps and sweeps leave the product of the tempered targets invariant, exactly."""

from __future__ import annotations

import importlib
import itertools
import math

import numpy as np
import pytest

from inference import Metropolis, block, parallel_tempering, single_site
from ppl import AllDead, limit, model, require, sample, score
from ppl.dist import Distribution, bernoulli, normal
from ppl.errors import CapabilityError, OptionError, ResultError
from ppl.testing import check_replay_invariance, check_seed_determinism, enumerate_outcomes
from tests.inference.chain_cases import CASES, stationary

tempering = importlib.import_module("inference.parallel_tempering")  # the name in the package is the engine's


def tempered(name, temperature):
    """The traces of a case and their probabilities under p exp(scores / T), from the case's prior and masses."""
    traces, pi = stationary(*CASES[name])
    prior = np.array([math.exp(t.log_prob) for t in traces])
    weights = prior * (pi / prior) ** (1.0 / temperature)
    return traces, weights / weights.sum()


def pair_matrix(traces, step):
    """The transition matrix of step(states, rng) on pairs of traces."""
    pairs = list(itertools.product(range(len(traces)), repeat=2))
    number = {(traces[a].value, traces[b].value): i for i, (a, b) in enumerate(pairs)}
    matrix = np.zeros((len(pairs), len(pairs)))
    for i, (a, b) in enumerate(pairs):
        for p, (x, y) in enumerate_outcomes(lambda s, a=a, b=b: step([traces[a], traces[b]], s.rng())):
            matrix[i, number[x.value, y.value]] += p
    return matrix


def test_the_toy_at_temperature_two_is_as_published():
    traces, pi = tempered("odds_toy", 2.0)
    found = {t.value: round(float(p), 6) for t, p in zip(traces, pi, strict=True)}
    assert found == {(0, 0): 0.171623, (0, 1): 0.057208, (1, 0): 0.305108, (1, 1): 0.466061}


@pytest.mark.parametrize("temperatures", [(1.0, 2.0), (1.0, 3.5), (1.0, math.inf)])
@pytest.mark.parametrize("name", ["odds_toy", "c13", "proposed", "stopper", "ruled_out"])
def test_a_swap_keeps_the_product_of_targets(name, temperatures):
    traces, one = tempered(name, temperatures[0])
    _, two = tempered(name, temperatures[1])
    product = np.outer(one, two).ravel()
    matrix = pair_matrix(traces, lambda states, rng: tempering.exchange(states, temperatures, 0, rng))
    assert np.abs(product @ matrix - product).max() < 1e-12
    flow = product[:, None] * matrix
    assert np.abs(flow - flow.T).max() < 1e-12


def test_accepted_swaps_of_the_toy_are_as_frequent_as_published():
    traces, one = tempered("odds_toy", 1.0)
    _, two = tempered("odds_toy", 2.0)
    matrix = pair_matrix(traces, lambda states, rng: tempering.exchange(states, (1.0, 2.0), 0, rng))
    moved = np.outer(one, two).ravel() @ (1 - np.diag(matrix))
    assert moved == pytest.approx(0.427560, abs=1e-6)


def test_a_swap_by_whole_densities_or_by_log_p_minus_log_q_fails(monkeypatch):
    """The prior and the proposals must cancel; a swap that tempers them too is another chain."""
    traces, one = tempered("proposed", 1.0)
    _, two = tempered("proposed", 2.0)
    product = np.outer(one, two).ravel()
    for wrong in ("log_joint", "log_total"):

        class Wrong:
            def __init__(self, trace, wrong=wrong):
                self.value, self.log_score = trace.value, getattr(trace, wrong)

        matrix = pair_matrix(traces, lambda s, rng, w=Wrong: tempering.exchange([w(t) for t in s], (1.0, 2.0), 0, rng))
        assert np.abs(product @ matrix - product).max() > 1e-3


def test_only_neighbours_of_one_parity_swap():
    traces, _ = tempered("odds_toy", 1.0)
    up = sorted(traces, key=lambda t: t.log_score)[:4]
    always = [1.0, math.inf, 1.0, math.inf, 1.0]  # falling scores at falling temperatures: every offer is accepted
    states = [up[0], up[3], up[0], up[3], up[0]]
    rng = np.random.default_rng(0)
    assert tempering.exchange(states, always, 0, rng) == [up[3], up[0], up[3], up[0], up[0]]
    low = tempering.exchange(states[1:], always[:4], 1, rng)
    assert low[0] is states[1] and low[3] is states[4]


@pytest.mark.parametrize("kernel", ["single_site", "suffix", "prior", block("x", "u", "stop", "v")])
def test_only_the_chain_at_temperature_one_is_reported(kernel):
    """5 standard errors by batch means over 40 batches: a right engine fails for about 1 seed in 10^5."""
    engine = parallel_tempering([1, 2, math.inf], 1600, burn_in=30, kernel=kernel)
    posterior = CASES["c13"][0].run(engine=engine, seed=6)
    hits = np.array([v[0] for v in posterior.values], dtype=float)
    batches = hits.reshape(40, -1).mean(axis=1)
    assert abs(hits.mean() - 146 / 321) < 5 * batches.std(ddof=1) / math.sqrt(40)
    assert len(hits) == 1600 and np.allclose(posterior.weights, 1 / 1600)
    with pytest.raises(ResultError, match="Markov chain does not estimate it"):
        _ = posterior.log_evidence


def test_it_crosses_a_valley_that_one_chain_does_not():
    """Two modes 50 nats deep apart: from temperature 1 alone the second one is never seen."""

    @model
    def valley():
        bits = [sample("bit", bernoulli(0.5)) for _ in range(4)]
        score(-50.0 * min(sum(bits), 4 - sum(bits)))
        return sum(bits)

    ladder = [1, 4, 16, 64, math.inf]
    hot = valley.run(engine=parallel_tempering(ladder, 800, burn_in=50), seed=1)
    cold = valley.run(engine=parallel_tempering([1], 800, burn_in=50), seed=1)
    assert 0.3 < hot.p(0) < 0.7 and hot.p(0) + hot.p(4) == pytest.approx(1.0)
    assert max(cold.p(0), cold.p(4)) == 1.0


def test_continuations_kept_or_not_change_nothing():
    for name in ("rounds", "guided"):
        check_replay_invariance(parallel_tempering([1, 2], 10), CASES[name][0], seed=3)


def test_seeds_do_not_depend_on_what_runs_beside():
    @model
    def shifted(mean):
        x = sample("x", normal(mean, 1.0))
        score(-abs(x))
        return x

    check_seed_determinism(parallel_tempering([1, 3], 10), shifted, [0.0, 1.0, 5.0], seed=4)


def test_limits_and_dead_starts():
    posterior = CASES["rounds"][0].run(engine=parallel_tempering([1, 2], 1000), seed=8, limit=limit(nodes=80))
    assert posterior.stopped == "nodes" and len(posterior) == 39

    @model
    def dead():
        require(sample("x", bernoulli(0.0)), "x is false")

    with pytest.raises(AllDead, match="100 x require: x is false"):
        dead.run(engine=parallel_tempering([1, 2], 10), seed=0)


def test_a_site_that_cannot_be_scored_again():
    class DrawsOnly(Distribution):
        rescorable = False

        def sample(self, rng):
            raise AssertionError("drawn, although it could be known before")

    @model
    def program():
        return sample("z", DrawsOnly())

    with pytest.raises(CapabilityError, match="site 'z' cannot be scored again"):
        program.run(engine=parallel_tempering([1, 2], 10), seed=0)


def test_bad_options():
    for temperatures in ([], [2, 4], [1, 0], [1, -2], [1, "hot"], [1, math.nan], [True, 2]):
        with pytest.raises(OptionError, match="expected positive numbers, the first of them 1"):
            parallel_tempering(temperatures, 10)
    with pytest.raises(OptionError, match="expected list"):
        parallel_tempering(3, 10)
    with pytest.raises(OptionError, match=r"expected kernel\(trace, rng, temperature\)"):
        parallel_tempering([1, 2], 10, kernel=lambda trace, rng: trace)
    own = Metropolis(single_site.propose)
    assert parallel_tempering((1, 2), 10, kernel=own).kernel is own
    assert len(CASES["c13"][0].run(engine="parallel_tempering([1, 2.5], 7)", seed=0)) == 7
