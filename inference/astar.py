"""A*: expand the most promising node first (Hart, Nilsson & Raphael 1968), over the traces of a program.

A node's rank is its log weight plus its heuristic. If heuristics bound from above all the log weight still to come,
and no value of a choice is left out, traces finish in the order of their weight: the first is the true best one.

With `edge` it is A*-decoding (Chatziveroglou 2025, arXiv 2505.13672) over sampled steps: least cost first, which is
the edge costs so far + 1 - r, where r in [0, 1] is the reward of the last step. That is best-first search by reward;
it promises nothing about weights. The paper's own edge cost could not be checked, so it is an option.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

from inference.engine import Engine, engine
from inference.frontier import Estimate, Tree, estimate
from ppl.errors import WeightError
from ppl.execution import Execution
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node

Edge = Callable[[float, float], float]
EDGES: dict[str, Edge] = {"loss": lambda before, r: 1.0 - r, "drop": lambda before, r: max(0.0, before - r)}
SLACK = 1e-9  # float error allowed before a rank counts as risen

UNGUIDED = "the program called no heuristic: astar is uniform-cost search here, right as long as no score is positive"
UNREWARDED = (
    "the program gave no reward, by heuristic(r.log()) or score(r.log()): to astar(edge=...) every node is worth the same,"
    " and it follows the first child of each to its end"
)
ROSE = (
    "a rank rose along a trace: a heuristic there (0 where there is none) is no upper bound on the log weight still to"
    " come, or is not consistent, so the order need not be the true one"
)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a node was worth when it was put on the frontier. The defaults are those of the root's parent.

    rank     what it is expanded by, best first
    guided   a heuristic (with `edge`: a reward) was met on the way to it
    spent    the edge costs so far; reward: that of the last step
    """

    leaf: Node | None = None
    depth: int = 0
    rank: float = math.inf
    guided: bool = False
    spent: float = 0.0
    reward: float = 1.0

    @property
    def ranked(self) -> bool:
        """Whether its rank mattered: the root, alone on the frontier, needs no heuristic."""
        return self.guided or self.depth > 1


class _Frontier:
    """Open nodes, best rank first. Equal ranks: a finished trace first, then the deeper node, then the older."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[float, bool, int, int], Execution, _Standing]] = []

    def push(self, execution: Execution, standing: _Standing) -> None:
        key = (-standing.rank, not execution.finished, -standing.depth, execution.id)
        heapq.heappush(self._heap, (key, execution, standing))

    def pop(self) -> tuple[Execution, _Standing]:
        _, execution, standing = heapq.heappop(self._heap)
        return execution, standing

    def __len__(self) -> int:
        return len(self._heap)

    def executions(self) -> list[Execution]:
        """Best first."""
        return [execution for _, execution, _ in sorted(self._heap)]


@engine
class astar(Engine):  # noqa: N801
    """The `goals` best traces, best first, by best-first search; it stops at the goals-th finished trace.

    expand     children of a node: its most probable values at a finite choice, draws at any other
    max_nodes  most nodes to make; if fewer than `goals` traces are found by then, the best so far come back
    children   "auto", or "draw" to draw at finite choices too
    edge       None: ranks are log weight + heuristic. Otherwise the cost of a step, for A*-decoding: a number for each
               step, "loss" (1 - r), "drop" (max(0, r of the parent - r)) or f(r of the parent, r). A node's r is read
               from the block that led to it: exp(its heuristic), or exp(its scores) if it has none

    A node whose block calls no heuristic inherits its parent's rank. While none was called, the rank is the log
    weight: uniform-cost search, right as long as no score is positive. Equal ranks: a finished trace goes first, then
    the deeper node, then the older. `result.warnings` says what was seen to stand in the way of true MAP order. A
    heuristic that is too low on a node that was never expanded cannot be seen: bounding is the program's promise.
    """

    uses_heuristic = True
    expand: int
    max_nodes: int
    goals: int = 1
    children: str = "auto"
    edge: str | float | Edge | None = None

    def search(self, run: Run) -> SearchResult:
        tree, frontier = Tree(run, self.children), _Frontier()
        found: list[Execution] = []
        guided = rose = False
        with run.limits:
            for root in tree.root():
                frontier.push(root, self._standing(root, _Standing()))
            while len(frontier) and len(found) < self.goals:
                execution, standing = frontier.pop()
                guided = guided or standing.guided
                if execution.finished:
                    found.append(execution)
                    continue
                width = min(self.expand, self.max_nodes - tree.made)
                if width < 1:
                    frontier.push(execution, standing)
                    break
                for child in tree.expand([execution], width)[0]:
                    reached = self._standing(child, standing)
                    rose = rose or (reached.rank > standing.rank + SLACK and standing.ranked)
                    frontier.push(child, reached)
        self._warn(run, tree, len(found), guided, rose)
        return tree.result(found, frontier.executions() if len(found) < self.goals else [])

    def _standing(self, child: Execution, parent: _Standing) -> _Standing:
        return _by_weight(child, parent) if self.edge is None else self._by_cost(child, parent)

    def _by_cost(self, child: Execution, parent: _Standing) -> _Standing:
        """f = g + 1 - r; a node that no reward stands before keeps its parent's f."""
        log_reward = estimate(child, parent.leaf, Estimate()).own
        if log_reward is None:
            spent, reward, guided = parent.spent, parent.reward, parent.guided
        else:
            reward, guided = _reward(log_reward), True
            spent = parent.spent + self._cost(parent.reward, reward)
        return _Standing(child.leaf, parent.depth + 1, reward - 1.0 - spent, guided, spent, reward)

    def _cost(self, before: float, reward: float) -> float:
        edge = EDGES[self.edge] if isinstance(self.edge, str) else self.edge
        cost = float(edge(before, reward)) if callable(edge) else float(edge or 0.0)
        if not math.isfinite(cost):
            raise WeightError(f"astar(edge=f): f({before:g}, {reward:g}) is {cost}; expected a finite cost.")
        return cost

    def _warn(self, run: Run, tree: Tree, found: int, guided: bool, rose: bool) -> None:
        if found < self.goals and tree.made >= self.max_nodes:
            run.warn(f"max_nodes={self.max_nodes} were made and {found} of {self.goals} goals found")
        if self.edge is not None:
            by_reward = "astar(edge=...) searches by reward: the traces it finds need not be the best by weight"
            run.warn(by_reward if guided else UNREWARDED)
            return
        if not guided:
            run.warn(UNGUIDED)
        if tree.drawn is not None:
            run.warn(f"{tree.drawn!r} was drawn: best among the draws of best-first search, not the true best traces")
        elif rose:
            run.warn(ROSE)
        if tree.left_out is not None:
            run.warn(f"{tree.left_out!r} has more values than got a branch: best among those tried, not of all")


def _by_weight(child: Execution, parent: _Standing) -> _Standing:
    guided = parent.guided or child.heuristic is not None
    if child.finished or not guided:
        rank = child.log_weight
    else:
        rank = parent.rank if child.heuristic is None else child.rank
    return _Standing(child.leaf, parent.depth + 1, rank, guided)


def _reward(log_reward: float) -> float:
    if log_reward > SLACK:
        raise WeightError(
            f"astar(edge=...) reads rewards in [0, 1] from heuristic(r.log()) or score(r.log()); found exp({log_reward:g})"
        )
    return math.exp(min(0.0, log_reward))
