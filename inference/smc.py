"""Sequential Monte Carlo: particles advance barrier by barrier and are resampled in between.

Del Moral, Doucet & Jasra 2006; adaptive resampling as in Liu & Chen 1995. Runs may differ in length: a finished
particle keeps its weight and takes part in resampling with potential 1.

`compat="puri"` is the particle filter as its authors publish it (Puri et al. 2025), on purpose: see `published`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from inference.annealing import temperature
from inference.engine import Engine, engine
from inference.particles import offspring, resampling_due
from inference.resampling import SCHEMES, multinomial
from ppl.errors import OptionError
from ppl.execution import Execution
from ppl.population import log_sum_exp, normalise
from ppl.results import Posterior
from ppl.run import Run
from ppl.trace import Trace

Kernel = Callable[[Trace, Any], Trace]
UserResampler = Callable[[Sequence[float], int, Any], tuple[Sequence[int], Sequence[float]]]
PUBLISHED = (
    "compat='puri' weights finished particles again at every later step, as published; its weights estimate neither the"
    " evidence nor the posterior"
)


@engine
class smc(Engine):  # noqa: N801
    """N particles. E[sum_i w_i f(t_i)] = Z E_posterior[f] for every f, so `log_evidence` is the log of an unbiased estimate.

    resampling     a scheme by name, or f(log_weights, n, rng) -> (parents, log_weights) with
                   E[sum of the children's weights] = the parent's weight
    ess_threshold  resample when the effective sample size is at most this share of N; 1 at every barrier, 0 never
    rejuvenate     a Markov kernel f(trace, rng) -> trace, applied at every barrier to every particle that stands there:
                   moving only after resampling, or finished ones, would let the weights decide and bias them
    annealing      entropic particle filtering: resample by flattened weights while the effective sample size is small
                   and less than half of `horizon` barriers are behind. By "ess", "entropy" or "time"; see
                   `inference.annealing`. Weights make up for it, so nothing is biased
    compat         "puri" for the published, biased weighting: no evidence, and a warning in the result

    Particles are weighted at a barrier by their weight times exp(heuristic) there (a twisted SMC); the heuristic
    cancels at the next barrier and a finished particle carries none.
    """

    uses_heuristic = True
    particles: int
    resampling: str | UserResampler = "systematic"
    ess_threshold: float = 0.5
    rejuvenate: Kernel | None = None
    annealing: str | None = None
    horizon: int | None = None
    compat: str | None = None

    def __post_init__(self) -> None:
        if (self.annealing is None) != (self.horizon is None):
            raise OptionError(
                "smc: annealing and horizon belong together: annealing='ess', horizon=40 for a program of about 40 barriers."
            )
        if callable(self.resampling) and self.annealing is not None:
            raise OptionError("smc: a resampling function sets its own weights; leave out annealing, or name a scheme.")
        if self.compat is not None and (self.annealing or self.rejuvenate or callable(self.resampling)):
            raise OptionError(
                "smc(compat='puri') resamples as published: leave out resampling, rejuvenate and annealing."
            )

    def search(self, run: Run) -> Posterior:
        if self.compat is not None:
            return published(run, self.particles)
        particles = run.start(self.particles, log_weight=-math.log(self.particles))
        step = 0
        with run.limits:
            while True:
                step += 1
                run.advance_all(particles, until=step)
                if not any(p.running for p in particles):
                    break
                if resampling_due(run, [p.rank for p in particles], self.ess_threshold):
                    particles = self._resample(run, particles, step)
                if self.rejuvenate is not None:
                    particles = self._rejuvenate(run, particles, step)
        return run.posterior(particles)

    def _resample(self, run: Run, particles: list[Execution], step: int) -> list[Execution]:
        ranks = [p.rank for p in particles]
        rng = run.rng("resample", step)
        n = self.particles
        if callable(self.resampling):
            parents, log_weights = self.resampling(ranks, n, rng)
            _check_resampled(parents, log_weights, len(particles))
        else:
            heat = 1.0
            if self.annealing is not None and self.horizon is not None:
                heat = temperature(self.annealing, ranks, step / self.horizon)
            shares = normalise([rank / heat for rank in ranks])
            counts = SCHEMES[self.resampling](shares, n, rng)
            parents = [i for i, count in enumerate(counts) for _ in range(count)]
            if heat == 1.0:
                log_weights = [log_sum_exp(ranks) - math.log(n)] * n
            else:
                log_weights = [ranks[i] - math.log(n * shares[i]) for i in parents]
        return offspring(run, particles, parents, log_weights)

    def _rejuvenate(self, run: Run, particles: list[Execution], step: int) -> list[Execution]:
        kernel = self.rejuvenate
        assert kernel is not None

        def move(i: int, particle: Execution) -> Execution:
            moved = kernel(particle.trace(step), run.lasting_rng(f"rejuvenate {step}", i))
            if moved.status != "running":
                raise OptionError(
                    f"smc(rejuvenate={kernel!r}): the kernel returned a trace that is {moved.status}, not at the barrier it"
                    " came from. Return the old trace where regenerate or update gives log weight -inf."
                )
            return run.retrace(particle, moved)

        at_barrier = [(i, p) for i, p in enumerate(particles) if p.running]
        moved = run.gather([lambda i=i, p=p: move(i, p) for i, p in at_barrier])  # type: ignore[misc]
        for (i, _), particle in zip(at_barrier, moved, strict=True):
            particles[i] = particle
        return particles


def published(run: Run, n: int) -> Posterior:
    """The particle filter of Puri et al. 2025 as their code has it, for comparison with their numbers.

    Multinomial resampling at every step by the last potential alone (the scores of the last block: score(r.logit())
    for theirs), and a finished particle's last potential applies again at every step until all have finished. So runs
    that end early are favoured, more so the longer the others are. The final weights are the last potentials.
    """
    run.warn(PUBLISHED)
    particles = run.start(n)
    potentials = [0.0] * n
    step = 0
    with run.limits:
        while True:
            step += 1
            before = [(p.barriers, p.leaf.log_total) for p in particles]
            run.advance_all(particles, until=step)
            for i, (particle, (barriers, log_total)) in enumerate(zip(particles, before, strict=True)):
                if particle.dead or particle.barriers > barriers:
                    potentials[i] = particle.leaf.log_total - log_total
            if not any(p.running for p in particles):
                break
            counts = multinomial(normalise(potentials), n, run.rng("resample", step))
            parents = [i for i, count in enumerate(counts) for _ in range(count)]
            particles = offspring(run, particles, parents, [0.0] * n)
            potentials = [potentials[i] for i in parents]
    for particle, potential in zip(particles, potentials, strict=True):
        if not particle.dead:
            particle.set_rank(potential)
    return run.posterior(particles, no_evidence=PUBLISHED)


def _check_resampled(parents: Sequence[int], log_weights: Sequence[float], n: int) -> None:
    if len(parents) != len(log_weights) or len(parents) == 0 or not all(0 <= i < n for i in parents):
        raise OptionError(
            f"smc(resampling=f): f must return (parents, log_weights) of equal length with parents in 0..{n - 1};"
            f" found {list(parents)!r} and {len(log_weights)} weights."
        )
    if not all(w < math.inf for w in log_weights):  # nor NaN
        raise OptionError(
            f"smc(resampling=f): the log weights that f returns must be finite, or -inf; found {list(log_weights)!r}."
        )
