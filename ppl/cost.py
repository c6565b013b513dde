"""What a run cost, and what it may cost.

One `Cost` per run is the ledger that every backend charges; a nested query charges its own and, through `parent`, the
one around it. `limit` bounds it. Limits are hard: they are checked before the work, at every token step.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field

from ppl.errors import OptionError, did_you_mean


@dataclass(slots=True)
class Cost:
    """The ledger of a run. Tokens are counted where they are paid for, so the columns add up across particles.

    prompt_tokens     tokens of contexts handed to a model (whether or not they were already in its cache)
    shared_tokens     tokens that were read (contexts, given texts, what rewards judge) and found in the prefix tree
    forwarded_tokens  tokens that really went through a model
    recomputed_tokens of those, the ones that had been evicted
    generated_tokens  tokens drawn from a language model; `limit(tokens=...)` bounds these
    scored_tokens     tokens of given text whose log-prob was computed
    reward_tokens     tokens read by reward models
    forwards, batches model passes, and batched backend steps, this run took part in
    model_calls       draws and distinct scorings of a language model; `limit(calls=...)` bounds these
    reward_calls      distinct evaluations by reward models
    nodes             executions advanced to a barrier
    peak_kv_tokens    most tokens held in the prefix tree at once
    seconds           wall time
    precisions        of each model that keeps to one precision per run: its name and, say, "float32"
    """

    prompt_tokens: int = 0
    shared_tokens: int = 0
    forwarded_tokens: int = 0
    recomputed_tokens: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    reward_tokens: int = 0
    forwards: int = 0
    batches: int = 0
    model_calls: int = 0
    reward_calls: int = 0
    nodes: int = 0
    peak_kv_tokens: int = 0
    seconds: float = 0.0
    precisions: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    parent: Cost | None = field(default=None, repr=False, compare=False)
    started: float = field(default_factory=time.perf_counter, repr=False, compare=False)

    def charge(self, **amounts: int) -> None:
        """Add to this ledger and to those around it."""
        ledger: Cost | None = self
        while ledger is not None:
            for name, amount in amounts.items():
                setattr(ledger, name, getattr(ledger, name) + amount)
            ledger = ledger.parent

    def node(self) -> None:
        """One more execution is advanced to a barrier; `charge(nodes=1)`, on the engines' innermost path."""
        self.nodes += 1
        if self.parent is not None:
            self.parent.node()

    def peak(self, kv_tokens: int) -> None:
        """Note how many tokens the prefix tree holds now."""
        ledger: Cost | None = self
        while ledger is not None:
            ledger.peak_kv_tokens = max(ledger.peak_kv_tokens, kv_tokens)
            ledger = ledger.parent

    def elapsed(self) -> float:
        """Seconds of wall time since the run began."""
        return time.perf_counter() - self.started

    def as_dict(self) -> dict[str, float]:
        """The columns by name, as results are saved."""
        skip = ("precisions", "parent", "started")
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in skip}


@dataclass(frozen=True, slots=True)
class limit:  # noqa: N801  (reads as a function: run(..., limit=limit(tokens=4096)))
    """Hard bounds on a run's ledger; whatever is reached first ends the run and names itself in `result.stopped`.

    tokens bounds generated_tokens, calls model_calls, reward_calls and reward_tokens the columns of that name,
    nodes the executions advanced to a barrier, seconds the wall time. None: no bound. Raises OptionError for what is
    no number >= 0.
    """

    tokens: int | None = None
    calls: int | None = None
    reward_calls: int | None = None
    reward_tokens: int | None = None
    nodes: int | None = None
    seconds: float | None = None

    def __new__(cls, *args: float | None, **bounds: float | None) -> limit:
        for name in bounds:
            if name not in cls.__match_args__:
                raise OptionError(
                    f"limit has no bound {name!r}.{did_you_mean(name, cls.__match_args__)} Bounds:"
                    f" {', '.join(cls.__match_args__)}."
                )
        return object.__new__(cls)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            bound = getattr(self, f.name)
            if bound is None:
                continue
            if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not bound >= 0:
                raise OptionError(f"limit({f.name}={bound!r}): expected a number >= 0, as in limit({f.name}=1000).")
