"""Arguments to parameters: by position, by name, with what is missing, too many, unknown or given twice reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from grammar import syntax as s
from grammar.check_context import Checker, closest_hint
from grammar.type_relations import assignable
from grammar.types import BOOL, FLOAT, INT, STR, UNKNOWN, Type


class AnyParam(Protocol):
    """What a parameter of a function, record, built-in or engine has."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> Type: ...

    @property
    def required(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Matched:
    """`args[i]` is the argument of parameter i, None where its default holds; further entries repeat the last
    parameter. `fits` is False if something was reported."""

    args: tuple[s.Expr | None, ...]
    fits: bool


def match(
    c: Checker,
    place: s.Node,
    callee: str,
    params: Sequence[AnyParam],
    args: Sequence[s.Arg],
    *,
    receiver: s.Expr | None = None,
    named: int | None = None,
    repeats: bool = False,
    example: str = "",
) -> Matched:
    """Put arguments to the parameters of `callee`. `receiver` is the value before the dot of a method call, the first
    argument; parameters from `named` on take arguments by name only; `repeats` is as in `Signature`."""
    positional = ([receiver] if receiver is not None else []) + [a.value for a in args if a.name is None]
    slots: list[s.Expr | None] = [None] * len(params)
    room = len(params) if named is None else named
    extra = positional[room:]
    slots[: min(room, len(positional))] = positional[:room]
    fits = not extra or repeats
    if not fits:
        _report_extra(c, extra[0], callee, params, room, example)
    by_name = {p.name: i for i, p in enumerate(params)}
    for arg in args:
        if arg.name is None:
            continue
        index = by_name.get(arg.name.name)
        if index is None:
            hint = closest_hint(arg.name.name, by_name) or _known(params)
            c.report("E212", arg.name, callee=callee, name=arg.name.name, hint=hint)
            fits = False
        elif slots[index] is not None:
            c.report("E213", arg.name, callee=callee, name=arg.name.name)
            fits = False
        else:
            slots[index] = arg.value
    lacking = [p.name for i, p in enumerate(params) if p.required and slots[i] is None]
    if lacking and fits:
        names = " and ".join(
            [", ".join(map(repr, lacking[:-1])), repr(lacking[-1])]
            if len(lacking) > 1
            else [repr(lacking[0])]
        )
        c.report(
            "E210", place, callee=callee, names=names, hint=example and f"it is {example}" or _known(params)
        )
        fits = False
    return Matched((*slots, *(extra if repeats else ())), fits)


def shaped(
    params: Sequence[AnyParam], positional: int, names: set[str], named: int | None, repeats: bool
) -> bool:
    """Whether so many arguments by position and these names can be put to the parameters."""
    room = len(params) if named is None else named
    if positional > room and not repeats:
        return False
    taken = {p.name for p in params[: min(positional, room)]}
    if names & taken or not names <= {p.name for p in params}:
        return False
    return all(not p.required or p.name in taken | names for p in params)


def _report_extra(
    c: Checker, extra: s.Expr, callee: str, params: Sequence[AnyParam], room: int, example: str
) -> None:
    if room < len(params):
        kind = _LITERALS.get(type(extra), UNKNOWN)
        name = next((p.name for p in params[room:] if assignable(kind, p.type)), params[room].name)
        hint = f"give it by name: `{name}={c.quoted(extra)}`"
    else:
        hint = f"it is {example}" if example else _known(params)
    takes = (
        "no arguments"
        if room == 0
        else f"{room} argument{'s' * (room > 1)}" + " by position" * (room < len(params))
    )
    c.report("E211", extra, callee=callee, takes=takes, hint=hint)


_LITERALS: dict[type, Type] = {s.IntLiteral: INT, s.FloatLiteral: FLOAT, s.Text: STR, s.BoolLiteral: BOOL}


def _known(params: Sequence[AnyParam]) -> str:
    if not params:
        return "it takes no arguments"
    return "its parameters are " + ", ".join(
        p.name if p.required else f"{p.name} (may be left out)" for p in params
    )
