"""The tree that a search went through, put together from the record of its events (`ppl.events`).

A node is a point at which an execution was looked at; from a root down to it lie the choices of one run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppl.events import Event


@dataclass(eq=False, slots=True)
class SearchNode:
    """A node of a search: the event by which it was reached, what was decided about it, and what came of it."""

    reached: Event
    parent: SearchNode | None
    decisions: list[Event] = field(default_factory=list)
    children: list[SearchNode] = field(default_factory=list)

    @property
    def status(self) -> str:
        """ "open", "finished" or "dead"."""
        return {"expand": "open", "finish": "finished", "die": "dead"}[self.reached.action]

    @property
    def pruned(self) -> bool:
        """Whether it was dropped, and the search did not come back to it."""
        return bool(self.decisions) and self.decisions[-1].action == "prune"

    @property
    def returned(self) -> bool:
        """Whether it is in the result."""
        return any(e.action == "return" for e in self.decisions)

    @property
    def path(self) -> list[SearchNode]:
        """From a root to this node."""
        path, node = [self], self.parent
        while node is not None:
            path.append(node)
            node = node.parent
        return path[::-1]

    @property
    def text(self) -> str:
        """All that was chosen from the beginning to here."""
        return "".join(node.reached.text or "" for node in self.path)


@dataclass(eq=False, slots=True)
class SearchTree:
    """What one run's search did: `start` names its program, engine and seed; nodes stand in the order they were reached.

    events   all that happened after the start, in order
    """

    start: Event
    nodes: dict[int, SearchNode] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def roots(self) -> list[SearchNode]:
        """The nodes without a parent, in the order in which they were reached."""
        return [node for node in self.nodes.values() if node.parent is None]

    def add(self, event: Event) -> None:
        """Take in the next event of this run."""
        assert event.node is not None
        self.events.append(event)
        if event.node in self.nodes:
            self.nodes[event.node].decisions.append(event)
            return
        parent = None if event.parent is None else self.nodes[event.parent]
        node = self.nodes[event.node] = SearchNode(event, parent)
        if parent is not None:
            parent.children.append(node)


def trees(events: Iterable[Event]) -> list[SearchTree]:
    """The search trees of these events, by the runs' numbers."""
    found: dict[int, SearchTree] = {}
    for event in events:
        if event.action == "start":
            found[event.run] = SearchTree(event)
        else:
            found[event.run].add(event)
    return list(found.values())
