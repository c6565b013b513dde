"""Operators: what they take and what they give.

Numbers: `int` with `int` gives `int`, otherwise `float`; `/` always a `float`. A product of probabilities is one, and
so is `1 - p`; any other arithmetic leaves `prob` for `float`. There is no truthiness: conditions are `bool`.
"""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker, closest
from grammar.check_fit import missing, need_bool, orderable
from grammar.check_infer import infer
from grammar.check_types import resolve
from grammar.constants import folded_number
from grammar.type_names import quote, show
from grammar.type_relations import assignable, comparable, join, overlaps
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    INT,
    NEVER,
    NONE,
    NUMBERS,
    PROB,
    STR,
    UNKNOWN,
    DictOf,
    DistOf,
    ListOf,
    Literal,
    Type,
    mentions,
    options,
)


def binary(c: Checker, expr: s.Binary, want: Type | None) -> Type:
    """The type of `left op right`; an operand with another type is reported."""
    left = infer(c, expr.left, want if expr.op == "+" else None)
    push = (
        left
        if expr.op == "+" and isinstance(left, (ListOf, DictOf)) and not mentions(left, (NEVER,))
        else want
    )
    right = infer(c, expr.right, push if expr.op == "+" else None)
    return combine(c, expr, expr.left, left, expr.op, expr.right, right)


def combine(
    c: Checker, whole: s.Node, a: s.Expr | s.Identifier, left: Type, op: str, b: s.Expr, right: Type
) -> Type:
    """As `binary`, of operands that are already known; `a` may be the variable of `x += value`."""
    if UNKNOWN in (left, right) or NEVER in (left, right):  # an item of `[]` is of no type: the run says so
        return UNKNOWN
    if left in NUMBERS and right in NUMBERS:
        return _arithmetic(c, a, left, op, b, right)
    joined = _joined(left, right) if op == "+" else None
    if joined is None:
        _report_operands(c, whole, a, left, op, b, right)
        return UNKNOWN
    return joined


def _arithmetic(c: Checker, a: s.Node, left: Type, op: str, b: s.Expr, right: Type) -> Type:
    if PROB in (left, right) and _stays_prob(c, a, left, op, b, right):
        return PROB
    if (left, right) == (INT, INT) and (
        op in ("+", "-", "*", "//", "%") or op == "**" and isinstance(b, s.IntLiteral)
    ):
        return INT
    return FLOAT


def _stays_prob(c: Checker, a: s.Node, left: Type, op: str, b: s.Node, right: Type) -> bool:
    def within_unit(node: s.Node, kind: Type) -> bool:
        value = folded_number(node, c.constants)
        return kind == PROB or value is not None and 0.0 <= value <= 1.0

    if op == "*":
        return within_unit(a, left) and within_unit(b, right)
    return op == "-" and right == PROB and folded_number(a, c.constants) == 1


def _joined(left: Type, right: Type) -> Type | None:
    """The type of a sum of texts, lists, dicts or contexts; None if there is none."""
    if assignable(left, STR) and assignable(right, STR):
        return STR
    if left == CHAT and (right == CHAT or assignable(right, STR)):
        return CHAT
    if isinstance(left, (ListOf, DictOf)) and type(left) is type(right):
        return join(left, right)
    return None


def _report_operands(
    c: Checker, whole: s.Node, a: s.Expr | s.Identifier, left: Type, op: str, b: s.Expr, right: Type
) -> None:
    for node, kind, other in ((a, left, right), (b, right, left)):
        if isinstance(kind, DistOf) and not isinstance(other, DistOf):
            c.drawn_by_mistake(node, kind)
            return
        if NONE in options(kind) and kind != NONE:
            missing(c, node, kind)
            return
    c.report(
        "E202", whole, op=op, left=show(left), right=show(right), hint=_operand_hint(c, a, left, op, b, right)
    )


def _operand_hint(c: Checker, a: s.Node, left: Type, op: str, b: s.Expr, right: Type) -> str:
    one, other = c.quoted(a), c.quoted(b)
    if op == "+" and assignable(left, STR) and right in (*NUMBERS, BOOL):
        return f'write `{one} + str({other})`, or put the value into the text: "...${{{other}}}"'
    if op == "+" and assignable(right, STR) and left in (*NUMBERS, BOOL):
        return f"write `str({one}) + {other}`"
    if op == "+" and isinstance(left, ListOf) and not isinstance(right, ListOf):
        return f"write `{one} + [{other}]` to add one item"
    if op == "+" and isinstance(left, ListOf):
        return f"the items are {show(left.item)}; declare the list with the type of all of them"
    if op == "*" and STR in (left, right):
        return "write `join([text for _ in range(n)])` to repeat a text"
    if op == "%" and assignable(left, STR):
        return 'put the value into the text: "${value}"'
    if left == STR or right == STR:
        return (
            "turn the text into a number with `int(...)` or `float(...)`; each is none where it spells none"
        )
    if BOOL in (left, right):
        return "write `1 if condition else 0` to count with a bool"
    return (
        "arithmetic takes int, float and prob; `+` also joins texts, lists and dicts and goes on with a chat"
    )


