"""The primitives of a program. Plain functions, callable from any depth of plain Python inside one.

Each is answered by the execution that runs here (`ppl.interpreter`); see there for how. Weights are natural
logarithms. Outside a program each raises UsageError; in one, errors name the site and end at the line that called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ppl.current import require_execution
from ppl.errors import UsageError
from ppl.interpreter import Done as Done
from ppl.requests import Backend, Evaluate, Plan, Request

T = TypeVar("T")


def sample(name: str, dist: Any, *, proposal: Any = None) -> Any:
    """Draw a value from `dist` and return it; the program's density gains p(value).

    With a proposal q the value is drawn from q and the weight gains log p - log q; q must be able to draw all that p
    can, or the evidence misses what it leaves out. A name may recur: its uses in one execution are the sites `name`,
    `name[1]`, `name[2]`, ... Just before a choice, engines may compare, resample and branch if a weight was met since
    the last such point. UsageError if `dist` is no distribution.
    """
    return require_execution("sample").sample(name, dist, proposal)


def observe(name: str, dist: Any, value: Any) -> None:
    """Condition on `value` having come from `dist`: the log weight gains dist.log_prob(value).

    A value of probability zero ends this execution; SupportError for one that no parameters of `dist` could give.
    """
    require_execution("observe").observe(name, dist, value)


def score(log_weight: Any, name: str = "score") -> None:
    """Multiply the program's density by exp(log_weight): a finite number, or -inf, which ends this execution.

    WeightError for NaN, +inf, arrays of several numbers, and rewards, which must say how they are read.
    """
    require_execution("score").score(log_weight, name)


def heuristic(log_value: float | Callable[[], float], name: str = "heuristic") -> None:
    """Estimate all the log weight still to come from here (ideally log E[exp(rest)]).

    Guides the search and cancels: it ranks beams, is A*'s h and SMC's twist, and never changes the posterior or the
    evidence. Within a block of weights the last one holds. A callable is not called by engines that ignore heuristics.
    WeightError unless finite: what cannot lead anywhere is for `require`.
    """
    require_execution("heuristic").estimate(log_value, name)


def require(condition: Any, reason: str = "") -> None:
    """Condition on `condition` being true; if it is false the weight is -inf and the execution ends here."""
    require_execution("require").require(condition, reason)


def checkpoint() -> None:
    """A barrier where it stands: engines may compare executions here. No weight."""
    require_execution("checkpoint").checkpoint()


def record(name: str, value: Any) -> None:
    """Keep a value in the result, as `trace.records[name]`. No weight."""
    require_execution("record").keep(name, value)


class _Calls(Backend):
    """Runs plain Python functions, a batch side by side in threads."""

    name = "call"
    capabilities = frozenset({"evaluate"})

    def step(self, rows: Sequence[Request]) -> None:
        def answer(row: Request) -> None:
            assert isinstance(row, Evaluate)
            function, *arguments = row.arguments
            try:
                row.complete(function(*arguments))
            except Exception as error:
                row.fail(error)

        if len(rows) == 1:
            answer(rows[0])
            return
        with ThreadPoolExecutor(min(8, len(rows))) as pool:
            list(pool.map(answer, rows))


CALLS = _Calls()


def call(fn: Callable[..., T], *args: Any) -> T:
    """Run `fn(*args)` once, outside the program: unit tests, verifiers, HTTP.

    A recorded effect: replay takes the answer from the record, and the calls of all particles run side by side. What
    it returns must not depend on anything the program cannot see again. An exception of `fn` is raised at this line.
    """
    if not callable(fn):
        raise UsageError(f"call: expected a function first, as in call(check, text); found {fn!r}.")
    label = f"call {getattr(fn, '__name__', type(fn).__name__)}"
    request = Evaluate(backend=CALLS, arguments=(fn, *args))
    result: T = require_execution("call").ask(Plan(label, [request], lambda results: results[0]))
    return result


def unfold(step: Callable[[T], T | Done], state: T) -> Any:
    """A loop over explicit state: `state = step(state)` until step returns `Done(value)`, which unfold returns.

    Replay restarts at the last finished step, so that a fork costs the same however long the loop has run. The state
    must be plain data: it is all that one step knows of those before it.
    """
    return require_execution("unfold").unfold(step, state)
