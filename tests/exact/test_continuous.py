"""Conjugate and linear-Gaussian models (C4, C5, C6), unbounded recursion (C8), and nested queries (C14)."""

from __future__ import annotations

import math

import pytest

from inference import exact, importance, smc
from ppl import model, observe, sample, score
from ppl.dist import bernoulli, beta, geometric, normal, uniform
from ppl.errors import CapabilityError
from ppl.testing import check_clt, check_unbiased
from tests.naming import named


def assert_close(found: float, expected: float, variance: float, n: int) -> None:
    """A mean of n draws of known variance: fails by chance for 7 seeds in a million (|z| < 4.5)."""
    assert abs(found - expected) < 4.5 * math.sqrt(variance / n), (found, expected)


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@model
def coin_bias(tosses, guide=None):
    p = sample("p", beta(2, 3), proposal=guide)
    for toss in tosses:
        observe("toss", bernoulli(p), toss)
    return p


TOSSES = [True] * 7 + [False] * 3


def test_beta_bernoulli():
    """C4: log Z from 1,500 prior draws, with the variance known in closed form; and exactly, under the posterior."""
    evidence = math.exp(log_beta(9, 6) - log_beta(2, 3))
    assert evidence == pytest.approx(6.660006660006653e-4, rel=1e-12)
    n = 1500
    found = math.exp(coin_bias.run(TOSSES, engine=importance(n), seed=1).log_evidence)
    assert_close(found, evidence, math.exp(log_beta(16, 9) - log_beta(2, 3)) - evidence**2, n)
    perfect = coin_bias.run(TOSSES, beta(9, 6), engine=importance(500), seed=2)
    assert perfect.log_evidence == pytest.approx(-7.314219887423386, abs=1e-12)
    assert perfect.ess == pytest.approx(500)
    assert_close(perfect.mean(), 0.6, 0.015, 500)
    assert_close(perfect.p(lambda p: p > 0.5), 0.78802490234375, 0.167, 500)


DATA = [1.2, 0.4, 2.1, 1.7, 0.9]


@model
def normal_mean(guide=None):
    mu = sample("mu", normal(0.0, 2.0), proposal=guide)
    for y in DATA:
        observe("y", normal(mu, 1.0), y)
    return mu


def test_normal_mean():
    """C5: exactly, under the posterior as proposal; and by the CLT under a wider one."""
    perfect = normal_mean.run(normal(1.2, math.sqrt(4 / 21)), engine=importance(300), seed=0)
    assert perfect.log_evidence == pytest.approx(-7.191953884885072, abs=1e-12)
    assert_close(perfect.mean(), 1.2, 0.190476190476, 300)
    wide = normal(1.0, 0.7)
    evidence = math.exp(-7.191953884885072)
    check_clt(importance(50), normal_mean, (wide,), expected=evidence, variance=0.006 * evidence**2, bias=0.1)
    mean = 1.2 * evidence
    check_clt(importance(50), normal_mean, (wide,), f=float, expected=mean, variance=0.01 * mean**2, bias=0.1)


SEEN = [0.3, -0.1, 0.8, 1.5, 1.1]


@model
def state_space(guided: bool):
    """x_0 ~ N(0, 1), x_t ~ N(.9 x_{t-1}, .5), y_t ~ N(x_t, .8); guided: by the locally optimal proposal."""
    x = []
    for y in SEEN:
        prior = normal(0.9 * x[-1], 0.5) if x else normal(0.0, 1.0)
        gain = prior.sd**2 / (prior.sd**2 + 0.64)
        guide = normal(prior.mu + gain * (y - prior.mu), prior.sd * math.sqrt(1 - gain))
        x.append(sample("x", prior, proposal=guide if guided else None))
        observe("y", normal(x[-1], 0.8), y)
    return tuple(x)


@pytest.mark.parametrize("guided, spread", [(False, 0.37), (True, 0.19)])
def test_linear_gaussian_state_space(guided, spread):
    """C6 against the Kalman filter. A bias of 25% fails with power > .99."""
    evidence = math.exp(-6.087011829970547)
    variance = (spread * evidence) ** 2
    check_clt(smc(24, ess_threshold=0.7), state_space, (guided,), expected=evidence, variance=variance, bias=0.25)


