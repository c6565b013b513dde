"""The one contract of weighted engines: E[sum_i w_i f(t_i)] = Z E_posterior[f], to 1e-12, every engine x every program.

All randomness of program and engine is enumerated, so nothing here can fail by chance.
"""

from __future__ import annotations

import math

import pytest

from inference import exact, importance, smc
from inference.resampling import SCHEMES
from ppl.operations import regenerate
from ppl.population import log_sum_exp
from ppl.testing import check_unbiased, measure_of
from tests.laws.programs import CASES, POTENTIALS


def roulette(log_weights, n, rng):
    """A user's own resampler: heavy particles keep their weight, light ones live on with probability w / mean."""
    mean = log_sum_exp(log_weights) - math.log(len(log_weights))
    survivors = [(i, max(w, mean)) for i, w in enumerate(log_weights) if w >= mean or rng.random() < math.exp(w - mean)]
    return [i for i, _ in survivors], [w for _, w in survivors]


def single_site(trace, rng):
    """Metropolis-Hastings on one uniformly chosen site, with the factor |t| / |t'|."""
    sites = list(trace.choices)
    if not sites:
        return trace
    new, log_ratio = regenerate(trace, {sites[rng.integers(len(sites))]}, rng)
    if new.status == "dead":
        return trace
    log_ratio += math.log(len(sites) / len(new.choices))
    return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace


SINGLE = [
    importance(1),
    smc(1),
    *(smc(1, scheme, 1.0) for scheme in (*SCHEMES, roulette)),
    smc(1, ess_threshold=1.0, rejuvenate=single_site),
]
TWO = [
    importance(2),
    smc(2, ess_threshold=0.0),
    smc(2, ess_threshold=0.75),
    smc(2, "multinomial", 0.75),
    *(smc(2, scheme, 1.0) for scheme in (*SCHEMES, roulette)),
]
THREE = [
    importance(3),
    smc(3, ess_threshold=0.75),
    *(smc(3, s, 1.0) for s in (*SCHEMES, roulette) if s != "multinomial"),
]
# three independent draws at a barrier: paths grow fast, so at every barrier on short programs only
MULTINOMIAL, ADAPTIVE = smc(3, "multinomial", 1.0), smc(3, "multinomial", 0.75)
MINUTES = {"guessed", "telescoping"}
SECONDS = {"incr", "strings1e", "walk"}


def grid():
    for name, case in CASES.items():
        for engine in [exact(), *SINGLE, *TWO]:
            yield pytest.param(name, engine, id=f"{name}-{label(engine)}")
        for engine in THREE:
            yield pytest.param(name, engine, id=f"{name}-{label(engine)}", marks=slow_if(case.size == "large"))
        if case.size == "tiny" or name in ("guided", "inlined"):
            yield pytest.param(name, MULTINOMIAL, id=f"{name}-{label(MULTINOMIAL)}")
        if name not in MINUTES:
            yield pytest.param(name, ADAPTIVE, id=f"{name}-{label(ADAPTIVE)}", marks=slow_if(name in SECONDS))


def label(engine) -> str:
    if not isinstance(engine, smc):
        return repr(engine).partition("(max")[0]
    scheme = engine.resampling if isinstance(engine.resampling, str) else engine.resampling.__name__
    return f"smc{engine.particles}-{scheme}-{engine.ess_threshold:g}" + "-moved" * (engine.rejuvenate is not None)


def slow_if(condition: bool) -> list:
    return [pytest.mark.slow] if condition else []


@pytest.mark.parametrize("name, engine", grid())
def test_unbiased(name, engine):
    check_unbiased(engine, CASES[name].program, exact=CASES[name].exact)


@pytest.mark.parametrize("name", ["stopper", "var", "guided", "inlined", "hopeful", "early"])
def test_moves_at_barriers_keep_the_weights_unbiased(name):
    """Rejuvenation beside adaptive resampling, on runs of different lengths, with heuristics and checkpoints."""
    engine = smc(2, "systematic", 0.75, rejuvenate=single_site)
    check_unbiased(engine, CASES[name].program, exact=CASES[name].exact)


@pytest.mark.parametrize(
    "name, evidence, posterior",
    [  # order 00, 01, 10, 11
        ("product", 57 / 250, (0.118421, 0.039474, 0.350877, 0.491228)),
        ("odds", 181 / 60, (0.111878, 0.004144, 0.265193, 0.618785)),
        ("exp", 2.688259, (0.167627, 0.225959, 0.272987, 0.333427)),
        ("telescoping", 0.420, (0.321429, 0.107143, 0.238095, 0.333333)),
        ("min", 0.315, (0.095238, 0.142857, 0.317460, 0.444444)),
    ],
)
def test_five_readings_of_a_reward_are_five_posteriors(name, evidence, posterior):
    program = POTENTIALS[name]
    measure = {v: evidence * p for v, p in zip([(0, 0), (0, 1), (1, 0), (1, 1)], posterior)}
    assert measure_of(program) == pytest.approx(measure, abs=2e-6)
    for engine in (exact(), importance(2), smc(2, ess_threshold=1.0), smc(2, "multinomial", 0.75)):
        check_unbiased(engine, program)
