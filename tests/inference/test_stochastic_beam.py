"""Sampling traces without replacement: inclusion probabilities, unbiased weights, and the bias of a fixed root.

Statistical tests compare means over fixed seeds with exact values at 4.5 standard errors: each comparison fails by
chance with probability 7e-6 for fresh seeds (about 1e-3 for this file), and a shift of 7 standard errors is missed
with probability 6e-3.
"""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from inference import stochastic_beam
from ppl import checkpoint, limit, model, require, sample, score
from ppl.dist import categorical, normal, uniform
from ppl.errors import CapabilityError
from ppl.streams import Streams
from tests.laws.programs import CASES

FIRST = (0.5, 0.3, 0.2)
SECOND = ((0.6, 0.3, 0.1), (0.2, 0.2, 0.6), (0.4, 0.4, 0.2))
P = [FIRST[i] * SECOND[i][j] for i, j in itertools.product(range(3), repeat=2)]
PUBLISHED = {
    2: [0.537556, 0.306593, 0.108390, 0.129396, 0.129396, 0.360164, 0.170677, 0.170677, 0.087150],
    3: [0.716388, 0.464505, 0.177295, 0.210266, 0.210266, 0.530754, 0.273532, 0.273532, 0.143464],
}
RUNS = 2500


@model
def pairs():
    i = sample("i", categorical(dict(enumerate(FIRST))))
    j = sample("j", categorical(dict(enumerate(SECOND[i]))))
    return 3 * i + j


def inclusion(p, k):
    """P(item is among k draws without replacement), summed over all ordered samples."""
    chances = [Fraction(0)] * len(p)
    p = [Fraction(str(round(x, 12))) for x in p]
    for order in itertools.permutations(range(len(p)), k):
        chance, left = Fraction(1), Fraction(1)
        for i in order:
            chance, left = chance * p[i] / left, left - p[i]
        for i in order:
            chances[i] += chance
    return [float(c) for c in chances]


def near(samples, exact):
    samples = np.asarray(samples, dtype=float)
    error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    return np.abs(samples.mean(axis=0) - exact) / np.maximum(error, 1e-12)


@functools.cache
def sampled(k, runs):
    return [pairs.run(engine=stochastic_beam(k), seed=seed) for seed in range(runs)]


@pytest.mark.parametrize(("k", "runs"), [(2, RUNS), (3, 1000)])
def test_inclusion_probabilities(k, runs):
    exact = inclusion(P, k)
    assert exact == pytest.approx(PUBLISHED[k], abs=1e-6)
    hits = np.zeros((runs, 9))
    for hit, result in zip(hits, sampled(k, runs), strict=True):
        assert len(set(result.values)) == k
        hit[result.values] = 1
    assert near(hits, exact).max() < 4.5


def test_the_first_is_an_ordinary_draw():
    firsts = np.zeros((RUNS, 9))
    for first, result in zip(firsts, sampled(2, RUNS), strict=True):
        first[result.values[0]] = 1
    assert near(firsts, P).max() < 4.5


# Six first choices, of which a beam of 1 or 2 goes on from 2 or 3 only: nodes are dropped before their children are known.
EARLY = (0.3, 0.2, 0.2, 0.15, 0.1, 0.05)
LATE = ((0.9, 0.1), (0.5, 0.5), (0.2, 0.8), (0.6, 0.4), (0.5, 0.5), (0.3, 0.7))


@model
def narrowing():
    i = sample("i", categorical(dict(enumerate(EARLY))))
    j = sample("j", categorical(dict(enumerate(LATE[i]))))
    return 2 * i + j


@pytest.mark.parametrize("k", [1, 2])
def test_dropping_nodes_early_changes_nothing(k, runs=600):
    """Inclusion by enumeration, the evidence 1, and E[i^2]; power as above for a shift of .1 in an inclusion."""
    p = [EARLY[i] * LATE[i][j] for i, j in itertools.product(range(6), range(2))]
    results = [narrowing.run(engine=stochastic_beam(k), seed=(k, seed)) for seed in range(runs)]
    hits = np.zeros((runs, 12))
    for hit, result in zip(hits, results, strict=True):
        hit[result.values] = 1
    assert near(hits, inclusion(p, k)).max() < 4.5
    assert near([math.exp(r.log_evidence) for r in results], 1.0) < 4.5
    assert near([estimate(r) for r in results], sum(q * i**2 for i, q in enumerate(p))) < 4.5


