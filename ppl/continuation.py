"""A suspended program: the greenlet it runs on, and how to rebuild it.

The trace is the particle; the greenlet is only a cache. Without one, the program starts again and its recorded
effects are answered in place (about 0.1 us each) until the trace is used up. Every effect is counted on replay, and a
program that takes another path is an error. Results are the same with the cache off.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ppl.current import ProgramGreenlet
from ppl.errors import CapabilityError, PPLError, ReplayError, UsageError
from ppl.requests import Plan
from ppl.trace import Node, first_use, replay_path
from ppl.user_lines import end_at_user_line, raised_at, user_line

if TYPE_CHECKING:
    from ppl.run import Run

_ALWAYS_RAISED = (UsageError, ReplayError, CapabilityError)


class Status(enum.Enum):
    """What a run has come to. Only a running one is resumed; a dead one has weight zero."""

    RUNNING = "running"
    FINISHED = "finished"
    DEAD = "dead"


class Dead(BaseException):
    """Unwinds a program whose execution has weight zero. Not an Exception: user code should not catch it."""


class Continuation:
    """One run's program, suspended or running. `Execution` adds what its effects mean.

    status   running (parked somewhere), finished or dead; `value` of a finished one, `reason` of a dead one
    leaf     the trace so far, from which the greenlet can be rebuilt
    state    a .scale machine's own immutable state; such a program restarts from it and needs no replay
    owner    the engine task that advanced it
    waiting  the plan whose requests it is parked at, or None
    """

    __slots__ = (
        "run", "leaf", "status", "value", "reason", "error", "state", "owner", "waiting", "pending", "heuristic",
        "_greenlet", "_replay", "_cursor", "_pyro", "__weakref__",
    )  # fmt: skip

    def __init__(self, run: Run) -> None:
        self.run = run
        self.leaf = Node(None, "start", "")
        self.status = Status.RUNNING
        self.value: Any = None
        self.reason: str | None = None
        self.error: BaseException | None = None
        self.state: Any = None
        self.owner: Any = None
        self.waiting: Plan[Any] | None = None
        self.pending = False
        self.heuristic: float | None = None
        self._greenlet: ProgramGreenlet | None = None
        self._replay: list[Node] | None = None
        self._cursor = 0
        self._pyro: tuple[list[Any], list[Any]] | None = None  # Pyro's handlers and plates while it is suspended

    def resume(self) -> bool:
        """Run on. True when it has reached its stop (or its end, or died), False when it waits for requests."""
        program_greenlet = self._greenlet
        if program_greenlet is None:
            program_greenlet = self._materialise()
        else:
            program_greenlet.parent = getcurrent()
            self.run.live.take(self)
        if "pyro" in sys.modules:
            from ppl.bridge import pyro_stack_of

            with pyro_stack_of(self):
                program_greenlet.switch()
        else:
            program_greenlet.switch()
            if "pyro" in sys.modules:
                raise UsageError(
                    f"pyro was imported while {self.run.program.name} ran, so its first pyro.sample sites went unseen."
                    " Import it before the run, at the top of the file."
                )
        if self.waiting is not None:
            self.run.live.waiting.add(self)
            return False
        if self.status is not Status.RUNNING:
            self._greenlet = None
            self.run.scheduler.rest(program_greenlet)
            if self.error is not None and (self.run.on_error == "raise" or isinstance(self.error, _ALWAYS_RAISED)):
                raise self.error
        else:
            self.run.live.keep(self)
        return True

    def _materialise(self) -> ProgramGreenlet:
        self._replay = None
        if self.state is None and self.leaf.parent is not None:
            self._replay = replay_path(self.leaf) or None
        self._cursor = 0
        program_greenlet = self.run.scheduler.rested() or ProgramGreenlet(_serve)
        program_greenlet.execution = self  # type: ignore[assignment]
        program_greenlet.parent = getcurrent()
        self._greenlet, self._pyro = program_greenlet, None
        return program_greenlet

    def release(self) -> None:
        """Let the suspended program go. It unwinds at once, and nothing that it does on its way out has an effect."""
        program_greenlet, self._greenlet = self._greenlet, None
        if not program_greenlet:
            return
        program_greenlet.execution = None
        program_greenlet.parent = getcurrent()
        if self._pyro is None:
            program_greenlet.throw()
        else:
            from ppl.bridge import pyro_stack_of

            with pyro_stack_of(self):
                program_greenlet.throw()
        self.run.scheduler.rest(program_greenlet)

    def _conclude(self, value: Any, error: Exception | None) -> None:
        if self.status is Status.DEAD:
            return
        if error is None and self._replay is not None:
            expected = self._replay[self._cursor]
            error = diverged(f"{expected.kind} {expected.address!r}", "the end of the program")
        if error is not None:
            if isinstance(error, PPLError):
                end_at_user_line(error)
            self.error = error
            self.status, self.reason = Status.DEAD, f"{type(error).__name__}: {error}{raised_at(error)}"
            return
        if self.pending:
            self._mark_barrier()
        self.heuristic = None
        self.status, self.value = Status.FINISHED, value

    def _park(self) -> None:
        if self._greenlet is not getcurrent():
            raise UsageError(
                "a program's primitives were called from another thread or greenlet than the program's own"
            )
        getcurrent().parent.switch()

    def _replayed(self, kind: str, name: str) -> Node:
        """The recorded effect that answers this one."""
        assert self._replay is not None
        node = self._replay[self._cursor]
        if node.kind != kind or (node.name != name and node.address != first_use(name)):
            raise diverged(f"{node.kind} {node.address!r}", f"{kind} {name!r}")
        self._cursor += 1
        if self._cursor == len(self._replay):
            self._replay = None
        return node

    def die(self, reason: str) -> None:
        """End this execution with weight zero."""
        self.status, self.reason = Status.DEAD, reason + user_line()
        raise Dead

    def wait(self, plan: Plan[Any]) -> Any:
        """Submit a plan's requests, park until they are answered, and conclude it."""
        if self.run.submit(self, plan.requests):
            self.waiting = plan
            self._park()
        return plan.conclude()

    def adopt(self, parent: Continuation) -> None:
        """Take over the parent's live continuation: the first child need not replay, if the parent is done with it."""
        if parent._greenlet is not None and parent.state is None and parent.leaf is self.leaf:
            self._greenlet, parent._greenlet = parent._greenlet, None
            self._greenlet.execution = self  # type: ignore[assignment]
            self._replay, self._pyro, parent._pyro = None, parent._pyro, None
            self.run.live.move(parent, self)

    def _mark_barrier(self) -> None:
        raise NotImplementedError


def _serve() -> None:
    """The body of a program's greenlet: one program after another, since making a greenlet costs more than resting."""
    current: Any = getcurrent
    while _run_program():
        current().parent.switch()


def _run_program() -> bool:
    """Run the program of this greenlet's execution; whether the greenlet may serve another.

    The execution is looked up, since a fork may have taken the greenlet over. No frame of a suspended program may
    refer to the greenlet itself: such a cycle is never collected.
    """
    current: Any = getcurrent
    execution = current().execution
    run = execution.run
    error: Exception | None = None
    value: Any = None
    try:
        value = run.program.body(execution, run.args, run.kwargs)
    except Dead:
        return True
    except GreenletExit:
        return current().execution is None  # let go; if not, the greenlet itself is being collected
    except Exception as raised:
        error = raised
    execution = current().execution
    if execution is not None:
        execution._conclude(value, error)
    return True


def diverged(expected: str, came: str) -> ReplayError:
    """The error of a replay that came to another effect than its record has."""
    return ReplayError(
        f"the program took another path when it was replayed: expected {expected}, came {came}. Between two runs only recorded"
        " values may differ: draw randomness with sample(...), and read clocks, files and changing globals through call(fn)."
    )
