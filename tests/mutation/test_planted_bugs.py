"""Bugs that samplers have shipped with, planted one at a time: each is caught by a law of the suite.

`the_laws_hold` is what tests/laws checks, cut down to a few programs so that a bug takes seconds. It passes unplanted.
"""

import math
import sys

import pytest

import inference.particles
import ppl.boundary
import ppl.continuation
import ppl.execution
import ppl.operations
import ppl.weighing
from inference import best_of, exact, importance, smc
from inference.kernels import Metropolis, single_site
from inference.resampling import SCHEMES
from ppl import heuristic, model, observe, require, sample, score
from ppl.dist import bernoulli, categorical
from ppl.errors import ReplayError, WeightError
from ppl.execution import Execution
from ppl.population import normalise
from ppl.run import Run
from ppl.testing import (
    check_invariant,
    check_replay_invariance,
    check_seed_determinism,
    check_trace_laws,
    check_unbiased,
)
from ppl.trace import Trace
from tests.laws.programs import CASES
from tests.laws.spelling import LAW, Speller, Word


@model
def branching():
    """C13: two choices or two others, so that traces differ in length as chains see it."""
    if sample("x", bernoulli(0.3)):
        score(math.log(0.8 if sample("y", bernoulli(0.9)) else 0.1))
    else:
        u, v = sample("u", bernoulli(0.2)), sample("v", bernoulli(0.5))
        score(math.log(0.5 if u != v else 0.25))


@model
def everything():
    """A heuristic that is wrong, an observation, a proposal, a branch of weight zero, runs of two lengths, a last score."""
    a = sample("a", bernoulli(0.5))
    heuristic(0.4 if a else -0.3)
    b = sample("b", categorical({"x": 0.5, "y": 0.5}), proposal=categorical({"x": 0.8, "y": 0.2}))
    require(a or b == "x")
    if a:
        observe("seen", bernoulli(0.25), True)
        c = sample("c", bernoulli(0.5))
        score(0.5 if c else -0.5)
    score(-0.7 if b == "x" else 0.2)
    return a, b


def brute_force():
    table = {}
    for a in (True, False):
        for b in "xy":
            tail = math.exp(-0.7 if b == "x" else 0.2)
            mass = 0.25 * tail * (0.25 * math.cosh(0.5) if a else 1.0)
            if a or b == "x":
                table[a, b] = mass
    return table


EVERYTHING = brute_force()
ENGINES = [importance(2), smc(2, ess_threshold=1.0), smc(2, "residual", 1.0), smc(3, ess_threshold=0.75), exact()]


@model
def text(n):
    """Draws in a row, for laws about replay and seeds."""
    seen = []
    for _ in range(n):
        seen.append(sample("x", categorical(dict.fromkeys(range(50), 1.0))))
        score(0.01 * seen[-1])
    return tuple(seen)


SPELLER = Speller()


@model
def masked():
    """A draw under a mask, which weighs what the mask kept."""
    return sample("word", Word(SPELLER, 1, masked="b"))


def the_laws_hold():
    check_unbiased(importance(2), masked, exact={"a": LAW["a"], "": LAW["$"]})
    check_unbiased(importance(1), everything, exact=EVERYTHING)
    whole = everything.run(engine=exact())
    assert math.exp(whole.log_evidence) == pytest.approx(math.fsum(EVERYTHING.values()), rel=1e-12)
    with pytest.raises(WeightError):
        model(lambda: score(math.nan)).run(engine=importance(1))
    for engine in ENGINES:
        check_unbiased(engine, everything, exact=EVERYTHING)
        for name in ("var", "tail"):
            check_unbiased(engine, CASES[name].program, exact=CASES[name].exact)
    check_invariant(single_site, branching, reversible=True)
    check_trace_laws(everything)
    check_replay_invariance(smc(6, ess_threshold=1.0), text, (4,))
    check_seed_determinism(smc(4, ess_threshold=1.0), text, [2, 3, 4])
    population = text.run(6, engine=smc(8, ess_threshold=1.0), seed=0)
    assert len(set(population.values)) == 8, "forks of one parent drew the same values"
    tie = best_of(40)(everything)(seed=1)
    assert tie.best.log_total == max(t.log_total for t in tie.traces)


def test_nothing_planted_nothing_caught():
    the_laws_hold()


def weights_not_reset(patch):
    """Children keep their parent's weight after resampling."""
    patch.setattr(Execution, "set_rank", lambda self, rank: None)


def log_mean_added_twice(patch):
    """The mean weight enters the evidence at every resampling, and again at the end."""
    plain = Execution.set_rank
    patch.setattr(Execution, "set_rank", lambda self, rank: plain(self, rank + 0.5 * rank))


def only_unfinished_are_resampled(patch):
    """Finished particles are left out of resampling, and the others share the mean of all."""
    plain = inference.particles.offspring

    def offspring(run, particles, parents, log_weights):
        moving = [i for i, p in enumerate(particles) if p.running]
        if not moving:
            return particles
        shares = normalise([particles[i].rank for i in moving])
        counts = SCHEMES["systematic"](shares, len(moving), run.rng("again", particles[moving[0]].barriers))
        chosen = [i for i, count in zip(moving, counts, strict=True) for _ in range(count)]
        ended = [p for p in particles if p.finished]
        return [*ended, *plain(run, particles, chosen, log_weights[: len(chosen)])]

    patch.setattr(sys.modules["inference.smc"], "offspring", offspring)


def last_weights_dropped(patch):
    """What was scored after the last barrier never reaches the result."""

    def posterior(self, particles, *, no_evidence=None):
        for p in particles:
            node = p.leaf
            while node.kind not in ("sample", "start"):
                p.offset -= node.log_weight if node.log_weight > -math.inf else 0.0
                node = node.parent
        return plain(self, particles, no_evidence=no_evidence)

    plain = Run.posterior
    patch.setattr(Run, "posterior", posterior)


