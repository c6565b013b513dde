"""Sequential Monte Carlo: particles advance barrier by barrier and are resampled in between.

Del Moral, Doucet & Jasra 2006; adaptive resampling as in Liu & Chen 1995. Runs may differ in length: a finished
particle keeps its weight and takes part in resampling with potential 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from inference.engine import Engine, engine
from inference.particles import offspring, resampling_due
from inference.resampling import SCHEMES
from ppl.errors import OptionError
from ppl.execution import Execution
from ppl.population import log_sum_exp, normalise
from ppl.results import Posterior
from ppl.run import Run
from ppl.trace import Trace

Kernel = Callable[[Trace, Any], Trace]
UserResampler = Callable[[Sequence[float], int, Any], tuple[Sequence[int], Sequence[float]]]


@engine
class smc(Engine):  # noqa: N801
    """N particles. E[sum_i w_i f(t_i)] = Z E_posterior[f] for every f, so `log_evidence` is the log of an unbiased estimate.

    resampling     a scheme by name, or f(log_weights, n, rng) -> (parents, log_weights) with
                   E[sum of the children's weights] = the parent's weight
    ess_threshold  resample when the effective sample size is at most this share of N; 1 at every barrier, 0 never
    rejuvenate     a Markov kernel f(trace, rng) -> trace, applied to every particle after each resampling

    Particles are weighted at a barrier by their weight times exp(heuristic) there (a twisted SMC); the heuristic
    cancels at the next barrier and a finished particle carries none.
    """

    uses_heuristic = True
    particles: int
    resampling: str | UserResampler = "systematic"
    ess_threshold: float = 0.5
    rejuvenate: Kernel | None = None

    def search(self, run: Run) -> Posterior:
        particles = run.start(self.particles, log_weight=-math.log(self.particles))
        step = 0
        with run.limits:
            while True:
                step += 1
                run.advance_all(particles, until=step)
                if not any(p.running for p in particles):
                    break
                if resampling_due([p.rank for p in particles], self.ess_threshold):
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
            counts = SCHEMES[self.resampling](normalise(ranks), n, rng)
            parents = [i for i, count in enumerate(counts) for _ in range(count)]
            log_weights = [log_sum_exp(ranks) - math.log(n)] * n
        return offspring(run, particles, parents, log_weights)

    def _rejuvenate(self, run: Run, particles: list[Execution], step: int) -> list[Execution]:
        kernel = self.rejuvenate
        assert kernel is not None

        def move(i: int, particle: Execution) -> Trace:
            return kernel(particle.trace(step), run.lasting_rng(f"rejuvenate {step}", i))

        traces = run.gather([lambda i=i, p=p: move(i, p) for i, p in enumerate(particles)])  # type: ignore[misc]
        return [run.retrace(p, trace) for p, trace in zip(particles, traces, strict=True)]


def _check_resampled(parents: Sequence[int], log_weights: Sequence[float], n: int) -> None:
    if len(parents) != len(log_weights) or not parents or not all(0 <= i < n for i in parents):
        raise OptionError(
            f"smc(resampling=f): f must return (parents, log_weights) of equal length with parents in 0..{n - 1};"
            f" found {list(parents)!r} and {len(log_weights)} weights."
        )
