"""Attention over a prefix tree, through transformers' own attention interface and the models' own forward code.

A forward takes packed tokens of many branches as one row. Keys and values that two or more of them see (trunks) are
read once, by one dense product under a mask; what a token alone sees (its tail) is gathered per token; one softmax
runs over both. Sliding windows are masked by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backends.kv_pool import KVPool
from backends.kv_tree import Node

NAME = "kv_tree"


class Plan:
    """Which slots each packed token sees, and how to read them. Built once per forward, used by every layer.

    trunk  slots seen by two tokens or more, as a slice where they lie nearly together; hidden_of masks them
    tails  slots seen by one token, padded to the longest; both masks are additive, None where everything is seen
    told   the sliding window that each layer's attention was given
    """

    def __init__(self, pool: KVPool, nodes: Sequence[Node]) -> None:
        self.pool, self.nodes = pool, nodes
        self.told: dict[int, int | None] = {}
        self.depths = np.array([n.depth for n in nodes])
        self.new = torch.tensor([n.slot for n in nodes], dtype=torch.long, device=pool.device)
        paths = _paths(nodes)
        rows = np.repeat(np.arange(len(nodes)), [len(p) for p in paths])
        slots = np.concatenate(paths)
        shared = np.bincount(slots, minlength=pool.capacity) > 1
        self._plan_trunk(np.flatnonzero(shared), rows, slots, shared)
        own = ~shared[slots]
        self._plan_tails(rows[own], slots[own], len(nodes))
        self._windows: dict[int | None, tuple[torch.Tensor | None, torch.Tensor | None]] = {}

    def _plan_trunk(self, trunk: np.ndarray, rows: np.ndarray, slots: np.ndarray, shared: np.ndarray) -> None:
        self.trunk_slots = trunk
        if len(trunk) and trunk[-1] - trunk[0] < 1.25 * len(trunk):
            self.trunk_slots = np.arange(trunk[0], trunk[-1] + 1)
            self.trunk: Any = slice(int(trunk[0]), int(trunk[-1]) + 1)
        else:
            self.trunk = torch.from_numpy(trunk).to(self.pool.device)
        column = np.zeros(self.pool.capacity, dtype=np.int64)
        column[self.trunk_slots] = np.arange(len(self.trunk_slots))
        self.trunk_seen = np.zeros((len(self.depths), len(self.trunk_slots)), dtype=bool)
        inside = shared[slots]
        self.trunk_seen[rows[inside], column[slots[inside]]] = True

    def _plan_tails(self, rows: np.ndarray, slots: np.ndarray, n: int) -> None:
        lengths = np.bincount(rows, minlength=n)
        longest = int(lengths.max(initial=0))
        self.tail_seen = np.arange(longest)[None, :] < lengths[:, None]
        padded = np.zeros((n, longest), dtype=np.int64)
        padded[self.tail_seen] = slots
        self.tail_slots = padded
        self.tails = torch.from_numpy(padded.reshape(-1)).to(self.pool.device)

    def masks(self, window: int | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Additive masks of trunk (tokens, 1, trunk) and tails (tokens, 1, tail) under a sliding window."""
        if window not in self._windows:
            trunk, tail = self.trunk_seen, self.tail_seen
            if window is not None:
                depths = self.pool.depths
                trunk = trunk & (self.depths[:, None] - depths[self.trunk_slots][None, :] < window)
                tail = tail & (self.depths[:, None] - depths[self.tail_slots] < window)
            self._windows[window] = self._additive(trunk), self._additive(tail)
        return self._windows[window]

    def _additive(self, seen: np.ndarray) -> torch.Tensor | None:
        if seen.all():
            return None
        mask = torch.zeros(seen.shape, dtype=self.pool.dtype)
        mask[torch.from_numpy(~seen)] = float("-inf")
        return mask.to(self.pool.device)[:, None, :]

    def trunk_of(self, stored: torch.Tensor) -> torch.Tensor:
        """The trunk's keys or values: kv heads, trunk, width."""
        return stored[:, self.trunk] if isinstance(self.trunk, slice) else stored.index_select(1, self.trunk)

    def tails_of(self, stored: torch.Tensor) -> torch.Tensor:
        """Each token's tail: kv heads * tokens, tail, width."""
        tokens, tail = self.tail_slots.shape
        return stored.index_select(1, self.tails).view(stored.shape[0] * tokens, tail, stored.shape[2])


def _paths(nodes: Sequence[Node]) -> list[np.ndarray]:
    """The slots from the root to each node, in any order; those of a node in the batch extend its parent's."""
    known: dict[int, np.ndarray] = {}
    paths = []
    for node in nodes:
        above = known.get(id(node.parent))
        slots = [node.slot] if above is not None else []
        walk: Node | None = node if above is None else None
        while walk is not None and walk.parent is not None:
            slots.append(walk.slot)
            walk = walk.parent
        path = np.array(slots, dtype=np.int64)
        path = known[id(node)] = path if above is None else np.concatenate((above, path))
        paths.append(path)
    return paths


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any,
    scaling: float | None = None, dropout: float = 0.0, sliding_window: int | None = None, softcap: float | None = None,
    tree_plan: Plan | None = None, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """transformers' attention interface: (1, heads, T, d) in, (1, T, heads, d) out, keys and values kept in the tree."""
    assert tree_plan is not None, "this model's attention runs over a KV tree; call it through its backend"
    plan, pool, layer = tree_plan, tree_plan.pool, module.layer_idx
    plan.told[layer] = sliding_window
    tokens, width = query.shape[2], query.shape[3]
    kv_heads = key.shape[1]
    group = query.shape[1] // kv_heads
    scale = width**-0.5 if scaling is None else scaling
    keys, values = pool.k[layer], pool.v[layer]  # kv heads, slots, width
    keys.index_copy_(1, plan.new, key[0])
    values.index_copy_(1, plan.new, value[0])
    q = (query[0] * scale).view(kv_heads, group, tokens, width).transpose(1, 2)  # kv heads, tokens, group, width
    trunk_mask, tail_mask = plan.masks(sliding_window)

    on_trunk = torch.bmm(q.reshape(kv_heads, tokens * group, width), plan.trunk_of(keys).transpose(1, 2))
    on_trunk = on_trunk.view(kv_heads, tokens, group, -1)
    q_tails = q.reshape(kv_heads * tokens, group, width)
    on_tails = torch.bmm(q_tails, plan.tails_of(keys).transpose(1, 2)).view(kv_heads, tokens, group, -1)
    if softcap is not None:
        on_trunk, on_tails = (torch.tanh(x / softcap) * softcap for x in (on_trunk, on_tails))
    if trunk_mask is not None:
        on_trunk += trunk_mask
    if tail_mask is not None:
        on_tails += tail_mask
    trunk = on_trunk.shape[-1]
    weights = torch.softmax(torch.cat([on_trunk, on_tails], -1), -1, dtype=torch.float32).to(query.dtype)
    from_trunk, from_tails = weights[..., :trunk], weights[..., trunk:]
    out = torch.bmm(from_tails.reshape(kv_heads * tokens, group, -1), plan.tails_of(values))
    out = out.view(kv_heads, tokens * group, width)
    out = torch.baddbmm(out, from_trunk.reshape(kv_heads, tokens * group, trunk), plan.trunk_of(values))
    out = out.view(kv_heads, tokens, group, width).transpose(0, 1)
    return out.reshape(1, tokens, kv_heads * group, width), None


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
