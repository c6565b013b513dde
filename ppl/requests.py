"""What programs ask of models, and the one method a backend has to answer it.

A `Request` is one row of a batch. The scheduler hands a backend all rows that are waiting; `step` does one batched
unit of work (one forward pass, one HTTP round) and completes the rows that are finished. Rows join and leave between
steps. Rows with equal keys are served once; a draw has no key, so equal draws are never merged into one.

A `Plan` is what one effect needs: some requests, and what to make of their results.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from ppl.cost import Cost
from ppl.current import execution_here

T = TypeVar("T")
_UNSET: Any = object()


class Backend:
    """Answers requests in batches. Subclass it, implement `step`, and say in `capabilities` what rows it takes.

    capabilities is a subset of {"draw", "score", "next_token", "hidden_states", "grammar", "evaluate"}; it is checked before the
    first call. `served` is True where a row's tokens are paid for as one call (a server); such a row is admitted
    only if all its `tokens` still fit the budget.
    """

    name: str = "backend"
    capabilities: frozenset[str] = frozenset()
    served: bool = False

    def step(self, rows: Sequence[Request]) -> None:
        """One batched unit of work on the waiting rows, in order.

        Calls `row.complete(result)` or `row.fail(error)` on every row that is finished; the others come again with
        the next step, along with rows that joined. Charges `row.cost` for what was really computed. Per-row progress
        lives in `row.state`.
        """
        raise NotImplementedError

    def reads(self, row: Request) -> int:
        """How many reward tokens the row will charge, so that `limit(reward_tokens=...)` can refuse it before."""
        return 0

    def release(self, row: Request) -> None:
        """The row was dropped before it finished: forget `row.state`."""


@dataclass(eq=False, kw_only=True)
class Request:
    """One row. `key` is equal for rows with equal answers; None marks a draw, which is never shared."""

    backend: Backend
    key: Hashable | None = None
    tokens: ClassVar[int] = 0  # the most tokens one step may generate for this row
    column: ClassVar[str | None] = None  # the ledger's column that counts such rows
    small: ClassVar[bool] = True  # the answer is small enough to be remembered for equal requests to come

    cost: Cost = field(default_factory=Cost)
    state: Any = None
    result: Any = _UNSET
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether it is answered, or failed."""
        return self.result is not _UNSET or self.error is not None

    def complete(self, result: Any) -> None:
        """Answer the row."""
        self.result = result

    def fail(self, error: BaseException) -> None:
        """This row alone failed; the error is raised in its program, at the line that asked."""
        self.error = error

    def answer(self) -> Any:
        """The result; raises the error of a row that failed."""
        if self.error is not None:
            raise self.error
        return self.result


@dataclass(eq=False, kw_only=True)
class Draw(Request):
    """Draw text after `context`. One uniform per token decides it, so the draw does not depend on its batch.

    Result: `Drawn`. `settings` (a backend's own frozen type) holds temperature, stops, grammar and the rest.
    """

    context: Any
    settings: Any
    max_tokens: int
    uniforms: Sequence[float]
    column: ClassVar[str | None] = "model_calls"

    @property
    def tokens(self) -> int:  # type: ignore[override]
        """One a step in process; a server is paid for the whole text at once."""
        return self.max_tokens if self.backend.served else 1


@dataclass(eq=False, kw_only=True)
class ScoreText(Request):
    """The log-prob of `value` (a token path or a str) after `context`. Result: float, or -inf."""

    context: Any
    settings: Any
    value: Any
    column: ClassVar[str | None] = "model_calls"


@dataclass(eq=False, kw_only=True)
class NextToken(Request):
    """The next-token distribution after `context`. Result: a vector of log-probs over the vocabulary."""

    context: Any
    settings: Any
    column: ClassVar[str | None] = "model_calls"
    small: ClassVar[bool] = False


@dataclass(eq=False, kw_only=True)
class HiddenStates(Request):
    """Final hidden states of `context` at `positions` (token indices). Result: array (len(positions), hidden).

    With a `readout`, a function of states (n, hidden), the array of what it makes of them; rows that share one are
    read out together.
    """

    context: Any
    positions: tuple[int, ...]
    readout: Callable[[Any], Any] | None = None
    column: ClassVar[str | None] = "model_calls"


@dataclass(eq=False, kw_only=True)
class Evaluate(Request):
    """Anything computed from arguments: a reward, a verifier, a plain Python call. Result: what the backend makes."""

    arguments: tuple[Any, ...]
    column: ClassVar[str | None] = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn value with its log-prob under the distribution, and under what really drew it (a mask, say).

    reason: why the log-prob is -inf, where that needs saying.
    """

    value: Any
    log_prob: float
    log_q: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """Requests and what their answers mean. `label` names the effect in traces and errors."""

    label: str
    requests: Sequence[Request]
    finish: Callable[[list[Any]], T]

    def conclude(self) -> T:
        """What the answers come to; raises the error of a request that failed."""
        return self.finish([request.answer() for request in self.requests])


def serve(requests: Sequence[Request]) -> None:
    """Answer requests at once, outside any program."""
    waiting = [r for r in requests if not r.done]
    while waiting:
        for backend in dict.fromkeys(r.backend for r in waiting):
            backend.step([r for r in waiting if r.backend is backend])
        waiting = [r for r in waiting if not r.done]


def perform(plan: Plan[T]) -> T:
    """Carry out a plan: inside a program as one recorded effect, batched with everybody else's; outside at once."""
    execution = execution_here()
    if execution is not None:
        result: T = execution.ask(plan)
        return result
    serve(plan.requests)
    return plan.conclude()
