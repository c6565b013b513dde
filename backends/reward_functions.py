"""A Python function as reward: `reward:fn:FILE.py:NAME`. Its calls of all particles come as one batch, each text once."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backends.loading import function_in
from backends.rewards import Asked, RewardModel
from backends.text import Context
from ppl.current import execution_here
from ppl.errors import BackendError, OptionError, UsageError
from ppl.requests import Backend, Evaluate, Request
from ppl.reward import Reward

AT_ONCE = 8  # calls that run side by side where time is limited
Outcome = tuple[Any, Exception | None]


class Call(Evaluate):
    """One evaluation of a function; counted as a reward call. `arguments` are the reward and what it is called with."""

    column = "reward_calls"


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed where the program chose that its particle dies of it."""

    reason: str


class FunctionReward(RewardModel):
    """A function of (question, answer), or of the answer alone, that gives a number in [0, 1], a bool or a Reward.

    Of a context it is given the text that was added to its opening. It must be deterministic: it is called once for
    equal texts.

    on_error  "raise" (default): an exception is raised at the call that asked. "drop": it ends that execution with
              weight zero, and the result's reasons name it; outside a program it is raised all the same
    timeout   seconds a call may take, or None. What takes longer is an error like any other. Calls run in threads of
              their own, up to 8 side by side; one that is late is asked to end, which it does as soon as it is back
              in Python code
    batched   the function is given lists, [(question, answer), ...] or [answer, ...], and returns as many numbers
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        on_error: str = "raise",
        timeout: float | None = None,
        batched: bool = False,
    ) -> None:
        if on_error not in ("raise", "drop"):
            raise OptionError(f"on_error expects 'raise' or 'drop', found {on_error!r}.")
        if timeout is not None and not timeout > 0:
            raise OptionError(f"timeout expects a number of seconds > 0, or None, found {timeout!r}.")
        self.function, self.on_error, self.timeout, self.batched = function, on_error, timeout, batched
        self.name = name or str(getattr(function, "__name__", "function"))

    def judge(self, question: str | None, answer: str | Context) -> Asked[Reward]:
        text = "".join(answer.pieces) if isinstance(answer, Context) else str(answer)
        arguments = (text,) if question is None else (str(question), text)
        call = Call(backend=_FUNCTIONS, key=(self, arguments), arguments=(self, arguments))
        return [call], lambda results: self._reward(results[0])

    def answer(self, rows: Sequence[Request], calls: Sequence[tuple[str, ...]]) -> None:
        """Complete the rows with what the function says of each call."""
        if self.batched:
            ((values, error),) = self._outcomes([lambda: self._all_of(calls)])
            outcomes: list[Outcome] = [(None, error)] * len(rows)
            if error is None:
                outcomes = [(value, None) for value in values]
        else:
            outcomes = self._outcomes([lambda one=one: self.function(*one) for one in calls])  # type: ignore[misc]
        for row, (value, error) in zip(rows, outcomes, strict=True):
            if error is None:
                row.complete(value)
            elif self.on_error == "drop":
                named = isinstance(error, BackendError)
                row.complete(Failure(str(error) if named else f"reward {self.name}: {type(error).__name__}: {error}"))
            else:
                row.fail(error)

    def _outcomes(self, works: Sequence[Callable[[], Any]]) -> list[Outcome]:
        return [_tried(work) for work in works] if self.timeout is None else _in_time(works, self.timeout, self.name)

    def _all_of(self, calls: Sequence[tuple[str, ...]]) -> list[Any]:
        values = list(self.function([call if len(call) > 1 else call[0] for call in calls]))
        if len(values) != len(calls):
            raise BackendError(f"reward {self.name} was given {len(calls)} texts and returned {len(values)} numbers.")
        return values

    def _reward(self, value: Any) -> Reward:
        if isinstance(value, Failure):
            execution = execution_here()
            if execution is not None:
                execution.die(value.reason)
            raise BackendError(value.reason.removeprefix(f"reward {self.name}: "))
        if isinstance(value, Reward):
            return value
        try:
            return Reward(float(value))
        except (TypeError, ValueError):
            raise BackendError(f"expected a number in [0, 1], found {value!r}.") from None


class _Functions(Backend):
    name = "reward function"
    capabilities = frozenset({"evaluate"})

    def step(self, rows: Sequence[Request]) -> None:
        by_reward: dict[FunctionReward, list[Any]] = {}
        for row in rows:
            by_reward.setdefault(row.arguments[0], []).append(row)  # type: ignore[attr-defined]
        for reward, own in by_reward.items():
            reward.answer(own, [row.arguments[1] for row in own])


_FUNCTIONS = _Functions()


def _tried(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except Exception as error:
        return None, error


def _in_time(works: Sequence[Callable[[], Any]], timeout: float, name: str) -> list[Outcome]:
    """The outcomes of works that may take `timeout` seconds each, a few side by side.

    The threads are daemons: one that hangs in foreign code holds up neither the run nor the end of the process.
    """
    outcomes: list[Outcome] = []
    for start in range(0, len(works), AT_ONCE):
        window = works[start : start + AT_ONCE]
        late = BackendError(f"reward {name} took longer than {timeout:g} s.")
        found: list[Outcome] = [(None, late)] * len(window)

        def run(i: int, work: Callable[[], Any], found: list[Outcome] = found) -> None:
            with suppress(SystemExit):  # what a late one is ended with
                found[i] = _tried(work)

        threads = [threading.Thread(target=run, args=(i, work), daemon=True) for i, work in enumerate(window)]
        until = time.monotonic() + timeout
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        outcomes += list(found)  # as it stands now: what comes later does not count
        for thread in threads:
            if thread.is_alive() and thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
    return outcomes


def function(argument: str, **options: Any) -> FunctionReward:
    """`reward:fn:FILE.py:NAME`; options on_error, timeout, batched."""
    file, dot_py, name = argument.partition(".py:")
    if not dot_py:
        raise UsageError(f"cannot read 'reward:fn:{argument}': it is written reward:fn:FILE.py:NAME.")
    return FunctionReward(function_in(f"{file}.py", name), name, **options)
