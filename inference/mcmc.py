"""Markov chain Monte Carlo over whole traces: one or several chains of a kernel that leaves the posterior invariant."""

from __future__ import annotations

from functools import partial
from typing import Any

from inference.chains import chain_posterior, first_trace, move
from inference.engine import Engine, engine
from inference.kernels import Kernel, named
from ppl.results import Posterior
from ppl.run import Run
from ppl.trace import Trace


@engine
class mcmc(Engine):  # noqa: N801
    """Each of `chains` chains keeps `samples` traces: every `thin`-th after `burn_in` steps. In the limit they are
    draws from the posterior, all of equal weight; there is no evidence.

    kernel   "single_site", "suffix", "prior", or kernel(trace, rng) -> trace; see `inference.kernels`

    A chain starts from the first of 100 runs from the prior that has positive weight, and raises AllDead if none has.
    Chains run side by side and share batches; chain i is the same whatever their number. "single_site" needs choices
    whose log-prob can be asked for (CapabilityError otherwise); "suffix" and "prior" need nothing. The traces of the
    result are those of chain 0, then of chain 1, and so on; a limit ends each chain with what it has.
    """

    samples: int
    burn_in: int = 0
    thin: int = 1
    chains: int = 1
    kernel: str | Kernel = "single_site"

    def search(self, run: Run) -> Posterior:
        kept: list[list[Trace]] = [[] for _ in range(self.chains)]
        with run.limits:
            run.gather([partial(self._chain, run, i, traces) for i, traces in enumerate(kept)])
        return chain_posterior(run, [trace for traces in kept for trace in traces])

    def _chain(self, run: Run, i: int, kept: list[Trace]) -> None:
        kernel: Any = named(self.kernel)
        rng = run.lasting_rng("chain", i)
        trace = first = first_trace(run, rng, getattr(kernel, "rescores", False))
        for step in range(1, self.burn_in + self.samples * self.thin + 1):
            trace = move(kernel, trace, rng)
            run.resampled([trace])
            if step > self.burn_in and (step - self.burn_in) % self.thin == 0:
                kept.append(trace)
            run.give_way()
        if trace is first and first.choices:
            run.warn(f"chain {i} never moved: {kernel!r} changed or accepted nothing in {step} steps")
