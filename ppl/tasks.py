"""Engines as tasks of the scheduler: greenlets that may wait, for requests or for each other, and hold up nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from ppl.run import Run


class Stopped(BaseException):
    """Thrown into an engine when its run reached a limit; `with run.limits` swallows it."""


class Task(greenlet.greenlet):  # type: ignore[misc,unused-ignore]
    """An engine, or a part of one that waits on its own (a chain's kernel)."""

    def __init__(self, body: Callable[[], Any], run: Run, on_done: Callable[[Task], None]) -> None:
        super().__init__(self._main)
        self.body = body
        self.owner_run = run
        self.on_done = on_done
        self.inbox: deque[Any] = deque()
        self.queued = False
        self.failure: BaseException | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    def _main(self) -> None:
        try:
            self.result = self.body()
        except greenlet.GreenletExit:
            return
        except BaseException as error:
            self.error = error
        self.on_done(self)

    def park(self) -> None:
        """Hand over to the scheduler until woken; raises what was thrown in meanwhile."""
        assert self.parent is not None
        self.parent.switch()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


class EngineWaits:
    """Stands in a request's list of waiters for an engine that asked itself."""

    __slots__ = ("run", "owner", "waiting")

    def __init__(self, run: Run, owner: Task) -> None:
        self.run, self.owner, self.waiting = run, owner, None

    def resume(self) -> bool:
        return True


def current_task() -> Task:
    """The task that runs here."""
    here = greenlet.getcurrent()
    assert isinstance(here, Task), "an engine's run may only be used inside its search"
    return here