def test_smoothing_in_the_state_space():
    """Means over 30 runs pooled by their evidence; tolerance of .08 is above 5 standard errors (measured .013)."""
    runs = [state_space.run(True, engine=smc(64), seed=s) for s in range(30)]
    weights = [math.exp(r.log_evidence) for r in runs]
    for t, mean in enumerate([0.322125509, 0.388995352, 0.672424932, 0.907954776, 0.896608934]):
        pooled = sum(w * r.mean(lambda x, t=t: x[t]) for w, r in zip(weights, runs, strict=True)) / sum(weights)
        assert abs(pooled - mean) < 0.08


@model
def tries():
    k = 1
    while sample("again", bernoulli(0.5)):
        k += 1
    observe("y", normal(k, 1.0), 3.2)
    return k


@model
def counted():
    k = sample("k", geometric(0.5))
    observe("y", normal(k, 1.0), 3.2)
    return k


def test_unbounded_recursion():
    """C8, as a loop of coins and as one site; exact enumeration refuses both, saying what to do."""
    evidence = math.exp(-1.9961079838629456)
    second = math.fsum(0.5**k * math.exp(-((3.2 - k) ** 2)) / (2 * math.pi) for k in range(1, 60))
    for program in (tries, counted):
        n = 3000
        posterior = program.run(engine=importance(n), seed=3)
        assert_close(math.exp(posterior.log_evidence), evidence, second - evidence**2, n)
        # delta method: the variance of a ratio estimate is E[w^2 (k - mean)^2] / Z^2, below 2 here
        assert_close(posterior.mean(), 2.55395695995071, 2.0, n)
    with pytest.raises(CapabilityError, match="site 'k'"):
        counted.run(engine=exact())
    with pytest.raises(CapabilityError, match="max_traces=50"):
        tries.run(engine=exact(max_traces=50))
    with pytest.raises(CapabilityError, match="longer than max_effects=40"):
        tries.run(engine=exact(max_effects=40))


# -- C14 ---------------------------------------------------------------------------------------------------------------


@exact()
@model
def inner(x: float):
    z = sample("z", bernoulli(x))
    score(-2.0 if z else 0.0)
    return z


@model
def outer(points: int, normalised: bool):
    """x on a grid of midpoints: sums over it are integrals to O(points^-2)."""
    x = sample("x", uniform([(i + 0.5) / points for i in range(points)]))
    posterior = inner(x)
    score(math.log(posterior.p(True)) + (0.0 if normalised else posterior.log_evidence))
    return x


def test_nested_query():
    """webppl's nestedEnumWithFactor: the inner query is normalised; reading it otherwise gives 2/3."""
    result = outer.run(300, True, engine=exact())
    assert result.log_evidence == pytest.approx(-1.5822450732193092, abs=2e-5)
    mean = result.mean()
    assert mean == pytest.approx(0.7757205647717831, abs=2e-5)
    assert math.sqrt(result.mean(lambda x: (x - mean) ** 2)) == pytest.approx(0.20378274151783846, abs=2e-5)
    assert result.warnings == []
    assert outer.run(300, False, engine=exact()).mean() == pytest.approx(2 / 3, abs=2e-5)


@model
def weighed(p: float):
    a = sample("a", bernoulli(p))
    score(math.log(0.75 if a else 0.25))
    b = sample("b", bernoulli(0.5))
    score(math.log(0.5 if a == b else 1.0))
    return a


@pytest.mark.parametrize("inside", [importance(2), smc(2, "multinomial", 1.0), smc(2, ess_threshold=0.75)], ids=named)
def test_an_unbiased_inner_evidence_keeps_the_outer_engine_exact(inside):
    nested = inside(weighed)

    @model
    def around():
        x = sample("x", bernoulli(0.25))
        score(nested(0.9 if x else 0.2).log_evidence)
        return x

    masses = {x: (0.25 if x else 0.75) * 0.75 * (0.75 * p + 0.25 * (1 - p)) for x, p in ((True, 0.9), (False, 0.2))}
    check_unbiased(importance(1), around, exact=masses)
    check_unbiased(smc(1), around, exact=masses)
    assert around.run(engine=importance(1), seed=0).warnings == []
