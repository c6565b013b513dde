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
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from ppl.continuation import Status
from ppl.cost import Cost, limit
from ppl.execution import Execution, Policy, Stop
from ppl.live import LIVE, LiveCache
from ppl.requests import Backend, Request
from ppl.scheduler import Query, Scheduler, Stopped, Task, Waiter
from ppl.streams import Key, LastingStream, StreamSource, derive
from ppl.trace import Trace

if TYPE_CHECKING:
    from ppl.program import Program
    from ppl.results import Posterior, Result, SearchResult

T = TypeVar("T")


class _EngineWaits:
    """Stands in a request's list of waiters for an engine that asked itself."""

    __slots__ = ("run", "owner", "waiting")

    def __init__(self, run: Run, owner: Task) -> None:
        self.run, self.owner, self.waiting = run, owner, None

    def resume(self) -> bool:
        return True


class Run:
    """One program, its arguments, an engine and a seed, in progress.

    ess          the effective sample size at every barrier at which particles were compared
    generations  how often all particles were drawn anew, the start included; None once who descends from whom says
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
        parent: Run | None = None,
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
        self.ess: list[float] = []
        self.generations: int | None = 1
        self.tasks: list[Task] = []
        self.chain: tuple[Run, ...] = (self, *(parent.chain if parent is not None else ()))
        bounds = [run.limit for run in self.chain if run.limit is not None]
        self._bounded, self.timed = bool(bounds), any(b.seconds is not None for b in bounds)
        self._ids = 0
        self._starts = 0

    # -- executions ------------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def start(self, n: int = 1, policy: Policy | None = None, log_weight: float = 0.0) -> list[Execution]:
        """n executions at the beginning of the program, each of its own lineage, with the given log weight."""
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
        batched with those of every other execution that is under way.
        """
        task = self._task()
        waiting: set[Execution] = set()
        for execution in executions:
            if execution.status is Status.RUNNING:
                if self._bounded:
                    self._check()
                self.cost.node()
                execution.stop, execution.until, execution.owner = stop, until, task
                if not execution.resume():
                    self._check_stopped()
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
        """For executions parked at finite choices: all values with their log-probs, in one batch of model calls."""
        plans = []
        for execution in executions:
            assert execution.choice is not None
            dist = execution.choice.dist
            plans.append(dist.table() if dist.deferred else None)  # type: ignore[attr-defined]
        self.serve([r for plan in plans if plan is not None for r in plan.requests])
        tables = []
        for execution, plan in zip(executions, plans, strict=True):
            dist = execution.choice.dist  # type: ignore[union-attr]
            table = [(v, dist.log_prob(v)) for v in dist.support()] if plan is None else plan.conclude()
            tables.append([(v, lp) for v, lp in table if lp > -math.inf])
        return tables

    def serve(self, requests: Sequence[Request]) -> None:
        """Answer requests of the engine itself (not of a program): merged, batched, charged and bounded like all."""
        if all(r.done for r in requests):
            return
        task = self._task()
        waiter = _EngineWaits(self, task)
        if self.scheduler.submit(waiter, requests):
            self._check_stopped()
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
        """Run several parts of an engine side by side (chains, kernels), so that their model calls share batches."""
        parent = self._task()
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
        task = self._task()
        self.scheduler.wake(task)
        task.park()

    def rng(self, purpose: str, index: int = 0) -> Any:
        """The engine's own stream for one decision. Draw at once; the next stream re-keys it."""
        return self.streams.at(self.root, f"engine:{purpose}", index)

    def lasting_rng(self, purpose: str, index: int = 0) -> LastingStream:
        """A stream for several draws in a row, as a chain makes them."""
        return LastingStream(self.streams, derive(self.root, purpose, index), purpose)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    # -- limits ----------------------------------------------------------------------------------------------------

    @property
    @contextmanager
    def limits(self) -> Iterator[None]:
        """A block that a limit ends: execution goes on after it, with `run.stopped` naming the bound."""
        try:
            yield
        except Stopped:
            if self.stopped is None:
                raise
            self._task().failure = None

    def may_call(self, column: str | None) -> bool:
        """Whether one more request counted in `column` fits. If not, the run whose bound it is will soon be stopped."""
        name = {"model_calls": "calls", "reward_calls": "reward_calls"}.get(column or "")
        for run in self.chain:
            bound = None if run.limit is None or name is None else getattr(run.limit, name)
            if bound is not None and getattr(run.cost, column or "") >= bound:
                self.scheduler.refused.setdefault(run, name or "")
                return False
        return self.stopped is None

    def affords(self, tokens: int, reading: int) -> bool:
        bound = self.limit
        if bound is None:
            return True
        fits = bound.tokens is None or tokens == 0 or self.cost.generated_tokens + tokens <= bound.tokens
        return fits and (
            bound.reward_tokens is None or reading == 0 or self.cost.reward_tokens + reading <= bound.reward_tokens
        )

    def reserved(self, rows: dict[Backend, dict[Request, Run]]) -> int:
        """Tokens promised to served rows in flight."""
        return sum(
            row.tokens
            for backend, own in rows.items()
            if backend.served
            for row, run in own.items()
            if row.state is not None and self in run.chain
        )

    def overdue(self) -> str | None:
        bound = self.limit
        if bound is not None and bound.seconds is not None and self.cost.elapsed() >= bound.seconds:
            return "seconds"
        return None

    def _check(self) -> None:
        for run in self.chain:
            bound = run.limit
            if bound is not None:
                if bound.nodes is not None and run.cost.nodes >= bound.nodes:
                    run.stop("nodes")
                elif run.overdue():
                    run.stop("seconds")
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self.stopped is not None:
            raise Stopped

    def stop(self, name: str) -> None:
        """End this run, and every run nested in it, at the next point where its tasks look up."""
        if self.stopped is not None:
            return
        self.stopped = name
        here = greenlet.getcurrent()
        for task in self.tasks:
            if task is not here:
                self.scheduler.wake(task, Stopped())
        self.scheduler.drop(lambda run: all(r.stopped is None for r in run.chain))

    def _task(self) -> Task:
        here = greenlet.getcurrent()
        assert isinstance(here, Task), "an engine's run may only be used inside its search"
        return here

    # -- results ---------------------------------------------------------------------------------------------------

    def posterior(self, particles: Sequence[Execution], *, evidence: bool | str = True) -> Posterior:
        """The weighted result of these particles; log_evidence is the log of the sum of their weights.

        `evidence=False`, or a reason in words: these weights say nothing about Z.
        """
        from ppl.results import Posterior

        return Posterior.of_run(self, [p.trace() for p in particles], evidence=evidence)

    def search_result(self, executions: Sequence[Execution]) -> SearchResult:
        """The ranked result of a search: traces best first, weights the softmax of their ranks."""
        from ppl.results import SearchResult

        ranked = sorted(executions, key=lambda e: (not e.finished, -e.log_weight))
        return SearchResult.of_run(self, [e.trace() for e in ranked])

    def submit(self, execution: Waiter, requests: Sequence[Request]) -> bool:
        return self.scheduler.submit(execution, requests)

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


def begin(run: Run, on_done: Callable[[Task], None]) -> Task:
    """Start a run's engine on its scheduler."""
    run.scheduler.runs.append(run)
    task = run.scheduler.spawn(run.search, run, on_done)
    run.tasks.append(task)
    return task


def begin_nested(run: Run) -> Query:
    """Start a run nested in another; the request is completed with its result."""
    query = Query(backend=Backend())

    def done(task: Task) -> None:
        if task.error is not None:
            query.fail(task.error)
        else:
            query.complete(task.result)
        run.scheduler.answered(query)

    begin(run, done)
    return query
