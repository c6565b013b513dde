"""The particle-Gibbs kernel leaves the posterior invariant: exact transition matrices of whole sweeps, by enumeration."""

from __future__ import annotations

import dataclasses
import importlib
import math

import numpy as np
import pytest

from inference import particle_gibbs
from inference import particles as moves
from ppl import AllDead, limit, model, record, require, sample, score
from ppl.dist import bernoulli, normal
from ppl.errors import OptionError, ResultError
from ppl.testing import check_replay_invariance, check_seed_determinism
from tests.inference.chain_cases import CASES, check_keeps, stationary, transitions

particle_gibbs_module = importlib.import_module("inference.particle_gibbs")  # the name in the package is the engine's


@dataclasses.dataclass(frozen=True)
class OneSweep:
    """Runs the chain's kernel once, from a given trace."""

    engine: particle_gibbs
    reference: object
    uses_heuristic = True

    def search(self, run):
        return self.engine.sweep(run, self.reference, run.lasting_rng("sweep"))


def sweeping(particles, **options):
    engine = particle_gibbs(particles, 1, **options)
    return lambda trace, streams: trace.program.run(engine=OneSweep(engine, trace), seed=streams)


LONG = ("rounds", "guided")  # resampled at every barrier they have too many paths
OPTIONS = [
    {"ancestor_sampling": ancestors, "ess_threshold": threshold}
    for ancestors in (False, True)
    for threshold in (0.5, 1)
]
IDS = [f"{'ancestors' if o['ancestor_sampling'] else 'plain'}-{o['ess_threshold']}" for o in OPTIONS]


@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
@pytest.mark.parametrize("name", CASES)
def test_two_particles_keep_the_posterior(name, options):
    if name in LONG and options["ess_threshold"] == 1 and options["ancestor_sampling"]:
        options = {**options, "ess_threshold": 0.6}
    check_keeps(name, sweeping(2, **options))


@pytest.mark.parametrize(
    ("name", "ancestors", "threshold"),
    [
        ("odds_toy", False, 1),
        ("odds_toy", True, 0.5),
        ("stopper", False, 0.5),
        ("stopper", True, 0.7),
        ("c13", True, 1),
    ],
)
def test_three_particles_keep_the_posterior(name, ancestors, threshold):
    check_keeps(name, sweeping(3, ancestor_sampling=ancestors, ess_threshold=threshold))


