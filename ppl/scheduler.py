"""The deterministic scheduler: run everything that can run, then step the backends with everything that waits.

It needs no timer and no threads. Engines run as tasks (greenlets), programs as executions; both park here. When all
are parked, each backend gets one `step` with all its rows, of every particle of every problem; whatever completes
resumes its execution at once, and the rows that asks for join the next step. Rows with equal keys are served once.

One scheduler serves one `run` or `map` call and everything nested in it; nothing outlives it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import greenlet

from ppl.admission import Admission
from ppl.collector import RareCollections
from ppl.current import ProgramGreenlet
from ppl.events import current_record, current_watcher
from ppl.requests import Backend, Request
from ppl.tasks import Task

if TYPE_CHECKING:
    from ppl.run import Run

REMEMBERED = 4096  # answers to deterministic requests kept for reuse within one scheduler
RESTING = 256  # greenlets without a program kept for reuse


class Waiter(Protocol):
    """Whoever waits for requests: an execution, or an engine."""

    run: Run
    owner: Any
    waiting: Any

    def resume(self) -> bool: ...


class Query(Request):
    """A nested run: completed by the scheduler when that run's task is done."""


class Scheduler:
    """Who is ready, who waits for which request, and what was answered.

    tasks        engines under way; `ready`: those to go on with
    rows         requests that wait for a step, by backend, each with the run that pays for it
    waiters      who waits for a request; `outstanding`: for how many requests each still waits
    followers    equal requests, which take the answer of the one that was admitted
    answers      the last `REMEMBERED` answers to requests with a key
    """

    def __init__(self) -> None:
        self.hub = greenlet.getcurrent()
        self.tasks: set[Task] = set()
        self.ready: deque[Task] = deque()
        self.rows: dict[Backend, dict[Request, Run]] = {}
        self.waiters: dict[Request, list[Waiter]] = {}
        self.followers: dict[Request, list[Request]] = {}
        self.outstanding: dict[Waiter, int] = {}
        self.runs: list[Run] = []
        self.record = current_record()
        self.watcher = current_watcher()
        self._resting: list[ProgramGreenlet] = []
        self.answers: OrderedDict[tuple[int, Any], Request] = OrderedDict()
        self.admission = Admission()

    # -- tasks -----------------------------------------------------------------------------------------------------

    def spawn(self, body: Callable[[], Any], run: Run, on_done: Callable[[Task], None]) -> Task:
        """A new task that will run `body`; `on_done` is told when it is over, whether it returned or raised."""
        task = Task(body, run, on_done)
        task.parent = self.hub
        self.tasks.add(task)
        self.wake(task)
        return task

    def wake(self, task: Task, failure: BaseException | None = None) -> None:
        """Let a parked task go on, with an exception thrown in if one is given."""
        if failure is not None:
            task.failure = failure
        if not task.queued and not task.dead:
            task.queued = True
            self.ready.append(task)

    def loop(self, done: Callable[[], bool]) -> None:
        """Run until done() holds."""
        with RareCollections():
            try:
                self._loop(done)
            finally:
                for task in list(self.tasks):
                    task.throw()  # those that an error elsewhere left waiting
                self._resting.clear()

    def _loop(self, done: Callable[[], bool]) -> None:
        while True:
            while self.ready:
                task = self.ready.popleft()
                task.queued = False
                if not task.dead:
                    task.switch()
                if task.dead:
                    self.tasks.discard(task)
                if done():
                    return
            if done():
                return
            if self.admission.stop_refused(self.rows):
                continue
            if not any(self.rows.values()):
                raise AssertionError("every task waits and no backend has work")
            self._step()

    # -- greenlets -------------------------------------------------------------------------------------------------

    def rest(self, program_greenlet: ProgramGreenlet) -> None:
        """Keep a greenlet whose program is over for the next one, unless it died with it."""
        program_greenlet.execution = None
        if program_greenlet and len(self._resting) < RESTING:
            self._resting.append(program_greenlet)

    def rested(self) -> ProgramGreenlet | None:
        """A greenlet that waits for a program, as good as new."""
        if not self._resting:
            return None
        program_greenlet = self._resting.pop()
        program_greenlet.gr_context = None  # what the last program set of its context variables
        return program_greenlet

    # -- requests --------------------------------------------------------------------------------------------------

    def submit(self, execution: Waiter, requests: Sequence[Request]) -> bool:
        """Admit an execution's requests. False when all are answered already."""
        run = execution.run
        open_requests = [r for r in requests if not self._admit(run, r)]
        if not open_requests:
            return False
        self.outstanding[execution] = len(open_requests)
        for request in open_requests:
            self.waiters.setdefault(request, []).append(execution)
        return True

    def _admit(self, run: Run, request: Request) -> bool:
        """Put a request in its backend's rows, or behind an equal one. True when it is answered already."""
        if request.done:
            return True
        if isinstance(request, Query):
            return False
        known = self.answers.get((id(request.backend), request.key)) if request.key is not None else None
        if known is not None and known.done:
            request.result, request.error = known.result, known.error
            return True
        if known is not None and known in self.rows.get(known.backend, ()):
            self.followers.setdefault(known, []).append(request)
            return False
        if not self.admission.may_call(run, request.column):
            return False
        request.cost = run.cost
        if request.column is not None:
            run.cost.charge(**{request.column: 1})
        self.rows.setdefault(request.backend, {})[request] = run
        if request.key is not None:
            self.answers[id(request.backend), request.key] = request
            if len(self.answers) > REMEMBERED:
                self.answers.popitem(last=False)
        return False

    def _step(self) -> None:
        for backend in list(self.rows):
            rows = self.admission.affordable(backend, self.rows)
            if rows:
                backend.step(rows)
                for run in dict.fromkeys(self.rows[backend][row] for row in rows):
                    run.cost.charge(batches=1)
                for row in rows:
                    if row.done:
                        self._completed(row)
        if self.watcher is not None and self.watcher(self.runs) is False:
            for run in self.runs:
                run.stop("interrupt")

    def _completed(self, row: Request) -> None:
        self.rows[row.backend].pop(row, None)
        if row.key is not None and (row.error is not None or not row.small):
            self.answers.pop((id(row.backend), row.key), None)
        elif row.key is not None and (id(row.backend), row.key) in self.answers:
            # the answer alone: the row's context and state would keep what its backend stored for it
            known = Request(backend=row.backend, key=row.key, cost=row.cost, result=row.result)
            self.answers[id(row.backend), row.key] = known
        for request in (row, *self.followers.pop(row, ())):
            request.result, request.error = row.result, row.error
            self.answered(request)

    def answered(self, request: Request) -> None:
        """Resume every execution for which this was the last open request."""
        for execution in self.waiters.pop(request, ()):
            self.outstanding[execution] -= 1
            if self.outstanding[execution] == 0:
                del self.outstanding[execution]
                execution.waiting = None
                self._resume(execution)

    def _resume(self, execution: Waiter) -> None:
        if execution.owner is None or execution.run.stopped is not None:
            return
        try:
            arrived = execution.resume()
        except Exception as error:
            self.wake(execution.owner, error)
            return
        if arrived:
            execution.owner.inbox.append(execution)
            self.wake(execution.owner)

    # -- leaving ---------------------------------------------------------------------------------------------------

    def drop(self, keep: Callable[[Run], bool]) -> None:
        """Forget the rows of runs that are not kept."""
        for backend, rows in self.rows.items():
            for row, run in list(rows.items()):
                if not keep(run):
                    followers = self.followers.get(row, [])
                    heir = next((e for r in followers for e in self.waiters.get(r, ()) if keep(e.run)), None)
                    if heir is not None:
                        rows[row] = heir.run
                        continue
                    del rows[row]
                    if row.key is not None:
                        self.answers.pop((id(backend), row.key), None)
                    if row.column is not None and row.state is None and not row.done:
                        row.cost.charge(**{row.column: -1})  # admitted, but its turn never came
                    backend.release(row)
