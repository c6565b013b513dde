"""What ETS chooses among, as exact numbers: what each leaf gains, what each ancestor costs, what a cluster hit adds.

All are integers over one common denominator (of the numbers as written in decimals), so equal sets are equal.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ppl.errors import OptionError

NO_CLUSTER = -1


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


def in_integers(
    paths: Sequence[Sequence[Hashable]], counts: Sequence[int], kv_penalty: float, coverage: float, labels: Sequence[Hashable],
    node_cost: Mapping[Any, float] | None, leaf_cost: Sequence[float],
) -> tuple[Candidates, int]:  # fmt: skip
    """The problem over integers, and what 1 is in them: the common denominator of its gains, costs and bonus.

    Raises OptionError where an ancestor has two parents or no cost, or a number is negative or not finite.
    """
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
