"""From logits to log-probs and draws, many rows at a time: temperature, top-k, top-p, inverse CDF.

In double precision: one uniform decides a token, and the running sum over 50,000 of them must not decide in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backends.masks import Mask
from backends.settings import Guide, Settings
from backends.text import Text
from ppl.errors import UsageError

NEG_INF = -float("inf")


def log_probs(logits: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Normalised log-probs, rows x vocabulary, of the warped model: temperature, then top-k, then top-p.

    Equal logits: the smaller id counts as the more probable.
    """
    logits = logits.double()
    if settings.temperature == 0.0:
        greedy = torch.full_like(logits, NEG_INF)
        return greedy.scatter_(-1, logits.argmax(-1, keepdim=True), 0.0)
    if settings.temperature != 1.0:
        logits = logits / settings.temperature
    if settings.top_k is None and settings.top_p == 1.0:
        return logits.log_softmax(-1)
    ranked, order = logits.sort(dim=-1, descending=True, stable=True)
    if settings.top_k is not None:
        ranked[..., settings.top_k :] = NEG_INF
    if settings.top_p < 1.0:
        p = ranked.softmax(-1)
        before = p.cumsum(-1) - p  # the mass of all more probable tokens
        ranked[before >= settings.top_p - 1e-12] = NEG_INF
    return torch.full_like(logits, NEG_INF).scatter_(-1, order, ranked).log_softmax(-1)


def draw(log_p: torch.Tensor, uniforms: Sequence[Any]) -> list[int]:
    """One token id per row: the first at which the running sum of probabilities exceeds the row's uniform."""
    cumulative = log_p.exp().cumsum(-1)
    u = torch.tensor([float(u) for u in uniforms], dtype=torch.double, device=log_p.device).unsqueeze(-1)
    ids = torch.searchsorted(cumulative, u * cumulative[:, -1:], right=True)
    found: list[int] = ids.squeeze(-1).tolist()
    return found


def end_log_prob(log_p: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    """The log-prob that the text ends, over all end tokens."""
    return log_p[..., list(ends)].logsumexp(-1)


_EIGHT = torch.tensor([[0.0 if byte >> bit & 1 else NEG_INF for bit in range(8)] for byte in range(256)])


def held(masks: Sequence[Mask], ends: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
    """What is added to logits to hold them to masks: 0 or -inf, rows x vocabulary; all end tokens or none.

    Eight entries are looked up per byte of the mask: a tenth of the time of `masked_fill`, and only bits travel.
    """
    packed = torch.from_numpy(np.stack([np.frombuffer(mask.bits, np.uint8) for mask in masks]))
    bias = torch.nn.functional.embedding(packed.to(logits.device).int(), _EIGHT.to(logits.device)).flatten(1)
    width = logits.shape[-1]
    if bias.shape[1] < width:  # ids past the vocabulary mean nothing
        bias = torch.nn.functional.pad(bias, (0, width - bias.shape[1]), value=NEG_INF)
    bias = bias[:, :width]
    bias[:, list(ends)] = torch.tensor([[0.0 if mask.ends else NEG_INF] for mask in masks], device=bias.device)
    return bias


def guided(guide: Guide, text: Text, log_q: torch.Tensor) -> torch.Tensor:
    """The log-probs that a guide proposes from. UsageError unless it keeps every token that may come."""
    given = torch.as_tensor(guide(text, log_q.clone()), dtype=torch.double, device=log_q.device)
    possible = log_q > NEG_INF
    if given.shape != log_q.shape or not torch.isfinite(given[possible]).all():
        found = f"shape {tuple(given.shape)}" if given.shape != log_q.shape else "a weight that is not finite"
        raise UsageError(
            f"guide= returned {found} after {str(text)[-40:]!r}: expected a finite log-weight for each of"
            f" {log_q.shape[-1]} token ids that may come. What should not be said at all is ruled out by grammar= or among=."
        )
    return given.masked_fill(~possible, NEG_INF).log_softmax(-1)
