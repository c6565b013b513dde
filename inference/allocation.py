"""How many children each node of a search tree gets: pure rules, scores (and the tree) in, counts out.

A count of 0 prunes a node. `inference.tree` is the one loop that these rules steer; they can be read, tested and
called without it. Counts come in the order of the scores, and ties go to the first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from inference.closure import Selection, select
from ppl.errors import OptionError

NEG_INF = -math.inf


def beam(scores: Sequence[float], finished: Sequence[bool], width: int, expand: int) -> list[int]:
    """The `width` best nodes stay. A finished one keeps its slot (count 1), the others share expand draws a free slot.

    So each gets `expand` where the beam is full, and more at the root, which fills it.
    """
    kept = _best_first(scores)[:width]
    live = [i for i in kept if not finished[i]]
    counts = [0] * len(scores)
    for i in kept:
        counts[i] = 1
    slots = width - (len(kept) - len(live))
    for place, i in enumerate(live):
        counts[i] = slots * expand // len(live) + (place < slots * expand % len(live))
    return counts


def dvts(scores: Sequence[float], finished: Sequence[bool], subtrees: Sequence[int], expand: int) -> list[int]:
    """Diverse verifier tree search (Beeching, Tunstall & Rush 2024): the best node of each subtree gets `expand`.

    A subtree whose best node is finished is done: all that finished in it stay, as candidates for a vote.
    """
    counts = [0] * len(scores)
    for subtree in dict.fromkeys(subtrees):
        own = [i for i, s in enumerate(subtrees) if s == subtree]
        best = max(own, key=lambda i: scores[i])
        for i in own if finished[best] else ():
            counts[i] = int(finished[i])
        if not finished[best]:
            counts[best] = expand
    return counts


def rebase(scores: Sequence[float], width: int, temperature: float = 0.2) -> list[int]:
    """Reward-balanced search (Wu et al. 2025): `width` children in proportion to exp(score / temperature).

    Best score first, n_i = ceil(W e^(s_i/T) / sum_{j not served} e^(s_j/T)), W -= n_i: the counts sum to `width`. A
    score of -inf gets none. Raises OptionError for an empty frontier, NaN scores, or no score above -inf.
    """
    _check_scores("rebase", scores, width, temperature)
    order = _best_first(scores)
    shares = [math.exp((scores[i] - scores[order[0]]) / temperature) for i in order]
    rests = shares[:]  # each share with those after it, summed from the small end
    for k in reversed(range(len(rests) - 1)):
        rests[k] += rests[k + 1]
    counts = [0] * len(scores)
    left = width
    for i, share, rest in zip(order, shares, rests, strict=True):
        if left == 0:
            break
        counts[i] = min(left, _ceil(left * share / rest))
        left -= counts[i]
    return counts


def ets(
    paths: Sequence[Sequence[Hashable]],
    scores: Sequence[float],
    width: int,
    temperature: float = 0.2,
    kv_penalty: float = 1.0,
    coverage: float = 0.0,
    clusters: Sequence[Hashable] | None = None,
    node_cost: Mapping[Any, float] | None = None,
    leaf_cost: Sequence[float] | None = None,
) -> list[int]:
    """Efficient tree search (Hooper et al. 2025): keep the leaves that pay for their KV, then `rebase` over those.

    paths[i]     leaf i's ancestors without itself, root first
    node_cost    cost of each ancestor (default 1), leaf_cost of each leaf: tokens, or 1 for the paper's setting
    kv_penalty   weight of the kept cost as a share of the whole (lambda_b of the paper); 0 keeps every leaf
    coverage     weight of the share of `clusters` (a label for each leaf) that still have a leaf (lambda_d)

    Raises OptionError as `rebase` does, and where lengths differ or paths contradict each other.
    """
    kept = set(
        ets_selection(paths, scores, width, temperature, kv_penalty, coverage, clusters, node_cost, leaf_cost).kept
    )
    return rebase([s if i in kept else NEG_INF for i, s in enumerate(scores)], width, temperature)


def ets_selection(
    paths: Sequence[Sequence[Hashable]],
    scores: Sequence[float],
    width: int,
    temperature: float = 0.2,
    kv_penalty: float = 1.0,
    coverage: float = 0.0,
    clusters: Sequence[Hashable] | None = None,
    node_cost: Mapping[Any, float] | None = None,
    leaf_cost: Sequence[float] | None = None,
) -> Selection:
    """Which leaves `ets` keeps, and its objective there."""
    if len(scores) != len(paths):
        raise OptionError(f"ets: {len(scores)} scores for {len(paths)} leaves; expected one for each.")
    _check_scores("ets", scores, width, temperature)
    if min(scores) == NEG_INF:
        raise OptionError("ets: a score is -inf; leave dead leaves out of the frontier.")
    return select(paths, rebase(scores, width, temperature), kv_penalty, coverage, clusters, node_cost, leaf_cost)


def _best_first(scores: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def _ceil(x: float) -> int:
    """The ceiling, where rounding has not put a whole number just above itself."""
    return math.ceil(x * (1 - 1e-12))


def _check_scores(rule: str, scores: Sequence[float], width: int, temperature: float) -> None:
    if len(scores) == 0:
        raise OptionError(f"{rule}: there are no scores: the frontier is empty.")
    if any(math.isnan(s) or s == math.inf for s in scores):
        raise OptionError(f"{rule}: scores must be numbers below infinity, found {list(scores)!r}.")
    if max(scores) == NEG_INF:
        raise OptionError(f"{rule}: every score is -inf: no leaf may have children.")
    if width < 1 or not temperature > 0:
        raise OptionError(f"{rule}: expected width >= 1 and temperature > 0, found {width!r} and {temperature!r}.")
