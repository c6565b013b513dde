"""Entropic annealing keeps evidence unbiased; the published particle filter is reproduced, and labelled."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import pytest

from inference import importance, smc
from inference.annealing import temperature
from ppl import limit, model, sample, score
from ppl.dist import bernoulli, categorical, uniform
from ppl.errors import OptionError, ResultError
from ppl.testing import check_replay_invariance, check_unbiased

RESAMPLING = ("systematic", "stratified", "residual", "multinomial")


def logs(weights):
    return [math.log(w) if w else -math.inf for w in weights]


# -- how hot -------------------------------------------------------------------------------------------------------------


def test_temperatures_by_formula():
    weights, progress = (0.9, 0.05, 0.03, 0.02), 0.25
    ess = 1 / sum(w * w for w in weights)
    entropy = -sum(w * math.log(w) for w in weights) / math.log(4)
    assert temperature("ess", logs(weights), progress) == pytest.approx(4 / ess * 0.75)
    assert temperature("entropy", logs(weights), progress) == pytest.approx(1 / (entropy + (1 - entropy) * 0.25))
    assert temperature("time", logs(weights), progress) == pytest.approx(1.75)


@pytest.mark.parametrize("schedule", ["ess", "entropy", "time"])
def test_no_annealing_for_a_rich_population_an_old_run_or_one_without_weight(schedule):
    poor, rich = logs((0.9, 0.05, 0.05, 0.0)), logs((0.4, 0.3, 0.2, 0.1))
    assert temperature(schedule, poor, 0.1) > 1.0
    assert temperature(schedule, rich, 0.1) == 1.0
    assert temperature(schedule, poor, 0.5) == 1.0
    assert temperature(schedule, [-math.inf] * 4, 0.1) == 1.0


# -- unbiased ------------------------------------------------------------------------------------------------------------


@model
def uneven():
    """Runs of different length, a first score that impoverishes three particles, and a score as the last statement."""
    a = sample("a", bernoulli(0.25))
    score(math.log(0.99 if a else 0.01))
    if not a:
        return "short"
    b = sample("b", bernoulli(0.5))
    score(math.log(0.9 if b else 0.1))
    return "long", b


UNEVEN = {"short": Fraction(3, 400), ("long", True): Fraction(99 * 9, 8000), ("long", False): Fraction(99, 8000)}


@pytest.fixture
def heats(monkeypatch):
    seen = []
    module = sys.modules["inference.smc"]
    plain = module.temperature
    monkeypatch.setattr(module, "temperature", lambda *args: seen.append(plain(*args)) or seen[-1])
    return seen


@pytest.mark.parametrize("resampling", RESAMPLING)
@pytest.mark.parametrize("annealing", ["ess", "entropy", "time"])
def test_annealed_evidence_and_posterior_are_unbiased(annealing, resampling, heats):
    """Every path of the engine's own randomness, with exact probabilities."""
    engine = smc(particles=3, resampling=resampling, ess_threshold=1.0, annealing=annealing, horizon=5)
    check_unbiased(engine, uneven, exact={value: float(mass) for value, mass in UNEVEN.items()})
    assert any(heat > 1.0 for heat in heats), "nothing was annealed: the test would show nothing"


def test_annealing_keeps_more_ancestors_alive():
    thousand = uniform(range(1000))

    @model
    def program():
        first = sample("first", thousand)
        score(3.0 * (first % 10 == 0))
        sample("x", bernoulli(0.5))
        return first

    plain, annealed = (
        sum(len(set(program.run(engine=engine, seed=s).values)) for s in range(20))
        for engine in (
            smc(particles=32, ess_threshold=1.0),
            smc(particles=32, ess_threshold=1.0, annealing="ess", horizon=8),
        )
    )
    assert annealed > 1.5 * plain


def test_annealed_runs_replay():
    check_replay_invariance(smc(particles=6, annealing="ess", horizon=6), uneven, seed=3)


# -- as published --------------------------------------------------------------------------------------------------------


def early_finisher(reward):
    """E ends at once with reward .8; C (reward .5) goes on to D. Potentials are the odds of the reward."""

    def odds(r):
        return math.log(r / (1 - r))

    @model
    def program():
        if sample("early", bernoulli(0.5)):
            score(odds(0.8))
            return "E"
        score(odds(0.5))
        sample("D", uniform(["only"]))
        score(odds(reward))
        return "D"

    return program


