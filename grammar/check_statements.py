"""Statements: what they declare, assign and weigh, whether a path comes to its end, and what is known behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from grammar import check_operators, check_sites
from grammar import syntax as s
from grammar.check_binders import bind_targets, block, iterated
from grammar.check_context import Checker, closest_hint
from grammar.check_fit import fit
from grammar.check_infer import check, condition, infer
from grammar.check_narrowing import assume, settle
from grammar.check_types import resolve
from grammar.constants import folded_number
from grammar.symbols import Local
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import INT, NEVER, NONE, UNKNOWN, DictOf, DistOf, ListOf, Type, mentions

MAX_BRANCHES = 64
"""Behind more `else if` than these it is no longer kept what the conditions before were not."""

WEIGHING = (s.Score, s.Observe, s.Require, s.Heuristic, s.Checkpoint)


def check_block(c: Checker, body: s.Block) -> bool:
    """Check a block in a scope of its own. Whether its end can be reached."""
    reached, warned = True, False
    with block(c):
        for statement in body.statements:
            if not reached and not warned:
                c.report("W404", statement)
                warned = True
            reached = _RULES[type(statement)](c, statement) and reached
    return reached


# ----------------------------------------------------------------------------------------------- variables


def _let(c: Checker, statement: s.Let) -> bool:
    if statement.type is not None:
        declared = resolve(c, statement.type)
        kind = check(c, statement.value, declared, f"'{statement.targets[0].name}'")
        bind_targets(c, statement.targets, declared, "let", statement.value)
        _remember(c, statement.targets, declared, kind)
        return True
    kind = infer(c, statement.value)
    if mentions(kind, (NEVER,)):
        c.report(
            "E204",
            statement.value,
            name=statement.targets[0].name,
            what=c.quoted(statement.value),
            mend=_empty(kind),
        )
        kind = UNKNOWN
    elif kind == NONE:
        source = c.module.names.get(statement.value)
        if isinstance(source, Local) and source.type != NONE:
            kind = source.type  # a variable that happens to be none here
        else:
            c.report("E204", statement.value, name=statement.targets[0].name, what="none", mend="str? = none")
            kind = UNKNOWN
    bind_targets(c, statement.targets, kind, "let", statement.value)
    return True


def _empty(kind: Type) -> str:
    return "dict[str, int] = {}" if isinstance(kind, DictOf) else "list[str] = []"


def _remember(c: Checker, targets: tuple[s.Identifier, ...], declared: Type, kind: Type) -> None:
    """`let x: int? = 3` is an int until it is assigned again."""
    local = c.locals.get(targets[0].name) if len(targets) == 1 else None
    if local is not None and kind != UNKNOWN and assignable(kind, declared):
        c.narrow(local, kind if not mentions(kind, (NEVER,)) else declared)


def _assign(c: Checker, statement: s.Assign) -> bool:
    name = statement.target.name
    local = c.lookup(name)
    if not isinstance(local, Local):
        if local is None:
            near = closest_hint(name, c.locals)
            c.body.missing.add(name)
            c.report(
                "E105",
                statement.target,
                what=f"'{name}' is not declared",
                hint=near or f"declare it first: `let {name} = ...`",
            )
        else:
            c.report(
                "E105",
                statement.target,
                what=f"'{name}' is not a variable: it cannot get another value",
                hint=f"declare a variable of another name: `let {name}_ = ...`",
            )
        infer(c, statement.value)
        return True
    c.module.names[statement.target] = local
    kind = _assigned(c, statement, local)
    if kind != UNKNOWN and local.type != UNKNOWN:
        fit(c, statement.value if statement.op is None else statement.target, kind, local.type, f"'{name}'")
    local.value = None
    known = assignable(kind, local.type) and kind != UNKNOWN and not mentions(kind, (NEVER,))
    c.narrow(local, kind if known else local.type)
    return True


def _assigned(c: Checker, statement: s.Assign, local: Local) -> Type:
    """The type of the new value."""
    if statement.op is None:
        return infer(c, statement.value, local.type)
    before = c.value_type(local)
    want = before if isinstance(before, (ListOf, DictOf)) else None
    right = infer(c, statement.value, want)
    kind = check_operators.combine(
        c, statement, statement.target, before, statement.op, statement.value, right
    )
    if isinstance(before, (ListOf, DictOf)) and kind != UNKNOWN and not assignable(kind, local.type):
        fit(c, statement.value, right, local.type, f"what is added to '{local.name}'")
        return UNKNOWN
    return kind


# ------------------------------------------------------------------------------------------------- weights


def _score(c: Checker, statement: s.Score) -> bool:
    c.body.facts.weights = True
    check_sites.check_log_weight(c, statement.weight, "score")
    return True


def _heuristic(c: Checker, statement: s.Heuristic) -> bool:
    c.body.facts.heuristics = True
    check_sites.check_log_weight(c, statement.value, "heuristic")
    return True


def _observe(c: Checker, statement: s.Observe) -> bool:
    check_sites.observe(c, statement)
    return True


def _require(c: Checker, statement: s.Require) -> bool:
    c.body.facts.weights = True
    condition(c, statement.condition, "what `require` asks")
    if statement.reason is not None:
        infer(c, statement.reason)
    assume(c, statement.condition, True)
    return not (isinstance(statement.condition, s.BoolLiteral) and not statement.condition.value)


def _checkpoint(c: Checker, statement: s.Checkpoint) -> bool:
    c.body.facts.barriers = True
    return True


def _record(c: Checker, statement: s.Record) -> bool:
    if statement.value is None:
        symbol = c.use(statement.name)
        if symbol is not None and not isinstance(symbol, Local):
            c.report("E114", statement.name, name=statement.name.name)
            return True
        kind = c.value_type(symbol) if isinstance(symbol, Local) else UNKNOWN
    else:
        kind = infer(c, statement.value)
    if isinstance(kind, DistOf):
        c.drawn_by_mistake(statement.value or statement.name, kind)
    return True


# -------------------------------------------------------------------------------------------- control flow


def _return(c: Checker, statement: s.Return) -> bool:
    wanted = c.body.result
    if statement.value is None:
        if wanted not in (NONE, None, UNKNOWN) and not assignable(NONE, wanted):
            c.report("E208", statement, name=c.body.name, result=show(wanted))
    elif wanted is None:
        kind = infer(c, statement.value)
        if kind not in (NONE, UNKNOWN):
            c.report("E225", statement.value, name=c.body.name, result=show(kind))
    else:
        check(c, statement.value, wanted, f"the result of '{c.body.name}'")
    return False


def _if(c: Checker, statement: s.If) -> bool:
    """Each branch starts with what the conditions before it came out as; behind them, what holds in all that end."""
    start = c.mark()
    ends = []
    for index, branch in enumerate(statement.branches):
        condition(c, branch.condition, "the condition of this `if`")
        mark = c.mark()
        assume(c, branch.condition, True)
        reached = check_block(c, branch.body)
        ends.append(_end(c, start, mark, reached))
        if index < MAX_BRANCHES:
            assume(c, branch.condition, False)
    reached = check_block(c, statement.otherwise) if statement.otherwise is not None else True
    ends.append(_end(c, start, start, reached))
    meeting = [learnt for reaches, learnt in ends if reaches]
    settle(c, meeting)
    if len(meeting) == len(statement.branches) + 1 and statement.otherwise is not None:
        _warn_uneven(c, statement, statement.otherwise)
    return bool(meeting)


def _warn_uneven(c: Checker, statement: s.If, otherwise: s.Block) -> None:
    """One branch is a place of comparison for the engines, its sibling is not."""
    blocks = [*(branch.body for branch in statement.branches), otherwise]
    weighing = [any(isinstance(each, WEIGHING) for each in body.statements) for body in blocks]
    if any(weighing) and not all(weighing):
        bare = blocks[weighing.index(False)]
        c.report(
            "W411",
            c.source.span(bare.span.start, bare.span.start + 1),
            line=blocks[weighing.index(True)].span.line,
        )


def _end(c: Checker, start: int, mark: int, reached: bool) -> tuple[bool, dict[Local, Type]]:
    """Whether a branch reaches its end, and all that is known there; forgets what was learnt since `mark`."""
    known = c.known_since(start)
    c.undo(mark)
    return reached, known


def _for(c: Checker, statement: s.For) -> bool:
    item = iterated(c, statement.iterable)
    with block(c), _loop(c, statement.body):
        bind_targets(c, statement.targets, item, "loop", statement.iterable)
        check_block(c, statement.body)
    return True


def _while(c: Checker, statement: s.While) -> bool:
    check(c, statement.bound, INT, "the bound of this `while`")
    bound = folded_number(statement.bound, c.constants)
    if bound is not None and bound < 1:
        c.report(
            "E219",
            statement.bound,
            what="the bound of this `while`",
            bound="at least 1",
            value=c.quoted(statement.bound),
        )
    with _loop(c, statement.body):
        condition(c, statement.condition, "the condition of this `while`")
        assume(c, statement.condition, True)
        check_block(c, statement.body)
    return True


@contextmanager
def _loop(c: Checker, body: s.Block) -> Iterator[None]:
    """Around the body of a loop: what it assigns is not narrowed at its start, nor behind it."""
    assigned = [c.locals[name] for name in _assigned_in(body) if name in c.locals]
    c.body.loops += 1
    for local in assigned:
        c.narrow(local, local.type)
    mark = c.mark()
    yield
    c.undo(mark)
    c.body.loops -= 1


def _assigned_in(body: s.Block) -> set[str]:
    """The names that a block gives other values."""
    found: set[str] = set()
    for statement in body.statements:
        if isinstance(statement, s.Assign):
            found.add(statement.target.name)
        elif isinstance(statement, (s.For, s.While)):
            found |= _assigned_in(statement.body)
        elif isinstance(statement, s.If):
            blocks = [branch.body for branch in statement.branches]
            for each in blocks if statement.otherwise is None else [*blocks, statement.otherwise]:
                found |= _assigned_in(each)
    return found


def _leave(c: Checker, statement: s.Break | s.Continue) -> bool:
    if not c.body.loops:
        word = "break" if isinstance(statement, s.Break) else "continue"
        c.report("E110", statement, word=word)
    return not c.body.loops


def _call(c: Checker, statement: s.CallStatement) -> bool:
    kind = infer(c, statement.call)
    resolved = c.module.calls.get(statement.call)
    name = c.quoted(statement.call)
    if isinstance(kind, DistOf):
        c.report("E227", statement, name=name, hint=f"write `let x = sample {name}` to draw from it")
    elif resolved is not None and resolved.kind not in ("function", "extern", "value"):
        c.report("E227", statement, name=name)
    return True


_RULES: dict[type, Callable[[Checker, Any], bool]] = {
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
    s.Break: _leave,
    s.Continue: _leave,
    s.Pass: lambda c, statement: True,
    s.CallStatement: _call,
}
"""Each says whether the statement after it can be reached."""
