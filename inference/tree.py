"""Level-synchronous tree search: the one loop behind beam, DVTS, REBASE and ETS.

All nodes of a level are compared, an allocation rule says how many children each gets (0 prunes it), and these advance
to the next level together: one batch of model calls a level. A level ends at a barrier. At a choice among finitely many
values that stands before no barrier nobody is compared: a search branches on it where it stands, or draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.frontier import Tree
from ppl.execution import Execution
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node, since


@dataclass(eq=False, slots=True)
class TreeNode:
    """A node of the search tree, alive or finished.

    leaf     where its trace stood when it was reached
    rank     what it is compared by: log weight + heuristic, or that at the end of a lookahead
    subtree  which child of the root it is or descends from; None of the root itself
    """

    execution: Execution
    parent: TreeNode | None = None
    subtree: int | None = None
    leaf: Node = field(init=False)
    rank: float = field(init=False)

    def __post_init__(self) -> None:
        self.leaf, self.rank = self.execution.leaf, self.execution.rank

    @property
    def finished(self) -> bool:
        """It stands at its end, and has no children."""
        return self.execution.finished

    @property
    def uncompared(self) -> bool:
        """It stands at a choice that no barrier comes before."""
        return not self.finished and self.parent is not None and self.leaf.kind != "barrier"

    @property
    def ancestors(self) -> tuple[TreeNode, ...]:
        """Root first, without itself."""
        above, node = [], self.parent
        while node is not None:
            above.append(node)
            node = node.parent
        return tuple(reversed(above))

    @property
    def choices(self) -> list[Any]:
        """The values chosen on the way from its parent."""
        start = None if self.parent is None else self.parent.leaf
        return [n.value for n in since(self.leaf, start) if n.kind == "sample"][::-1]


Rule = Callable[[Sequence[TreeNode]], list[int]]


class LevelSearch:
    """One search. `rule` gives the number of children of each node of a level; a finished node stays if its is not 0.

    children   as in `Tree`; `merge` too
    branches   children of a finite choice that stands before no barrier; None: it is drawn, as a part of its step
    most       a finite choice gets no more children than this, whatever the rule says
    lookahead  levels that a node is run ahead for its rank, by most probable values or single draws
    """

    def __init__(
        self, run: Run, rule: Rule, *, children: str, branches: int | None = None, most: int | None = None,
        merge: bool = False, lookahead: int = 0,
    ) -> None:  # fmt: skip
        self.run, self.rule, self.branches, self.lookahead = run, rule, branches, lookahead
        self.tree = Tree(run, children, merge, most, inner=branches is not None)
        self.frontier: list[TreeNode] = []
        self.growing: set[TreeNode] = set()
        self.told_apart = False

    def result(self) -> SearchResult:
        """Search to the end, or to a limit. Raises AllDead if no trace can be returned."""
        with self.run.limits:
            self.frontier = [TreeNode(execution) for execution in self.tree.root()]
            while any(not node.finished for node in self.frontier):
                self._level(self.rule(self.frontier))
            self._keep(self.rule(self.frontier))
        if self.tree.drawn is not None and not self.told_apart and self.run.stopped is None:
            self.run.warn(
                f"{self.run.engine!r}: no score, heuristic or enumerated choice ever told two nodes apart, so this was"
                " plain sampling; best_of(n) does it at less cost"
            )
        finished = [node.execution for node in self.frontier if node.finished]
        waiting = set(self.frontier) - (self.growing if self.tree.underway else set())
        return self.tree.result(finished, [n.execution for n in self.frontier if n in waiting and not n.finished])

    def _keep(self, counts: Sequence[int]) -> dict[TreeNode, int]:
        """Prune the level; the counts of those that stay."""
        kept = {node: count for node, count in zip(self.frontier, counts, strict=True) if count}
        self.run.drop(node.execution for node in self.frontier if node not in kept)
        self.frontier = list(kept)
        return kept

    def _level(self, counts: Sequence[int]) -> None:
        """Give every node its children, and go on to the next level."""
        self._grow({node: count for node, count in self._keep(counts).items() if not node.finished})
        while self.branches is not None and any(node.uncompared for node in self.frontier):
            self._grow({node: self.branches for node in self.frontier if node.uncompared})
        if self.lookahead:
            self._look_ahead([node for node in self.frontier if not node.finished])
        self.told_apart = self.told_apart or len({node.rank for node in self.frontier}) > 1

    def _grow(self, counts: dict[TreeNode, int]) -> None:
        """Put children in the place of these nodes."""
        self.growing = set(counts)
        grown = self.tree.expand([node.execution for node in counts], list(counts.values()))
        families = dict(zip(counts, grown, strict=True))
        self.frontier = [
            child
            for node in self.frontier
            for child in (_descend(node, families[node]) if node in families else [node])
        ]

    def _look_ahead(self, nodes: Sequence[TreeNode]) -> None:
        """Rank nodes by where a copy of each stands `lookahead` levels on; one whose copy died comes last."""
        tree = Tree(self.run, self.tree.children)
        probes: list[Execution | None] = [node.execution.fork() for node in nodes]
        for _ in range(self.lookahead):
            going = [probe for probe in probes if probe is not None and probe.running]
            ahead = dict(zip(going, tree.expand(going, 1), strict=True))
            probes = [next(iter(ahead[p]), None) if p in ahead else p for p in probes]
        for node, probe in zip(nodes, probes, strict=True):
            node.rank = -math.inf if probe is None else probe.rank
        self.run.drop((probe for probe in probes if probe is not None), "a look ahead")


def _descend(node: TreeNode, children: Sequence[Execution]) -> list[TreeNode]:
    """A node's children in the tree. Those of the root found subtrees; a node that only moved on is its own child."""
    founding = node.subtree is None and children[:1] != [node.execution]
    return [TreeNode(child, node, k if founding else node.subtree) for k, child in enumerate(children)]
