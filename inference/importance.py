"""Importance sampling: independent runs of the program, weighted by what they scored."""

from __future__ import annotations

import math

from inference.engine import Engine, engine
from ppl.execution import Stop
from ppl.results import Posterior
from ppl.run import Run


@engine
class importance(Engine):  # noqa: N801
    """`particles` independent runs. Each carries weight exp(log_total) / N, so their sum is an unbiased estimate of Z.

    Needs nothing from a program. Model calls: those of N runs, batched.
    """

    particles: int

    def search(self, run: Run) -> Posterior:
        particles = run.start(self.particles, log_weight=-math.log(self.particles))
        with run.limits:
            run.advance_all(particles, Stop.END)
        return run.posterior(particles)
