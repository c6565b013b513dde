"""Memory for keys and values: slots of one token each, in every layer, that grow and shrink with what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ppl.errors import BackendError, UsageError

if TYPE_CHECKING:
    from backends.kv_tree import Node


class KVBudgetError(BackendError):
    """What one batch needs at once does not fit the bound on the tree's size, or the memory there is."""


class KVPool:
    """Per layer, keys of shape (kv heads, slots, width) and as many values; every layer has the same slots.

    owner        the node of each slot, None if it is free; `depths` are those nodes' positions
    token_bytes  what one token takes in all layers
    bound        most slots there may be, so that all of them fit `max_bytes`; None: no bound
    """

    def __init__(
        self, layers: int, heads: int, width: int, dtype: torch.dtype, device: Any, max_bytes: int | None
    ) -> None:
        self.heads, self.width, self.dtype, self.device = heads, width, dtype, device
        self.token_bytes = 2 * layers * heads * width * dtype.itemsize
        self.max_bytes, self.bound = max_bytes, None if max_bytes is None else max_bytes // self.token_bytes
        if self.bound == 0:
            raise UsageError(f"max_kv_bytes={max_bytes!r}: expected room for one token at least, {self.token_bytes} bytes.")
        self.owner: list[Node | None] = []
        self.free: list[int] = []
        self.depths = np.zeros(0, dtype=np.int64)
        nothing = torch.empty(heads, 0, width, dtype=dtype, device=device)
        self.k, self.v = [nothing] * layers, [nothing] * layers

    @property
    def capacity(self) -> int:
        return len(self.owner)

    def take(self, node: Node) -> None:
        """Give the node a free slot."""
        node.slot = self.free.pop()
        self.owner[node.slot] = node
        self.depths[node.slot] = node.depth

    def give_back(self, node: Node) -> None:
        """Free the node's slot; what hangs on the stored token goes with it."""
        self.owner[node.slot] = None
        self.free.append(node.slot)
        node.slot, node.hidden = -1, None

    def enlarge(self, capacity: int) -> None:
        """More slots, every token where it was. Out of memory half-way, the pool is as it was.

        New slots are zeroed: attention reads slots of no token under a mask, and what was never written may be no number.
        """
        for pools in (self.k, self.v):
            for layer, old in enumerate(pools):
                fresh = torch.empty(self.heads, capacity, self.width, dtype=self.dtype, device=self.device)
                fresh[:, : self.capacity] = old[:, : self.capacity]
                fresh[:, self.capacity :] = 0
                pools[layer] = fresh
        self.free += range(capacity - 1, self.capacity - 1, -1)
        self.depths = np.concatenate([self.depths, np.zeros(capacity - self.capacity, dtype=np.int64)])
        self.owner += [None] * (capacity - self.capacity)

    def shrink(self, capacity: int) -> None:
        """Fewer slots, the stored tokens moved together."""
        nodes = [n for n in self.owner if n is not None]
        kept = torch.tensor([n.slot for n in nodes], dtype=torch.long, device=self.device)
        for pools in (self.k, self.v):
            for layer, old in enumerate(pools):
                pools[layer] = torch.empty_like(old[:, :capacity])
                pools[layer][:, : len(nodes)] = old[:, kept]
                pools[layer][:, len(nodes) :] = 0
        self.owner, self.free = [None] * capacity, list(range(capacity - 1, -1, -1))
        self.depths = np.zeros(capacity, dtype=np.int64)
        for node in nodes:
            self.take(node)

    @contextmanager
    def naming_what_is_out(self) -> Iterator[None]:
        """torch's ways of saying that memory is out, as a KVBudgetError that says what holds it and what to lower."""
        try:
            yield
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            stored, allocated = self.capacity - len(self.free), self.capacity * self.token_bytes
            raise KVBudgetError(
                f"memory is out: the tree stores {stored} tokens of keys and values, in {allocated / 1e6:.1f} MB."
                f" Set max_kv_bytes below {allocated}, or lower the number of particles or the length of their texts."
            ) from error
