"""One run of a program as engines see it: its weight, where it stands, and its forks.

`fork` copies pointers: the trace is the particle, and the suspended program (`ppl.continuation`) only a cache. What the
program's effects mean is said in `ppl.interpreter`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ppl.choices import Forced, Policy, Stop
from ppl.continuation import Status
from ppl.interpreter import Interpreter
from ppl.streams import Key, derive
from ppl.trace import Trace, backwards

if TYPE_CHECKING:
    from ppl.run import Run

NEG_INF = -math.inf


class Execution(Interpreter):
    """A run in progress. Engines hold these as particles and nodes.

    leaf        its trace so far; `trace()` gives the public view
    status      running (parked somewhere), finished or dead
    log_weight  what its engine says it weighs: `offset` + leaf.log_total, without any heuristic
    rank        log_weight + the heuristic at the barrier it stands at (0 when finished)
    choice      the choice it is parked at, or None
    heuristic   the estimate given in the block that led here, or None
    pending     a weight was met since the last barrier
    key, forks  its lineage, and how many forks were made of it
    """

    __slots__ = ("id", "parent_id", "forks", "offset")

    def __init__(self, run: Run, key: Key, policy: Policy | None = None) -> None:
        super().__init__(run, key, policy)
        self.id = run.next_id()
        self.parent_id: int | None = None
        self.forks = 0
        self.offset = 0.0

    # -- what engines read ---------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """The program returned."""
        return self.status is Status.FINISHED

    @property
    def dead(self) -> bool:
        """Its weight is zero."""
        return self.status is Status.DEAD

    @property
    def running(self) -> bool:
        """It is parked somewhere and can go on."""
        return self.status is Status.RUNNING

    @property
    def log_weight(self) -> float:
        """What its engine says it weighs, as a natural logarithm and without heuristic."""
        return NEG_INF if self.status is Status.DEAD else self.offset + self.leaf.log_total

    @property
    def rank(self) -> float:
        """Its log weight and the heuristic where it stands: what searches compare, and SMC resamples by."""
        return self.log_weight + (self.heuristic or 0.0)

    def set_rank(self, rank: float) -> None:
        """Make `rank` the execution's working weight, as after resampling; its trace is not touched."""
        self.offset = rank - self.leaf.log_total - (self.heuristic or 0.0)

    def trace(self, horizon: int | None = None) -> Trace:
        """Its public view. `horizon`: Markov moves on it re-run to that barrier only, as inside SMC."""
        run = self.run
        return Trace(
            self.leaf, self.value, self.status.value, run.program, run.args, run.kwargs, self.log_weight, self.reason,
            0.0 if self.heuristic is None else self.heuristic, horizon,
        )  # fmt: skip

    # -- forking -------------------------------------------------------------------------------------------------

    def fork(self) -> Execution:
        """Another execution at the same point, with its own lineage: what it draws from here on is its own."""
        child = Execution(self.run, derive(self.key, "fork", self.forks), self.policy)
        self.forks += 1
        child.parent_id = self.id
        child.leaf, child.counters, child.state = self.leaf, self.counters, self.state
        child.status, child.value, child.reason, child.error = self.status, self.value, self.reason, self.error
        child.offset, child.barriers, child.pending = self.offset, self.barriers, self.pending
        child.choice, child.heuristic = self.choice, self.heuristic
        child._block_heuristic, child._passing = self._block_heuristic, self._passing
        return child

    def branch(self, value: Any, log_prob: float) -> Execution:
        """A fork that takes `value` at the choice it is parked at, enumerated: its weight gains log_prob."""
        child = self.fork()
        child.forced = Forced(value, 0.0, log_prob)
        return child

    def move_to(self, trace: Trace) -> None:
        """Stand where another trace stands: at its end, at the barrier its leaf marks, or right before a choice."""
        self.release()
        self.state = None
        leaf = self.leaf = trace.leaf
        self.counters, self.value = leaf.counters, trace.value
        self.status, self.reason = Status(trace.status), trace.reason
        at_barrier = leaf.kind == "barrier" and self.running
        self.heuristic = leaf.value if at_barrier else None
        self.barriers = next((node.index for node in backwards(leaf) if node.kind == "barrier"), 0)
        self.pending, self._block_heuristic, self.choice = False, None, None
        # a checkpoint's barrier is behind it; any other stands right before a choice, which must not mark it again
        self._passing = at_barrier and leaf.parent is not None and leaf.parent.kind != "checkpoint"


__all__ = ["Execution", "Forced", "Policy", "Stop"]  # what engines are written with
