"""Kernels inside smc: invariant for the target at a barrier, and the evidence stays unbiased; both by enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from inference import block, prior, single_site, smc, suffix
from ppl.testing import check_replay_invariance, check_unbiased, enumerate_outcomes
from tests.inference.chain_cases import CASES
from tests.naming import named

KERNELS = [single_site, suffix, prior, block("a", "b", "seen")]


class AtBarrier:
    """One run to its `barrier`-th barrier, as a particle of SMC stands there; moved by a kernel if one is given."""

    uses_heuristic = True

    def __init__(self, barrier, kernel=None, trace=None):
        self.barrier, self.kernel, self.trace = barrier, kernel, trace

    def search(self, run):
        if self.kernel is not None:
            return self.kernel(self.trace, run.lasting_rng("kernel"))
        (execution,) = run.start()
        run.advance_all([execution], until=self.barrier)
        return execution.trace(self.barrier)


def guided_at(barrier):
    """The target of `guided` there: what it has scored so far, times exp of the estimate that stands there."""
    masses = {}
    for a, b, c in itertools.product((True, False), (True, False, None), (True, False)):
        if a == (b is None):
            continue
        mass = 0.5 * (1 / 2 if a else 1 / 4)
        if barrier == 1:
            masses[a,] = mass * math.exp(-0.5 if a else -1.5)
            continue
        mass *= {True: 1 / 3, False: 2 / 3, None: 1.0}[b]
        so_far = (a, b) if a else (a,)
        if barrier == 2:
            masses[so_far] = mass * math.exp(1.0 if b else -1.0)
            continue
        mass *= 1 if b else 1 / 4
        if barrier == 3:
            masses[so_far] = mass
            continue
        mass *= 0.5 * (1 / 2 if b or c else 1 / 5)
        masses[*so_far, c] = mass * math.exp(3.0 if c else 0.0)
    return masses


def rounds_at(barrier):
    """The target of `rounds` at its first two barriers, over the runs that get there."""
    seen = {(): 1.0}
    for n in range(barrier):
        seen = {
            (*path, s): mass * 2 / 3 * (1 / (2 + n) if s else (1 + n) / (2 + n)) * (3 / 4 if s else 1 / 5)
            for path, mass in seen.items()
            for s in (True, False)
        }
    return {tuple(x for s in path for x in (False, s)): mass for path, mass in seen.items()}


BARRIERS = [("guided", b, guided_at(b)) for b in (1, 2, 3, 4)] + [("rounds", b, rounds_at(b)) for b in (1, 2)]


def at_barrier_matrix(name, barrier, masses, kernel):
    """(target, transition matrix) of a kernel on the runs of a case that stand at a barrier."""
    program = CASES[name][0]
    paths = enumerate_outcomes(lambda streams: program.run(engine=AtBarrier(barrier), seed=streams))
    traces = {tuple(t.choices.values()): t for _, t in paths if t.status == "running"}
    assert traces.keys() == masses.keys()
    index = {state: i for i, state in enumerate(traces)}
    matrix = np.zeros((len(index), len(index)))
    for i, trace in enumerate(traces.values()):
        moving = AtBarrier(barrier, kernel, trace)
        for p, moved in enumerate_outcomes(lambda s, m=moving: program.run(engine=m, seed=s)):
            matrix[i, index[tuple(moved.choices.values())]] += p
    target = np.array([masses[state] for state in traces])
    return target / target.sum(), matrix


@pytest.mark.parametrize("kernel", KERNELS, ids=named)
@pytest.mark.parametrize(("name", "barrier", "masses"), BARRIERS, ids=[f"{n}-{b}" for n, b, _ in BARRIERS])
def test_a_kernel_keeps_the_target_at_a_barrier(name, barrier, masses, kernel):
    target, matrix = at_barrier_matrix(name, barrier, masses, kernel)
    assert np.abs(target @ matrix - target).max() < 1e-12


def test_a_move_that_forgets_the_heuristic_fails():
    masses = {state: 0.5 * (1 / 2 if state[0] else 1 / 4) for state in guided_at(1)}
    target, matrix = at_barrier_matrix("guided", 1, masses, prior)
    assert np.abs(target @ matrix - target).max() > 1e-3


def floats(name):
    return {value: float(mass) for value, mass in CASES[name][1].items()}


@pytest.mark.parametrize("kernel", KERNELS, ids=named)
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("guided", "rounds")])  # too many paths
def test_one_moved_particle_is_unbiased(name, kernel):
    check_unbiased(smc(1, rejuvenate=kernel), CASES[name][0], exact=floats(name))


@pytest.mark.parametrize(
    ("name", "kernel", "threshold"),
    [("odds_toy", suffix, 0.75), ("odds_toy", single_site, 0.75), ("stopper", prior, 0.75), ("c13", suffix, 1)],
    ids=named,
)
def test_two_moved_particles_are_unbiased(name, kernel, threshold):
    engine = smc(2, "systematic", threshold, rejuvenate=kernel)
    check_unbiased(engine, CASES[name][0], exact=floats(name))


@pytest.mark.parametrize("kernel", KERNELS, ids=named)
def test_continuations_kept_or_not_change_nothing(kernel):
    for name in ("rounds", "guided"):
        check_replay_invariance(smc(6, ess_threshold=0.9, rejuvenate=kernel), CASES[name][0], seed=1)


def test_moved_particles_pass_the_same_barriers():
    """A checkpoint's barrier lies behind a particle that was moved there; others lie right before a choice."""
    program = CASES["guided"][0]
    for engine in (smc(6, ess_threshold=1), smc(6, ess_threshold=1, rejuvenate=prior)):
        for trace in program.run(engine=engine, seed=0).traces:
            assert sum(node.kind == "barrier" for node in trace.nodes) == 4
