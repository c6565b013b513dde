"""From logits to log-probs and draws, many rows at a time: temperature, top-k, top-p, inverse CDF.

In double precision: one uniform decides a token, and the running sum over 50,000 of them must not decide in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backends.language_model import Settings

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
