"""Statements -> steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grammar import evaluate_operators, instructions
from grammar import syntax as s
from grammar.compile_parts import into, operands, start_loop
from grammar.evaluate import Ev, constant, slot
from grammar.symbols import Local
from grammar.type_relations import assignable, without
from grammar.types import NONE, NUMBERS, STR, UNKNOWN, Type, options

if TYPE_CHECKING:
    from grammar.compile import Compiler


def compile_body(k: Compiler, decl: s.FunctionDecl) -> None:
    """All of a function; its end gives none back."""
    for param in decl.params:
        k.declare_param(param.name)
    block(k, decl.body)
    k.emit(lambda then: instructions.give_back(constant(None)), decl.body)
    k.finish()


def block(k: Compiler, body: s.Block) -> None:
    """A block's variables live in slots that are free again behind it."""
    with k.temporaries():
        for statement in body.statements:
            k.site = "sample"
            _RULES[type(statement)](k, statement)


def _let(k: Compiler, statement: s.Let) -> None:
    k.site = ",".join(target.name for target in statement.targets)
    if len(statement.targets) == 1:
        target = k.fresh()
        with k.temporaries():
            into(k, statement.value, target)
        local = k.checked.names.get(statement.targets[0])
        if isinstance(local, Local):
            k.slots[local] = target
        return
    whole = k.fresh()
    with k.temporaries():
        into(k, statement.value, whole)
    take = k.taker(statement.targets)
    k.emit(lambda then: instructions.unpack(take, slot(whole), then), statement)


def _assign(k: Compiler, statement: s.Assign) -> None:
    local = k.checked.names[statement.target]
    assert isinstance(local, Local)
    target, k.site = k.slots[local], statement.target.name
    with k.temporaries():
        if statement.op is None:
            into(k, statement.value, target)
            return
        ev = _augmented(k, statement, local, k.value(statement.value))
        k.emit(lambda then: instructions.assign(target, ev, then), statement)


def _augmented(k: Compiler, statement: s.Assign, local: Local, value: Ev) -> Ev:
    """`x op= value`, with the conversion that the new value of x may need."""
    assert statement.op is not None
    kinds = _kind_before(local.type, k.checked.types[statement.value]), k.checked.types[statement.value]
    ev = evaluate_operators.combine(
        k, statement, statement.op, slot(k.slots[local]), value, kinds, statement.value
    )
    wanted = k.checked.conversions.get(statement.target)
    return ev if wanted is None else evaluate_operators.converted(k, statement, ev, wanted)


def _kind_before(declared: Type, added: Type) -> Type:
    """What a variable holds where `added` can be added to it: of its options, the one that goes with it."""
    kind = without(declared, NONE)
    fitting = [each for each in options(kind) if (each in NUMBERS) == (added in NUMBERS)]
    if assignable(added, STR) and added != UNKNOWN:
        texts = [each for each in fitting if assignable(each, STR)]
        fitting = texts or fitting
    return fitting[0] if fitting else kind


# -------------------------------------------------------------------------------------------------- effects


def _score(k: Compiler, statement: s.Score) -> None:
    with k.temporaries():
        ev = k.value(statement.weight)
        k.emit(lambda then: instructions.score(ev, then), statement)


def _observe(k: Compiler, statement: s.Observe) -> None:
    name = statement.value.name if isinstance(statement.value, s.Name) else "observe"
    with k.temporaries():
        value, dist = operands(k, [statement.value, statement.distribution])
        k.emit(lambda then: instructions.observe(name, value, dist, then), statement)


def _require(k: Compiler, statement: s.Require) -> None:
    with k.temporaries():
        test = k.value(statement.condition)
        if statement.reason is None or not k.busy(statement.reason):
            told = (
                constant(k.quoted(statement.condition))
                if statement.reason is None
                else k.direct(statement.reason)
            )
            k.emit(lambda then: instructions.require(test, told, then), statement)
            return
        fails, end = [0], [0]
        k.emit(lambda then: instructions.jump_unless(test, then, fails[0]), statement)
        k.emit(lambda then: instructions.require(constant(True), constant(""), end[0]), statement)
        k.bind(fails)
        reason = k.value(statement.reason)
        k.emit(lambda then: instructions.require(constant(False), reason, then), statement)
        k.bind(end)


