"""A search tree in the terminal: what led to the answers in full, the rest as far as there is room."""

from __future__ import annotations

import math

from rich.text import Text
from rich.tree import Tree

from cli.tree_layout import answer_shares, rank
from ppl.display import bar, one_line
from ppl.search_tree import SearchNode, SearchTree

WIDTH = 56  # characters of a node's text
LEGEND = "×: equal ones · h: the heuristic's estimate · ↻: copies after resampling · bars: share of the answers' weight"


def drawn(tree: SearchTree, title: str = "", given: str = "", height: int = 40) -> Tree:
    """A tree of at most about `height` lines. Nodes on the way to an answer come first; equal siblings are one line."""
    shares = answer_shares(tree)
    kept = _worth_showing(tree, shares, height)
    head = Text.assemble((title, "bold"), ("\n" + given if given else "", "dim"))
    picture = Tree(head, guide_style="dim")
    stack = [(picture, tree.roots)]
    while stack:
        branch, nodes = stack.pop()
        nodes = sorted(nodes, key=lambda node: -shares.get(node, 0.0))
        for same in _equal([n for n in nodes if n in kept]):
            twig = branch.add(_line(same, shares))
            stack.append((twig, [child for node in same for child in node.children]))
        hidden = sum(n not in kept for n in nodes)
        if hidden:
            branch.add(Text(f"… {hidden} more", style="dim"))
    return picture


def _worth_showing(tree: SearchTree, shares: dict[SearchNode, float], height: int) -> set[SearchNode]:
    """As many nodes as there are lines, by share of the answer's weight, then by rank; with each its ancestors."""

    def worth(node: SearchNode) -> tuple[float, float]:
        value = rank(node)
        return shares.get(node, 0.0), -math.inf if value is None else value

    kept: set[SearchNode] = set()
    lines: set[tuple[object, ...]] = set()
    for node in sorted(tree.nodes.values(), key=worth, reverse=True):
        fresh = {_looks(each) for each in node.path} - lines
        if len(lines) + len(fresh) <= height:
            lines |= fresh
            kept.update(node.path)
    return kept


def _looks(node: SearchNode) -> tuple[object, ...]:
    """What its line says; nodes that look the same on the whole way are one line."""
    return tuple((each.reached.text, each.status, each.pruned) for each in node.path)


def _equal(nodes: list[SearchNode]) -> list[list[SearchNode]]:
    """Siblings grouped by what was chosen there and what came of it."""
    groups: dict[tuple[str | None, str, bool], list[SearchNode]] = {}
    for node in nodes:
        groups.setdefault((node.reached.text, node.status, node.pruned), []).append(node)
    return list(groups.values())


def _line(same: list[SearchNode], shares: dict[SearchNode, float]) -> Text:
    node = same[0]
    share = sum(shares.get(each, 0.0) for each in same)
    style = "bold" if share else "red dim" if node.status == "dead" else "dim" if node.pruned else ""
    line = Text(one_line(node.reached.text or "·", WIDTH), style=style)
    if len(same) > 1:
        line.append(f"  ×{len(same)}", style="magenta")
    if node.reached.heuristic is not None and not node.returned:
        line.append(f"  {_guess(node.reached.heuristic)}", style="dim")
    copies = sum(e.count or 0 for each in same for e in each.decisions if e.action == "resample")
    if copies:
        line.append(f"  ↻{copies}", style="cyan")
    if node.status == "dead":
        line.append(f"  ✗ {one_line(node.reached.reason or 'weight 0', 40)}", style="red dim")
    elif node.pruned:
        line.append("  pruned", style="dim italic")
    if share:
        line.append(f"  {bar(share, 10)} {share:.0%}", style="green")
    return line


def _guess(heuristic: float) -> str:
    """The estimate as the reward it usually is the logarithm of."""
    return f"h {math.exp(heuristic):.2g}" if heuristic <= 0 else f"h e^{heuristic:.2g}"
