"""A checked function -> its code: slots for variables, closures for expressions, steps for what the machine
must do.

An expression in which nothing draws and no function is called becomes one closure. Any other is taken apart:
what draws or calls becomes steps that leave their values in slots, from left to right, and the rest is a
closure over those. Statements are in `compile_statements.py`, expressions that are taken apart in
`compile_parts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from grammar import compile_parts, evaluate, evaluate_calls, evaluate_operators
from grammar import syntax as s
from grammar.evaluate import Ev, Frame, constant
from grammar.instructions import Take
from grammar.machine import Closure, Code, Step
from grammar.symbols import CheckedModule, Local
from grammar.types import NONE, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grammar.linker import Linker

SHOWN = 40
Label = list[int]
"""Where a jump goes: one entry, filled in when its place is known."""

RULES: dict[type, Callable[[Any, Any, Sequence[Ev]], Ev]] = {
    s.IntLiteral: evaluate.literal,
    s.FloatLiteral: evaluate.literal,
    s.BoolLiteral: evaluate.literal,
    s.NoneLiteral: lambda k, expr, parts: constant(None),
    s.Text: evaluate.text,
    s.Regex: evaluate.pattern,
    s.Name: evaluate.name,
    s.Member: evaluate.member,
    s.ListExpr: evaluate.list_of,
    s.TupleExpr: evaluate.tuple_of,
    s.DictExpr: evaluate.dict_of,
    s.ChatExpr: evaluate.chat,
    s.Index: evaluate.index,
    s.Slice: evaluate.part,
    s.RecordUpdate: evaluate.update,
    s.Unary: evaluate_operators.unary,
    s.Binary: evaluate_operators.binary,
    s.Compare: evaluate_operators.compare,
    s.IsType: evaluate_operators.is_type,
    s.Call: evaluate_calls.call,
}
"""Expressions whose operands are all evaluated, in order."""


class Compiler:
    """Compiles one function, or one lambda inside `outer`."""

    def __init__(
        self, linker: Linker, checked: CheckedModule, code: Code, outer: Compiler | None = None
    ) -> None:
        self.linker, self.checked, self.code, self.outer = linker, checked, code, outer
        self.source, self.fuel = checked.source, linker.fuel
        self.slots: dict[Local, int] = {}
        self.free = 1  # slot 0 holds the fuel
        self.size = 1
        self.loops: list[tuple[Label, Label]] = []
        self.site = "sample"
        self._pending: list[Callable[[], Step]] = []
        self._spans: list[s.Span] = []
        self._busy: dict[s.Node, bool] = {}

    # -- slots -----------------------------------------------------------------------------------------------

    def fresh(self) -> int:
        """A slot that nothing alive uses."""
        self.free += 1
        self.size = max(self.size, self.free)
        return self.free - 1

    @contextmanager
    def temporaries(self) -> Iterator[None]:
        """Slots taken inside are free again afterwards."""
        mark = self.free
        yield
        self.free = mark

    def declare(self, target: s.Identifier) -> int | None:
        """The slot of a new variable; None for `_`."""
        local = self.checked.names.get(target)
        if not isinstance(local, Local):
            return None
        self.slots[local] = self.fresh()
        return self.slots[local]

    def slot_of(self, local: Local) -> int:
        return self.slots[local]

    def taker(self, targets: Sequence[s.Identifier]) -> Take:
        """Puts a value into the slots of new variables, taken apart if they are several."""
        places = [self.declare(target) for target in targets]
        if len(places) == 1:
            return _take_one(places[0])

        def take(slots: Frame, value: Any) -> None:
            for place, each in zip(places, value, strict=True):
                if place is not None:
                    slots[place] = each

        return take

    # -- steps -----------------------------------------------------------------------------------------------

    def emit(self, make: Callable[[int], Step], place: s.Node) -> None:
        """Add a step; `make` is given the number of the one that follows it."""
        then = len(self._pending) + 1
        self._pending.append(lambda: make(then))
        self._spans.append(place.span)

    def here(self) -> int:
        return len(self._pending)

    def bind(self, label: Label) -> None:
        label[:] = [len(self._pending)]

    def finish(self) -> Code:
        """The code, all labels filled in."""
        code = self.code
        code.blank = (None,) * (self.size - 1 - code.params - code.captures)
        code.spans = self._spans
        code.steps = [make() for make in self._pending]
        return code

    def quoted(self, expr: s.Node) -> str:
        """An expression as written, in one line, shortened."""
        text = " ".join(self.source.text[expr.span.start : expr.span.end].split())
        return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."

    # -- expressions -----------------------------------------------------------------------------------------

    def busy(self, node: s.Node) -> bool:
        """Whether evaluating a node draws or calls a function."""
        known = self._busy.get(node)
        if known is None:
            known = self._busy[node] = self._is_busy(node)
        return known

    def _is_busy(self, node: s.Node) -> bool:
        match node:
            case s.Sample():
                return True
            case s.Lambda():
                return False
            case s.Call():
                resolved = self.checked.calls[node]
                if resolved.kind in ("function", "value") or compile_parts.key_of(resolved) is not None:
                    return True
                return any(map(self.busy, evaluate_calls.operands_of_call(resolved)))
        return any(map(self.busy, s.children(node)))

    def value(self, expr: s.Expr) -> Ev:
        """A closure for an expression, behind the steps that it needs."""
        if not self.busy(expr):
            return self.direct(expr)
        return self._converted(expr, compile_parts.value(self, expr))

    def direct(self, expr: s.Expr) -> Ev:
        """The closure of an expression that is not busy; constants are computed now."""
        ev = self._converted(expr, self._direct(expr))
        foldable = isinstance(expr, _FOLDED) or expr in self.checked.conversions
        if foldable and self.linker.is_constant(self.checked, expr):
            with suppress(Exception):  # a constant fault is a fault of the run, at its place
                return constant(ev([1_000_000]))
        return ev

    def _direct(self, expr: s.Expr) -> Ev:
        match expr:
            case s.Logical():
                return self.logical(expr, self.direct(expr.left), self.direct(expr.right))
            case s.Conditional():
                test, then, otherwise = map(self.direct, (expr.condition, expr.then, expr.otherwise))
                return lambda slots: then(slots) if test(slots) else otherwise(slots)
            case s.Comprehension():
                return evaluate_calls.comprehension(self, expr)
            case s.Lambda():
                return self.closure(expr, [p.name for p in expr.params])
        return self.combined(expr, [self.direct(each) for each in self.operands(expr)])

    def combined(self, expr: s.Expr, operands: Sequence[Ev]) -> Ev:
        """The closure of an expression of RULES over those of its operands."""
        return RULES[type(expr)](self, expr, operands)

    def _converted(self, expr: s.Expr, ev: Ev) -> Ev:
        target = self.checked.conversions.get(expr)
        return ev if target is None else evaluate_operators.converted(self, expr, ev, target)

    def has_default(self, expr: s.Logical) -> bool:
        """Whether `a or b` means "a, else b if a is none"."""
        return expr.op == "or" and NONE in options(self.checked.types[expr.left])

    def logical(self, expr: s.Logical, left: Ev, right: Ev) -> Ev:
        if self.has_default(expr):
            return lambda slots: right(slots) if (value := left(slots)) is None else value
        if expr.op == "and":
            return lambda slots: left(slots) and right(slots)
        return lambda slots: left(slots) or right(slots)

    def operands(self, expr: s.Expr) -> list[s.Expr]:
        """What is evaluated for an expression of RULES, in order."""
        match expr:
            case s.Text():
                return [part for part in expr.parts if not isinstance(part, str)]
            case s.ListExpr() | s.TupleExpr():
                return list(expr.items)
            case s.DictExpr():
                return [each for entry in expr.entries for each in (entry.key, entry.value)]
            case s.ChatExpr():
                return [turn.value for turn in expr.turns]
            case s.Unary():
                return [expr.operand]
            case s.Binary() | s.Compare():
                return [expr.left, expr.right]
            case s.IsType():
                return [expr.value]
            case s.Member():
                return [] if expr in self.checked.members else [expr.value]
            case s.Index():
                return [expr.value, expr.index]
            case s.Slice():
                return [expr.value, *(bound for bound in (expr.start, expr.stop) if bound is not None)]
            case s.RecordUpdate():
                return [expr.record, *(each.value for each in expr.updates)]
            case s.Call():
                return evaluate_calls.operands_of_call(self.checked.calls[expr])
        return []

    # -- functions inside functions --------------------------------------------------------------------------

    def closure(self, expr: s.Lambda | s.Expr, params: Sequence[s.Identifier]) -> Ev:
        """A lambda, or an expression to be computed later, as a closure over the variables it uses."""
        body = expr.body if isinstance(expr, s.Lambda) else expr
        used = (self.checked.names.get(node) for node in s.walk(body) if isinstance(node, s.Name))
        captured = list(
            dict.fromkeys(each for each in used if isinstance(each, Local) and each in self.slots)
        )
        code = self.linker.new_code("fn", self.checked, len(params), in_path=False)
        code.captures = len(captured)
        inner = Compiler(self.linker, self.checked, code, self)
        inner.site = self.site
        for param in params:
            inner.declare_param(param)
        for local in captured:
            inner.slots[local] = inner.fresh()
        compile_parts.give_back(inner, body)
        inner.finish()
        places, depth = [self.slots[local] for local in captured], self.fuel.max_depth
        return lambda slots: Closure(code, tuple([slots[place] for place in places]), depth)

    def declare_param(self, param: s.Identifier) -> None:
        if self.declare(param) is None:
            self.fresh()


_FOLDED = (
    s.Text,
    s.ListExpr,
    s.TupleExpr,
    s.DictExpr,
    s.ChatExpr,
    s.Unary,
    s.Binary,
    s.Compare,
    s.Call,
    s.Conditional,
)


def _take_one(place: int | None) -> Take:
    def take(slots: Frame, value: Any) -> None:
        if place is not None:
            slots[place] = value

    return take