@pytest.mark.parametrize(("reward", "right", "published"), [(0.8, 0.5, 0.8), (0.9, 4 / 13, 0.64)])
def test_finished_particles_are_weighted_again_as_published(reward, right, published):
    """With N = 1024 shares are within .08 of their limits (5 standard deviations); the right ones are far off."""
    program = early_finisher(reward)
    result = program.run(engine=smc(particles=1024, compat="puri"), seed=0)
    assert result.p("E") == pytest.approx(published, abs=0.08)
    assert program.run(engine=smc(particles=1024), seed=0).p("E") == pytest.approx(right, abs=0.08)
    assert program.run(engine=importance(particles=1024), seed=0).p("E") == pytest.approx(right, abs=0.08)
    assert program.run(engine="exact").p("E") == pytest.approx(right, abs=1e-12)


def test_the_share_of_early_finishers_grows_with_the_length_of_the_others():
    """A: one step, reward .9. B: four steps, reward .8. 9^4 / (9^4 + 4^4) = .962, for odds that count once 9 / (9 + 256)."""

    @model
    def program():
        if sample("A", bernoulli(0.5)):
            score(math.log(9.0))
            return "A"
        for _ in range(4):
            sample("step", uniform(["only"]))
            score(math.log(4.0))
        return "B"

    assert program.run(engine=smc(particles=1024, compat="puri"), seed=1).p("A") == pytest.approx(0.9624, abs=0.03)
    assert program.run(engine="exact").p("A") == pytest.approx(9 / 265)


def test_equal_lengths_are_weighted_by_the_last_potential_after_resampling_by_the_others():
    """Two steps, potentials (1, 4) then (2, 1): as published the end weighs 2 or 1, the first step by its resampling."""

    @model
    def program():
        x = sample("x", bernoulli(0.5))
        score(math.log(4.0 if x else 1.0))
        y = sample("y", bernoulli(0.5))
        score(math.log(1.0 if y else 2.0))
        return x, y

    result = program.run(engine=smc(particles=1024, compat="puri"), seed=2)
    assert max(result.weights) / min(result.weights) == pytest.approx(2.0)
    assert sorted({round(w, 9) for w in result.weights}) == pytest.approx(
        [min(result.weights), max(result.weights)], abs=1e-8
    )
    for (x, y), share in {(1, 0): 0.8 * 2 / 3, (1, 1): 0.8 / 3, (0, 0): 0.2 * 2 / 3, (0, 1): 0.2 / 3}.items():
        assert result.p((bool(x), bool(y))) == pytest.approx(share, abs=0.08)


def test_it_is_labelled_and_has_no_evidence():
    result = early_finisher(0.8).run(engine=smc(particles=8, compat="puri"), seed=0)
    assert any("as published" in w for w in result.warnings)
    with pytest.raises(ResultError, match="weights finished particles again"):
        result.log_evidence  # noqa: B018
    assert not early_finisher(0.8).run(engine=smc(particles=8), seed=0).warnings


def test_dead_particles_and_limits():
    @model
    def program():
        for _ in range(6):
            x = sample("x", categorical({0: 0.3, 1: 0.7}))
            score(0.0 if x else -math.inf)
        return "alive"

    engine = smc(particles=64, compat="puri")
    result = program.run(engine=engine, seed=0)
    assert set(result.values) == {"alive"}
    stopped = program.run(engine=engine, seed=0, limit=limit(nodes=100))
    assert stopped.stopped == "nodes" and stopped.cost.nodes == 100

    @model
    def doomed():
        sample("x", bernoulli(0.5))
        score(-math.inf)

    assert doomed.run(engine=engine, seed=0).values == []
    check_replay_invariance(smc(particles=6, compat="puri"), program, seed=3)


@pytest.mark.parametrize(
    "options",
    [
        {"annealing": "ess"},
        {"horizon": 5},
        {"annealing": "warm", "horizon": 5},
        {"annealing": "ess", "horizon": 0},
        {"annealing": "ess", "horizon": 5, "resampling": lambda w, n, rng: ([0] * n, [0.0] * n)},
        {"compat": "puri", "annealing": "ess", "horizon": 5},
        {"compat": "puri", "rejuvenate": lambda trace, rng: trace},
        {"compat": "its_hub"},
    ],
)
def test_options_that_do_not_go_together(options):
    with pytest.raises(OptionError):
        smc(particles=4, **options)