def _heuristic(k: Compiler, statement: s.Heuristic) -> None:
    with k.temporaries():
        ev = (
            instructions.computed(k.closure(statement.value, []))
            if k.busy(statement.value)
            else k.direct(statement.value)
        )
        k.emit(lambda then: instructions.estimate(ev, then), statement)


def _checkpoint(k: Compiler, statement: s.Checkpoint) -> None:
    k.emit(instructions.checkpoint, statement)


def _record(k: Compiler, statement: s.Record) -> None:
    name = k.site = statement.name.name
    with k.temporaries():
        if statement.value is None:
            local = k.checked.names[statement.name]
            assert isinstance(local, Local)
            ev = slot(k.slots[local])
        else:
            ev = k.value(statement.value)
        k.emit(lambda then: instructions.record(name, ev, then), statement)


# --------------------------------------------------------------------------------------------- control flow


def _return(k: Compiler, statement: s.Return) -> None:
    k.site = "return"
    with k.temporaries():
        ev = constant(None) if statement.value is None else k.value(statement.value)
        k.emit(lambda then: instructions.give_back(ev), statement)


def _if(k: Compiler, statement: s.If) -> None:
    end = [0]
    for branch in statement.branches:
        other = [0]
        with k.temporaries():
            k.site = "sample"
            test = k.value(branch.condition)
            _jump_unless(k, test, other, branch.condition)
        block(k, branch.body)
        k.emit(lambda then: instructions.jump(end[0]), statement)
        k.bind(other)
    if statement.otherwise is not None:
        block(k, statement.otherwise)
    k.bind(end)


def _jump_unless(k: Compiler, test: Ev, other: list[int], place: s.Node) -> None:
    k.emit(lambda then: instructions.jump_unless(test, then, other[0]), place)


def _for(k: Compiler, statement: s.For) -> None:
    with k.temporaries():
        items, index = start_loop(k, statement.iterable)
        again, end = [k.here()], [0]
        take = k.taker(statement.targets)
        k.emit(lambda then: instructions.next_item(items, index, take, then, end[0]), statement.iterable)
        _loop(k, statement, again, end)


def _while(k: Compiler, statement: s.While) -> None:
    """The bound is evaluated once, at entry."""
    with k.temporaries():
        counter = k.fresh()
        into(k, statement.bound, counter)
        again, end = [k.here()], [0]
        test = None if k.busy(statement.condition) else k.direct(statement.condition)
        k.emit(lambda then: instructions.count_down(counter, test, then, end[0]), statement.condition)
        if test is None:
            with k.temporaries():
                _jump_unless(k, k.value(statement.condition), end, statement.condition)
        _loop(k, statement, again, end)


def _loop(k: Compiler, statement: s.For | s.While, again: list[int], end: list[int]) -> None:
    k.loops.append((again, end))
    block(k, statement.body)
    k.loops.pop()
    k.emit(lambda then: instructions.jump(again[0]), statement)
    k.bind(end)


def _break(k: Compiler, statement: s.Break) -> None:
    _, end = k.loops[-1]
    k.emit(lambda then: instructions.jump(end[0]), statement)


def _continue(k: Compiler, statement: s.Continue) -> None:
    again, _ = k.loops[-1]
    k.emit(lambda then: instructions.jump(again[0]), statement)


def _call(k: Compiler, statement: s.CallStatement) -> None:
    k.site = "sample"
    with k.temporaries():
        into(k, statement.call, k.fresh())


_RULES: dict[type, Callable[[Any, Any], None]] = {
    s.Let: _let,
    s.Assign: _assign,
    s.Score: _score,
    s.Observe: _observe,
    s.Require: _require,
    s.Heuristic: _heuristic,
    s.Checkpoint: _checkpoint,
    s.Record: _record,
    s.Return: _return,
    s.If: _if,
    s.For: _for,
    s.While: _while,
    s.Break: _break,
    s.Continue: _continue,
    s.Pass: lambda k, statement: None,
    s.CallStatement: _call,
}
