"""Which leaves of a search tree are worth their KV: the selection inside ETS, solved exactly.

Keep a set S of leaves, and with it all their ancestors, that maximises (Hooper et al. 2025, ETS)

    sum_{i in S} n_i / sum n  -  kv_penalty * cost(S and its ancestors) / cost(all)  +  coverage * share of clusters hit

over the sets with at least one leaf. Without the last term this is a maximum-weight closure on a tree, which one pass
from the leaves to the root solves. With it such passes shrink the problem to small independent parts; a part that is
not small is an integer program for HiGHS, through scipy.

Gains are integers over one common denominator (of the numbers as written in decimals), so equal optima are equal.
Among them the set with most leaves wins, then the lexicographically first.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ppl.errors import OptionError

NO_CLUSTER = -1
FEW = 1024  # ways to choose a leaf of each cluster that are tried one by one (about 30 us each)


@dataclass(frozen=True, slots=True)
class Selection:
    """The kept leaves, increasing, and the objective there."""

    kept: list[int]
    objective: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """The leaves and their ancestors, numbered parents first; the parent of a root is len(costs).

    gains and costs are what a leaf and an ancestor add and take, `bonus` what each cluster hit adds: all in one unit.
    """

    gains: list[int]
    leaf_parents: list[int]
    costs: list[int]
    parents: list[int]
    clusters: list[int]
    bonus: int

    def alive(self, leaves: Sequence[int]) -> set[int]:
        """The ancestors of these leaves."""
        alive: set[int] = set()
        for i in leaves:
            j = self.leaf_parents[i]
            while j < len(self.costs) and j not in alive:
                alive.add(j)
                j = self.parents[j]
        return alive

    def worth(self, leaves: Sequence[int]) -> tuple[int, int, list[int]]:
        """What a set of leaves is ordered by: its objective, its size, then the lexicographic order reversed."""
        hit = len({self.clusters[i] for i in leaves} - {NO_CLUSTER})
        objective = sum(self.gains[i] for i in leaves) - sum(self.costs[j] for j in self.alive(leaves))
        return objective + self.bonus * hit, len(leaves), [-i for i in leaves]


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
    candidates, unit = _in_integers(paths, counts, kv_penalty, coverage, labels, node_cost, own_costs)
    kept = _best(candidates)
    return Selection(kept, candidates.worth(kept)[0] / unit)


def _in_integers(
    paths: Sequence[Sequence[Hashable]], counts: Sequence[int], kv_penalty: float, coverage: float, labels: Sequence[Hashable],
    node_cost: Mapping[Any, float] | None, leaf_cost: Sequence[float],
) -> tuple[Candidates, int]:  # fmt: skip
    """The problem over integers, and what 1 is in them: the common denominator of its gains, costs and bonus."""
    above = _parents(paths)
    number = {node: j for j, node in enumerate(above)} | {None: len(above)}
    own_costs = [_exact("leaf_cost", c) for c in leaf_cost]
    costs = [_exact("node_cost", 1 if node_cost is None else _cost_of(node, node_cost)) for node in above]
    total, allocated = sum(own_costs) + sum(costs), sum(counts)
    price = _exact("kv_penalty", kv_penalty) / total if total else Fraction(0)
    cluster = {label: k for k, label in enumerate(dict.fromkeys(labels))}
    gains = [Fraction(n, allocated) - price * c for n, c in zip(counts, own_costs, strict=True)]
    prices = [price * c for c in costs]
    bonus = _exact("coverage", coverage) / len(cluster)
    unit = math.lcm(*(f.denominator for f in (*gains, *prices, bonus)))
    candidates = Candidates(
        [int(g * unit) for g in gains],
        [number[path[-1] if path else None] for path in paths],
        [int(p * unit) for p in prices],
        [number[parent] for parent in above.values()],
        [cluster[label] for label in labels],
        int(bonus * unit),
    )
    return candidates, unit


def _parents(paths: Sequence[Sequence[Hashable]]) -> dict[Hashable, Hashable]:
    """Every ancestor's parent (None for a root), parents before children."""
    parents: dict[Hashable, Hashable] = {}
    for path in paths:
        for parent, node in zip((None, *path), path, strict=False):
            if parents.setdefault(node, parent) != parent:
                raise OptionError(f"ets: paths give node {node!r} two parents, {parents[node]!r} and {parent!r}.")
    return parents


def _cost_of(node: Hashable, node_cost: Mapping[Any, float]) -> float:
    if node not in node_cost:
        raise OptionError(f"ets: node_cost has no entry for ancestor {node!r}.")
    return node_cost[node]


def _exact(name: str, number: float) -> Fraction:
    """A number as it is written in decimals: 0.1 is a tenth."""
    value = float(number)
    if not 0.0 <= value < math.inf:
        raise OptionError(f"ets: {name} must be finite and not negative, found {number!r}.")
    return Fraction(str(value))


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
