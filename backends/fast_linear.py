"""Linear layers with prepacked and fused weights, where a probe at load says that it pays.

On many CPUs oneDNN's prepacked product is faster than the default one at the widths of decoding (twice with AVX-512, a
tenth without), and query, key and value, or gate and up, are one product instead of three or two. It depends on the
shape, so each kind of layer is probed by itself. The model's own modules stay; only their `forward` is replaced. The
operators are private to torch: each use is guarded by a numeric self-test, and the default is kept where anything is
missing or not faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

ROWS = 32  # rows the weights are packed for, and the probe is timed at
SAMPLE = 4  # layers of a kind that are probed in one go: as in a forward, no cache holds their weights
ROUNDS = (3, 15)  # timings of either way, at least and at most, of which the fastest counts
SECONDS = 0.2  # after so much of it, no more than the least
FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))

Group = Sequence[nn.Linear]  # layers that read the same input: one product computes them all
Product = Callable[[torch.Tensor], torch.Tensor]


def speed_up(model: nn.Module) -> bool:
    """Prepack and fuse those linear layers of a CPU model for which it is exact enough and faster. True if any are."""
    kinds: dict[Any, list[Group]] = {}
    for group in _groups(model):
        if all(p.weight.device.type == "cpu" for p in group):
            kinds.setdefault(tuple(p.weight.shape for p in group), []).append(group)
    paying = [kind for kind in kinds.values() if _pays(kind[:SAMPLE])]
    for kind in paying:
        for group in kind:
            _install(group)
    return bool(paying)


def _groups(model: nn.Module) -> Iterator[Group]:
    """Every linear layer of the model, together with those that read the same input."""
    done: set[nn.Module] = set()
    for parent in model.modules():
        for names in FUSED:
            parts = [getattr(parent, name, None) for name in names]
            if all(type(p) is nn.Linear for p in parts):
                done.update(parts)  # type: ignore[arg-type]
                yield parts  # type: ignore[misc]
    for module in model.modules():
        if type(module) is nn.Linear and module not in done:
            yield [module]


def _product(group: Group) -> Product:
    """The prepacked product of a group: its outputs side by side."""
    weight = torch.cat([p.weight.detach() for p in group])
    biases = [p.bias for p in group]
    bias = None if biases[0] is None else torch.cat([b.detach() for b in biases])
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
    run: Any = torch.ops.mkldnn._linear_pointwise

    def product(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = run(x, packed, bias, "none", [], "")
        return result

    return product


def _install(group: Group) -> None:
    """Let the first layer of the group that is called compute for all."""
    product = _product(group)
    if len(group) == 1:
        group[0].forward = product  # type: ignore[method-assign,assignment]
        return
    sizes = [p.weight.shape[0] for p in group]
    latest: list[Any] = [None, ()]

    def forward_of(i: int) -> Product:
        def forward(x: torch.Tensor) -> torch.Tensor:
            if latest[0] is not x:
                latest[0], latest[1] = x, torch.split(product(x), sizes, -1)
            result: torch.Tensor = latest[1][i]
            if i == len(sizes) - 1:
                latest[0], latest[1] = None, ()
            return result

        return forward

    for i, part in enumerate(group):
        part.forward = forward_of(i)  # type: ignore[method-assign,assignment]


def _pays(groups: Sequence[Group]) -> bool:
    """Self-test and timing of some groups of a kind: right to float accuracy, and faster."""
    weight = groups[0][0].weight
    x = torch.randn(ROWS, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    try:
        products = [_product(group) for group in groups]
        exact = all(_is_exact(product, group, x) for product, group in zip(products, groups, strict=True))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    parts = [part for group in groups for part in group]
    fast: list[float] = []
    slow: list[float] = []
    while len(slow) < ROUNDS[0] or (len(slow) < ROUNDS[1] and sum(slow) < SECONDS):  # in turns: other load meets both
        fast.append(_seconds(products, x))
        slow.append(_seconds(parts, x))
    return exact and min(fast) < min(slow)


def _is_exact(product: Product, group: Group, x: torch.Tensor) -> bool:
    expected = torch.cat([part(x) for part in group], -1)
    tolerance = 1e-5 if x.dtype == torch.float32 else 1e-2
    return bool((product(x) - expected).abs().max() <= tolerance * expected.abs().max())


def _seconds(products: Sequence[Product], x: torch.Tensor) -> float:
    start = time.process_time()
    for product in products:
        product(x)
    return time.process_time() - start
