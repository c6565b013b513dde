"""Next-token distributions of many nodes at once, read only where somebody asks.

Agrees with `backends.sampling` to float tolerance, at a fraction of its time over 50,000 tokens: no table is
normalised or summed up in double precision. The normaliser is the sum of block sums in double precision, and a draw is
a two-level inverse CDF: the block by the running block sums, the token by the running sum within its block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from backends.sampling import log_probs
from backends.settings import Settings

BLOCK = 256
LOG2_E = 1.0 / math.log(2.0)


class NextTokens:
    """Warped next-token log-probs, rows x vocabulary: x * scale - log_total, with x in float32 as it was given."""

    def __init__(self, logits: torch.Tensor, settings: Settings) -> None:
        if settings.temperature == 0.0 or settings.top_k is not None or settings.top_p < 1.0:
            self._sum_up(log_probs(logits, settings).float(), 1.0)
        else:
            self._sum_up(logits.float(), 1.0 / settings.temperature)

    def _sum_up(self, x: torch.Tensor, scale: float, masked: bool = False) -> None:
        self.x, self.scale = x, scale
        rows, vocabulary = x.shape
        self.blocks = -(-vocabulary // BLOCK)
        top = x.amax(-1, keepdim=True)
        mass = x - top
        if masked:  # of -inf, exp takes five times as long
            mass.mul_(scale * LOG2_E).exp2_()
        else:
            mass.mul_(scale).exp_()
        padding = self.blocks * BLOCK - vocabulary
        if padding:
            mass = torch.nn.functional.pad(mass, (0, padding))
        self.mass = mass.view(rows, self.blocks, BLOCK)
        self.running = self.mass.sum(-1).double().cumsum(-1)
        self.log_total = scale * top.squeeze(-1).double() + self.running[:, -1].log()

    def within(self, rows: Sequence[int], bias: torch.Tensor) -> NextTokens:
        """These rows under masks: `bias` (rows x vocabulary) is 0 or -inf. Not `valid` where no mass is left."""
        found = NextTokens.__new__(NextTokens)
        found._sum_up(self.x[torch.tensor(list(rows), device=self.x.device)].add_(bias), self.scale, masked=True)
        return found

    @property
    def valid(self) -> list[bool]:
        """Which rows are distributions at all."""
        flags: list[bool] = torch.isfinite(self.log_total).tolist()
        return flags

    def log_prob(self, rows: Sequence[int], ids: Sequence[int]) -> list[float]:
        """log p of one token in each of these rows."""
        picked: list[float] = (self.x[list(rows), list(ids)].double() * self.scale - self.log_total[list(rows)]).tolist()
        return picked

    def log_prob_any(self, rows: Sequence[int], ids: Sequence[int]) -> list[float]:
        """log of the probability that the next token is one of `ids`, in each of these rows."""
        index = torch.tensor(list(rows), device=self.x.device)
        some = torch.tensor(list(ids), device=self.x.device)
        picked = self.x[index[:, None], some].double() * self.scale - self.log_total[index, None]
        found: list[float] = picked.logsumexp(-1).tolist()
        return found

    def table(self, row: int) -> torch.Tensor:
        """Normalised log-probs of one row, in double precision."""
        return self.x[row].double() * self.scale - self.log_total[row]

    def draw(self, rows: Sequence[int], uniforms: Sequence[float]) -> list[int]:
        """One token for each of these rows: the first at which the running sum exceeds its uniform."""
        device = self.x.device
        index = torch.tensor(list(rows), device=device)
        running = self.running[index]
        u = torch.tensor([float(u) for u in uniforms], dtype=torch.double, device=device).unsqueeze(-1)
        target = u * running[:, -1:]
        block = torch.searchsorted(running, target, right=True).clamp_(max=self.blocks - 1)
        inside = self.mass[index, block.squeeze(-1)].double().cumsum(-1)
        before = running.gather(1, block) - inside[:, -1:]
        # rounding may leave the target before the block's first token of positive mass, or past its last one
        place = torch.searchsorted(inside, (target - before).clamp_(min=0.0), right=True)
        last = (inside < inside[:, -1:]).sum(-1, keepdim=True)
        ids: list[int] = (block * BLOCK + torch.minimum(place, last)).squeeze(-1).tolist()
        return ids
