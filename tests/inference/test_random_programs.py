"""Hypothesis-drawn programs under the engines that search and move, against a recursion over fractions."""

from __future__ import annotations

import contextlib
import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inference import ab_mcts, astar, beam, dvts, ets, mcts, particle_gibbs, rebase, smc, stochastic_beam
from ppl import AllDead, limit
from ppl.events import recording
from ppl.testing import enumerate_outcomes, fingerprint
from tests.inference.chain_cases import Forward
from tests.inference.test_particle_gibbs import sweeping
from tests.laws.random_programs import measure, program, programs
from tests.laws.test_random_programs import few_paths

DEAF = [HealthCheck.filter_too_much, HealthCheck.too_slow]


def states(trace):
    return tuple(trace.choices.items())


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=DEAF)
@given(programs, st.sampled_from([0.5, 0.8, 1.0]), st.booleans())
def test_particle_gibbs_keeps_the_posterior(block, threshold, ancestors):
    """The exact transition matrix of a sweep of two particles: pi P = pi."""
    assume(few_paths(block, 6))
    drawn = enumerate_outcomes(lambda s: program(block).run(engine=Forward(), seed=s))
    traces = {states(t): t for _, t in drawn if t.status == "finished" and t.log_total > -math.inf}
    assume(traces)
    index, matrix = {state: i for i, state in enumerate(traces)}, np.zeros((len(traces), len(traces)))
    sweep = sweeping(2, ancestor_sampling=ancestors, ess_threshold=threshold)
    for state, trace in traces.items():
        for p, moved in enumerate_outcomes(lambda s, t=trace: sweep(t, s)):
            matrix[index[state], index[states(moved)]] += p
    pi = np.array([math.exp(t.log_joint) for t in traces.values()])
    pi /= pi.sum()
    assert np.abs(pi @ matrix - pi).max() < 1e-12


EXHAUSTIVE = [
    beam(1000, 8),
    beam(1000, 8, lookahead=1),
    astar(8, 10_000, goals=1000),
    mcts(300, 8),
    stochastic_beam(1000),
]
NARROW = [
    beam(1, 1), beam(2, 3, children="draw"), dvts(2, 3), rebase(3, scale="log"), ets(5, coverage=1.0), astar(2, 60, children="draw"),
    mcts(20, 2, children="draw", batch=3), ab_mcts(20, batch=5), stochastic_beam(2), particle_gibbs(4, 5, ancestor_sampling=True),
    smc(4, annealing="entropy", horizon=4, ess_threshold=1), smc(4, compat="puri"),
]  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=DEAF)
@given(programs, st.sampled_from([*EXHAUSTIVE, *NARROW]), st.integers(0, 5))
def test_searches_return_what_the_program_can_return(block, engine, seed):
    """Wide ones every trace at its exact weight; all the same when recorded or replayed, and within a limit on nodes."""
    assume(few_paths(block, 60))
    masses = {value: float(mass) for value, mass in measure(block).items() if mass}
    generated = program(block)
    try:
        with recording():
            result = generated.run(engine=engine, seed=seed)
    except AllDead:
        assert not masses or engine in NARROW
        return
    assert set(result.values) <= set(masses)
    if engine in EXHAUSTIVE:
        for value, mass in masses.items():
            found = math.fsum(math.exp(t.log_weight) for t in result.traces if t.value == value)
            assert math.isclose(found, mass, rel_tol=1e-9)
    for options in ({}, {"live": 0}):
        assert fingerprint(generated.run(engine=engine, seed=seed, **options)) == fingerprint(result)
    ends = {n.reached.value for n in result.tree.nodes.values() if n.returned and n.status == "finished"}
    assert ends == {str(value) for value in result.values}
    half = result.cost.nodes // 2
    with contextlib.suppress(AllDead):
        assert generated.run(engine=engine, seed=seed, limit=limit(nodes=half)).cost.nodes == half
