"""Sweeps of whole engines on continuous programs (Geweke 2004): alternate fresh data and a sweep; all stays prior.

A state begins as a draw from the joint law of choices and data. Data are drawn anew given the choices, the sweep moves
the choices given the data: if it leaves the posterior invariant, the choices still follow the prior at the end. Means
are compared at 4.5 standard errors, so a right engine fails for 7 seeds in a million and statistic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from inference import particle_gibbs, single_site, suffix
from inference.parallel_tempering import exchange
from ppl import heuristic, model, observe, sample
from ppl.dist import bernoulli, normal
from ppl.execution import Forced, Stop
from ppl.operations import simulate, update
from ppl.trace import Trace, address
from tests.inference.test_mcmc import z
from tests.inference.test_particle_gibbs import OneSweep

STEPS = 3


@model
def walk(y):
    """A random walk of one to three steps, each observed; data beyond the last step are noise."""
    x, path = 0.0, ()
    for t in range(STEPS):
        x = sample("x", normal(x, 1.0))
        if y:
            observe("y", normal(x, 0.5), y[t])
        heuristic(-0.1 * abs(x))
        path += (x,)
        if sample("stop", bernoulli(0.4)):
            break
    for value in y[len(path) :]:
        observe("noise", normal(0.0, 2.0), value)
    return path


def data(path, rng):
    return tuple(float(rng.normal(path[t], 0.5) if t < len(path) else rng.normal(0.0, 2.0)) for t in range(STEPS))


# length, first and last place: P(stop at 1, 2, 3) = .4, .24, .36; E[x_1^2] = 1, E[x_T^2] = E[T] = 1.96
STATISTICS = [(lambda p: len(p) == 1, 0.4), (lambda p: len(p) == 3, 0.36), (lambda p: p[0], 0.0), (lambda p: p[0] ** 2, 1.0),
              (lambda p: p[-1] ** 2, 1.96), (lambda p: p[0] * p[-1], 1.0)]  # fmt: skip


def worst(paths):
    return max(z([f(path) for path in paths], expected) for f, expected in STATISTICS)


@dataclass(frozen=True)
class Told:
    """A run that takes another trace's choices as if it had drawn them, as a chain's own traces are drawn."""

    trace: Trace
    uses_heuristic = True

    def search(self, run):
        choices = self.trace.choices

        def take(execution, name, index, dist, proposal):
            return Forced(choices[address(name, index)], None)

        (execution,) = run.start(1, take)
        run.advance_all([execution], Stop.END)
        return execution.trace()


def told(trace, y):
    return walk.run(y, engine=Told(trace), seed=0)


def after_sweeps(engine, runs, on_data=told, rounds=3):
    """The paths after short chains of particle Gibbs begun from the joint law."""
    rng, ends = np.random.default_rng(0), []
    for i in range(runs):
        trace = simulate(walk, (), rng=rng)
        for j in range(rounds):
            trace = on_data(trace, data(trace.value, rng))
            trace = walk.run(*trace.args, engine=OneSweep(engine, trace), seed=(i, j))
        ends.append(trace.value)
    return ends


@pytest.mark.parametrize("options", [{}, {"ancestor_sampling": True}, {"ess_threshold": 1}], ids=str)
def test_particle_gibbs(options):
    assert worst(after_sweeps(particle_gibbs(3, 1, **options), 200)) < 4.5


def test_it_finds_a_reference_that_pays_for_its_choices():
    """`update` gives the choices as constraints, whose log p is weight: as a reference such a trace is too light."""

    def constrained(trace, y):
        return update(trace, {}, 0, args=(y,))[0]

    assert worst(after_sweeps(particle_gibbs(3, 1), 200, constrained)) > 4.5


@pytest.mark.parametrize("kernel", [single_site, suffix], ids=str)
def test_parallel_tempering(kernel):
    """With temperatures 1 and infinity the hot chain's target is the prior, so both chains begin from their laws."""
    rng, cold_ends, hot_ends = np.random.default_rng(1), [], []
    for _ in range(200):
        cold, hot = simulate(walk, (), rng=rng), simulate(walk, (), rng=rng)
        for _ in range(3):
            y = data(cold.value, rng)
            cold, hot = (update(trace, {}, rng, args=(y,))[0] for trace in (cold, hot))
            cold, hot = kernel(cold, rng, 1.0), kernel(hot, rng, math.inf)
            cold, hot = exchange([cold, hot], [1.0, math.inf], 0, rng)
        cold_ends.append(cold.value)
        hot_ends.append(hot.value)
    assert worst(cold_ends) < 4.5 and worst(hot_ends) < 4.5
