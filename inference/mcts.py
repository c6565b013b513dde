"""Monte-Carlo tree search as in AlphaMath (Chen et al. 2024): PUCT, a value model, no roll-outs.

A simulation walks down by PUCT, Q + c * prior * sqrt(N of the parent) / (1 + N), to a leaf, gives it children, and
backs the leaf's value up. A child that is finished is backed up when it is made and never walked to again; where
nothing is left to expand a subtree is closed at once, so no simulation is spent on finding that out.

Several leaves can be expanded in one batch. Each walk leaves a virtual loss behind until its value is backed up
(Chaslot, Winands & van den Herik 2008), and never ends at a leaf that is taken: nothing paid for is discarded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from inference.engine import Engine, engine
from inference.frontier import Estimate, Tree, estimate, worth
from ppl.execution import Execution
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node, since

UNGUIDED = "the program called no heuristic: an unfinished node is worth its scores so far, so mcts searches greedily"


@dataclass(eq=False, slots=True)
class Vertex:
    """A node of the search tree: N visits, and the total of the values backed up through it.

    closed  nothing is left to expand at or below it; taken: nothing in this batch
    """

    execution: Execution
    leaf: Node
    parent: Vertex | None
    estimate: Estimate
    value: float
    prior: float = 1.0
    children: list[Vertex] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    closed: bool = False
    taken: bool = False

    @property
    def q(self) -> float:
        """The mean value; 0 before the first visit."""
        return self.total / self.visits if self.visits else 0.0

    def best_child(self, c: float) -> Vertex:
        """By PUCT, among children with something left to expand; the first of equals."""
        explore = c * math.sqrt(self.visits)
        open_ = (child for child in self.children if not (child.closed or child.taken))
        return max(open_, key=lambda child: child.q + explore * child.prior / (1 + child.visits))

    def up(self) -> Iterator[Vertex]:
        """This vertex and its ancestors."""
        vertex: Vertex | None = self
        while vertex is not None:
            yield vertex
            vertex = vertex.parent

    def back_up(self, value: float, visits: int = 1) -> None:
        """Count a value here and at every ancestor; `visits=-1` takes one back."""
        for vertex in self.up():
            vertex.visits += visits
            vertex.total += value

    def close(self) -> None:
        """Nothing is left to expand here, and so perhaps above."""
        for vertex in self.up():
            if not all(child.closed for child in vertex.children):
                break
            vertex.closed = True

    def take(self) -> list[Vertex]:
        """Keep other walks of the batch from ending here. Returns what is now taken, to be released."""
        taken = []
        for vertex in self.up():
            if not all(child.closed or child.taken for child in vertex.children):
                break
            vertex.taken = True
            taken.append(vertex)
        return taken

    def leaves(self) -> Iterator[Vertex]:
        """The vertices below it that have no children, itself among them."""
        stack = [self]
        while stack:
            vertex = stack.pop()
            stack += reversed(vertex.children)
            if not vertex.children:
                yield vertex


@engine
class mcts(Engine):  # noqa: N801
    """The traces that finish during `simulations` simulations, best first.

    expand    children of a leaf: its most probable values at a finite choice, draws at any other
    c         weight of the prior against Q
    children  "auto", or "draw" to draw at finite choices too
    batch     leaves expanded together
    scale     a node's value is exp(scores so far + heuristic): a reward in [0, 1] where those are logs of rewards.
              "log" takes the number itself, for values that are no probabilities

    A node whose block calls no heuristic has its parent's value. A finished node is worth its scores, or what its last
    heuristic said if it scored nothing; a dead one 0, or the least value seen if that is below 0. A child's prior is
    the geometric mean of the probabilities of its block's choices, of which each token of a text is one, not
    normalised over siblings, as published; a choice that is neither text nor finite counts with probability 1.
    """

    uses_heuristic = True
    simulations: int
    expand: int
    c: float = 1.25
    children: str = "auto"
    batch: int = 1
    scale: str = "reward"

    def search(self, run: Run) -> SearchResult:
        tree, roots = Tree(run, self.children), list[Vertex]()
        with run.limits:
            roots += [self._vertex(execution, None) for execution in tree.root()]
            for root in roots:
                self.grow(tree, root)
        leaves = [leaf for root in roots for leaf in root.leaves()]
        finished = sorted((v for v in leaves if v.execution.finished), key=lambda v: -v.value)
        if roots and not any(v.estimate.guided for v in leaves):
            run.warn(UNGUIDED)
        if roots and not finished and not run.stopped:
            run.warn(f"no trace finished in {self.simulations} simulations: the unfinished ones are in .traces")
        open_ = [v for v in leaves if not v.closed] if run.stopped or not finished else []
        return tree.result([v.execution for v in finished], [v.execution for v in open_])

    def grow(self, tree: Tree, root: Vertex) -> None:
        """Run the simulations from a root. Visits and values stay in its vertices."""
        least = min(0.0, root.value)
        left = self.simulations
        while left > 0 and not root.closed:
            leaves, taken = self._walks(root, min(self.batch, left), least)
            deaths = len(tree.dead)
            families = tree.expand([leaf.execution for leaf in leaves], self.expand)
            dead = tree.dead[deaths:]
            for vertex in taken:
                vertex.taken = False
            for leaf, family in zip(leaves, families, strict=True):
                leaf.back_up(-least, -1)
                leaf.children = [self._vertex(child, leaf) for child in family]
            least = min(least, *(child.value for leaf in leaves for child in leaf.children), 0.0)
            for leaf in leaves:
                _settle(leaf, [least for e in dead if leaf.execution.id in (e.id, e.parent_id)])
            left -= len(leaves)

    def _walks(self, root: Vertex, batch: int, loss: float) -> tuple[list[Vertex], list[Vertex]]:
        """Different leaves to expand together, and the vertices that were taken on the way."""
        leaves, taken = list[Vertex](), list[Vertex]()
        while len(leaves) < batch and not root.taken:
            vertex = root
            while vertex.children:
                vertex = vertex.best_child(self.c)
            vertex.back_up(loss)
            taken += vertex.take()
            leaves.append(vertex)
        return leaves, taken

    def _vertex(self, execution: Execution, parent: Vertex | None) -> Vertex:
        start = None if parent is None else parent.leaf
        found = estimate(execution, start, Estimate() if parent is None else parent.estimate)
        value = worth(found, self.scale)
        prior = _prior(since(execution.leaf, start))
        return Vertex(execution, execution.leaf, parent, found, value, prior, closed=execution.finished)


def _settle(leaf: Vertex, failures: Sequence[float]) -> None:
    """Back up what an expansion found: finished children and dead ones first, then the leaf's own value."""
    for child in leaf.children:
        if child.closed:
            child.back_up(child.value)
    for value in (*failures, leaf.value):
        leaf.back_up(value)
    leaf.close()


def _prior(block: Iterable[Node]) -> float:
    """The geometric mean of p over the choices of a block, a text's tokens counting one each."""
    total, count = 0.0, 0
    for node in block:
        if node.kind == "sample":
            tokens = getattr(node.value, "tokens", None)
            if tokens is not None or node.dist.finite:
                total += node.log_prob
            count += 1 if tokens is None else max(1, len(tokens) + (node.value.finish == "end"))
    return math.exp(total / count) if count else 1.0
