"""Which leaves of a search tree are worth their KV: the selection inside ETS, solved exactly.

Keep a set S of leaves, and with it all their ancestors, that maximises (Hooper et al. 2025, ETS)

    sum_{i in S} n_i / sum n  -  kv_penalty * cost(S and its ancestors) / cost(all)  +  coverage * share of clusters hit

over the sets with at least one leaf. Without the last term this is a maximum-weight closure on a tree, which one pass
from the leaves to the root solves. With it such passes shrink the problem to small independent parts; a part that is
not small is an integer program for HiGHS, through scipy.

Numbers are exact (`inference.candidates`), so equal optima are equal. Among them the set with most leaves wins, then
the lexicographically first.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.candidates import NO_CLUSTER, Candidates, in_integers
from ppl.errors import OptionError

FEW = 1024  # ways to choose a leaf of each cluster that are tried one by one (about 30 us each)


@dataclass(frozen=True, slots=True)
class Selection:
    """The kept leaves, increasing, and the objective there."""

    kept: list[int]
    objective: float


def select(
    paths: Sequence[Sequence[Hashable]],
    counts: Sequence[int],
    kv_penalty: float = 1.0,
    coverage: float = 0.0,
    clusters: Sequence[Hashable] | None = None,
    node_cost: Mapping[Any, float] | None = None,
    leaf_cost: Sequence[float] | None = None,
) -> Selection:
    """The leaves to keep. `paths[i]` are leaf i's ancestors, root first, and `counts[i]` its n_i; costs default to 1.

    `clusters[i]` labels leaf i. Raises OptionError where lengths differ, labels are missing, an ancestor has two
    parents, or a number is negative; CapabilityError if scipy is needed and absent.
    """
    if coverage and clusters is None:
        raise OptionError("ets: coverage needs clusters, a label for each leaf.")
    for name, given in (("counts", counts), ("clusters", clusters), ("leaf_cost", leaf_cost)):
        if given is not None and len(given) != len(paths):
            raise OptionError(
                f"ets: {name} has {len(given)} entries, expected one for each of the {len(paths)} leaves."
            )
    labels = [0] * len(paths) if clusters is None else clusters
    if not all(isinstance(c, Hashable) for c in labels):
        raise OptionError(
            f"ets: the label of a cluster must be hashable, as a text or a number is; found {labels[0]!r}."
        )
    own_costs = [1] * len(paths) if leaf_cost is None else leaf_cost
    candidates, unit = in_integers(paths, counts, kv_penalty, coverage, labels, node_cost, own_costs)
    kept = _best(candidates)
    return Selection(kept, candidates.worth(kept)[0] / unit)


def _best(c: Candidates) -> list[int]:
    """The best set of leaves, increasing."""
    fixed, leaves = _reduce(c)
    free = sorted(set(leaves) - set(fixed))
    parts = _parts(c, fixed, free) if fixed else [free]
    chosen = [part[i] for part in parts for i in _search(_rest(c, fixed, part), least=not fixed)]
    return sorted(fixed + chosen)


def _parts(c: Candidates, fixed: Sequence[int], free: Sequence[int]) -> list[list[int]]:
    """Free leaves that have nothing to do with each other: no common ancestor to pay for, no common cluster to hit."""
    alive, hit = c.alive(fixed), {c.clusters[i] for i in fixed}
    parts: list[tuple[set[tuple[str, int]], list[int]]] = []
    for i in free:
        ties = {("ancestor", j) for j in c.alive([i]) - alive} | {("cluster", k) for k in {c.clusters[i]} - hit}
        apart = [part for part in parts if not part[0] & ties]
        joined = [part for part in parts if part[0] & ties]
        parts = [*apart, (ties.union(*(t for t, _ in joined)), [*(x for _, own in joined for x in own), i])]
    return [sorted(own) for _, own in parts]


def _rest(c: Candidates, fixed: Sequence[int], free: Sequence[int]) -> Candidates:
    """What the free leaves can still add: ancestors that are alive cost nothing, clusters that are hit give nothing."""
    nodes = sorted(c.alive(free) - c.alive(fixed))
    number = {j: at for at, j in enumerate(nodes)}
    hit = {c.clusters[i] for i in fixed}
    return Candidates(
        [c.gains[i] for i in free],
        [number.get(c.leaf_parents[i], len(nodes)) for i in free],
        [c.costs[j] for j in nodes],
        [number.get(c.parents[j], len(nodes)) for j in nodes],
        [NO_CLUSTER if c.clusters[i] in hit else c.clusters[i] for i in free],
        c.bonus,
    )


def _search(c: Candidates, least: bool) -> list[int]:
    """The best set: every way to let one leaf of each cluster carry its bonus, or an integer program if they are many."""
    members: dict[int, list[int]] = {}
    for i, k in enumerate(c.clusters):
        members.setdefault(k, []).append(i)
    members.pop(NO_CLUSTER, None)
    if c.bonus and math.prod(map(len, members.values())) > FEW:
        from inference.integer_program import solve

        return solve(c, list(members.values()), least)
    best: list[int] | None = None
    for carriers in itertools.product(*members.values()) if c.bonus else [()]:
        gains = list(c.gains)
        for i in carriers:
            gains[i] += c.bonus
        found = closure(c, range(len(gains)), gains, least)
        best = found if best is None else max(best, found, key=c.worth)
    return best or []


def closure(c: Candidates, leaves: Sequence[int], gains: Sequence[int], least: bool = False) -> list[int]:
    """The best set among these leaves if each simply had its own gain; with `least` not the empty one.

    Every number below is (gain, leaves kept, leaves as a bit mask with leaf 0 highest) packed into one integer: adding
    disjoint sets adds all three, comparing compares them in that order, and no two sets are equal.
    """
    n = len(gains)
    low = n + n.bit_length()
    every = [0] * (len(c.costs) + 1)  # below each ancestor: all that is worth having together
    top: list[int | None] = [None] * len(every)  # and the best single branch, in case nothing is

    def offer(parent: int, worth: int) -> None:
        if worth > 0:
            every[parent] += worth
        before = top[parent]
        top[parent] = worth if before is None else max(before, worth)

    for i in leaves:
        offer(c.leaf_parents[i], (gains[i] << low) + (1 << n) + (1 << (n - 1 - i)))
    for j in reversed(range(len(c.costs))):
        single = top[j]
        if single is not None:
            offer(c.parents[j], (every[j] or single) - (c.costs[j] << low))
    mask = every[-1] or (top[-1] or 0 if least else 0)
    return [i for i in leaves if mask >> (n - 1 - i) & 1]


def _reduce(c: Candidates) -> tuple[list[int], list[int]]:
    """(leaves that are surely in the answer, leaves that may be): what is left between them is small, or nothing.

    The gain of a closure is supermodular and coverage is monotone. So the largest best closure that counts only the
    clusters with a single leaf is inside the answer, and the answer is inside the best closure that counts a cluster
    for each of its leaves. A leaf that costs more than it gains is there for its cluster alone: of two such the
    better one suffices, if its ancestors are alive whenever the other's are.
    """
    leaves = list(range(len(c.gains)))
    while True:
        sizes = Counter(c.clusters[i] for i in leaves)
        alone = [c.bonus * (sizes[k] == 1) for k in c.clusters]
        fixed = closure(c, leaves, [g + b for g, b in zip(c.gains, alone, strict=True)])
        hit = {c.clusters[i] for i in fixed}
        most = [g + (b if k in hit else c.bonus) for g, b, k in zip(c.gains, alone, c.clusters, strict=True)]
        left = _undominated(c, closure(c, leaves, most) if fixed else leaves, c.alive(fixed))
        if left == leaves:
            return fixed, leaves
        leaves = left


def _undominated(c: Candidates, leaves: Sequence[int], alive: set[int]) -> list[int]:
    """The leaves without those for which a better one of their cluster suffices; `alive` are ancestors kept anyway."""
    best: dict[tuple[int, int], int] = {}  # (cluster, lowest ancestor that is not alive anyway) -> its best leaf
    none = len(c.costs)

    def place(j: int) -> int:
        return none if j in alive else j

    def first(i: int) -> tuple[int, int]:
        return c.gains[i], -i

    for i in leaves:
        key = c.clusters[i], place(c.leaf_parents[i])
        best[key] = max(best.get(key, i), i, key=first)

    def dominated(i: int) -> bool:
        if c.gains[i] >= 0:
            return False
        j = place(c.leaf_parents[i])
        while True:
            if first(best.get((c.clusters[i], j), i)) > first(i):
                return True
            if j == none:
                return False
            j = place(c.parents[j])

    return [i for i in leaves if not dominated(i)]