def test_the_toy_has_its_published_posterior():
    traces, pi = stationary(*CASES["odds_toy"])
    assert [round(float(pi[[t.value for t in traces].index(v)]), 6) for v in ((0, 0), (0, 1), (1, 0), (1, 1))] == [
        0.111878, 0.004144, 0.265193, 0.618785,
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_particle_returns_its_reference(name):
    for options in OPTIONS:
        matrix = check_keeps(name, sweeping(1, **options))
        assert np.array_equal(matrix, np.eye(len(matrix)))


# -- the defects of published implementations --------------------------------------------------------------------------


def test_a_reference_weighted_by_its_next_reward_fails(monkeypatch):
    points = particle_gibbs_module.standing_points
    monkeypatch.setattr(particle_gibbs_module, "standing_points", lambda trace: points(trace)[1:])
    with pytest.raises(AssertionError, match="max"):
        check_keeps("odds_toy", sweeping(2, ess_threshold=1))


def test_a_reference_weighted_by_its_final_reward_fails(monkeypatch):
    monkeypatch.setattr(particle_gibbs_module, "standing_points", lambda trace: [trace])
    with pytest.raises(AssertionError, match="max"):
        check_keeps("odds_toy", sweeping(2, ess_threshold=1))


def test_choosing_by_the_final_weight_once_more_fails(monkeypatch):
    pick = moves.pick
    monkeypatch.setattr(particle_gibbs_module, "pick", lambda log_weights, rng: pick([2 * w for w in log_weights], rng))
    with pytest.raises(AssertionError, match="max"):
        check_keeps("stopper", sweeping(2, ess_threshold=1))


def test_weighting_a_finished_particle_again_at_every_step_fails(monkeypatch):
    def again(run, particles, parents, log_weights):
        weights = [w + particles[i].leaf.log_total * particles[i].finished for i, w in zip(parents, log_weights)]
        return moves.offspring(run, particles, parents, weights)

    monkeypatch.setattr(particle_gibbs_module, "offspring", again)
    with pytest.raises(AssertionError, match="max"):
        check_keeps("stopper", sweeping(2, ess_threshold=1))


def test_ancestors_drawn_by_weight_alone_fail(monkeypatch):
    monkeypatch.setattr(particle_gibbs_module, "log_density", lambda nodes: 0.0)
    with pytest.raises(AssertionError, match="max"):
        check_keeps("rounds", sweeping(2, ancestor_sampling=True, ess_threshold=0.6))


def test_ancestor_sampling_changes_prefixes_that_plain_sweeps_keep():
    """The chain forgets its first choice sooner: less of the stationary flow stays with it."""
    traces, pi = stationary(*CASES["odds_toy"])
    same = np.array([[a.value[0] == b.value[0] for b in traces] for a in traces])
    plain, mixed = (
        (pi[:, None] * transitions(traces, sweeping(2, ancestor_sampling=flag, ess_threshold=1)) * same).sum()
        for flag in (False, True)
    )
    assert mixed < plain


# -- the engine --------------------------------------------------------------------------------------------------------


def test_one_trace_a_sweep_with_equal_weights_and_no_evidence():
    program, _ = CASES["stopper"]
    posterior = program.run(engine=particle_gibbs(3, 40, burn_in=5), seed=0)
    assert len(posterior.values) == 40 == len(posterior.traces)
    assert np.allclose(posterior.weights, 1 / 40)
    with pytest.raises(ResultError, match="Markov chain does not estimate it"):
        _ = posterior.log_evidence


@pytest.mark.parametrize("ancestors", [False, True])
def test_long_chains_converge(ancestors):
    """5 standard errors by batch means over 40 batches: a right chain fails for about 1 seed in 10^5."""
    program, exact = CASES["rounds"]
    engine = particle_gibbs(4, 1000, burn_in=20, ancestor_sampling=ancestors)
    values = program.run(engine=engine, seed=5).values
    hits = np.array([len(v) == 3 for v in values], dtype=float)
    expected = float(sum(m for v, m in exact.items() if len(v) == 3) / sum(exact.values()))
    batches = hits.reshape(40, -1).mean(axis=1)
    assert abs(hits.mean() - expected) < 5 * batches.std(ddof=1) / math.sqrt(40)


@pytest.mark.parametrize("ancestors", [False, True])
def test_continuations_kept_or_not_change_nothing(ancestors):
    for name in ("rounds", "guided"):
        engine = particle_gibbs(5, 6, ancestor_sampling=ancestors, ess_threshold=1)
        check_replay_invariance(engine, CASES[name][0], seed=3)


def test_no_call_of_the_reference_is_paid_again():
    paid = []

    @model
    def program():
        from ppl import call

        total = 0
        for _ in range(3):
            total += sample("x", bernoulli(0.5))
            score(call(lambda t: paid.append(t) or 0.1 * t, total))
        return total

    sweeps, particles = 10, 4
    program.run(engine=particle_gibbs(particles, sweeps, ess_threshold=0), seed=0)
    assert len(paid) == 3 * (particles + (sweeps - 1) * (particles - 1))


def test_seeds_do_not_depend_on_what_runs_beside():
    @model
    def walk(drift):
        x = 0.0
        for _ in range(3):
            x = sample("x", normal(x + drift, 1.0))
            score(-abs(x))
        record("end", x)
        return x > 0

    check_seed_determinism(particle_gibbs(4, 5, ancestor_sampling=True), walk, [0.1, -0.5, 1.0], seed=2)


def test_the_first_sweep_is_tried_again_and_then_gives_up():
    @model
    def rare(p):
        require(sample("x", bernoulli(p)), "x is false")
        return "alive"

    assert rare.run(0.25, engine=particle_gibbs(2, 3), seed=1).values == ["alive"] * 3
    message = (
        r"10 populations of 2 particles all have weight zero: 20 x require: x is false \(test_particle_gibbs.py:\d+\)"
    )
    with pytest.raises(AllDead, match=message):
        rare.run(0.0, engine=particle_gibbs(2, 3), seed=1)


def test_a_limit_ends_after_the_last_whole_sweep():
    program, _ = CASES["rounds"]
    posterior = program.run(engine=particle_gibbs(4, 1000), seed=0, limit=limit(nodes=200))
    assert posterior.stopped == "nodes" and 2 < len(posterior) < 100
    assert all(t.status == "finished" for t in posterior.traces)
    empty = program.run(engine=particle_gibbs(4, 1000, burn_in=900), seed=0, limit=limit(nodes=200))
    assert len(empty) == 0 and "before the chain's first state was kept" in " ".join(empty.warnings)


def test_bad_options():
    with pytest.raises(OptionError, match="particles"):
        particle_gibbs(0, 10)
    with pytest.raises(OptionError, match="ancestor_sampling"):
        particle_gibbs(4, 10, ancestor_sampling=1)
    with pytest.raises(OptionError, match="sweeps"):
        particle_gibbs(4)
