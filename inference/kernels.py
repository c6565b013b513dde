"""Markov kernels on traces: single-site, block, whole-suffix and prior moves by Metropolis-Hastings.

A kernel is called as `kernel(trace, rng)` and returns a trace: the next state of a chain whose stationary law is the
posterior, or, on a trace with a `horizon` (a particle of SMC at a barrier), the target at that barrier, heuristic
included. `rng` is a numpy Generator or a `run.lasting_rng`. Inside an engine their model calls join its batches;
elsewhere they run at once. What comes before the first choice drawn anew is replayed, so its model calls are not paid
again. Kernels compose like functions: `lambda trace, rng: suffix(block("topic")(trace, rng), rng)`.

What is drawn anew comes from the program itself, or from its sites' own `proposal=`. Moves that pick a site from the
trace carry the factor |t| / |t'|, the ratio of the numbers of choices (Wingate, Stuhlmueller & Goodman 2011).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ppl.dist import uniform
from ppl.errors import OptionError
from ppl.operations import regenerate
from ppl.trace import Trace, first_use

Kernel = Callable[[Trace, Any], Trace]
Proposal = Callable[[Trace, Any], tuple[Trace, float]]


class Metropolis:
    """The kernel that accepts `propose(trace, rng) -> (trace, log of the acceptance ratio)` by Metropolis-Hastings.

    kernel(trace, rng, temperature) leaves p(t) exp(scores / temperature) invariant: scores and observations are
    tempered, the prior and log p - log q are not. `rescores`: it asks for the log-prob of values that it keeps.
    """

    def __init__(self, propose: Proposal, rescores: bool = False) -> None:
        self.propose, self.rescores = propose, rescores
        self.__name__, self.__doc__ = propose.__name__, propose.__doc__

    def __call__(self, trace: Trace, rng: Any, temperature: float = 1.0) -> Trace:
        new, log_ratio = self.propose(trace, rng)
        if new is trace or new.status == "dead":
            return trace
        if temperature != 1.0:
            log_ratio += (1.0 / temperature - 1.0) * (new.log_score - trace.log_score)
        return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace

    def __repr__(self) -> str:
        return self.__name__


@functools.partial(Metropolis, rescores=True)
def single_site(trace: Trace, rng: Any) -> tuple[Trace, float]:
    """Draw one choice again, picked uniformly from the trace's; keep the others where they still have a site."""
    sites = list(trace.choices)
    if not sites:
        return trace, 0.0
    new, log_ratio = regenerate(trace, [uniform(sites).sample(rng)], rng)
    return new, log_ratio + math.log(len(sites) / len(new.choices))


@Metropolis
def suffix(trace: Trace, rng: Any) -> tuple[Trace, float]:
    """Draw one choice, picked uniformly, and everything after it again. Never scores a given value."""
    sites = list(trace.choices)
    if not sites:
        return trace, 0.0
    kept = frozenset(sites[: uniform(range(len(sites))).sample(rng)])
    new, log_ratio = regenerate(trace, lambda site: site not in kept, rng)
    return new, log_ratio + math.log(len(sites) / len(new.choices))


@Metropolis
def prior(trace: Trace, rng: Any) -> tuple[Trace, float]:
    """Run the program again from its first choice (independence Metropolis-Hastings). Never scores a given value."""
    return regenerate(trace, lambda site: True, rng)


def block(*names: str) -> Metropolis:
    """Draw all sites of these names again, together. A name means all its uses, "x[2]" only the third of x.

    A trace that has none of them stays as it is, so combine it with other kernels where branches differ.
    """
    if not names:
        raise OptionError('block needs the names of sites, as in block("x", "y")')
    every = frozenset(names)
    single = frozenset(first_use(name) for name in names if name.endswith("]"))

    def propose(trace: Trace, rng: Any) -> tuple[Trace, float]:
        return regenerate(trace, lambda site: site in single or site.partition("[")[0] in every, rng)

    propose.__name__ = f"block({', '.join(map(repr, names))})"
    return Metropolis(propose, rescores=True)


KERNELS: dict[str, Metropolis] = {"single_site": single_site, "suffix": suffix, "prior": prior}


def named(kernel: str | Kernel) -> Any:
    """A kernel from its name or itself."""
    return KERNELS[kernel] if isinstance(kernel, str) else kernel
