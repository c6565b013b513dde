"""A `program` of a `.scale` file as a ppl program: engines, seeds and limits meet it as they meet any
other."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from grammar.constants import NotConstant, fold
from grammar.crossing import Mismatch
from grammar.diagnostics import ScaleError
from grammar.linker import Linker
from grammar.machine import Frame, Machine
from grammar.parser import parse_expression
from grammar.symbols import FunctionSymbol
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import BOOL, FLOAT, INT, PROB, STR, DictOf, ListOf, Literal, Type
from ppl.cost import limit as bounds
from ppl.errors import UsageError
from ppl.execution import Execution
from ppl.program import Program
from ppl.run import Run

_HINTS: dict[Type, type] = {INT: int, FLOAT: float, PROB: float, BOOL: bool, STR: str}
_EXAMPLES: dict[Type, str] = {INT: "3", FLOAT: "0.5", PROB: "0.5", BOOL: "true"}


class ScaleProgram(Program):
    """A program of a file. `limit` is what the file says; what a call says goes before, bound by bound."""

    def __init__(self, linker: Linker, symbol: FunctionSymbol, limit: bounds | None = None) -> None:
        super().__init__(_signed(linker, symbol), engine_source="infer line")
        self.linker, self.symbol, self.limit = linker, symbol, limit
        self.code = linker.code(symbol)
        self._frames: WeakKeyDictionary[Run, Frame] = WeakKeyDictionary()

    def body(self, execution: Execution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run from the state that the execution carries, or from the beginning."""
        machine = Machine(execution, self.linker.fuel.max_depth, saves=True)
        if execution.state is not None:
            value = machine.restart(execution.state)
        else:
            frame = self._frames.get(execution.run)
            if frame is None:
                frame = self._frames[execution.run] = self._frame(args, kwargs)
            value = machine.start(self.code, list(frame))
        execution.state = None  # finished: nothing restarts from here
        return value

    def _inline(self, execution: Execution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called inside a Python program, which replays: a part of it, without states of its own."""
        return Machine(execution, self.linker.fuel.max_depth, saves=False).start(
            self.code, self._frame(args, kwargs)
        )

    def _frame(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Frame:
        """The program's first frame: the arguments as values of their types."""
        bound = inspect.signature(self.fn).bind(*args, **kwargs).arguments
        values = []
        for param in self.symbol.params:
            if param.name not in bound:
                values.append(self.linker.default(self.symbol, param))
                continue
            try:
                values.append(self.linker.border.take(bound[param.name], param.type))
            except Mismatch as problem:
                raise UsageError(f"{self.name}({param.name}=...): {problem}.") from None
        return [self.linker.fuel.max_steps, *values, *self.code.blank]

    def read_argument(self, name: str, text: str) -> Any:
        """An argument as it is typed in a shell: text where a text may stand, else a constant of the language."""
        kind = next(p.type for p in self.symbol.params if p.name == name)
        if assignable(STR, kind) or assignable(Literal(text), kind):
            return text
        try:
            value = fold(parse_expression(text.lower() if kind == BOOL else text, f"--input {name}"), {})
            self.linker.border.take(value, kind)
        except (ScaleError, NotConstant, Mismatch):
            example = _EXAMPLES.get(kind)
            mend = f" Write --input {name}={example}" if example else ""
            raise UsageError(f"input {name!r} expects {show(kind)}, found {text!r}.{mend}") from None
        return value

    def bind(self, engine: Any) -> ScaleProgram:
        bound = super().bind(engine)
        assert isinstance(bound, ScaleProgram)
        bound.engine_source = "decorator"
        return bound

    # -- the file's limits -----------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.engine is not None:
            self._limit(kwargs)
        return super().__call__(*args, **kwargs)

    def _launch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super()._launch(args, self._limit(kwargs))

    def _many(
        self, problems: Any, window: int | None, options: dict[str, Any], keep_going: bool = False
    ) -> list[Any]:
        return super()._many(problems, window, self._limit(options), keep_going)

    def _limit(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a call with the file's limits where it sets none."""
        given = options.get("limit")
        if self.limit is not None and (given is None or isinstance(given, bounds)):
            options["limit"] = self.limit if given is None else _merged(given, self.limit)
        return options


def _merged(given: bounds, default: bounds) -> bounds:
    """`given`, with the bounds of `default` that it leaves open."""
    said = {f.name: getattr(given, f.name) for f in dataclasses.fields(bounds)}
    return bounds(**{n: getattr(default, n) if b is None else b for n, b in said.items()})


def _signed(linker: Linker, symbol: FunctionSymbol) -> Callable[..., Any]:
    """A function that has the program's name, parameters and annotations; it is never called."""

    def program(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a .scale program runs on its machine")

    parameters = [
        inspect.Parameter(
            p.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_hint(p.type),
            default=inspect.Parameter.empty if p.required else linker.default(symbol, p),
        )
        for p in symbol.params
    ]  # fmt: skip
    program.__name__ = program.__qualname__ = symbol.name
    shown = ", ".join(f"{p.name}: {show(p.type)}" for p in symbol.params)
    program.__doc__ = f"program {symbol.name}({shown}) -> {show(symbol.result)}"
    program.__module__ = symbol.path
    program.__annotations__ = {p.name: _hint(p.type) for p in symbol.params}
    program.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return program


def _hint(kind: Type) -> Any:
    """The nearest Python type, for whoever reads inputs by it."""
    if isinstance(kind, ListOf):
        return list[_hint(kind.item)]  # type: ignore[misc]
    return dict if isinstance(kind, DictOf) else _HINTS.get(kind, Any)