def unary(c: Checker, expr: s.Unary) -> Type:
    """`not c` of a bool; `-x`, `+x` of a number."""
    kind = infer(c, expr.operand)
    if expr.op == "not":
        need_bool(c, expr.operand, kind, "the operand of 'not'")
        return BOOL
    if kind in (INT, UNKNOWN):
        return kind
    if kind in NUMBERS:
        return PROB if kind == PROB and expr.op == "+" else FLOAT
    if isinstance(kind, DistOf):
        c.drawn_by_mistake(expr.operand, kind)
    else:
        c.report("E230", expr, op=expr.op, found=show(kind))
    return UNKNOWN


def compare(c: Checker, expr: s.Compare) -> Type:
    """`==` of values that may be equal, `in` of a part and its whole, `<` of things that have an order."""
    left = infer(c, expr.left)
    want = left if any(isinstance(o, Literal) for o in options(left)) else None
    right = infer(c, expr.right, want)
    if UNKNOWN in (left, right):
        return BOOL
    for node, kind, other in ((expr.left, left, right), (expr.right, right, left)):
        if isinstance(kind, DistOf) and not isinstance(other, DistOf):
            c.drawn_by_mistake(node, kind)
            return BOOL
    if expr.op in ("==", "!="):
        _equality(c, expr, left, right)
    elif expr.op in ("in", "not in"):
        _membership(c, expr, left, right)
    else:
        _order(c, expr, left, right)
    return BOOL


def _equality(c: Checker, expr: s.Compare, left: Type, right: Type) -> None:
    if not (comparable(left) and comparable(right)):
        hint = "distributions, functions, models and patterns have no equality"
        c.report("E205", expr, left=show(left), right=show(right), hint=hint)
    elif not overlaps(left, right):
        c.report("E205", expr, left=show(left), right=show(right), hint=_equality_hint(left, right))


def _equality_hint(left: Type, right: Type) -> str:
    texts = [o.value for o in options(left) if isinstance(o, Literal)]
    if isinstance(right, Literal) and texts:
        near = closest(right.value, texts)
        return f"did you mean {quote(near)}?" if near else f"it is one of {', '.join(map(quote, texts[:8]))}"
    if NONE in (left, right):
        other = show(right if left == NONE else left)
        return f"a {other} is never none; declare it as `{other}?` if it may be"
    if STR in (left, right) and {left, right} & NUMBERS:
        return "turn the text into a number first: `int(text) == 3`"
    return "compare values of one type"


def _membership(c: Checker, expr: s.Compare, left: Type, right: Type) -> None:
    if isinstance(right, ListOf):
        item: Type = right.item
    elif isinstance(right, DictOf):
        item = right.key
    elif assignable(right, STR):
        item = STR
    elif NONE in options(right) and right != NONE:
        missing(c, expr.right, right)
        return
    else:
        c.report(
            "E202",
            expr,
            op=expr.op,
            left=show(left),
            right=show(right),
            hint="`in` looks into a text, a list, or the keys of a dict",
        )
        return
    if item != NEVER and not overlaps(left, item):
        c.report(
            "E205",
            expr,
            left=show(left),
            right=f"an item of {show(right)}",
            hint=f"the items are {show(item)}",
        )


def _order(c: Checker, expr: s.Compare, left: Type, right: Type) -> None:
    for node, kind in ((expr.left, left), (expr.right, right)):
        if NONE in options(kind) and kind != NONE:
            missing(c, node, kind)
            return
    numbers = all(o in NUMBERS for o in (*options(left), *options(right)))
    if numbers or orderable(left) and orderable(right) and overlaps(left, right):
        return
    hint = "numbers are compared with numbers, texts with texts"
    if STR in (left, right) and (left in NUMBERS or right in NUMBERS):
        hint = "turn the text into a number first: `int(text) or 0`"
    elif isinstance(left, ListOf) or isinstance(right, ListOf):
        hint = "compare lengths: `len(xs) > 3`"
    c.report("E202", expr, op=expr.op, left=show(left), right=show(right), hint=hint)


def is_type(c: Checker, expr: s.IsType) -> Type:
    """`x is T`: worth asking only if it may be true and may be false."""
    kind = infer(c, expr.value)
    part = resolve(c, expr.type)
    c.module.is_types[expr] = part
    if UNKNOWN in (kind, part):
        return BOOL
    if not any(assignable(o, part) or assignable(part, o) for o in options(kind)):
        c.report("E221", expr, what=c.quoted(expr.value), found=show(kind), part=show(part), verdict="never")
    elif assignable(kind, part):
        c.report("E221", expr, what=c.quoted(expr.value), found=show(kind), part=show(part), verdict="always")
    return BOOL
