"""What must change nothing: the cache of live continuations, windows and order of problems, heuristics, repetition."""

from __future__ import annotations

import pytest

import inference
from inference import best_of, exact, importance, smc
from ppl import checkpoint, heuristic, model, require, score
from ppl.dist import bernoulli, categorical, normal
from ppl.effects import sample
from ppl.registry import ENGINES as REGISTERED
from ppl.testing import (
    check_clt,
    check_replay_invariance,
    check_seed_determinism,
    check_trace_laws,
    check_unbiased,
    fingerprint,
    measure_of,
)
from tests.laws.programs import CASES, POTENTIALS, log
from tests.laws.test_unbiased import roulette, single_site
from tests.naming import named

ENGINES = [
    importance(5),
    smc(5),
    smc(7, "residual", 1.0),
    smc(5, roulette, 1.0),
    smc(4, "multinomial", 0.9, rejuvenate=single_site),
    best_of(4),
]


@pytest.mark.parametrize("name", CASES)
def test_the_cache_changes_nothing(name):
    for engine in [*ENGINES, exact()]:
        for seed in range(3):
            check_replay_invariance(engine, CASES[name].program, seed=seed)


@model
def sized(n: int, p: float = 0.4):
    """A program with an argument: n coins, then as many real numbers as there were heads."""
    heads = 0
    for _ in range(n):
        heads += sample("coin", bernoulli(p))
        score(log((1 + heads) / (1 + n)))
    return sum(sample("x", normal(heads, 1.0)) for _ in range(heads))


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_a_seed_means_the_same_in_any_window_and_order(engine):
    check_seed_determinism(engine, sized, [3, 1, 4, 1, 5], seed=11)


@model
def winding(n: int):
    """Heuristics, checkpoints, early ends, dead ends and a last score: something for every engine to trip over."""
    total = 0
    for i in range(n):
        x = sample("x", categorical({0: 0.5, 1: 0.3, 2: 0.2}))
        total += x
        heuristic(-0.1 * total)
        score(-0.2 * x)
        if x == 2 and i:
            break
        if x == 1:
            checkpoint()
    if total > 1:
        require(sample("y", bernoulli(0.7)), "no y")
    score(0.1 * total)
    return total


EVERY_ENGINE = [
    exact(),
    importance(6),
    smc(6),
    best_of(4),
    inference.mcmc(samples=15),
    inference.particle_gibbs(particles=4, sweeps=4, ancestor_sampling=True),
    inference.parallel_tempering(temperatures=[1.0, 2.0], sweeps=8),
    inference.beam(width=3, expand=2),
    inference.stochastic_beam(width=4),
    inference.dvts(trees=2, expand=2),
    inference.rebase(width=4),
    inference.ets(width=4),
    inference.astar(expand=3, max_nodes=60, goals=2),
    inference.mcts(simulations=8, expand=2),
    inference.ab_mcts(nodes=8),
]


def test_the_table_names_every_engine():
    assert {type(engine).__name__ for engine in EVERY_ENGINE} == {
        name for name, entry in REGISTERED.items() if isinstance(entry.target, str)
    }


@pytest.mark.parametrize("engine", EVERY_ENGINE, ids=lambda engine: type(engine).__name__)
def test_no_engine_depends_on_its_cache_or_on_what_runs_beside(engine):
    for seed in range(3):
        check_replay_invariance(engine, winding, (4,), seed=seed)
    check_seed_determinism(engine, winding, [3, 1, 4], seed=2)


def test_seeds_differ_and_are_kept():
    runs = [sized.run(4, engine=smc(6), seed=seed) for seed in (0, 1, (0, 1))]
    assert len({repr(fingerprint(r)["traces"]) for r in runs}) == 3
    unseeded = sized.run(4, engine=smc(6))
    again = sized.run(4, engine=smc(6), seed=unseeded.seed)
    assert fingerprint(again) == fingerprint(unseeded)


def test_particles_keep_their_draws_whatever_their_number():
    """A particle's draws are its lineage's: the first ones of a larger population are those of a smaller."""
    small, large = (sized.run(4, engine=importance(n), seed=3) for n in (3, 8))
    assert large.values[:3] == small.values


@pytest.mark.parametrize("name", CASES)
def test_trace_operations_agree(name):
    check_trace_laws(CASES[name].program)


def test_the_library_knows_its_measures():
    """`measure_of`, the reference shipped to users, against the tests' own brute force."""
    for name, case in CASES.items():
        assert measure_of(case.program) == pytest.approx({v: float(m) for v, m in case.exact.items()}, rel=1e-12), name
    assert len(POTENTIALS) == 5


# -- beyond enumeration: central limit theorem -------------------------------------------------------------------------


@model
def chain(length: int):
    """A two-state Markov chain, weighted by 1 in state True and 1/2 in state False at every step."""
    state = True
    for _ in range(length):
        state = sample("state", bernoulli(0.7 if state else 0.2))
        score(log(1.0 if state else 0.5))
    return state


def chain_evidence(length: int) -> float:
    """By the forward recursion."""
    up, down = 1.0, 0.0
    for _ in range(length):
        up, down = 0.7 * up + 0.2 * down, 0.5 * (0.3 * up + 0.8 * down)
    return up + down


@pytest.mark.parametrize("scheme", ["systematic", "residual"])
def test_evidence_of_a_long_chain(scheme):
    """6 steps, N = 16, adaptive. A right engine fails for 7 seeds in a million, a bias of 12% with power > .99."""
    evidence = chain_evidence(6)
    check_clt(smc(16, scheme, 0.6), chain, (6,), expected=evidence, variance=(0.3 * evidence) ** 2, bias=0.12)


def test_a_dozen_values_by_importance():
    """Self-check of the law: it rejects a biased statement of the same size with certainty."""
    die = categorical(dict.fromkeys(range(1, 13), 1))

    @model
    def rolled():
        k = sample("k", die)
        score(log(k / 12))
        return k

    check_clt(importance(20), rolled, expected=13 / 24, variance=(143 / 12 / 144) / 20, bias=0.05)
    with pytest.raises(AssertionError, match="z ="):
        check_clt(importance(20), rolled, expected=13 / 24 * 1.05, variance=(143 / 12 / 144) / 20, bias=0.05)
    with pytest.raises(AssertionError, match="exactly"):
        check_unbiased(importance(1), rolled, exact={k: k / 144 for k in range(1, 12)})
