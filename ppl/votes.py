"""Selection of one value among weighted traces: majority, weighted majority, best of majority."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppl.boundary import plain
from ppl.errors import OptionError, ResultError
from ppl.trace import Trace

KINDS = ("majority", "weighted", "best_of_majority")


@dataclass
class _Group:
    first: int
    members: list[int] = field(default_factory=list)
    weight: float = 0.0
    log_best: float = -math.inf
    best: int = -1


def group(values: Sequence[Any], key: Callable[[Any], Hashable] | None) -> dict[Hashable, list[int]]:
    """Indices of equal values, in order of appearance; `key` says what equal means and None from it abstains."""
    groups: dict[Hashable, list[int]] = {}
    for i, value in enumerate(values):
        label = plain(value) if key is None else key(value)
        if key is not None and label is None:
            continue
        try:
            groups.setdefault(label, []).append(i)
        except TypeError:
            raise ResultError(
                f"cannot group values of type {type(label).__name__}: they are not hashable."
                " Give key=, a function from a value to something hashable, such as key=str."
            ) from None
    return groups


def vote(
    traces: Sequence[Trace],
    weights: Sequence[float],
    kind: str = "majority",
    key: Callable[[Any], Hashable] | None = None,
    threshold: float = 0.0,
) -> Any:
    """The winning value among finished traces.

    majority          most traces
    weighted          largest total weight (weighted best-of-n, Snell et al. 2024)
    best_of_majority  of the groups with frequency >= threshold, the one with the best log_total (Di et al. 2025);
                      the most frequent group if none reaches it

    Ties go to the larger total weight, then to the first found. The value returned is that of the winning group's
    best trace. Raises ResultError if every trace abstains.
    """
    if kind not in KINDS:
        raise OptionError(f"vote({kind!r}): expected one of {', '.join(map(repr, KINDS))}")
    if not 0.0 <= threshold <= 1.0:
        raise OptionError(f"vote: threshold must lie in [0, 1], found {threshold}")
    groups = [_summary(members, traces, weights) for members in group([t.value for t in traces], key).values()]
    if not groups:
        raise ResultError("no trace votes: there is no finished trace, or key= returned None for all of them")
    n = sum(len(g.members) for g in groups)
    if kind == "best_of_majority":
        frequent = [g for g in groups if len(g.members) / n >= threshold]
        if frequent:
            winner = min(frequent, key=lambda g: (-g.log_best, -g.weight, g.first))
            return traces[winner.best].value
    if kind == "weighted":
        winner = min(groups, key=lambda g: (-g.weight, g.first))
    else:
        winner = min(groups, key=lambda g: (-len(g.members), -g.weight, g.first))
    return traces[winner.best].value


def _summary(members: list[int], traces: Sequence[Trace], weights: Sequence[float]) -> _Group:
    best = max(members, key=lambda i: (traces[i].log_total, -i))
    return _Group(members[0], members, math.fsum(weights[i] for i in members), traces[best].log_total, best)
