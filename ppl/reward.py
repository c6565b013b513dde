"""`Reward`: what a reward model says of a text. Deliberately not a number.

exp(score(r)), exp(score(log r)) and exp(score(logit r)) give three different posteriors, and published systems mix them
up; the program has to say which one it means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ppl.errors import BackendError


@dataclass(frozen=True, slots=True)
class Reward:
    """A probability-like judgement `p` in [0, 1]; `raw` is the model's own number where its scale is another."""

    p: float
    raw: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise BackendError(
                f"a reward must lie in [0, 1], got {self.p!r}. Map the model's own number there; keep it in raw=."
            )

    def log(self, floor: float = 0.0) -> float:
        """log(max(p, floor)): the program's text is weighted by p. With floor 0, p = 0 gives -inf (like `require`)."""
        p = max(self.p, floor)
        return math.log(p) if p > 0.0 else -math.inf

    def logit(self, clip: float = 1e-6) -> float:
        """log(p / (1 - p)) with p clipped to [clip, 1 - clip]: weighted by the odds (Puri et al. 2025)."""
        p = min(max(self.p, clip), 1.0 - clip)
        return math.log(p) - math.log1p(-p)

    def __float__(self) -> float:
        return self.p
