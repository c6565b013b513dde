"""`Problem`: one program on given arguments, under an engine and a seed; what it has cost, and when it must stop.

It is what executions and the scheduler know of a run. What an engine does with one stands in `ppl.run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import greenlet

from ppl.cost import Cost, limit
from ppl.live import LIVE, LiveCache
from ppl.streams import Key, StreamSource
from ppl.tasks import Stopped, Task, current_task

if TYPE_CHECKING:
    from ppl.program import Program
    from ppl.requests import Request
    from ppl.scheduler import Scheduler, Waiter


class Problem:
    """One problem in progress.

    chain          itself and the problems that it is nested in, innermost first: all of them pay for what it asks
    stopped        None, or the name of the limit that ended it
    timed          whether the time of any of the chain is bounded
    tasks          those that work on it
    on_error       "raise", or "drop": an exception in the program gives that execution weight 0
    warnings       what a reader of the result must know
    inexact_query  a nested query that it made and that is no exact one, in words
    ess            the effective sample size at every barrier at which particles were compared
    generations    how often all particles were drawn anew, the start included; None once who descends from whom says
                   nothing of the evidence's variance (see `ppl.diagnostics.evidence_error`)
    """

    def __init__(
        self,
        scheduler: Scheduler,
        program: Program,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        engine: Any,
        streams: StreamSource,
        root: Key,
        *,
        bound: limit | None = None,
        live: int | None = None,
        on_error: str = "raise",
        parent: Problem | None = None,
        seed: Any = None,
    ) -> None:
        self.scheduler, self.program, self.args, self.kwargs, self.engine = scheduler, program, args, kwargs, engine
        self.streams, self.root, self.seed = streams, root, seed
        self.limit, self.on_error, self.parent = bound, on_error, parent
        self.cost: Cost = Cost(parent=parent.cost if parent is not None else None)
        self.live = LiveCache(LIVE if live is None else live)
        self.uses_heuristic: bool = getattr(engine, "uses_heuristic", False)
        self.stopped: str | None = None
        self.warnings: list[str] = []
        self.inexact_query: str | None = None
        self.ess: list[float] = []
        self.generations: int | None = 1
        self.tasks: list[Task] = []
        self.chain: tuple[Problem, ...] = (self, *(parent.chain if parent is not None else ()))
        bounds = [problem.limit for problem in self.chain if problem.limit is not None]
        self.bounded, self.timed = bool(bounds), any(b.seconds is not None for b in bounds)
        self._ids = self._starts = 0

    def next_id(self) -> int:
        """The number of a new execution, from 1."""
        self._ids += 1
        return self._ids

    def submit(self, execution: Waiter, requests: Sequence[Request]) -> bool:
        """Ask for answers, which this problem pays for. False when all are there already."""
        return self.scheduler.submit(execution, requests)

    def warn(self, message: str) -> None:
        """Something a reader of the result must know; it is said once."""
        if message not in self.warnings:
            self.warnings.append(message)

    @property
    @contextmanager
    def limits(self) -> Iterator[None]:
        """A block that a limit ends: execution goes on after it, with `stopped` naming the bound."""
        try:
            yield
        except Stopped:
            if self.stopped is None:
                raise
            current_task().failure = None

    def check_limits(self) -> None:
        """Before an execution is advanced: raises Stopped once the nodes or the time of any of the chain are used up."""
        for problem in self.chain:
            if problem.limit is not None and problem.limit.nodes is not None and problem.cost.nodes >= problem.limit.nodes:
                problem.stop("nodes")
        self.check_time()
        self.check_stopped()

    def check_time(self) -> None:
        """Stop whichever of the chain is out of time."""
        for problem in self.chain:
            if problem.overdue:
                problem.stop("seconds")

    @property
    def overdue(self) -> bool:
        """Whether its own time is up."""
        bound = self.limit
        return bound is not None and bound.seconds is not None and self.cost.elapsed() >= bound.seconds

    def check_stopped(self) -> None:
        """Raises Stopped once the problem is stopped."""
        if self.stopped is not None:
            raise Stopped

    def stop(self, name: str) -> None:
        """End this, and every problem nested in it, at the next point where its tasks look up."""
        if self.stopped is not None:
            return
        self.stopped = name
        here = greenlet.getcurrent()
        for task in self.tasks:
            if task is not here:
                self.scheduler.wake(task, Stopped())
        self.scheduler.drop(lambda problem: all(each.stopped is None for each in problem.chain))
