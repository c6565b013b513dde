"""Functions of the host: declared by `extern fn`, bound from Python, checked by type on the way in and out.

A call is a recorded effect: the calls of all particles run side by side, replay takes the answer from the
record, and equal calls of a pure function are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grammar.crossing import Border, Mismatch, give
from grammar.faults import Fault
from grammar.symbols import ExternSymbol
from grammar.vectors import Value
from ppl.effects import CALLS
from ppl.requests import Evaluate, Plan, perform


class Extern(Value):
    """A bound extern function; called with a list of values."""

    __slots__ = ("border", "function", "symbol")

    def __init__(self, symbol: ExternSymbol, function: Callable[..., Any], border: Border) -> None:
        self.symbol, self.function, self.border = symbol, function, border
        self._weight, self._depth, self._hash = 1, 0, id(self)

    def __call__(self, args: Sequence[Any]) -> Any:
        symbol = self.symbol
        key = (self, tuple(args)) if symbol.pure else None
        request = Evaluate(backend=CALLS, key=key, arguments=(self._run, *args))
        outcome = perform(Plan(f"extern {symbol.name}", [request], lambda results: results[0]))
        if isinstance(outcome, _Failure):
            raise Fault("E555", name=symbol.name, problem=outcome.problem) from outcome.error
        return outcome

    def _run(self, *args: Any) -> Any:
        """The answer as a value of the language, or why there is none: that is told at the call's line."""
        try:
            found = self.function(*map(give, args))
        except Exception as error:
            return _Failure(f"raised {type(error).__name__}: {error}", error)
        try:
            return self.border.take(found, self.symbol.result)
        except Mismatch as problem:
            return _Failure(f"returned a wrong value: {problem}", None)

    def __repr__(self) -> str:
        return f"<extern fn {self.symbol.name}>"


class _Failure:
    def __init__(self, problem: str, error: Exception | None) -> None:
        self.problem, self.error = problem, error

    def __deepcopy__(self, memo: Any) -> _Failure:
        return self
