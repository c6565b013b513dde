"""Which execution is running here: found through the greenlet that runs, so nothing is process-global."""

from __future__ import annotations

from typing import TYPE_CHECKING

import greenlet

from ppl.errors import UsageError

if TYPE_CHECKING:
    from ppl.execution import Execution


class ProgramGreenlet(greenlet.greenlet):  # type: ignore[misc,unused-ignore]
    """The greenlet a program runs on. It knows its execution; handlers, streams and ledger hang off that."""

    execution: Execution | None  # None: it was let go, and unwinds


def execution_here() -> Execution | None:
    """The execution this code runs in, or None outside any program."""
    here = greenlet.getcurrent()
    return _running_on(here) if type(here) is ProgramGreenlet else None


def require_execution(primitive: str) -> Execution:
    """The running execution; a UsageError naming the primitive outside any program."""
    here = greenlet.getcurrent()
    if type(here) is ProgramGreenlet:
        return here.execution or _running_on(here)
    raise UsageError(
        f"{primitive} was called outside any program. Put it in a function decorated with @model and call that function."
    )


def _running_on(program: ProgramGreenlet) -> Execution:
    """Its execution. A program that was let go unwinds: what its `finally` blocks still ask for has no effect."""
    if program.execution is None:
        raise greenlet.GreenletExit
    return program.execution
