"""How far a weighted result can be trusted, read off its weights and off who descends from whom."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ppl.population import normalise
from ppl.trace import Node, Trace, backwards


def evidence_error(traces: Sequence[Trace], generations: int) -> float | None:
    """The standard error of log_evidence, from one run: the root of its `relative_variance`; None if that is not > 0."""
    variance = relative_variance(traces, generations)
    return math.sqrt(variance) if variance > 0.0 else None


def relative_variance(traces: Sequence[Trace], generations: int) -> float:
    """var(evidence estimate) / evidence^2, estimated from one run of N particles, dead ones included in `traces`.

    Particles of one ancestor stand and fall together, so the variance shows in how unequally the ancestors of the
    first generation end up: V = 1 - (N / (N - 1))^generations (1 - sum_e W_e^2), with W_e the normalised weight that
    descends from ancestor e. estimate^2 V is an unbiased estimate of the variance under multinomial resampling (Lee &
    Whiteley 2018, eq. 9), hence now and then negative; under schemes of less variance it is too large, if anything.
    0 for fewer than two particles and where all are dead.
    """
    n = len(traces)
    weights = normalise([t.log_weight if t.status != "dead" else -math.inf for t in traces])
    if n < 2 or not any(weights):
        return 0.0
    shares: dict[Node, float] = {}
    for trace, weight in zip(traces, weights, strict=True):
        first = _first(trace)
        shares[first] = shares.get(first, 0.0) + weight
    return 1.0 - (n / (n - 1)) ** generations * (1.0 - math.fsum(w * w for w in shares.values()))


def common_ancestor(traces: Sequence[Trace]) -> Node | None:
    """The last choice that several traces made together, once, before they were forked; None if there is none."""
    if len(traces) < 2:
        return None
    shared = list(backwards(traces[0].leaf))
    for trace in traces[1:]:
        mine = set(backwards(trace.leaf))
        shared = [node for node in shared if node in mine]
    return next((node for node in shared if node.kind == "sample"), None)


def _first(trace: Trace) -> Node:
    """The root of a trace: its ancestor in the first generation."""
    node = trace.leaf
    while node.parent is not None:
        node = node.parent
    return node
