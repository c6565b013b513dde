"""Attention over a prefix tree, through transformers' own attention interface and the models' own forward code.

A forward takes packed tokens of many branches as one row. Which slots each token sees is cut into blocks, in each of
which some groups of tokens attend to the slots of their group, by one batched product under a mask: the trunk, seen by
tokens of all branches (one group of all tokens); families, where what a few branches share would be in the way of all
others (a group for each); and tails, what a token alone sees (a group for each token). One softmax runs over all three.
Nothing that is stored is copied but into such a product, and sliding windows are masked by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backends.kv_pool import KVPool
from backends.kv_tree import Node

NAME = "kv_tree"
CUTS = 3  # levels of the tree at which families are tried
FAMILIES = 4096  # what a block of families costs in small operations, counted in token-slot pairs


class Block:
    """Groups of tokens, and the slots that each group attends to; both padded to the largest group.

    tokens  (groups, most tokens): places in the forward; every token stands in one group, once
    slots   (groups, most slots)
    seen    (tokens of the forward, most slots): which of its group's slots a token sees
    """

    def __init__(self, pool: KVPool, depths: np.ndarray, tokens: np.ndarray, slots: np.ndarray, seen: np.ndarray) -> None:
        self.pool, self.depths, self.groups = pool, depths, len(slots)
        self._slots, self._seen = slots, seen
        order, flat = tokens.reshape(-1), slots.reshape(-1)
        self._group_of = np.zeros(len(depths), dtype=np.int64)
        self._group_of[tokens] = np.arange(len(slots))[:, None]
        self._order: torch.Tensor | None = None
        if len(order) != len(depths) or (order != np.arange(len(order))).any():
            back = np.zeros(len(depths), dtype=np.int64)
            back[order[::-1]] = np.arange(len(order))[::-1]  # padding repeats the first token of its group
            self._order, self._back = (torch.from_numpy(i).to(pool.device) for i in (order.copy(), back))
        whole = self.groups == 1 and (np.diff(flat) == 1).all()
        self._index: Any = slice(int(flat[0]), int(flat[-1]) + 1) if whole else torch.from_numpy(flat).to(pool.device)
        self._masks: dict[int | None, torch.Tensor | None] = {}

    def scores(self, q: torch.Tensor, keys: torch.Tensor, window: int | None, softcap: float | None) -> torch.Tensor:
        """(kv heads, tokens, group, d) queries to (kv heads, tokens, group, slots) scores, -inf where unseen."""
        scores = torch.bmm(self._grouped(q), self._of(keys).transpose(1, 2))
        scores = self._in_order(scores, q.shape)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        mask = self.mask(window)
        return scores if mask is None else scores.add_(mask)

    def read(self, weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(kv heads, tokens, group, slots) weights to what they make of the values, (kv heads, tokens, group, d)."""
        return self._in_order(torch.bmm(self._grouped(weights), self._of(values)), weights.shape)

    def _grouped(self, x: torch.Tensor) -> torch.Tensor:
        """(kv heads, tokens, group, n) to (kv heads * groups, tokens of a group * group, n)."""
        if self._order is not None:
            x = x.index_select(1, self._order)
        heads, tokens, group, n = x.shape
        return x.reshape(heads * self.groups, tokens // self.groups * group, n)

    def _in_order(self, x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        heads, _, group, _ = shape
        x = x.view(heads, -1, group, x.shape[-1])
        return x if self._order is None else x.index_select(1, self._back)

    def _of(self, stored: torch.Tensor) -> torch.Tensor:
        """The groups' keys or values: (kv heads * groups, slots, d)."""
        if isinstance(self._index, slice):
            return stored[:, self._index]
        return stored.index_select(1, self._index).view(len(stored) * self.groups, -1, stored.shape[2])

    def mask(self, window: int | None) -> torch.Tensor | None:
        """(tokens, 1, slots), to be added: 0 where a token sees a slot, -inf elsewhere. None if all is seen."""
        if window not in self._masks:
            seen = self._seen
            if window is not None:
                ages = self.depths[:, None] - self.pool.depths[self._slots][self._group_of]
                seen = seen & (ages < window)
            self._masks[window] = None if seen.all() else self._additive(seen)
        return self._masks[window]

    def _additive(self, seen: np.ndarray) -> torch.Tensor:
        mask = torch.zeros(seen.shape, dtype=self.pool.dtype)
        mask[torch.from_numpy(~seen)] = float("-inf")
        return mask.to(self.pool.device)[:, None, :]


class Plan:
    """The blocks of one forward. Built once, used by every layer.

    new   where the keys and values of its tokens go
    told  the sliding window that each layer's attention was given
    """

    def __init__(self, pool: KVPool, nodes: Sequence[Node]) -> None:
        self.pool, self.nodes = pool, nodes
        self.told: dict[int, int | None] = {}
        self.new = torch.tensor([n.slot for n in nodes], dtype=torch.long, device=pool.device)
        depths = np.array([n.depth for n in nodes])
        paths = _paths(nodes)
        rows, slots = np.repeat(np.arange(len(nodes)), [len(p) for p in paths]), np.concatenate(paths)
        seers = np.bincount(slots, minlength=pool.capacity)
        shared = seers[slots] > 1
        trunk, families = shared, None
        if len(nodes) * int((seers > 1).sum()) - int(shared.sum()) > FAMILIES:
            trunk, families = _cut(rows, slots, seers[slots], len(nodes))
        layouts = [_trunk(rows[trunk], slots[trunk], len(nodes)), _tails(rows[~shared], slots[~shared], len(nodes))]
        self.blocks = [Block(pool, depths, *layout) for layout in (*layouts, families) if layout and layout[1].size]


Layout = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens, slots and seen of a block


def _paths(nodes: Sequence[Node]) -> list[np.ndarray]:
    """The slots from the root to each node; those of a node in the batch extend its parent's."""
    known: dict[int, np.ndarray] = {}
    paths = []
    for node in nodes:
        above = known.get(id(node.parent))
        slots = [node.slot] if above is not None else [n.slot for n in node.path()]
        path = np.array(slots, dtype=np.int64)
        path = known[id(node)] = path if above is None else np.concatenate((above, path))
        paths.append(path)
    return paths


def _trunk(rows: np.ndarray, slots: np.ndarray, n: int) -> Layout:
    """One group of all tokens; slots that lie nearly together are read where they lie."""
    some = np.unique(slots)
    if len(some) and some[-1] - some[0] < 1.25 * len(some):
        some = np.arange(some[0], some[-1] + 1)
    seen = np.zeros((n, len(some)), dtype=bool)
    seen[rows, np.searchsorted(some, slots)] = True
    return np.arange(n)[None], some[None], seen


def _tails(rows: np.ndarray, slots: np.ndarray, n: int) -> Layout:
    """A group for each token."""
    lengths = np.bincount(rows, minlength=n)
    seen = np.arange(lengths.max(initial=0))[None, :] < lengths[:, None]
    padded = np.zeros(seen.shape, dtype=np.int64)
    padded[seen] = slots
    return np.arange(n)[:, None], padded, seen


def _cut(rows: np.ndarray, slots: np.ndarray, seers: np.ndarray, n: int) -> tuple[np.ndarray, Layout | None]:
    """Where it is cheapest to cut what is shared into a trunk and families: which entries are the trunk's, the families.

    Down a path, fewer and fewer tokens see a slot. Its level counts how often their number has changed: the slots of one
    level and path are seen by the same tokens, and those of another path of that level by none of them.
    """
    begins = np.diff(rows, prepend=-1) != 0
    changes = np.cumsum(begins | (np.diff(seers, prepend=0) != 0))
    level = changes - changes[begins][rows]
    shared = seers > 1
    branches = np.unique(slots[shared & (np.diff(changes, prepend=0) != 0)], return_index=True)[1]
    per_level = np.bincount(level[shared & (np.diff(changes, prepend=0) != 0)][branches])
    best, families = shared, None
    cheapest = n * len(np.unique(slots[shared])) - FAMILIES
    for cut in np.flatnonzero(per_level > 1)[:CUTS]:
        above, below = shared & (level < cut), shared & (level >= cut)
        layout = _families(rows[below], slots[below], n)
        pairs = n * len(np.unique(slots[above])) + layout[0].size * layout[1].shape[1]
        if pairs < cheapest:
            cheapest, best, families = pairs, above, layout
    return best, families


def _families(rows: np.ndarray, slots: np.ndarray, n: int) -> Layout:
    """A group for each branch, which is known by its first slot; tokens of none fill the groups up, and see nothing."""
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    members = rows[first]
    branches, family = np.unique(slots[first], return_inverse=True)
    sizes = np.bincount(family)
    most = max(int(sizes.max()), -(-n // len(branches)))
    group_of = np.empty(n, dtype=np.int64)
    group_of[members] = family
    others = np.setdiff1d(np.arange(n), members)
    group_of[others] = np.repeat(np.arange(len(branches)), most - sizes)[: len(others)]
    tokens, _ = _padded(group_of, np.arange(n), most)
    some, which = np.unique(slots, return_inverse=True)
    owner = np.empty(len(some), dtype=np.int64)
    owner[which] = group_of[rows]
    columns, place = _padded(owner, some, int(np.bincount(owner).max()))
    seen = np.zeros((n, columns.shape[1]), dtype=bool)
    seen[rows, place[which]] = True
    return tokens, columns, seen


def _padded(groups: np.ndarray, values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Values by group, each row padded with its first one; and the column of each value."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    column = np.empty(len(values), dtype=np.int64)
    column[order] = np.arange(len(values)) - np.repeat(starts, sizes)
    table = np.repeat(values[order][starts][:, None], width, axis=1)
    table[groups, column] = values
    return table, column


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
    q = (query[0] * scale).view(kv_heads, group, tokens, width).transpose(1, 2).contiguous()
    scores = [block.scores(q, keys, sliding_window, softcap) for block in plan.blocks]
    weights = torch.softmax(torch.cat(scores, -1), -1, dtype=torch.float32).to(query.dtype)
    parts = torch.split(weights, [s.shape[-1] for s in scores], -1)
    reads = (block.read(part, values) for block, part in zip(plan.blocks, parts, strict=True))
    out = reduce(torch.Tensor.add_, reads)
    return out.transpose(0, 1).reshape(1, tokens, kv_heads * group, width), None


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
