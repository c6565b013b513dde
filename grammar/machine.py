"""The machine that runs programs: a CEK machine whose states are immutable.

A function is compiled to steps (`compile.py`), Python closures that read and write a frame of slots and name
the step that comes next. Before every effect at which an execution can be stopped and forked, the machine
leaves its whole state on the execution: (code, step, frame, call path, depth, stack), all immutable and
shared. So a fork copies one pointer, a forked execution starts again from that very step however long its
history, and calls use no Python stack.

An execution stops inside `sample` and at a checkpoint only. A state before a `sample` stands at it, the
distribution already in the frame; the state of a checkpoint stands behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from grammar.diagnostics import ScaleError, Source
from grammar.faults import Exhausted, Fault, located, located_error
from grammar.syntax import Span
from grammar.vectors import Value, measure_all
from ppl.continuation import Dead
from ppl.current import execution_here
from ppl.errors import PPLError

if TYPE_CHECKING:
    from ppl.execution import Execution

Frame: TypeAlias = list[Any]
Step: TypeAlias = Callable[["Machine"], int]
Stack: TypeAlias = tuple[Any, ...] | None  # (code, step to go on with, slot of the result, frame, path, rest)
State: TypeAlias = tuple[Any, ...]  # (code, step, frame, path, depth, stack)

FUEL = 0  # the slot of the steps that are left
END = -1
OUT_OF_STEPS = "max_steps: the run takes more steps than its limit"


class Code:
    """A compiled function. `number` is its place among all of a program's.

    spans[i] is the source of step i; `blank` fills a new frame behind the arguments; `in_path` says that it
    stands in the call path, as lambdas do not.
    """

    __slots__ = (
        "_paths", "blank", "captures", "in_path", "name", "number", "params", "source", "spans", "steps",
    )  # fmt: skip

    def __init__(self, name: str, number: int, source: Source, params: int, *, in_path: bool) -> None:
        self.name, self.number, self.source, self.params, self.in_path = name, number, source, params, in_path
        self._paths: dict[str, str] = {}
        self.steps: list[Step] = []
        self.spans: list[Span] = []
        self.blank: tuple[None, ...] = ()
        self.captures = 0

    def path_from(self, caller: str) -> str:
        """The call path in this function, called at path `caller`: its name is added, or the path cut back to
        it where it recurs, so that the sites of a recursive function have one name however deep it is."""
        path = self._paths.get(caller)
        if path is None:
            before, found, _ = f"/{caller}".partition(f"/{self.name}/")
            path = self._paths[caller] = (before + found)[1:] if found else f"{caller}{self.name}/"
        return path

    def place(self, step: int) -> str:
        return f"{self.source.path}:{self.spans[step].line}"

    def __repr__(self) -> str:
        return f"<code of {self.name}>"


class Closure(Value):
    """A function as a value: its code and the values of the variables that it has from outside."""

    __slots__ = ("captured", "code", "max_depth")

    def __init__(self, code: Code, captured: tuple[Any, ...], max_depth: int) -> None:
        self.code, self.captured, self.max_depth = code, captured, max_depth
        self._weight, self._depth = measure_all(captured)
        self._hash = id(self)

    def frame(self, fuel: int, args: list[Any]) -> Frame:
        return [fuel, *args, *self.captured, *self.code.blank]

    def __call__(self, *args: Any) -> Any:
        """Called from outside a run, as a predicate of a posterior is: it may compute, and nothing else."""
        value, _ = compute(self, list(args), 1_000_000)
        return value

    def __repr__(self) -> str:
        return f"<fn {self.code.name}>"


class Machine:
    """One run, or the rest of one. `saves` is False inside a Python program, which replays."""

    __slots__ = (
        "code", "depth", "execution", "max_depth", "path", "saves", "slots", "stack", "steps", "value",
    )  # fmt: skip

    def __init__(self, execution: Any, max_depth: int, *, saves: bool) -> None:
        self.execution: Execution = execution
        self.max_depth, self.saves = max_depth, saves
        self.value: Any = None
        self.code: Code
        self.steps: list[Step]
        self.slots: Frame
        self.path = ""
        self.depth = 0
        self.stack: Stack = None

    def start(self, code: Code, frame: Frame, path: str = "") -> Any:
        """Run a function from its beginning; its value."""
        self.code, self.steps, self.slots, self.path = code, code.steps, frame, path
        return self._run(0)

    def restart(self, state: State) -> Any:
        """Go on from a saved state."""
        self.code, step, frame, self.path, self.depth, self.stack = state
        self.steps, self.slots = self.code.steps, list(frame)
        return self._run(step)

    def _run(self, step: int) -> Any:
        try:
            while step >= 0:
                slots = self.slots
                fuel = slots[FUEL] = slots[FUEL] - 1
                if fuel < 0:
                    raise Exhausted(OUT_OF_STEPS)
                step = self.steps[step](self)
            return self.value
        except ScaleError:
            raise
        except Exhausted as limit:
            if not isinstance(self.execution, _NoEffects):
                self._die(str(limit), step)
            fault = Fault("E557", problem=str(limit), mend="do less here")
            raise located(fault, self.code.source, self.code.spans[step]) from None
        except Fault as fault:
            raise located(fault, self.code.source, self.code.spans[step]) from None
        except PPLError as error:
            raise located_error(error, self.code.source, self.code.spans[step]) from None
        except (ArithmeticError, ValueError) as error:  # of a distribution's arithmetic
            problem = PPLError(f"{type(error).__name__}: {error}")
            raise located_error(problem, self.code.source, self.code.spans[step]) from error
        except Dead:
            self._tell_place(step)
            raise

    def _die(self, reason: str, step: int) -> None:
        try:
            self.execution.die(reason)
        except Dead:
            self._tell_place(step)
            raise

    def _tell_place(self, step: int) -> None:
        place = f"({self.code.place(step)})"
        reason = self.execution.reason or ""
        if place not in reason:
            self.execution.reason = f"{reason} {place}"

    # -- calls -----------------------------------------------------------------------------------------------

    def enter(self, code: Code, frame: Frame, back: int, target: int) -> int:
        """Go into a function. Its value will go into slot `target`, the run on with step `back`."""
        if self.depth >= self.max_depth:
            raise Exhausted(f"max_depth: more than {self.max_depth} calls are open at once")
        self.stack = (self.code, back, target, tuple(self.slots), self.path, self.stack)
        self.depth += 1
        self.code, self.steps, self.slots = code, code.steps, frame
        if code.in_path:
            self.path = code.path_from(self.path)
        return 0

    def leave(self, value: Any) -> int:
        """Go back to the caller with a value."""
        if self.stack is None:
            self.value = value
            return END
        fuel = self.slots[FUEL]
        self.code, back, target, frame, self.path, self.stack = self.stack
        self.depth -= 1
        self.steps = self.code.steps
        slots = self.slots = list(frame)
        slots[FUEL], slots[target] = fuel, value
        return back  # type: ignore[no-any-return]

    def refresh(self) -> None:
        """After a stop inside a Python program: another execution may have taken over the greenlet."""
        self.execution = execution_here()  # type: ignore[assignment]


class _NoEffects:
    """Stands in for an execution where a program may only look at values."""

    def _refuse(self, *args: Any) -> Any:
        raise Fault(
            "E557", problem="here a function may only compute: it must not draw, weigh or record",
            mend="draw before, and hand the value over",
        )  # fmt: skip

    sample = observe = score = require = estimate = checkpoint = keep = _refuse
    state = None


def compute(closure: Closure, args: list[Any], fuel: int) -> tuple[Any, int]:
    """A function's value and the steps that are left, where it may neither draw nor weigh."""
    machine = Machine(_NoEffects(), closure.max_depth, saves=False)
    value = machine.start(closure.code, closure.frame(fuel, args))
    return value, machine.slots[FUEL]
