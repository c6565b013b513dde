"""How runs begin: alone on a scheduler, beside others, nested in another; or as a part of the one that runs here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from ppl.requests import Backend
from ppl.run import Run
from ppl.scheduler import Query, Scheduler
from ppl.streams import Streams
from ppl.tasks import Task

if TYPE_CHECKING:
    from ppl.program import Program

T = TypeVar("T")


def begin(run: Run, on_done: Callable[[Task], None]) -> Task:
    """Start a run's engine on its scheduler; `on_done` is told when it is over."""
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
            if not getattr(task.result, "is_exact", False):
                for outer in run.chain[1:]:
                    outer.inexact_query = outer.inexact_query or f"{run.program.name} under {run.engine!r}"
            query.complete(task.result)
        run.scheduler.answered(query)

    begin(run, done)
    return query


def alone(run: Run) -> Any:
    """What the run's engine returns, once nothing of it is left to do; raises the error that ended it."""
    task = begin(run, lambda _: None)
    run.scheduler.loop(lambda: task.dead)
    if task.error is not None:
        raise task.error
    return task.result


def inside_scheduler(
    program: Program, args: tuple[Any, ...], kwargs: dict[str, Any], body: Callable[[Run], T], heuristics: bool = False
) -> T:
    """Run `body` in the engine task that runs here, or in one made for it."""
    here = greenlet.getcurrent()
    if isinstance(here, Task) and _is_of(here.owner_run, program, args, kwargs):
        return body(here.owner_run)

    class _Operation:
        uses_heuristic = heuristics

        @staticmethod
        def search(run: Run) -> T:
            return body(run)

    streams = Streams((0,))
    result: T = alone(Run(Scheduler(), program, args, kwargs, _Operation, streams, streams.root))
    return result


def _is_of(run: Run, program: Program, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a run is of this program on these very arguments (compared by identity: they may be arrays)."""
    given, own = [*args, *kwargs, *kwargs.values()], [*run.args, *run.kwargs, *run.kwargs.values()]
    return run.program is program and len(given) == len(own) and all(a is b for a, b in zip(given, own, strict=True))
