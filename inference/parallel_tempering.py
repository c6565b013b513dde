"""Parallel tempering: chains at rising temperatures that exchange their states.

Geyer 1991, Hukushima & Nemoto 1996; neighbours are exchanged in alternating even and odd pairs, as in Okabe et al.
2001 and Syed et al. 2022. For reward-guided text: Puri et al. 2025.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from inference.chains import chain_posterior, first_trace, move
from inference.engine import Engine, engine
from inference.kernels import named
from ppl.errors import OptionError
from ppl.results import Posterior
from ppl.run import Run
from ppl.trace import Trace


@engine
class parallel_tempering(Engine):  # noqa: N801
    """One chain per temperature T, with target p(t) exp(scores / T); only the first, at T = 1, is reported.

    Scores and observations are tempered, never the prior, nor log p - log q of a site with a proposal. In a sweep each
    chain makes one move and neighbours offer each other their states; the state of the first chain is kept after each
    of `sweeps` sweeps that follow `burn_in` ones.

    temperatures   1 first; larger ones (inf is the prior) cross valleys of low score
    kernel         "single_site", "suffix", "prior", or kernel(trace, rng, temperature) -> trace

    Chains start like those of `mcmc`, and all model calls of a sweep share batches.
    """

    temperatures: Sequence[float]
    sweeps: int
    burn_in: int = 0
    kernel: Any = "single_site"

    def __post_init__(self) -> None:
        found = list(self.temperatures)
        numbers = [t for t in found if isinstance(t, (int, float)) and not isinstance(t, bool) and t > 0]
        if len(numbers) < len(found) or not found or found[0] != 1:
            raise OptionError(
                f"parallel_tempering(temperatures={found!r}): expected positive numbers, the first of them 1 (the chain"
                " that is reported), as in temperatures=[1, 2, 4]."
            )
        if not isinstance(self.kernel, str) and "temperature" not in inspect.signature(self.kernel).parameters:
            raise OptionError(
                f"parallel_tempering(kernel={self.kernel!r}): expected kernel(trace, rng, temperature) -> trace, which"
                " leaves p(t) exp(scores / temperature) invariant; build one with inference.kernels.Metropolis."
            )

    def search(self, run: Run) -> Posterior:
        kernel = named(self.kernel)
        rngs = [run.lasting_rng("chain", k) for k in range(len(self.temperatures))]
        swaps = run.lasting_rng("swap")
        kept: list[Trace] = []
        with run.limits:
            rescores = getattr(kernel, "rescores", False)
            states = run.gather([partial(first_trace, run, rng, rescores) for rng in rngs])
            for sweep in range(self.burn_in + self.sweeps):
                chains = zip(states, rngs, self.temperatures, strict=True)
                states = run.gather([partial(move, kernel, *chain) for chain in chains])
                states = exchange(states, self.temperatures, sweep % 2, swaps)
                run.resampled(states, range(len(states)))
                if sweep >= self.burn_in:
                    kept.append(states[0])
        return chain_posterior(run, kept)


def exchange(states: Sequence[Trace], temperatures: Sequence[float], first: int, rng: Any) -> list[Trace]:
    """Offer to swap states (first, first + 1), (first + 2, first + 3), ...; leaves the product of their targets as it is.

    A pair swaps with probability min(1, exp((1/T - 1/T') (s' - s))), s the scores of a trace: the prior cancels.
    """
    states = list(states)
    for k in range(first, len(states) - 1, 2):
        slope = 1.0 / temperatures[k] - 1.0 / temperatures[k + 1]
        log_ratio = slope * (states[k + 1].log_score - states[k].log_score)
        if rng.random() < math.exp(min(0.0, log_ratio)):
            states[k], states[k + 1] = states[k + 1], states[k]
    return states
