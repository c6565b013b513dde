"""One prefix tree of keys and values per set of weights: every live token is stored, and was computed, once.

A node is one token after its parent's; its keys and values lie in one slot of a pool. Contexts are plain token paths:
they find what they share by walking the tree, so a fork copies nothing and equal siblings are one node. A `Lease`
keeps a path alive; texts, contexts and rewards hold one, so what no trace can reach any more is freed. Freed tokens
stay findable in the slots nobody needs yet, and are overwritten oldest first, leaves before their parents.

The pool holds at most SLACK times the live tokens (and never less than FLOOR). Under a bound on its size, live tokens
that no row needs now are evicted, least recently used first, and computed again when they are next asked for.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from backends.kv_pool import KVBudgetError, KVPool

SLACK = 1.25
FLOOR = 1024


class Node:
    """A token at its place in the tree.

    slot    where its keys and values lie, or -1 if they are not computed (or were evicted)
    holds   leases on it, plus children that are held: it is live while this is positive
    hidden  its final hidden state, as long as it is stored
    lost    it was computed before and evicted
    """

    __slots__ = ("children", "depth", "hidden", "holds", "lost", "parent", "slot", "token", "used")

    def __init__(self, parent: Node | None, token: int) -> None:
        self.parent, self.token = parent, token
        self.depth: int = -1 if parent is None else parent.depth + 1
        self.slot, self.holds, self.used, self.lost = -1, 0, 0, False
        self.children: dict[int, Node] = {}
        self.hidden: torch.Tensor | None = None

    def path(self) -> list[Node]:
        """The nodes from the first token to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            nodes.append(node)
            node = node.parent
        nodes.reverse()
        return nodes


class Lease:
    """Keeps the path to a node live for as long as it exists itself."""

    __slots__ = ("node", "tree")

    def __init__(self, tree: KVTree, node: Node) -> None:
        self.tree, self.node = tree, node
        tree.hold(node)

    def __del__(self) -> None:
        # Garbage collection may come in the middle of anything: the tree lets go at its next step.
        self.tree.released.append(self.node)

    def __deepcopy__(self, memo: Any) -> Lease:
        return self


