"""Which requests may go ahead: limits are hard, so they are checked before the work.

A request is paid for by the problem that asks and by every problem around it, and goes ahead only if it fits the limits
of them all. A problem that is out of its means is stopped once nothing of it can go ahead any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppl.problem import Problem
    from ppl.requests import Backend, Request

    Rows = Mapping[Backend, Mapping[Request, Problem]]  # what waits, and who pays for it

_BOUND = {"model_calls": "calls", "reward_calls": "reward_calls"}  # column of the ledger -> the limit's name for it


class Admission:
    """Keeps the problems on one scheduler within their limits."""

    def __init__(self) -> None:
        self._refused: dict[Problem, str] = {}  # those that were refused a call, and by which of their limits

    def may_call(self, problem: Problem, column: str | None) -> bool:
        """Whether one more request counted in `column` fits. If not, the problem whose bound it is will soon stop."""
        if problem.bounded and column in _BOUND:
            for each in problem.chain:
                bound = None if each.limit is None else getattr(each.limit, _BOUND[column])
                if bound is not None and getattr(each.cost, column) >= bound:
                    self._refused.setdefault(each, _BOUND[column])
                    return False
        return problem.stopped is None

    def stop_refused(self, rows: Rows) -> bool:
        """Stop those that may make no more calls, once the calls that they may make are answered; whether any was."""
        if not self._refused:
            return False
        busy = {problem for own in rows.values() for payer in own.values() for problem in payer.chain}
        over = [problem for problem in self._refused if problem not in busy]
        for problem in over:
            problem.stop(self._refused.pop(problem))
        return bool(over)

    def affordable(self, backend: Backend, rows: Rows) -> list[Request]:
        """The backend's rows that may take its next step without any limit overshot; stops who is out of means."""
        own = rows[backend]
        limited = {problem for payer in own.values() for problem in payer.chain if problem.limit is not None}
        if not limited:
            return list(own)
        held = {problem: _reserved(problem, rows) for problem in limited}
        reads = dict.fromkeys(limited, 0)
        admitted: list[Request] = []
        moving: set[Problem] = set()
        first: dict[Problem, Request] = {}
        for row, payer in list(own.items()):
            chain = [problem for problem in payer.chain if problem.limit is not None]
            need = 0 if row.state is not None and backend.served else row.tokens
            reading = backend.reads(row)
            for problem in chain:
                first.setdefault(problem, row)
            if all(_affords(problem, need + held[problem], reading + reads[problem]) for problem in chain):
                admitted.append(row)
                moving.update(chain)
                for problem in chain:
                    held[problem] += need
                    reads[problem] += reading
        for problem in limited:
            if problem.overdue:
                problem.stop("seconds")
            elif problem not in moving:
                problem.stop("tokens" if first[problem].tokens else "reward_tokens")
        return [row for row in admitted if row in own]


def _affords(problem: Problem, drawn: int, read: int) -> bool:
    """Whether so many more tokens drawn by models, and read by rewards, fit its own limit."""
    bound, cost = problem.limit, problem.cost
    if bound is None:
        return True
    if bound.tokens is not None and drawn and cost.generated_tokens + drawn > bound.tokens:
        return False
    return bound.reward_tokens is None or not read or cost.reward_tokens + read <= bound.reward_tokens


def _reserved(problem: Problem, rows: Rows) -> int:
    """Tokens promised to its rows that a server is at work on."""
    return sum(
        row.tokens
        for backend, own in rows.items()
        if backend.served
        for row, payer in own.items()
        if row.state is not None and problem in payer.chain
    )
