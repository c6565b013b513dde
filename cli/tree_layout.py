"""Where the nodes of a search tree stand in a picture, and which tokens its paths share.

Columns are steps, rows are leaves. Children stand below each other, those whose answers weigh most on top, and a
parent stands in the middle of its children, so no two nodes of a column meet. Pure functions of `ppl.search_tree.SearchTree`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ppl.population import normalise
from ppl.search_tree import SearchNode, SearchTree

S = TypeVar("S", bound=Sequence[Any])
Tokens = tuple[int | str, ...]
Path = tuple[Tokens, str]  # the tokens of all choices on the way to a leaf, and their text


@dataclass(slots=True)
class Placed:
    """A node with its place: `column` counts steps from 0, `row` leaves from 0; `share` of the result's weight below it."""

    node: SearchNode
    column: int
    row: float
    share: float


def place(tree: SearchTree) -> list[Placed]:
    """Every node's place, parents before their children."""
    shares = answer_shares(tree)
    order = _depth_first(tree, shares)
    rows: dict[SearchNode, float] = {}
    for node, _ in order:  # leaves from top to bottom
        if not node.children:
            rows[node] = len(rows)
    for node, _ in reversed(order):
        if node.children:
            below = [rows[child] for child in node.children]
            rows[node] = (min(below) + max(below)) / 2
    return [Placed(node, depth, rows[node], shares.get(node, 0.0)) for node, depth in order]


def _depth_first(tree: SearchTree, shares: dict[SearchNode, float]) -> list[tuple[SearchNode, int]]:
    order, stack = [], [(root, 0) for root in reversed(_best_first(tree.roots, shares))]
    while stack:
        node, depth = stack.pop()
        order.append((node, depth))
        stack += [(child, depth + 1) for child in reversed(_best_first(node.children, shares))]
    return order


def _best_first(nodes: Sequence[SearchNode], shares: dict[SearchNode, float]) -> list[SearchNode]:
    return sorted(nodes, key=lambda node: -shares.get(node, 0.0))


def answer_shares(tree: SearchTree) -> dict[SearchNode, float]:
    """For each node on the way to a returned one, the normalised weight of the result that lies below it."""
    weights = {node: e.log_weight for node in tree.nodes.values() for e in node.decisions if e.action == "return"}
    ends = [node for node, weight in weights.items() if weight is not None]
    shares: dict[SearchNode, float] = {}
    for node, weight in zip(ends, normalise([weights[node] or 0.0 for node in ends]), strict=True):
        for above in node.path:
            shares[above] = shares.get(above, 0.0) + weight
    return shares


def rank(node: SearchNode) -> float | None:
    """What engines compare a node by: log weight + heuristic; None where it is not a finite number."""
    event = node.reached
    if event.log_weight is None:
        return None
    value = event.log_weight + (event.heuristic or 0.0)
    return value if math.isfinite(value) else None


# -- shared tokens -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Segment:
    """A run of tokens that the same paths go through: from token `start`, `length` long, read by `paths` of them.

    text   what these tokens say, as far as the paths' texts tell them apart
    """

    start: int
    length: int
    paths: int
    text: str
    top: int = 0
    rows: int = 1
    children: list[Segment] = field(default_factory=list)


def shared_tokens(tree: SearchTree) -> list[Segment]:
    """The prefix tree of the tokens of all paths, as segments, parents before their children; empty if no model wrote.

    Paths that draw the same tokens share them, also where the search holds them to be different nodes.
    """
    ends = [node for node in tree.nodes.values() if not node.children]
    paths = [(_tokens(node), node.text) for node in ends]
    paths = sorted((p for p in paths if p[0]), key=lambda p: [str(t) for t in p[0]])
    found = _segments(paths)
    row = 0
    for segment in found:
        segment.top = row
        if not segment.children:
            row += 1
    for segment in reversed(found):
        segment.rows = sum(child.rows for child in segment.children) or 1
    return found


def _tokens(node: SearchNode) -> Tokens:
    return tuple(token for each in node.path for token in each.reached.tokens or ())


def _segments(paths: Sequence[Path]) -> list[Segment]:
    """Paths that go on with the same token are one segment up to where they part."""
    found: list[Segment] = []
    stack = [(group, 0, "", found[:0]) for group in reversed(_by_next_token(paths, 0))]
    while stack:
        group, start, said, siblings = stack.pop()
        end = start + len(_common([tokens[start:] for tokens, _ in group]))
        text = _common([text for _, text in group])
        segment = Segment(start, end - start, len(group), text[len(said) :])
        found.append(segment)
        siblings.append(segment)
        stack += [(rest, end, text, segment.children) for rest in reversed(_by_next_token(group, end))]
    return found


def _by_next_token(paths: Sequence[Path], start: int) -> list[list[Path]]:
    groups: dict[int | str, list[Path]] = {}
    for path in paths:
        if len(path[0]) > start:
            groups.setdefault(path[0][start], []).append(path)
    return list(groups.values())


def _common(paths: Sequence[S]) -> S:
    """The longest prefix of all, of token paths or of texts."""
    first = min(paths, key=len)
    for i, each in enumerate(first):
        if any(path[i] != each for path in paths):
            return first[:i]  # type: ignore[return-value]
    return first
