"""Forms of which one part is used: `a if c else b`, `and`, `or`. What the condition shows of a name holds in its branch."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_fit import fit, need_bool
from grammar.check_infer import condition, infer
from grammar.check_narrowing import assume
from grammar.type_names import show
from grammar.type_relations import assignable, merge, without
from grammar.types import BOOL, NEVER, NONE, STR, UNKNOWN, Type, options


def conditional(c: Checker, expr: s.Conditional, want: Type | None) -> Type:
    """`a if c else b`: what a and b have in common, each seen with what c says there."""
    condition(c, expr.condition, "the condition of this `if`")
    branches, kinds = (expr.then, expr.otherwise), []
    for branch, truth in zip(branches, (True, False)):
        mark = c.mark()
        assume(c, expr.condition, truth)
        kinds.append(infer(c, branch, want))
        c.undo(mark)
    merged = merge(*kinds)
    if merged is None and want is not None:
        for branch, kind in zip(branches, kinds):
            fit(c, branch, kind, want, "this branch")
        return want
    if merged is None:
        c.report(
            "E228",
            expr.otherwise,
            place="the value after `else`",
            first=show(kinds[0]),
            second=show(kinds[1]),
        )
        return UNKNOWN
    for branch, kind in zip(branches, kinds):
        fit(c, branch, kind, merged, "this branch")
    return merged


def logical(c: Checker, expr: s.Logical, want: Type | None) -> Type:
    """`and`, `or` of conditions; `a or b` with an optional `a` is "a, else b"."""
    left = infer(c, expr.left, want if expr.op == "or" and want != BOOL else None)
    if expr.op == "or" and NONE in options(left):
        return _default(c, expr, without(left, NONE), want)
    if expr.op == "or" and left == UNKNOWN:
        infer(c, expr.right, want)
        return UNKNOWN
    if expr.op == "or" and assignable(left, STR):
        c.report(
            "E203", expr.left, place="the left side of 'or'", found=show(left), hint=_text_default(c, expr)
        )
        infer(c, expr.right, want)
        return UNKNOWN
    mark = c.mark()
    need_bool(c, expr.left, left, f"the left side of '{expr.op}'")
    assume(c, expr.left, expr.op == "and")
    right = infer(c, expr.right)
    need_bool(c, expr.right, right, f"the right side of '{expr.op}'")
    c.undo(mark)
    return BOOL


def _text_default(c: Checker, expr: s.Logical) -> str:
    name = c.quoted(expr.left)
    return f'a text is never none; write `{name} if {name} != "" else {c.quoted(expr.right)}`'


def _default(c: Checker, expr: s.Logical, present: Type, want: Type | None) -> Type:
    right = infer(c, expr.right, want or present)
    merged = right if present == NEVER else merge(present, right)
    if merged is None and want is not None and assignable(present, want) and assignable(right, want):
        merged = want
    if merged is None:
        fit(c, expr.right, right, present, f"the default for '{c.quoted(expr.left)}'")
        return present
    fit(c, expr.right, right, merged, "the default")
    return merged
