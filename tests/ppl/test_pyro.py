"""torch and Pyro inside programs: distributions as they are, pyro.sample sites, handlers that stay with their execution."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pyro
import pyro.distributions as pd
import pytest
import torch
from pyro import poutine

from inference import exact, importance, single_site, smc
from ppl import model, sample, score
from ppl.testing import (
    check_replay_invariance,
    check_seed_determinism,
    check_trace_laws,
    check_unbiased,
    measure_of,
    transition_matrix,
)

ENGINES = [importance(2), smc(2, ess_threshold=1.0), smc(2, "multinomial", 0.75)]


@pytest.fixture(autouse=True)
def _no_handlers_left():
    yield
    assert poutine.runtime._PYRO_STACK == []


@model
def torch_sites():
    """Torch and Pyro distributions in our own sites; tensors come back."""
    a = sample("a", torch.distributions.Bernoulli(0.25))
    score(torch.log(0.5 + 0.25 * a))
    b = sample("b", pd.Categorical(torch.tensor([0.5, 0.5])))
    score(torch.tensor(0.0) if a + b > 0 else -math.inf)
    return int(a), int(b)


@model
def pyro_sites():
    """The same measure in Pyro's words."""
    a = pyro.sample("a", pd.Bernoulli(0.25))
    pyro.factor("f", torch.log(0.5 + 0.25 * a))
    b = pyro.sample("b", pd.Categorical(torch.tensor([0.5, 0.5])))
    pyro.factor("g", torch.tensor(0.0 if a + b > 0 else -math.inf))
    return int(a), int(b)


@model
def handled_sites():
    """Handlers inside a program, open across barriers: a mask, a scale of two, a condition."""
    with poutine.scale(scale=2.0):
        a = sample("a", pd.Bernoulli(0.25))  # not Pyro's site, so not scaled
        pyro.factor("f", torch.log(0.5 + 0.25 * a) / 2)
        with poutine.mask(mask=False):
            pyro.factor("unseen", torch.tensor(-1.0))
        b = sample("b", pd.Categorical(torch.tensor([0.5, 0.5])))
        pyro.factor("g", torch.tensor(0.0 if a + b > 0 else -math.inf))
    return int(a), int(b)


EXACT = {(0, 1): 0.75 * 0.5 * 0.5, (1, 0): 0.25 * 0.75 * 0.5, (1, 1): 0.25 * 0.75 * 0.5}


@pytest.mark.parametrize("program", [torch_sites, pyro_sites, handled_sites], ids=lambda p: p.name)
def test_sites_weigh_what_they_say(program):
    for engine in [exact(), *ENGINES]:
        check_unbiased(engine, program, exact=EXACT, tolerance=1e-6)  # float32
        check_replay_invariance(engine, program, seed=1)
    check_trace_laws(program)


@model
def observed():
    """Observations in Pyro's words, and a condition handler around them."""
    mu = pyro.sample("mu", pd.Normal(0.0, 2.0))
    pyro.sample("y", pd.Normal(mu, 1.0), obs=torch.tensor(1.5))
    poutine.condition(lambda: pyro.sample("z", pd.Normal(mu, 1.0)), data={"z": torch.tensor(0.5)})()
    return float(mu)


def test_observed_and_conditioned_sites_agree_with_pyros_own_density():
    posterior = observed.run(engine=importance(20), seed=0)
    for trace in posterior.traces:
        data = {"mu": trace["mu"]}
        reference = poutine.trace(poutine.condition(observed.fn, data=data)).get_trace()
        assert trace.log_joint == pytest.approx(float(reference.log_prob_sum()), rel=1e-5)
        assert list(trace.choices) == ["mu"]


@model
def plates():
    """Vectorised and sequential plates, open across barriers."""
    with pyro.plate("batch", 3):
        x = pyro.sample("x", pd.Bernoulli(torch.tensor(0.5)))
        pyro.factor("weights", torch.where(x > 0, 0.0, -0.5))
        y = pyro.sample("y", pd.Normal(x, 1.0))
        pyro.sample("seen", pd.Normal(y, 1.0), obs=torch.tensor([0.3, -1.0, 2.0]))
    for i in pyro.plate("steps", 2):
        z = pyro.sample(f"z_{i}", pd.Bernoulli(0.5))
        pyro.factor(f"w_{i}", -0.5 * z)
    return float(x.sum() + y.sum())


def test_plates():
    posterior = plates.run(engine=smc(4, "multinomial", 1.0), seed=3)
    for trace in posterior.traces:
        reference = poutine.trace(poutine.condition(plates.fn, data=trace.choices)).get_trace()
        assert trace.log_joint == pytest.approx(float(reference.log_prob_sum()), rel=1e-5)
        assert trace["x"].shape == (3,)
    for engine in (smc(4, "multinomial", 1.0), importance(3)):
        check_replay_invariance(engine, plates)