class RootAt0(Streams):
    """Every stream as it is, but the root's Gumbel is 0, as in sampling without estimation."""

    def at(self, key, site, index):
        rng = super().at(key, site, index)
        if key != self.root or site != "engine:gumbel":
            return rng

        class Zero:
            @staticmethod
            def gumbel():
                return 0.0

        return Zero


def estimate(result):
    """sum over the sample of f(t) p(t) / q(t), with f(i) = i^2 so that the exact value is 15.71."""
    return sum(math.exp(lw) * v**2 for v, lw in zip(result.values, result.log_weights, strict=True))


def test_weights_are_unbiased():
    assert sum(p * i**2 for i, p in enumerate(P)) == pytest.approx(15.71)
    assert near([estimate(result) for result in sampled(2, RUNS)], 15.71) < 4.5


def test_with_the_root_fixed_they_are_not():
    found = [estimate(pairs.run(engine=stochastic_beam(2), seed=RootAt0((seed,)))) for seed in range(RUNS)]
    assert near(found, 15.71) > 4.5
    assert near(found, 13.4) < 4.5


FINITE = [name for name in CASES if name != "pair"]


@pytest.mark.parametrize("name", FINITE)
def test_wide_enough_it_is_exact(name):
    case = CASES[name]
    result = case.program.run(engine=stochastic_beam(10_000), seed=0)
    found = {v: result.p(v) * math.exp(result.log_evidence) for v in set(result.values)}
    assert result.log_evidence == pytest.approx(math.log(case.evidence) if case.evidence else -math.inf, abs=1e-12)
    assert {v: m for v, m in found.items() if m} == pytest.approx({v: float(m) for v, m in case.exact.items() if m})


@pytest.mark.parametrize("name", [n for n in FINITE if CASES[n].size != "tiny"])
@pytest.mark.parametrize("width", [2, 3])
def test_evidence_is_unbiased(name, width):
    """Scores, dead ends, proposals, unequal lengths: none of them steers, all of them weigh."""
    case = CASES[name]
    found = [math.exp(case.program.run(engine=stochastic_beam(width), seed=s).log_evidence) for s in range(250)]
    assert near(found, case.evidence) < 4.5 or np.ptp(found) < 1e-12 and found[0] == pytest.approx(case.evidence)


def test_dead_traces_take_part():
    @model
    def half():
        i = sample("i", uniform(range(4)))
        require(i % 2, "even")
        return i

    result = half.run(engine=stochastic_beam(4), seed=0)
    assert sorted(result.values) == [1, 3]
    assert result.log_evidence == pytest.approx(math.log(0.5))
    assert sum(result.reasons.values()) == 2
    empty = [s for s in range(60) if not half.run(engine=stochastic_beam(1), seed=s).values]
    assert empty
    assert half.run(engine=stochastic_beam(1), seed=empty[0]).log_evidence == -math.inf


def test_replay_checkpoints_and_limits():
    @model
    def program():
        total = 0
        for _ in range(4):
            checkpoint()
            total += sample("x", categorical({0: 0.5, 1: 0.3, 2: 0.2}))
            score(-0.1 * total)
        return total

    one, two = (program.run(engine=stochastic_beam(4), seed=3, live=live) for live in (None, 0))
    assert one.values == two.values
    assert list(one.log_weights) == list(two.log_weights)
    for nodes in range(1, 30, 4):
        stopped = program.run(engine=stochastic_beam(4), seed=3, limit=limit(nodes=nodes))
        assert stopped.cost.nodes == nodes
        assert stopped.stopped == "nodes"


def test_very_unlikely_traces_keep_finite_weights():
    @model
    def long():
        for _ in range(330):
            if sample("x", categorical({"go": 0.1, "stop": 0.9})) == "stop":
                return "early"
        return "late"

    result = long.run(engine=stochastic_beam(400), seed=0)
    assert len(result) == 331
    assert result.log_evidence == pytest.approx(0.0, abs=1e-9)
    assert long.run(engine=stochastic_beam(330), seed=0).log_evidence == pytest.approx(0.0, abs=1e-9)


def test_an_infinite_choice_is_refused_by_name():
    @model
    def program():
        sample("coin", categorical({0: 0.5, 1: 0.5}))
        return sample("x", normal(0, 1))

    with pytest.raises(CapabilityError, match="site 'x'"):
        program.run(engine=stochastic_beam(2), seed=0)
