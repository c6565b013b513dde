"""Programs whose posteriors are known exactly: coins, telescoping factors, a hidden Markov model, auxiliary randomness."""

from __future__ import annotations

import math

import pytest

from inference import exact, importance, smc
from ppl import model, observe, sample, score
from ppl.dist import bernoulli, categorical
from ppl.testing import check_unbiased, enumerate_outcomes, expected_measure
from tests.laws.programs import CASES, log
from tests.naming import named


def moments(program, *args) -> tuple[float, float]:
    """Mean and variance of the weight of one run."""
    weights = [
        (p, math.exp(result.log_evidence))
        for p, result in enumerate_outcomes(lambda s: program.run(*args, engine=importance(1), seed=s))
    ]
    mean = math.fsum(p * w for p, w in weights)
    return mean, math.fsum(p * (w - mean) ** 2 for p, w in weights)


def test_two_coins_of_which_one_came_up():
    """C1. Z = 3/4, P(x) = 2/3; variances of the weight under the prior and under a guide."""
    posterior = CASES["or_flips"].program.run(engine=exact())
    assert posterior.log_evidence == pytest.approx(-0.2876820724517809, abs=1e-14)
    assert posterior.marginal("x")[True] == pytest.approx(2 / 3, abs=1e-14)
    assert [posterior.p(v) for v in ((0, 1), (1, 0), (1, 1))] == pytest.approx([1 / 3] * 3, abs=1e-14)
    assert moments(CASES["or_flips"].program) == pytest.approx((3 / 4, 3 / 16), abs=1e-14)
    assert moments(CASES["guided"].program) == pytest.approx((3 / 4, 1.037202380952), abs=1e-11)


@model
def binomial():
    a = sample("a", bernoulli(0.5))
    score(-1.0 if a else -2.0)
    b = sample("b", bernoulli(0.5))
    score(0.0 if b else -2.0)
    c = sample("c", bernoulli(0.5))
    score(-1.0 if b or c else -2.0)
    return a + b + c


def test_incremental_binomial():
    """C2 (webppl's incrementalBinomial)."""
    posterior = binomial.run(engine=exact())
    assert posterior.log_evidence == pytest.approx(-2.9845080310241308, abs=1e-13)
    known = {0: 0.00612771404899, 1: 0.156392134285, 2: 0.502918300659, 3: 0.334561851007}
    assert {v: posterior.p(v) for v in known} == pytest.approx(known, abs=1e-12)
    marginals = [posterior.marginal(site)[True] for site in "abc"]
    assert marginals == pytest.approx([0.731058578630, 0.915280555586, 0.519575154409], abs=1e-12)
    assert posterior.best.log_joint == pytest.approx(-4.079441541679836, abs=1e-13)
    assert posterior.best.choices == {"a": True, "b": True, "c": False}
    evidence = math.exp(posterior.log_evidence)
    check_unbiased(
        smc(2, "stratified", 1.0), binomial, exact={v: p * evidence for v, p in known.items()}, tolerance=1e-11
    )


def test_shaping_that_telescopes_changes_nothing():
    """C3 (webppl's varFactors1): runs with two and with four scores, Z = 1."""
    posterior = CASES["telescoping"].program.run(engine=exact())
    assert posterior.log_evidence == pytest.approx(0.0, abs=1e-14)
    assert [posterior.p(1), posterior.p(3)] == pytest.approx([0.5, 0.5], abs=1e-14)


# -- C7 ----------------------------------------------------------------------------------------------------------------

START = {0: 0.5, 1: 0.3, 2: 0.2}
MOVE = [{0: 0.7, 1: 0.2, 2: 0.1}, {0: 0.1, 1: 0.6, 2: 0.3}, {0: 0.3, 1: 0.3, 2: 0.4}]
ZERO = [0.9, 0.5, 0.2]


@model
def hmm(seen):
    state, path = None, ""
    for y in seen:
        state = sample("state", categorical(START if state is None else MOVE[state]))
        observe("y", bernoulli(1 - ZERO[state]), bool(y))
        path += str(state)
    return path


def test_hidden_markov_model():
    posterior = hmm.run([0, 0, 1, 1, 0, 1], engine=exact())
    assert math.exp(posterior.log_evidence) == pytest.approx(275247307 / 2e10, rel=1e-12)
    smoothed = {0: (0.6978925774, 0.2468140497, 0.0552933730), 2: (0.0883230113, 0.5156516936, 0.3960252952)}
    for t, expected in {**smoothed, 5: (0.0934128276, 0.4666572349, 0.4399299375)}.items():
        found = posterior.marginal(f"state[{t}]")
        assert [found[s] for s in range(3)] == pytest.approx(expected, abs=1e-10)
    assert posterior.best.value == "001111"
    assert posterior.best.log_joint == pytest.approx(-7.1750466618, abs=1e-10)
    assert posterior.p("001111") == pytest.approx(0.05561907, abs=1e-8)
    ranked = sorted(posterior.traces, key=lambda t: -t.log_joint)[1:3]
    assert [(t.value, round(t.log_joint, 10)) for t in ranked] == [("001112", -7.3981902131), ("111111", -7.9169840065)]


def test_the_evidence_so_far_of_the_hidden_markov_model():
    running = [-0.4462871026, -0.8556661101, -1.9636159762, -2.6952203567, -3.4031435242, -4.2858175608]
    seen = [0, 0, 1, 1, 0, 1]
    found = [hmm.run(seen[: t + 1], engine=exact()).log_evidence for t in range(6)]
    assert found == pytest.approx(running, abs=1e-9)


@pytest.mark.parametrize("engine", [smc(1), smc(2, ess_threshold=1.0), importance(2)], ids=named)
def test_engines_on_the_hidden_markov_model(engine):
    exact_measure = hmm.run([0, 1], engine=exact())
    masses = dict(zip(exact_measure.values, [math.exp(w) for w in exact_measure.log_weights], strict=True))
    check_unbiased(engine, hmm, ([0, 1],), exact=masses)


# -- C12 ---------------------------------------------------------------------------------------------------------------

TARGET = (0.6, 1.2, 0.8)
GUIDE = [{0: 0.6, 1: 0.3, 2: 0.1}, {0: 0.1, 1: 0.3, 2: 0.6}]


@model
def auxiliary(meta):
    """x is proposed with the help of a coin z; meta(z, x) stands for the probability that z led to x."""
    z = sample("z", bernoulli(0.5))
    x = sample("x", categorical(GUIDE[z]))
    score(math.log(TARGET[x]) + log(meta(z, x)) - math.log(0.5 * GUIDE[z][x]))
    return x


@pytest.mark.parametrize(
    "meta, variance",
    [
        (lambda z, x: GUIDE[z][x] / (GUIDE[0][x] + GUIDE[1][x]), 0.897142857143),
        (lambda z, x: 0.5, 3.873333333333),
        (lambda z, x: 0.1 if z else 0.9, 12.545333333333),
    ],
    ids=["exact", "uniform", "skewed"],
)
def test_any_distribution_of_the_auxiliary_choice_is_unbiased(meta, variance):
    assert moments(auxiliary, meta) == pytest.approx((13 / 5, variance), abs=1e-11)
    assert expected_measure(smc(2), auxiliary, meta) == pytest.approx(dict(enumerate(TARGET)), abs=1e-12)


def test_forgetting_the_auxiliary_choice_is_not():
    assert moments(auxiliary, lambda z, x: 1.0)[0] == pytest.approx(26 / 5)
