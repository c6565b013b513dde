"""What the settings of a row make of logits: the law that it is weighed by, its masks, and what its guide proposes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from backends.drafts import Draft
from backends.masks import Mask
from backends.sampling import guided, held, log_probs
from backends.settings import Settings
from ppl.requests import NextToken

if TYPE_CHECKING:
    from backends.language_model import LanguageModel


def law(
    logits: torch.Tensor, settings: Settings, masks: Sequence[Mask | None], ends: Sequence[int]
) -> torch.Tensor:
    """Log-probs under the distribution, rows x vocabulary; under mode="mask" those of masked decoding, nan where it
    has none."""
    if not settings.biased:
        return log_probs(logits, settings)
    bias = held([mask for mask in masks if mask is not None], ends, logits)
    log_p = log_probs(logits + bias, settings)
    return log_p.masked_fill(bias.amax(-1, keepdim=True) == -math.inf, math.nan)


def masks_of(row: Any, model: LanguageModel) -> Sequence[Mask]:
    """Where a row is scored under mode="mask": the mask at every position that is asked for."""
    settings: Settings = row.settings
    if not settings.biased or settings.constraint is None:
        return []
    tokens, closed = ((), True) if isinstance(row, NextToken) else row.value
    return [*settings.constraint.along(model, settings, tokens)][: len(tokens) + closed]


def guided_by(draft: Draft, log_q: torch.Tensor | None) -> torch.Tensor | None:
    """What the row's guide makes of q. None where nothing is left, and where the guide failed, as its row does."""
    if log_q is None:
        return None
    try:
        return guided(draft.row.settings.guide, draft.text, log_q)
    except Exception as error:
        draft.row.fail(error)
        return None
