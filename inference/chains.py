"""What the Markov-chain engines share: a first trace of positive weight, a checked move, and their result."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ppl.dist import Distribution
from ppl.errors import AllDead, CapabilityError, OptionError
from ppl.execution import Execution, Forced, Stop
from ppl.results import Posterior
from ppl.run import Run
from ppl.streams import LastingStream
from ppl.trace import Node, Trace, address

FIRST_DRAWS = 100  # runs from the prior a chain may take to find a trace of positive weight
NO_EVIDENCE = "a Markov chain does not estimate it. Use importance(...), smc(...) or exact() on the same program."


def first_trace(run: Run, rng: LastingStream, rescores: bool) -> Trace:
    """The first of at most FIRST_DRAWS runs from the prior that has positive weight; AllDead, with reasons, if none.

    `rescores`: the chain will ask for log-probs of given values, so a site that cannot give one is an error here.
    """
    reasons: Counter[str] = Counter()
    for _ in range(FIRST_DRAWS):
        execution = Execution(run, rng.key(), require_rescorable if rescores else None)
        execution.rng = rng
        run.advance_all([execution], Stop.END)
        if execution.finished:
            trace = execution.trace()
            if rescores:
                check_rescorable(trace)
            return trace
        reasons[execution.reason or "dead"] += 1
    raise all_dead(run, f"{FIRST_DRAWS} runs from the prior", reasons)


def all_dead(run: Run, what: str, reasons: Counter[str]) -> AllDead:
    """The error of a chain that found no trace to start from."""
    deaths = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    return AllDead(
        f"{run.engine!r} on {run.program.name}: {what} all have weight zero: {deaths}."
        " A chain needs a trace to start from: loosen what rules them out, or give the sites a proposal=."
    )


def require_rescorable(
    execution: Execution, name: str, index: int, dist: Distribution, proposal: Distribution | None
) -> Forced | None:
    """A policy: stop before a choice is drawn whose model cannot score given values."""
    for part in (dist, proposal):
        if part is not None and not part.rescorable:
            raise cannot_rescore(address(name, index), part, "its model only draws")
    return None


def check_rescorable(trace: Trace) -> None:
    """Ask every choice of the trace that needs no model for its log-prob."""
    for node in trace.nodes:
        if node.kind == "sample":
            for part in (node.dist, node.proposal):
                if part is not None:
                    _check_rescorable(node, part)


def _check_rescorable(node: Node, dist: Distribution) -> None:
    try:
        if dist.deferred:
            dist.assess(node.value)  # type: ignore[attr-defined]
        else:
            dist.log_prob(node.value)
    except Exception as error:
        raise cannot_rescore(node.address, dist, repr(error)) from error


def cannot_rescore(site: str, dist: Distribution, why: str) -> CapabilityError:
    """The error of a move that needs the log-prob of a value it did not draw."""
    return CapabilityError(
        f"site {site!r} cannot be scored again: {dist!r} gives no log-prob of a given value ({why}), which single-site and"
        ' block moves and ancestor sampling need. Use kernel="suffix" or kernel="prior", or particle_gibbs(...), smc(...)'
        " or importance(...)."
    )


def move(kernel: Callable[..., Any], trace: Trace, *arguments: Any) -> Trace:
    """One step of a kernel, which may be a user's: it must give a finished trace of positive weight."""
    moved = kernel(trace, *arguments)
    if not isinstance(moved, Trace):
        raise OptionError(f"kernel {kernel!r}: expected a trace back, found {moved!r}.")
    if moved.status != "finished":
        raise OptionError(
            f"kernel {kernel!r} returned a trace that is {moved.status} ({moved.reason}). Return the old trace where a proposal is rejected."
        )
    return moved


def chain_posterior(run: Run, traces: Sequence[Trace]) -> Posterior:
    """The states of chains as equally weighted traces."""
    if run.stopped and not traces:
        run.warn(f"the limit on {run.stopped} was reached before the chain's first state was kept (burn-in included)")
    log_weight = -math.log(max(len(traces), 1))
    equal = [dataclasses.replace(trace, log_weight=log_weight) for trace in traces]
    return Posterior.of_run(run, equal, no_evidence=NO_EVIDENCE)
