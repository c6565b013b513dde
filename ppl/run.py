"""`Run`: what an engine sees of one problem. Start executions, advance them to their barriers, fork, drop, conclude.

An engine is an object with a `search(run)` method that returns a result:

    def search(self, run):
        particles = run.start(self.particles)
        with run.limits:                       # a limit ends the block; what is in hand is returned
            while any(p.running for p in particles):
                run.advance_all(particles)     # all model calls of all particles happen in here, in batches
                ...                            # compare, resample, prune, branch
        return run.posterior(particles)

It runs as a task of the scheduler, so `advance` may wait without holding up other problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ppl.continuation import Status
from ppl.errors import CapabilityError
from ppl.execution import Execution, Policy, Stop
from ppl.problem import Problem
from ppl.requests import Request
from ppl.streams import LastingStream, derive
from ppl.tasks import EngineWaits, Task, current_task
from ppl.trace import Trace, address

if TYPE_CHECKING:
    from ppl.results import Posterior, Result, SearchResult

T = TypeVar("T")


class Run(Problem):
    """A problem in the hands of its engine (see `ppl.problem` for what it knows of itself)."""

    # -- executions ------------------------------------------------------------------------------------------------

    def start(self, n: int = 1, policy: Policy | None = None, log_weight: float = 0.0) -> list[Execution]:
        """n executions at the beginning of the program, each of its own lineage.

        log_weight  of each: importance and SMC give -log n, so that the weights add up to an estimate of Z
        policy      gives choices their values instead of drawing them (see `ppl.execution.Forced`)
        """
        fresh = []
        for _ in range(n):
            execution = Execution(self, derive(self.root, "start", self._starts), policy)
            execution.offset = log_weight
            self._starts += 1
            fresh.append(execution)
        return fresh

    def advance(
        self, executions: Iterable[Execution], stop: Stop = Stop.BARRIER, until: int | None = None
    ) -> Iterator[Execution]:
        """Let executions run on, and yield each as it reaches its stop; finished and dead ones at once.

        `until` counts barriers: an execution parks at its until-th, not before. All model calls on the way are
        batched with those of every other execution that is under way. An error in the program is raised here; a limit
        that is reached ends the block of `limits` around this.
        """
        task = current_task()
        waiting: set[Execution] = set()
        for execution in executions:
            if execution.status is Status.RUNNING:
                if self.bounded:
                    self.check_limits()
                self.cost.node()
                execution.stop, execution.until, execution.owner = stop, until, task
                if not execution.resume():
                    self.check_stopped()
                    waiting.add(execution)
                    continue
                self._reached(execution)
            yield execution
        while waiting:
            while not task.inbox:
                task.park()
            execution = task.inbox.popleft()
            if execution in waiting:
                waiting.remove(execution)
                self._reached(execution)
                yield execution

    def _reached(self, execution: Execution) -> None:
        if self.scheduler.record is not None:
            self.scheduler.record.reached(self, execution)

    def advance_all(self, executions: Sequence[Execution], stop: Stop = Stop.BARRIER, until: int | None = None) -> None:
        """Advance executions and wait for the last of them."""
        for _ in self.advance(executions, stop, until):
            pass

    def supports(self, executions: Sequence[Execution]) -> list[list[tuple[Any, float]]]:
        """Of executions parked at finite choices: for each, its values of positive probability with their log-probs.

        One batch of model calls for them all. Raises CapabilityError at a choice that is not finite.
        """
        plans = []
        for execution in executions:
            assert execution.choice is not None
            dist = execution.choice.dist
            if not dist.finite:
                site = address(execution.choice.name, execution.choice.index)
                raise CapabilityError(
                    f"{type(self.engine).__name__} cannot enumerate site {site!r}: {dist!r} has no finite support."
                    " Use importance(particles=...) or smc(particles=...), or a finite choice such as lm.choice(context, [...])."
                )
            plans.append(dist.table() if dist.deferred else None)  # type: ignore[attr-defined]
        self.serve([r for plan in plans if plan is not None for r in plan.requests])
        tables = []
        for execution, plan in zip(executions, plans, strict=True):
            dist = execution.choice.dist  # type: ignore[union-attr]
            table = [(v, dist.log_prob(v)) for v in dist.support()] if plan is None else plan.conclude()
            tables.append([(v, lp) for v, lp in table if lp > -math.inf])
        return tables

    def serve(self, requests: Sequence[Request]) -> None:
        """Answer requests of the engine itself (not of a program): merged, batched, charged and bounded like all.

        Their answers are in `request.answer()` afterwards, which raises the error of one that failed.
        """
        if all(r.done for r in requests):
            return
        task = current_task()
        waiter = EngineWaits(self, task)
        if self.scheduler.submit(waiter, requests):
            self.check_stopped()
            while waiter not in task.inbox:
                task.park()
            task.inbox.remove(waiter)

    def retrace(self, execution: Execution, trace: Trace) -> Execution:
        """The execution moved to another trace of the same horizon (a Markov move), at unchanged working weight."""
        if trace.leaf is execution.leaf:
            return execution
        rank = execution.rank
        self.generations = None  # a moved trace has no ancestors
        self.free([execution])
        moved = execution.fork()
        moved.move_to(trace)
        moved.set_rank(rank)
        self.resampled([moved])
        return moved

    def drop(self, executions: Iterable[Execution], reason: str | None = None) -> None:
        """The search goes on without these: free their continuations. `reason` is for its record."""
        record = self.scheduler.record
        for execution in executions:
            if record is not None and not execution.dead:
                record.decided(self, execution, "prune", reason=reason)
            self.free([execution])

    def free(self, executions: Iterable[Execution]) -> None:
        """These will not be resumed themselves, though what became of them lives on: free their continuations."""
        for execution in executions:
            self.live.take(execution)
            execution.release()

    def resampled(self, at: Sequence[Execution | Trace], parents: Iterable[int] = (0,)) -> None:
        """For the record: of all these the search goes on with the ones named, once for each time they are."""
        if self.scheduler.record is not None:
            self.scheduler.record.resampled(self, at, parents)

    def gather(self, thunks: Sequence[Callable[[], T]]) -> list[T]:
        """What these functions return, in order. They run side by side, so their model calls share batches.

        The first error of one is raised once all have ended.
        """
        parent = current_task()
        left = len(thunks)

        def done(_: Task) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.scheduler.wake(parent)

        tasks = [self.scheduler.spawn(thunk, self, done) for thunk in thunks]
        self.tasks += tasks
        while left:
            parent.park()
        self.tasks = [t for t in self.tasks if t not in tasks]
        for task in tasks:
            if task.error is not None:
                raise task.error
        return [task.result for task in tasks]

    def give_way(self) -> None:
        """Let whatever else can run go first: a part of an engine that asks no model would leave the others no limit."""
        task = current_task()
        self.scheduler.wake(task)
        task.park()

    def rng(self, purpose: str, index: int = 0) -> Any:
        """The engine's own stream for one decision, keyed by (seed, purpose, index). Draw at once: the next re-keys it."""
        return self.streams.at(self.root, f"engine:{purpose}", index)

    def lasting_rng(self, purpose: str, index: int = 0) -> LastingStream:
        """A stream for several draws in a row, as a chain makes them."""
        return LastingStream(self.streams, derive(self.root, purpose, index), purpose)

    # -- results ---------------------------------------------------------------------------------------------------

    def posterior(self, particles: Sequence[Execution], *, no_evidence: str | None = None) -> Posterior:
        """The weighted result of these particles; log_evidence is the log of the sum of their weights.

        no_evidence  why these weights say nothing about Z, in words; reading log_evidence says so
        """
        from ppl.results import Posterior

        return Posterior.of_run(self, [p.trace() for p in particles], no_evidence=no_evidence)

    def search_result(self, executions: Sequence[Execution]) -> SearchResult:
        """The ranked result of a search: traces best first, weights the softmax of their ranks."""
        from ppl.results import SearchResult

        ranked = sorted(executions, key=lambda e: (not e.finished, -e.log_weight))
        return SearchResult.of_run(self, [e.trace() for e in ranked])

    def search(self) -> Result:
        """The engine's whole work on this run; the body of its task."""
        try:
            result: Result = self.engine.search(self)
        finally:
            self.live.close()
        self.cost.seconds = self.cost.elapsed()
        if self.scheduler.record is not None and hasattr(result, "traces"):
            result.events = self.scheduler.record.returned(self, result.traces)
        return result