def finished_are_weighed_again(patch):
    """A finished particle's last potential applies at every further step."""
    plain = Run.advance

    def advance(self, executions, *args, **kwargs):
        executions = list(executions)
        for p in executions:
            if p.finished:
                p.offset += p.leaf.parent.log_weight
        return plain(self, executions, *args, **kwargs)

    patch.setattr(Run, "advance", advance)


def heuristic_not_cancelled(patch):
    """The estimate stays in the weight when the run goes on."""
    plain = Execution.estimate

    def estimate(self, log_value, name):
        plain(self, log_value, name)
        self.offset += self._block_heuristic or 0.0

    patch.setattr(Execution, "estimate", estimate)


def proposal_forgotten(patch):
    """A proposed value is weighed as if it came from the prior."""
    plain = Execution._draw

    def draw(self, name, index, dist, proposal):
        value, log_p, _, reason = plain(self, name, index, dist, proposal)
        return value, log_p, None, reason

    patch.setattr(Execution, "_draw", draw)


def observations_dropped(patch):
    patch.setattr(Execution, "observe", lambda self, name, dist, value: None)


def require_ignored(patch):
    plain = Execution.require
    patch.setattr(Execution, "require", lambda self, condition, reason: plain(self, True, reason))


def forks_share_a_lineage(patch):
    patch.setattr(ppl.execution, "derive", lambda key, label, n=0: key)


def replay_drops_the_last_effect(patch):
    plain = ppl.continuation.replay_path
    patch.setattr(ppl.continuation, "replay_path", lambda leaf: plain(leaf)[:-1])


def residual_counts_rounded(patch):
    """floor(n W) children and the rest to the heaviest."""

    def rounded(weights, n, rng):
        counts = [int(n * w) for w in weights]
        counts[max(range(len(weights)), key=lambda i: weights[i])] += n - sum(counts)
        return counts

    patch.setitem(SCHEMES, "residual", rounded)


def systematic_without_its_uniform(patch):
    plain = SCHEMES["systematic"]

    class Half:
        def random(self):
            return 0.5

    patch.setitem(SCHEMES, "systematic", lambda weights, n, rng: plain(weights, n, Half()))


def no_dimension_factor(patch):
    """Single-site moves accept without |t| / |t'|."""
    from ppl.dist import uniform
    from ppl.operations import regenerate

    patch.setattr(
        Metropolis,
        "__call__",
        lambda self, trace, rng: accept(
            trace, *regenerate(trace, [uniform(list(trace.choices)).sample(rng)], rng), rng
        ),
    )


def accept(trace, new, log_ratio, rng):
    return new if new.status != "dead" and rng.random() < math.exp(min(0.0, log_ratio)) else trace


def kept_choices_not_rescored(patch):
    """Regenerate forgets that a kept value may be less probable than it was."""
    plain = ppl.operations.regenerate

    def regenerate(trace, selection, rng=None):
        new, log_weight = plain(trace, selection, rng)
        return new, 0.5 * log_weight

    patch.setattr("inference.kernels.regenerate", regenerate)


def importance_without_its_n(patch):
    plain = Run.start
    patch.setattr(Run, "start", lambda self, n=1, policy=None, log_weight=0.0: plain(self, n, policy))


def enumeration_forgets_probabilities(patch):
    plain = Execution.branch
    patch.setattr(Execution, "branch", lambda self, value, log_prob: plain(self, value, 0.0))


def best_by_the_engines_weight(patch):
    """`best` goes by something else than the trace's own total."""
    patch.setattr("ppl.results.Result.best", property(lambda self: self.finished[-1]))


def one_stream_for_all_problems(patch):
    plain = Run.rng
    patch.setattr(Run, "rng", lambda self, purpose, index=0: plain(self, purpose, self.scheduler.runs.index(self)))


def log_total_after_resampling(patch):
    """The trace's own total includes what resampling did to its weight."""
    patch.setattr(Trace, "log_total", property(lambda self: self.log_weight + 1.0))


def mask_weights_ignored(patch):
    """Masked decoding as it is usually done: what the mask cut off enters no weight."""
    patch.setattr(Word, "weighted", property(lambda self: False, lambda self, value: None), raising=False)


def evidence_by_the_mean_of_logarithms(patch):
    """Averages log weights instead of weights."""
    patch.setattr("ppl.results.log_sum_exp", lambda log_weights: math.fsum(log_weights) / len(log_weights))


def nan_becomes_weight_zero(patch):
    """A weight that is NaN silently kills its particle."""
    plain = ppl.boundary.check_weight
    patch.setattr(ppl.weighing, "check_weight", lambda *site: -math.inf if site[-1] != site[-1] else plain(*site))


BUGS = [
    weights_not_reset, log_mean_added_twice, only_unfinished_are_resampled, last_weights_dropped,
    finished_are_weighed_again, heuristic_not_cancelled, proposal_forgotten, observations_dropped, require_ignored,
    forks_share_a_lineage, replay_drops_the_last_effect, residual_counts_rounded, systematic_without_its_uniform,
    no_dimension_factor, kept_choices_not_rescored, importance_without_its_n, enumeration_forgets_probabilities,
    best_by_the_engines_weight, one_stream_for_all_problems, log_total_after_resampling, mask_weights_ignored,
    evidence_by_the_mean_of_logarithms, nan_becomes_weight_zero,
]  # fmt: skip


@pytest.mark.parametrize("plant", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, ReplayError, pytest.fail.Exception)):
        the_laws_hold()
