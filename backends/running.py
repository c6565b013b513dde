"""The keys and values of the rows that are drawing text right now: one left-padded batch that rows join and leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from backends.text import Tokens
from ppl.requests import Draw


def cacheable(config: Any) -> bool:
    """Whether every layer is ordinary attention, whose keys and values can be padded and gathered by row."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def padded(paths: Sequence[Tokens], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token paths as ids and mask, rows x longest, padded on the left."""
    longest = max(map(len, paths))
    ids = torch.tensor([[0] * (longest - len(path)) + list(path) for path in paths], device=device)
    mask = torch.tensor([[0] * (longest - len(path)) + [1] * len(path) for path in paths], device=device)
    return ids, mask


class Running:
    """rows[i] owns row i of `cache`, whose padding is where `mask` (rows x length) is 0."""

    def __init__(self) -> None:
        self.rows: list[Draw] = []
        self.cache: Any = None
        self.mask: Any = None

    def new_cache(self) -> DynamicCache:
        return DynamicCache()

    def keep(self, wanted: Callable[[Draw], bool]) -> None:
        """Forget the other rows, and the padding that only they needed."""
        places = [i for i, row in enumerate(self.rows) if wanted(row)]
        if len(places) == len(self.rows):
            return
        self.rows = [self.rows[i] for i in places]
        if not places:
            self.cache = self.mask = None
            return
        self.mask = self.mask[places]
        start = int(self.mask.any(0).int().argmax())
        self.mask = self.mask[:, start:]
        self._set([(k[places][:, :, start:], v[places][:, :, start:]) for k, v in self._layers()])

    def extended_mask(self) -> torch.Tensor:
        """The mask with one more token for every row."""
        mask = self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        return mask

    def join(self, readers: Sequence[Sequence[Draw]], cache: Any, mask: torch.Tensor) -> None:
        """Add the rows that read row i of a fresh cache, for every i."""
        places = [i for i, group in enumerate(readers) for _ in group]
        fresh = [(layer.keys[places], layer.values[places]) for layer in cache.layers]
        mask = mask[places]
        if self.rows:
            length = max(self.mask.shape[1], mask.shape[1])
            mask = torch.cat([_wider(self.mask, length, 1), _wider(mask, length, 1)])
            fresh = [
                (
                    torch.cat([_wider(a, length, 2), _wider(c, length, 2)]),
                    torch.cat([_wider(b, length, 2), _wider(d, length, 2)]),
                )
                for (a, b), (c, d) in zip(self._layers(), fresh, strict=True)
            ]
        self.rows = [*self.rows, *(row for group in readers for row in group)]
        self.mask = mask
        self._set(fresh)

    def _layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(layer.keys, layer.values) for layer in self.cache.layers]

    def _set(self, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.cache = DynamicCache(layers)


def _wider(tensor: torch.Tensor, length: int, axis: int) -> torch.Tensor:
    """Zeros put before a tensor along an axis, up to the given length."""
    shape = list(tensor.shape)
    shape[axis] = length - shape[axis]
    return torch.cat([tensor.new_zeros(shape), tensor], axis) if shape[axis] else tensor
