"""Stochastic beam search: traces without replacement, by Gumbel-top-k (Kool, van Hoof & Welling 2019).

Give every trace of a finite program the perturbed log-probability G = log p + Gumbel noise: its `width` largest are a
sample without replacement, in order. The noise of a node is the largest of those below it, so that it can be drawn
from the root down and only the best width + 1 nodes of each level need be run.

A trace is in the sample iff G exceeds kappa, the (width + 1)-th largest. Given kappa that has probability q(t) =
1 - exp(-exp(log p(t) - kappa)), and sum over the sample of f(t) gamma(t) / q(t) is unbiased for the sum over all
traces. This holds because the noise of the root is drawn too: fixed at 0 it samples as well and estimates with bias.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.engine import Engine, engine
from ppl.execution import Execution, Stop
from ppl.population import log_sum_exp
from ppl.results import Posterior
from ppl.run import Run

NEG_INF = -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class _Perturbed:
    """A node with the log-probability of its choices, and that perturbed; a branch not yet made knows its value."""

    execution: Execution
    log_prob: float
    perturbed: float
    value: Any = None
    log_p: float | None = None


@engine
class stochastic_beam(Engine):  # noqa: N801
    """`width` different traces, drawn without replacement, the first most likely the likeliest.

    All choices must be among finitely many values; they are drawn from the program's own distributions, so scores,
    proposals and heuristics do not steer it. The result is a Posterior: a trace weighs gamma(t) / q(t), `log_evidence` is
    the log of an unbiased estimate of Z, and where the program has at most `width` traces all is exact. Dead traces
    take part and weigh nothing. Raises CapabilityError at a choice that is not finite.
    """

    width: int

    def search(self, run: Run) -> Posterior:
        (root,) = run.start()
        beam = [_Perturbed(root, 0.0, float(run.rng("gumbel").gumbel()))]
        with run.limits:
            while any(node.execution.running for node in beam):
                run.advance_all([node.execution for node in beam], Stop.ANY)
                beam = self._next(run, beam)
        return self._posterior(run, beam)

    def _next(self, run: Run, beam: Sequence[_Perturbed]) -> list[_Perturbed]:
        """The width + 1 best among what has ended and all children; only they are made."""
        parked = [node for node in beam if node.execution.running and node.execution.choice is not None]
        tables = run.supports([node.execution for node in parked])
        candidates = [node for node in beam if node not in parked]
        for node, table in zip(parked, tables, strict=True):
            candidates += _children(run, node, table, self.width + 1)
        best = heapq.nlargest(self.width + 1, candidates, key=lambda node: node.perturbed)
        made = [_made(node) for node in best]
        going_on = {node.execution for node in best}
        run.drop(node.execution for node in beam if node.execution not in going_on)
        return made

    def _posterior(self, run: Run, beam: Sequence[_Perturbed]) -> Posterior:
        ranked = sorted(beam, key=lambda node: -node.perturbed)
        sample, rest = ranked[: self.width], ranked[self.width :]
        for node in sample:
            if rest and node.execution.finished:
                above = min(node.log_prob - rest[0].perturbed, 50.0)  # where q is 1 to the last bit
                inclusion = -math.expm1(-math.exp(above))
                node.execution.set_rank(node.execution.log_weight - math.log(inclusion))
        return run.posterior([node.execution for node in sample])


def _children(run: Run, node: _Perturbed, table: Sequence[tuple[Any, float]], most: int) -> list[_Perturbed]:
    """The children with the largest noise, given that the largest of all is the node's own.

    With g_i = log p_i + Gumbel and Z = max g_i, child i gets -log(e^(-G) - e^(-Z) + e^(-g_i)) for the node's G, in
    the stable form of Kool et al., appendix B.3.
    """
    log_probs = np.array([log_p for _, log_p in table])
    log_probs += node.log_prob - log_sum_exp(log_probs.tolist())
    rng = run.streams.at(node.execution.key, "engine:gumbel", 0)
    noisy = log_probs + rng.gumbel(size=len(table))
    with np.errstate(divide="ignore"):
        v = node.perturbed - noisy + np.log1p(-np.exp(noisy - noisy.max()))
    perturbed = node.perturbed - np.maximum(v, 0.0) - np.log1p(np.exp(-np.abs(v)))
    return [
        _Perturbed(node.execution, float(log_probs[i]), float(perturbed[i]), *table[i])
        for i in np.argsort(-perturbed, kind="stable")[:most]
    ]


def _made(node: _Perturbed) -> _Perturbed:
    if node.log_p is None:
        return node
    parent = node.execution
    child = parent.branch(node.value, node.log_p)
    if parent.forks == 1:
        child.adopt(parent)
    return _Perturbed(child, node.log_prob, node.perturbed)
