"""Choices as engines meet them: where an execution stops for one, and values that are given instead of drawn."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ppl.distribution import Distribution

if TYPE_CHECKING:
    from ppl.execution import Execution


class Stop(enum.Enum):
    """How far `Run.advance` lets an execution go."""

    END = "end"  # to its end
    BARRIER = "barrier"  # to the next point at which weights may be compared
    CHOICE = "choice"  # also to any choice among finitely many values, which an engine may enumerate
    ANY = "any"  # to the next choice of any kind


@dataclass(slots=True, eq=False)
class Choice:
    """The choice an execution is parked at."""

    name: str
    index: int
    dist: Distribution
    proposal: Distribution | None


class Forced(NamedTuple):
    """A value given to a choice instead of drawing it.

    With `log_q` the weight gains log p - log_q (0.0 for an enumerated branch or a constraint). Without, the value
    counts as drawn by the site's own proposal, as when a chain keeps it.
    """

    value: Any
    log_q: float | None = 0.0
    log_prob: float | None = None


Policy = Callable[["Execution", str, int, Distribution, Distribution | None], Forced | None]