def test_a_plate_is_no_choice():
    @model
    def small():
        with pyro.plate("batch", 2):
            score(-1.0)
        return int(pyro.sample("a", pd.Bernoulli(0.5)))

    posterior = small.run(engine=exact())
    assert list(posterior.best.choices) == ["a"]
    assert posterior.log_evidence == pytest.approx(-1.0)


def test_a_deterministic_site_is_recorded_and_weighs_nothing():
    @model
    def twice():
        x = pyro.sample("x", pd.Bernoulli(0.5))
        pyro.deterministic("double", 2 * x)
        pyro.sample("last", pd.Bernoulli(0.5))

    (trace,) = twice.run(engine=smc(1, ess_threshold=1.0), seed=0, live=0).traces
    assert trace.records == {"double": 2 * trace["x"]} and list(trace.choices) == ["x", "last"]
    assert [n.kind for n in trace.nodes] == ["start", "sample", "record", "sample"]  # no barrier


def test_a_subsampling_plate_is_one():
    @model
    def subsampled():
        with pyro.plate("batch", 10, subsample_size=3) as index:
            pyro.sample("seen", pd.Normal(0.0, 1.0), obs=torch.arange(10.0)[index] / 10)
        return tuple(index.tolist())

    posterior = subsampled.run(engine=importance(5), seed=0)
    assert {len(v) for v in posterior.values} == {3}
    check_seed_determinism(importance(3), model(lambda n: subsampled.fn()), [1, 2])
    trace = posterior.traces[0]
    reference = -0.5 * (trace["batch"] / 10) ** 2 - 0.5 * math.log(2 * math.pi)
    assert trace.log_score == pytest.approx(float(reference.sum()) * 10 / 3, rel=1e-5)


def test_interleaved_programs_keep_their_own_handlers():
    """Two programs suspended in turn, each inside its own trace handler: neither sees the other's sites."""

    @model
    def recorded(k: int):
        with poutine.trace() as handler:
            for i in range(3):
                pyro.sample(f"site_{k}_{i}", pd.Bernoulli(0.5))
                pyro.factor(f"weight_{k}_{i}", torch.tensor(-0.1 * k))
        return sorted(name for name in handler.trace.nodes if name.startswith(("site", "weight")))

    for live in (None, 0):
        results = recorded.map([1, 2, 3], engine=smc(3, "multinomial", 1.0), seed=0, live=live)
        for k, posterior in zip([1, 2, 3], results, strict=True):
            expected = sorted(f"{kind}_{k}_{i}" for kind in ("site", "weight") for i in range(3))
            assert all(value == expected for value in posterior.values)


def test_threads_take_turns_with_pyros_one_stack():
    @model
    def recorded(k: int):
        with poutine.trace() as handler:
            for i in range(20):
                pyro.sample(f"site_{k}_{i}", pd.Bernoulli(0.5))
                pyro.factor(f"weight_{k}_{i}", torch.tensor(-0.1))
        return {name.split("_")[1] for name in handler.trace.nodes if "_" in name and name[0] in "sw"}

    with ThreadPoolExecutor(4) as pool:
        for k, result in enumerate(pool.map(lambda k: recorded.run(k, engine=smc(4), seed=0), range(8))):
            assert result.values == [{str(k)}] * 4


def test_handlers_outside_a_program_stay_outside():
    with poutine.trace() as outside:
        posterior = pyro_sites.run(engine=smc(6, ess_threshold=1.0), seed=0)
        pyro.sample("mine", pd.Bernoulli(0.5))
    assert "mine" in outside.trace.nodes
    assert "a" not in outside.trace.nodes
    assert len(posterior) > 0


def test_scaled_and_masked_choices_mean_the_same_to_every_engine():
    """Drawn from the plain distribution, weighed by what the handlers make of it: p^2, and a density of 1."""

    @model
    def scaled():
        with poutine.scale(scale=2.0):
            x = pyro.sample("x", pd.Bernoulli(0.25))
        return int(x)

    @model
    def masked():
        with poutine.mask(mask=torch.tensor(False)):
            x = pyro.sample("x", pd.Bernoulli(0.25))
        return int(x)

    for program, exact_measure in ((scaled, {0: 0.75**2, 1: 0.25**2}), (masked, {0: 1.0, 1: 1.0})):
        assert measure_of(program) == pytest.approx(exact_measure, rel=1e-6)
        for engine in (importance(2), smc(2), exact()):
            check_unbiased(engine, program, exact=exact_measure, tolerance=1e-6)
        _, pi, matrix = transition_matrix(single_site, program)
        assert abs(pi @ matrix - pi).max() < 1e-6  # torch's densities are float32
