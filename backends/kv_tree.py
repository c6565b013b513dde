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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ppl.errors import BackendError

SLACK = 1.25
FLOOR = 1024


class KVBudgetError(BackendError):
    """What one batch needs at once does not fit the bound on the tree's size, or the memory there is."""


@contextmanager
def named_memory_errors(tree: KVTree) -> Iterator[None]:
    """torch's ways of saying that memory is out, as a KVBudgetError that says what holds it and what to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise KVBudgetError(
            f"memory is out: the tree holds {tree.live} tokens of keys and values ({tree.live * tree.token_bytes / 1e6:.0f}"
            f" MB) that can still be reached, in {tree.capacity * tree.token_bytes / 1e6:.0f} MB. Set max_kv_tokens below"
            f" {tree.capacity}, or lower the number of particles or the length of their texts."
        ) from error


class Node:
    """A token at its place in the tree.

    slot    where its keys and values lie, or -1 if they are not computed (or were evicted)
    holds   leases on it, plus children that are held: it is live while this is positive
    hidden  its final hidden state, where someone asked for it
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
    """The tree and its pool.

    layers    number of attention layers; heads, width  key heads and their width, per layer the same
    bound     most tokens that may be stored, or None
    """

    def __init__(
        self, layers: int, heads: int, width: int, dtype: torch.dtype, device: Any = "cpu", bound: int | None = None
    ) -> None:
        self.layers, self.heads, self.width, self.dtype, self.device = layers, heads, width, dtype, device
        self.bound = bound
        self.root = Node(None, -1)
        self.released: deque[Node] = deque()
        self.idle: OrderedDict[Node, None] = OrderedDict()
        self.owner: list[Node | None] = []
        self.free: list[int] = []
        self.live = 0
        self.clock = 0
        self.depths = np.zeros(0, dtype=np.int64)
        nothing = torch.empty(heads, 0, width, dtype=dtype, device=device)
        self.k, self.v = [nothing] * layers, [nothing] * layers
        self._enlarge(min(FLOOR, bound or FLOOR))

    # -- what is where ---------------------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        return len(self.owner)

    @property
    def token_bytes(self) -> int:
        """Bytes of keys and values per token."""
        return 2 * self.layers * self.heads * self.width * torch.empty(0, dtype=self.dtype).element_size()

    def stats(self) -> dict[str, int]:
        """Live tokens and bytes in use, and what is allocated."""
        self.let_go()
        return {
            "live_tokens": self.live,
            "live_bytes": self.live * self.token_bytes,
            "idle_tokens": len(self.idle),
            "allocated_bytes": self.capacity * self.token_bytes,
        }

    def find(self, tokens: Sequence[int]) -> Node:
        """The node of a token path, made if it is new; nothing is computed."""
        node = self.root
        for token in tokens:
            child = node.children.get(token)
            node = child if child is not None else self.child(node, token)
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
                    self._forget(current)
                current = current.parent

    def _forget(self, node: Node) -> None:
        """Take a dead node that stores nothing out of the tree."""
        if not node.children and node.parent is not None and node.parent.children.get(node.token) is node:
            del node.parent.children[node.token]

    # -- slots -----------------------------------------------------------------------------------------------------

    def place(self, nodes: Sequence[Node], needed: Iterable[Node]) -> None:
        """Give slots to (held) nodes that are about to be computed. `needed` are read meanwhile and stay.

        Raises KVBudgetError if both together exceed the bound.
        """
        self.clock += 1
        for node in needed:
            node.used = self.clock
        short = len(nodes) - len(self.free) - len(self.idle)
        if short > 0:
            self._grow(short)
        for node in nodes:
            node.slot = self.free.pop() if self.free else self._evict_idle()
            node.used = self.clock
            self.owner[node.slot] = node
            self.depths[node.slot] = node.depth
            self.live += 1

    def take_back(self, nodes: Sequence[Node]) -> None:
        """Nodes that were placed and then not computed."""
        for node in nodes:
            self._vacate(node)

    def _vacate(self, node: Node) -> None:
        """Free the slot of a live node."""
        self.free.append(node.slot)
        self.owner[node.slot] = None
        node.slot, node.hidden = -1, None
        self.live -= 1

    def _evict_idle(self) -> int:
        node, _ = self.idle.popitem(last=False)
        slot, node.slot, node.hidden = node.slot, -1, None
        self.owner[slot] = None
        self._forget(node)
        return slot

    def _grow(self, short: int) -> None:
        wanted = int(SLACK * (self.live + len(self.idle) + len(self.free) + short))
        if self.bound is not None:
            wanted = min(wanted, self.bound)
        if wanted > self.capacity:
            missing = short - (wanted - self.capacity)
            self._enlarge(wanted)
        else:
            missing = short
        if missing > 0:
            self._evict_live(missing)

    def _evict_live(self, missing: int) -> None:
        """Under the bound: free slots of live nodes that this step does not read, least recently used first."""
        while self.idle:
            self.free.append(self._evict_idle())
        old = sorted((n for n in self.owner if n is not None and n.holds and n.used < self.clock), key=lambda n: n.used)
        stored = {id(n): sum(c.slot >= 0 for c in n.children.values()) for n in old}
        queue = deque(n for n in old if not stored[id(n)])
        while queue and missing > 0:
            node = queue.popleft()
            self._vacate(node)
            node.lost = True
            missing -= 1
            parent = node.parent
            if parent is not None and id(parent) in stored:
                stored[id(parent)] -= 1
                if not stored[id(parent)]:
                    queue.append(parent)
        if missing > 0:
            raise KVBudgetError(
                f"this batch needs {self.capacity + missing} tokens of keys and values at once, and the bound is {self.bound}"
                f" ({(self.bound or 0) * self.token_bytes / 1e6:.0f} MB); everything it does not read was evicted."
                " Raise max_kv_tokens, or lower the number of particles or the length of their texts."
            )

    def forget(self) -> None:
        """Free every token that is not live."""
        self.let_go()
        while self.idle:
            self.free.append(self._evict_idle())

    def trim(self) -> None:
        """Give memory back when far fewer tokens are live than the pool could hold."""
        self.let_go()
        wanted = max(int(SLACK * self.live), min(FLOOR, self.bound or FLOOR))
        if self.capacity > wanted:
            self.forget()
            self._shrink(wanted)

    def _enlarge(self, capacity: int) -> None:
        """Pools of more slots, every token where it was. Out of memory half-way, the tree is as it was."""
        for pools in (self.k, self.v):
            for layer, old in enumerate(pools):
                fresh = torch.empty(self.heads, capacity, self.width, dtype=self.dtype, device=self.device)
                fresh[:, : self.capacity] = old[:, : self.capacity]
                pools[layer] = fresh
        self.free += range(capacity - 1, self.capacity - 1, -1)
        self.depths = np.concatenate([self.depths, np.zeros(capacity - self.capacity, dtype=np.int64)])
        self.owner += [None] * (capacity - self.capacity)

    def _shrink(self, capacity: int) -> None:
        """Pools of fewer slots, the stored tokens moved together."""
        nodes = [n for n in self.owner if n is not None]
        kept = torch.tensor([n.slot for n in nodes], dtype=torch.long, device=self.device)
        for pools in (self.k, self.v):
            for layer, old in enumerate(pools):
                pools[layer] = torch.empty_like(old[:, :capacity])
                pools[layer][:, : len(nodes)] = old[:, kept]
        self.owner = [*nodes, *[None] * (capacity - len(nodes))]
        self.depths = np.zeros(capacity, dtype=np.int64)
        for slot, node in enumerate(nodes):
            node.slot = slot
            self.depths[slot] = node.depth
        self.free = list(range(capacity - 1, len(nodes) - 1, -1))

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
                assert self.owner[node.slot] is node, "two nodes share a slot"
                assert node.parent is self.root or node.parent is None or node.parent.slot >= 0, (
                    "a stored node's parent is not stored"
                )
                assert (node in self.idle) == (node.holds == 0), "a stored node is neither held nor idle"
        assert live == self.live, f"{self.live} live tokens are counted, {live} are there"
        assert stored + len(self.free) == self.capacity, "slots are lost"
