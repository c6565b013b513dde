"""Linear layers with prepacked and fused weights, where a probe at load says that it pays.

On many CPUs oneDNN's prepacked product is about twice as fast as the default one at the widths of decoding (on this
project's AMD machine 137 against 62 GFLOP/s at 32 rows), and query, key and value, or gate and up, are one product
instead of three or two. The model's own modules stay; only their `forward` is replaced. The operators are private to
torch, so each use is guarded by a numeric self-test, and the default is kept if anything is missing or slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ROWS = 32  # rows the weights are packed for, and the probe is timed at
ROUNDS = 25  # timings of either way, of which the fastest counts
FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))

Product = Callable[[torch.Tensor], torch.Tensor]


def speed_up(model: nn.Module) -> bool:
    """Prepack and fuse the linear layers of a CPU model if that is exact enough and faster. True if it was done."""
    linears = [m for m in model.modules() if type(m) is nn.Linear]
    if not linears or linears[0].weight.device.type != "cpu" or not _pays(max(linears, key=lambda m: m.weight.numel())):
        return False
    done: set[nn.Linear] = set()
    for parent in model.modules():
        for names in FUSED:
            parts = [getattr(parent, name, None) for name in names]
            if all(type(p) is nn.Linear for p in parts):
                _fuse(parts)  # type: ignore[arg-type]
                done.update(parts)  # type: ignore[arg-type]
    for linear in linears:
        if linear not in done:
            linear.forward = _product(linear.weight, linear.bias)  # type: ignore
    return True


def _product(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    run: Any = torch.ops.mkldnn._linear_pointwise

    def forward(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = run(x, packed, bias, "none", [], "")
        return result

    return forward


def _fuse(parts: list[nn.Linear]) -> None:
    """One product for layers that read the same input: the first one called computes for all."""
    has_bias = parts[0].bias is not None
    bias = torch.cat([p.bias.detach() for p in parts]) if has_bias else None
    product = _product(torch.cat([p.weight.detach() for p in parts]), bias)
    sizes = [p.weight.shape[0] for p in parts]
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

    for i, part in enumerate(parts):
        part.forward = forward_of(i)  # type: ignore


def _pays(linear: nn.Linear) -> bool:
    """Self-test and timing of one layer: right to float accuracy, and at least a tenth faster."""
    weight = linear.weight.detach()[:4096]
    x = torch.randn(ROWS, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    try:
        packed = _product(weight, None)
        wrong = (packed(x) - nn.functional.linear(x, weight)).abs().max()
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    scale = nn.functional.linear(x.abs(), weight.abs()).max()
    tolerance = 1e-5 if weight.dtype == torch.float32 else 1e-2
    if not bool(wrong <= tolerance * scale):
        return False
    plain: Product = lambda x: nn.functional.linear(x, weight)  # noqa: E731
    times = [(_seconds(packed, x), _seconds(plain, x)) for _ in range(ROUNDS)]  # in turns: other load meets both
    return min(fast for fast, _ in times) < 0.9 * min(slow for _, slow in times)


def _seconds(product: Product, x: torch.Tensor) -> float:
    start = time.process_time()
    product(x)
    return time.process_time() - start
