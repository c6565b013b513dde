"""How a text or a token is drawn: what a call of a model says besides its context."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from backends.conditions import Constraint
from backends.text import Text
from ppl.errors import UsageError

Guide = Callable[[Text, Any], Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a text is drawn. `law` is what its density depends on; texts scored under equal laws are scored once.

    temperature  divides the logits; 0 is greedy: the most probable token has probability 1
    top_k        keep the k most probable tokens (None: all)
    top_p        then keep the smallest set of most probable tokens whose mass reaches p
    stop         the text ends with the token that completes one of these strings
    include_stop False hides the stop from `str(value)`; tokens, density and `context + value` keep it
    constraint   the grammar or token set it is held to
    guide        proposes each token: f(text so far, log-probs) -> log-weights
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    include_stop: bool = True
    constraint: Constraint | None = None
    guide: Guide | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise UsageError(
                f"temperature={self.temperature!r}: expected a number >= 0; 1 is the model's own, 0 greedy."
            )
        if not 0.0 < self.top_p <= 1.0:
            raise UsageError(f"top_p={self.top_p!r}: expected a number in (0, 1]; 1 keeps every token.")
        if self.top_k is not None and (not isinstance(self.top_k, int) or self.top_k < 1):
            raise UsageError(f"top_k={self.top_k!r}: expected an int >= 1, or None to keep every token.")
        for stop in self.stop:
            if not isinstance(stop, str) or not stop:
                raise UsageError(f"stop={self.stop!r}: expected a text or a list of texts, none of them empty.")

    @property
    def warp(self) -> tuple[float, float, int | None]:
        """What is done to the logits: temperature, top_p, top_k."""
        return (self.temperature, self.top_p, self.top_k)

    @property
    def biased(self) -> bool:
        """The density is that of masked decoding, not of the model."""
        return self.constraint is not None and self.constraint.biased

    @property
    def weighted(self) -> bool:
        """What draws a token is not what it is weighed by."""
        return self.guide is not None or (self.constraint is not None and not self.biased)

    @property
    def alike(self) -> Hashable:
        """Rows with equal ones are drawn together: the masks of rows differ, what is done with them does not."""
        return (self.warp, self.constraint is not None, self.biased, self.guide)

    @property
    def law(self) -> Hashable:
        """Equal where the density of a given text is equal: the warp, and under mode="mask" what masks it."""
        hidden = () if self.include_stop else self.stop
        return (self.warp, self.constraint, hidden) if self.biased else self.warp

    def stop_in(self, text: str) -> int | None:
        """Where the earliest stop in `text` begins, or None."""
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return min(places) if places else None

    def shown(self, text: str) -> str:
        """A finished text as the program sees it."""
        return text if self.include_stop else text[: self.stop_in(text)]
