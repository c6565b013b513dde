"""Moves on a population of executions that stand at one barrier, shared by the engines that resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.resampling import systematic
from ppl.execution import Execution
from ppl.population import effective_sample_size, normalise
from ppl.run import Run


def resampling_due(run: Run, ranks: Sequence[float], threshold: float) -> bool:
    """Whether the effective sample size has fallen to `threshold` times N; at 1 always (Liu & Chen 1995)."""
    run.ess.append(effective_sample_size(ranks))
    return threshold >= 1.0 or run.ess[-1] <= threshold * len(ranks)


def offspring(
    run: Run, particles: Sequence[Execution], parents: Sequence[int], log_weights: Sequence[float]
) -> list[Execution]:
    """The next generation: child k continues particles[parents[k]] with working weight log_weights[k].

    A parent is its own first child, so its continuation goes on living; further children are forks.
    """
    children: list[Execution] = []
    seen: set[int] = set()
    for i, log_weight in zip(parents, log_weights, strict=True):
        child = particles[i].fork() if i in seen else particles[i]
        seen.add(i)
        child.set_rank(log_weight)
        children.append(child)
    run.resampled(particles, parents)
    if run.generations is not None:
        run.generations = run.generations + 1 if len(set(log_weights)) == 1 else None
    run.free(p for i, p in enumerate(particles) if i not in seen)
    return children


def pick(log_weights: Sequence[float], rng: Any) -> int:
    """The index of one, drawn in proportion to its weight."""
    return systematic(normalise(log_weights), 1, rng).index(1)
