"""Every form of expression, and the rule that types it."""

from __future__ import annotations

from grammar import (
    check_access,
    check_binders,
    check_branches,
    check_calls,
    check_literals,
    check_names,
    check_operators,
    check_sites,
)
from grammar import syntax as s
from grammar.check_context import Rule
from grammar.types import BOOL, FLOAT, INT, NONE

RULES: dict[type[s.Node], Rule] = {
    s.Name: check_names.name,
    s.IntLiteral: lambda c, expr, want: INT,
    s.FloatLiteral: lambda c, expr, want: FLOAT,
    s.BoolLiteral: lambda c, expr, want: BOOL,
    s.NoneLiteral: lambda c, expr, want: NONE,
    s.Text: check_literals.text,
    s.Regex: check_literals.regex,
    s.ListExpr: check_literals.list_,
    s.TupleExpr: check_literals.tuple_,
    s.DictExpr: check_literals.dict_,
    s.Comprehension: check_binders.comprehension,
    s.ChatExpr: check_literals.chat,
    s.Unary: lambda c, expr, want: check_operators.unary(c, expr),
    s.Binary: check_operators.binary,
    s.Compare: lambda c, expr, want: check_operators.compare(c, expr),
    s.Logical: check_branches.logical,
    s.IsType: lambda c, expr, want: check_operators.is_type(c, expr),
    s.Conditional: check_branches.conditional,
    s.Lambda: check_binders.function,
    s.Call: check_calls.call,
    s.Member: check_names.member,
    s.Index: lambda c, expr, want: check_access.index(c, expr),
    s.Slice: lambda c, expr, want: check_access.part(c, expr),
    s.RecordUpdate: lambda c, expr, want: check_access.update(c, expr),
    s.Sample: lambda c, expr, want: check_sites.check_sample(c, expr),
}
