"""What tree searches share: how a node of the search tree gets its children, and what a node is worth.

A node is an execution standing at a barrier or at a choice among finitely many values. The tree holds traces: a
continuation that falls out of the run's cache is rebuilt by replay when its node is expanded, if it ever is.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ppl.boundary import label, plain
from ppl.errors import AllDead
from ppl.execution import Execution, Stop
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node, address, since


class Tree:
    """The search tree of one run.

    children  "auto": a finite choice gives its most probable values, each a branch that carries log p; any other
              choice is drawn. "draw": every choice is drawn
    merge     equal draws become one child, + log(count)
    most      a finite choice gets no more branches than this, whatever width is asked for
    inner     whether "auto" branches inside a block too, at a finite choice that stands before no barrier; else it is
              drawn like the rest of the block
    underway  executions that are being advanced; what a limit interrupted is found here
    dead      executions that died, for their reasons
    made      nodes so far, dead ones included
    drawn     a site whose children were drawn; None if none was
    left_out  a site of which some values got no branch; None if none was
    """

    def __init__(
        self, run: Run, children: str, merge: bool = True, most: int | None = None, inner: bool = True
    ) -> None:
        self.run, self.children, self.merge, self.most = run, children, merge, most
        self.stop = Stop.CHOICE if children == "auto" and inner else Stop.BARRIER
        self.underway: list[Execution] = []
        self.dead: list[Execution] = []
        self.made = 0
        self.drawn: str | None = None
        self.left_out: str | None = None

    def root(self) -> list[Execution]:
        """The program's beginning, advanced to its first choice; empty if it died on the way."""
        self.made += 1
        start = self.run.start()
        self._advance(start, Stop.ANY)
        return [e for e in start if not e.dead]

    def expand(self, parents: Sequence[Execution], width: int | Sequence[int]) -> list[list[Execution]]:
        """The living children of each parent, at most `width` (for all, or for each), all advanced in one batch.

        A parent that stands before no choice (at a `checkpoint`) moves on to the next one and is its own only child.
        """
        moved = self._move_on([p for p in parents if p.choice is None])
        ready = self.underway = [p for p in parents if p not in moved]
        starts = {p: p.leaf for p in ready}
        widths = dict(zip(parents, [width] * len(parents) if isinstance(width, int) else width, strict=True))
        families = self._newborn({p: widths[p] for p in ready})
        self._advance([child for family in families.values() for child in family], self.stop)
        for parent, family in families.items():
            living = [c for c in family if not c.dead]
            merged = self.merge and not self.branches(parent)
            families[parent] = _merge(living, starts[parent]) if merged else living
        return [[p] if p in moved and not p.dead else families.get(p, []) for p in parents]

    def draw(self, parents: Sequence[Execution]) -> list[Execution]:
        """One more drawn child of each parent, dead ones included; a parent may occur, and come again, many times."""
        children = []
        for parent in parents:
            fresh = not parent.forks
            children.append(parent.fork())
            if fresh:
                children[-1].adopt(parent)
                self.run.free([parent])
        self.made += len(children)
        self._advance(children, Stop.BARRIER)
        return children

    def _move_on(self, parents: list[Execution]) -> set[Execution]:
        """Advance nodes that stand before no choice; those that have come to a new node, or to their end."""
        barriers = [p.barriers for p in parents]
        self._advance(parents, Stop.ANY)
        return {p for p, passed in zip(parents, barriers, strict=True) if p.choice is None or p.barriers > passed}

    def _newborn(self, parents: dict[Execution, int]) -> dict[Execution, list[Execution]]:
        """The children before they run: branches of the most probable values, or forks that will draw."""
        finite = [p for p in parents if self.branches(p)]
        tables = dict(zip(finite, self.run.supports(finite), strict=True))
        families = {}
        for parent, width in parents.items():
            if parent in tables:
                most = width if self.most is None else min(width, self.most)
                best = heapq.nlargest(most, tables[parent], key=lambda pair: pair[1])
                if len(best) < len(tables[parent]):
                    self.left_out = self.left_out or _site(parent)
                family = [parent.branch(value, log_prob) for value, log_prob in best]
            else:
                self.drawn = self.drawn or _site(parent)
                family = [parent.fork() for _ in range(width)]
            family[0].adopt(parent)
            families[parent] = family
            self.made += len(family)
        self.run.free(parents)
        return families

    def branches(self, parent: Execution) -> bool:
        """Whether its children are enumerated, not drawn."""
        return self.children == "auto" and parent.choice is not None and parent.choice.dist.finite

    def _advance(self, executions: list[Execution], stop: Stop) -> None:
        self.underway = executions
        self.run.advance_all(executions, stop)
        self.underway = []
        self.dead += [e for e in executions if e.dead]

    def result(self, finished: Sequence[Execution], unfinished: Sequence[Execution]) -> SearchResult:
        """The ranked result. Raises AllDead where the search is over and every execution died."""
        found = [*finished, *unfinished, *self.underway, *self.dead]
        if self.run.stopped is None and all(e.dead for e in found):
            reasons = "; ".join(dict.fromkeys(e.reason or "" for e in found))
            raise AllDead(f"{self.run.engine!r}: every execution died ({len(found)}): {reasons}")
        return self.run.search_result(found)