class KVTree:
    """The tree over a pool. `live` counts the stored tokens that are held; `idle` are the stored ones that are not."""

    def __init__(self, pool: KVPool) -> None:
        self.pool = pool
        self.root = Node(None, -1)
        self.released: deque[Node] = deque()
        self.idle: OrderedDict[Node, None] = OrderedDict()
        self.live = 0
        self.clock = 0
        self.smallest = FLOOR if pool.bound is None else min(FLOOR, pool.bound)
        pool.enlarge(self.smallest)

    # -- what is where ---------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, int]:
        """Live tokens and bytes in use, and what is allocated."""
        self.let_go()
        return {
            "live_tokens": self.live,
            "live_bytes": self.live * self.pool.token_bytes,
            "idle_tokens": len(self.idle),
            "allocated_bytes": self.pool.capacity * self.pool.token_bytes,
        }

    def find(self, tokens: Sequence[int]) -> Node:
        """The node of a token path, made if it is new; nothing is computed."""
        node = self.root
        for token in tokens:
            node = node.children.get(token) or self.child(node, token)
        return node

    def child(self, node: Node, token: int) -> Node:
        found = node.children.get(token)
        if found is None:
            found = node.children[token] = Node(node, token)
        return found

    # -- leases ----------------------------------------------------------------------------------------------------

    def hold(self, node: Node) -> None:
        current: Node | None = node
        while current is not None:
            current.holds += 1
            if current.holds > 1:
                return
            if current.slot >= 0:
                self.live += 1
                self.idle.pop(current, None)
            current = current.parent

    def let_go(self) -> None:
        """Carry out the releases since the last time."""
        while self.released:
            current: Node | None = self.released.popleft()
            while current is not None:
                current.holds -= 1
                if current.holds or current.parent is None:
                    break
                if current.slot >= 0:
                    self.live -= 1
                    self.idle[current] = None
                else:
                    self._unlink(current)
                current = current.parent

    def _unlink(self, node: Node) -> None:
        """Take a dead node that stores nothing out of the tree."""
        if not node.children and node.parent is not None and node.parent.children.get(node.token) is node:
            del node.parent.children[node.token]

    # -- slots -----------------------------------------------------------------------------------------------------

    def begin_step(self, needed: Iterable[Node]) -> None:
        """What is needed, and what is placed from here on, is not evicted before the next step begins."""
        self.clock += 1
        for node in needed:
            node.used = self.clock

    def place(self, nodes: Sequence[Node]) -> None:
        """Give slots to (held) nodes that are about to be computed.

        Raises KVBudgetError if they, and what the step needs besides, exceed the bound.
        """
        self._make_room(len(nodes))
        for node in nodes:
            self.pool.take(node)
            node.used = self.clock
        self.live += len(nodes)

    def take_back(self, nodes: Sequence[Node]) -> None:
        """Nodes that were placed and then not computed; or live ones that are evicted."""
        for node in nodes:
            self.pool.give_back(node)
        self.live -= len(nodes)

    def _make_room(self, slots: int) -> None:
        """So many free slots: from a larger pool where idle ones do not suffice, then under the bound from live ones."""
        pool, short = self.pool, slots - len(self.pool.free) - len(self.idle)
        wanted = int(SLACK * (pool.capacity + short)) if short > 0 else 0
        if pool.bound is not None:
            wanted = min(wanted, pool.bound)
        if wanted > pool.capacity:
            pool.enlarge(wanted)
        while self.idle and len(pool.free) < slots:
            self._evict_idle()
        if len(pool.free) < slots:
            self._evict_live(slots - len(pool.free))

    def _evict_idle(self) -> None:
        node, _ = self.idle.popitem(last=False)
        self.pool.give_back(node)
        self._unlink(node)

    def _evict_live(self, missing: int) -> None:
        """Under the bound: free slots of live nodes that this step does not read, least recently used first."""
        stored = [n for n in self.pool.owner if n is not None and n.used < self.clock]
        below = {n: sum(c.slot >= 0 for c in n.children.values()) for n in sorted(stored, key=lambda n: n.used)}
        leaves = deque(n for n, children in below.items() if not children)
        while leaves and missing > 0:
            node = leaves.popleft()
            self.take_back([node])
            node.lost = True
            missing -= 1
            if node.parent in below:
                below[node.parent] -= 1
                if not below[node.parent]:
                    leaves.append(node.parent)
        if missing > 0:
            raise KVBudgetError(
                f"this batch needs {self.pool.capacity + missing} tokens of keys and values at once, {self.pool.token_bytes}"
                f" bytes each, and max_kv_bytes={self.pool.max_bytes} holds {self.pool.bound}; everything it does not read was"
                " evicted. Raise max_kv_bytes, or lower the number of particles or the length of their texts."
            )

    def forget(self) -> None:
        """Free every token that is not live."""
        self.let_go()
        while self.idle:
            self._evict_idle()

    def trim(self) -> None:
        """Give memory back when far fewer tokens are live than the pool could hold."""
        self.let_go()
        wanted = max(int(SLACK * self.live), self.smallest)
        if self.pool.capacity > wanted:
            self.forget()
            self.pool.shrink(wanted)

    # -- the truth about it ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise AssertionError unless the tree is what it says: for tests, and for whoever doubts it."""
        self.let_go()
        stored, live, stack = 0, 0, [self.root]
        while stack:
            node = stack.pop()
            stack += node.children.values()
            assert all(child.parent is node and child.token == token for token, child in node.children.items())
            held = sum(child.holds > 0 for child in node.children.values())
            assert node.holds >= held, "a node is held by fewer than its held children"
            if node.slot >= 0:
                stored += 1
                live += node.holds > 0
                assert self.pool.owner[node.slot] is node, "two nodes share a slot"
                assert node.parent is None or node.parent.parent is None or node.parent.slot >= 0, "its parent is not stored"
                assert (node in self.idle) == (node.holds == 0), "a stored node is neither held nor idle"
        assert live == self.live, f"{self.live} live tokens are counted, {live} are there"
        assert stored + len(self.pool.free) == self.pool.capacity, "slots are lost"
