"""Particle Gibbs: a Markov chain on traces, each step of which is a sweep of conditional SMC.

Andrieu, Doucet & Holenstein 2010; ancestor sampling as in Lindsten, Jordan & Schoen 2014. In a sweep the chain's
present trace, the reference, takes part as particle 0: it stands at its own t-th barrier with its own weight there, is
never removed, and may have children. Nothing of it is run again, so no model call of it is paid twice.

Runs may differ in length. A finished particle, the reference too, keeps its weight and takes part in resampling with
potential 1. Resampling happens when the effective sample size asks for it. The kernel leaves the posterior invariant
for any such rule that does not look at which particle is the reference, because the other particles, given the
reference, follow the law of SMC with one lineage held fixed.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from itertools import count

from inference.chains import all_dead, chain_posterior, require_rescorable
from inference.engine import Engine, engine
from inference.particles import offspring, pick, resampling_due
from inference.resampling import multinomial
from ppl.dist import Distribution
from ppl.execution import Execution, Forced, Stop
from ppl.operations import keep_value
from ppl.population import log_sum_exp, normalise
from ppl.results import Posterior
from ppl.run import Run
from ppl.streams import LastingStream
from ppl.trace import Node, Trace

NEG_INF = -math.inf
FIRST_SWEEPS = 10  # populations tried until one has a particle of positive weight


@engine
class particle_gibbs(Engine):  # noqa: N801
    """`sweeps` sweeps of conditional SMC with N particles after `burn_in` ones; each keeps one trace, of equal weight.

    ancestor_sampling  at a resampling the reference may change the particle it descends from. Its later choices are
                       scored again after each of them: better mixing for long programs, for model calls that grow with
                       particles times length, and only over choices that can be scored
    ess_threshold      resample when the effective sample size is at most this share of N; 1 at every barrier, 0 never

    The first sweep is plain SMC; if all its particles die it is repeated, 10 times at most, then AllDead is raised.
    One particle alone never moves. A limit ends the chain after its last whole sweep.
    """

    uses_heuristic = True
    particles: int
    sweeps: int
    burn_in: int = 0
    ancestor_sampling: bool = False
    ess_threshold: float = 0.5

    def search(self, run: Run) -> Posterior:
        kept: list[Trace] = []
        if self.particles == 1:
            run.warn("particle_gibbs(particles=1) never leaves its first trace: there is nothing to choose from")
        with run.limits:
            reference = self._first(run)
            for i in range(self.burn_in + self.sweeps):
                if i > 0:
                    reference = self.sweep(run, reference, run.lasting_rng("sweep", i))
                run.resampled([reference])
                if i >= self.burn_in:
                    kept.append(reference)
        return chain_posterior(run, kept)

    def _first(self, run: Run) -> Trace:
        reasons: Counter[str] = Counter()
        for i in range(FIRST_SWEEPS):
            rng = run.lasting_rng("first sweep", i)
            population = self._population(run, None, rng)
            if not all(p.dead for p in population):
                return population[pick([p.log_weight for p in population], rng)].trace()
            reasons.update(p.reason or "dead" for p in population)
        raise all_dead(run, f"{FIRST_SWEEPS} populations of {self.particles} particles", reasons)

    def sweep(self, run: Run, reference: Trace, rng: LastingStream) -> Trace:
        """The chain's kernel: conditional SMC around the reference, and one of its particles by weight."""
        population = self._population(run, reference, rng)
        return population[pick([p.log_weight for p in population], rng)].trace()

    def _population(self, run: Run, reference: Trace | None, rng: LastingStream) -> list[Execution]:
        """N finished or dead particles; with a reference, number 0 is that one (or what ancestor sampling made of it)."""
        n, fixed = self.particles, [] if reference is None else [0]
        particles = run.start(n, require_rescorable if self.ancestor_sampling else None)
        path = [] if reference is None else standing_points(reference)
        for step in count(1):
            if path:
                particles[0].move_to(path[min(step, len(path)) - 1])
            run.advance_all(particles[len(fixed) :], until=step)
            if not any(p.running for p in particles):
                break
            ranks = [p.rank for p in particles]
            if resampling_due(run, ranks, self.ess_threshold):
                counts = multinomial(normalise(ranks), n - len(fixed), rng)
                parents = fixed + [i for i, children in enumerate(counts) for _ in range(children)]
                log_mean = log_sum_exp(ranks) - math.log(n)
                if path and self.ancestor_sampling:
                    path = sample_ancestor(run, particles, path, rng)
                particles = offspring(run, particles, parents, [log_mean] * n)
                if path and self.ancestor_sampling:
                    particles[0].move_to(path[min(step, len(path)) - 1])
                    particles[0].set_rank(log_mean)
                    run.resampled(particles[:1])
        return particles


def standing_points(trace: Trace) -> list[Trace]:
    """The trace as it stood at each barrier where it could be compared, and at its end."""
    marks = [node for node in trace.nodes if node.kind == "barrier"]
    if marks and marks[-1] is trace.leaf and marks[-1].parent is not None and marks[-1].parent.kind != "checkpoint":
        marks.pop()  # the one that closes the last block of weights: the run did not stop there, it ended
    return [*(dataclasses.replace(trace, leaf=mark, value=None, status="running") for mark in marks), trace]


def sample_ancestor(run: Run, particles: Sequence[Execution], path: list[Trace], rng: LastingStream) -> list[Trace]:
    """Draw which particle the reference descends from; the standing points of the reference that follows.

    A particle is drawn in proportion to its weight times gamma(its trace, then the reference's later choices) /
    gamma(its trace). Only those are candidates after which all these choices and barriers come in the same order at
    sites of the same kinds: what is compared then has one dimension, and the set is the same whoever is drawn.
    """
    here, reference = particles[0], path[-1]
    rest = reference.after(here.leaf)
    if here.finished:
        continued = [(p, p) for p in particles[1:] if p.finished]
    else:
        continued = [(p, follow(p, rest)) for p in particles[1:] if p.running]
        run.advance_all([child for _, child in continued], Stop.END)
    candidates, log_weights = [reference], [here.log_weight + log_density(rest)]
    for particle, child in continued:
        trace = child.trace()
        added = trace.after(particle.leaf)
        if child.finished and shape(added) == shape(rest):
            candidates.append(trace)
            log_weights.append(particle.log_weight + log_density(added))
    chosen = candidates[pick(log_weights, rng)]
    run.drop((c for p, c in continued if c is not p and c.leaf is not chosen.leaf), "another ancestor was drawn")
    return path if chosen is reference else standing_points(chosen)


def follow(particle: Execution, rest: Sequence[Node]) -> Execution:
    """A fork that makes the choices of `rest`, in their order, and dies where it cannot."""
    choices = (node for node in rest if node.kind == "sample")

    def force(ex: Execution, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Forced:
        node = next(choices, None)
        forced = keep_value(node, dist, proposal) if node is not None and node.name == name else None
        return forced or Forced(None, 0.0, NEG_INF)

    child = particle.fork()
    child.policy = force
    return child


def shape(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """The choices and barriers of a stretch of effects, in order."""
    return [(node.kind, node.name) for node in nodes if node.kind in ("sample", "barrier")]


def log_density(nodes: Sequence[Node]) -> float:
    """log gamma of a stretch of effects."""
    return math.fsum(node.log_prob if node.kind == "sample" else node.log_weight for node in nodes)