def _site(execution: Execution) -> str:
    choice = execution.choice
    return "" if choice is None else address(choice.name, choice.index)


def _merge(children: list[Execution], start: Node) -> list[Execution]:
    """Children that met the same since `start` become one, whose weight gains the log of their number."""
    groups: dict[Any, list[Execution]] = {}
    for child in children:
        groups.setdefault(_met_since(child, start), []).append(child)
    for first, *others in groups.values():
        first.offset += math.log(1 + len(others))
        first.run.drop(others, "equal to another draw")
    return [group[0] for group in groups.values()]


def _met_since(execution: Execution, start: Node) -> Any:
    """What it drew and was told, hashable. Texts are equal if their tokens and the way they ended are.

    Two inexact nested queries are never equal: what follows may read what they estimated.
    """
    met = [n for n in since(execution.leaf, start) if n.kind in ("sample", "ask")]
    return label(tuple((n.address, _told(n)) for n in met))


def _told(node: Node) -> tuple[Any, ...]:
    value = node.value
    if node.kind == "ask" and isinstance(value, tuple):  # the results of nested queries, among others
        return "several", *(None if getattr(v, "is_exact", False) else plain(v) for v in value)
    return "one", plain(value), getattr(value, "tokens", None), getattr(value, "finish", None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a node is worth to a search that rewards: the log weight of its scores, with what a heuristic adds.

    log_value  scores so far + the heuristic of its block. A block without a heuristic inherits the value of its
               parent. A finished node is worth its scores; if it scored nothing, what its last heuristic said
    score      the scores so far alone, choices left out
    own        this block's own word: its heuristic, else its scores, else None (finished: scores before heuristic)
    """

    log_value: float = 0.0
    score: float = 0.0
    scored: bool = False
    guided: bool = False
    own: float | None = None


def estimate(execution: Execution, start: Node | None, parent: Estimate) -> Estimate:
    """The worth of a node whose parent stood at `start` (None for the root) and was worth `parent`."""
    block = list(since(execution.leaf, start))
    scores = [n.log_weight for n in block if n.kind in ("score", "observe")]
    hints = [n.value for n in block if n.kind == "barrier" and n.value is not None]
    score, scored = parent.score + math.fsum(scores), parent.scored or bool(scores)
    guided = parent.guided or bool(hints)
    said: list[float] = [math.fsum(scores)] if scores else []
    own = (said + hints if execution.finished else hints + said) or [None]
    if execution.finished and scored:
        log_value = score
    elif hints:
        log_value = score + hints[0]
    else:
        log_value = parent.log_value if guided else score
    return Estimate(log_value, score, scored, guided, own[0])


def worth(estimate: Estimate, scale: str) -> float:
    """A node's value: exp of its estimate ("reward"), or the estimate itself ("log")."""
    return estimate.log_value if scale == "log" else math.exp(min(estimate.log_value, 700.0))
