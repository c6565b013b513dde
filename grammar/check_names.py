"""Names where they are used as values, alone or behind the name of an imported file."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker
from grammar.check_infer import infer
from grammar.check_members import field_of
from grammar.check_types import imported_member
from grammar.symbols import (
    ConstSymbol,
    ExternSymbol,
    FunctionSymbol,
    Local,
    ModelSymbol,
    ModuleSymbol,
    Symbol,
    TypeSymbol,
)
from grammar.types import UNKNOWN, Function, Type


def name(c: Checker, expr: s.Name, want: Type | None) -> Type:
    """A name as a value."""
    symbol = c.use(expr)
    return UNKNOWN if symbol is None else value_of(c, expr, symbol)


def value_of(c: Checker, expr: s.Expr, symbol: Symbol) -> Type:
    """The type of a name where it is used as a value."""
    if isinstance(symbol, Local):
        return c.value_type(symbol)
    if c.fixed and isinstance(symbol, (FunctionSymbol, ExternSymbol, ModelSymbol)):
        c.report("E109", expr, place=c.fixed, name=symbol.name)
        return UNKNOWN
    match symbol:
        case ConstSymbol():
            if not symbol.ready:
                c.report("E107", expr, name=symbol.name, line=symbol.decl.span.line)
            return symbol.type
        case FunctionSymbol() | ExternSymbol():
            c.body.facts.mentions[symbol] = None
            return Function(tuple(p.type for p in symbol.params), symbol.result)
        case ModelSymbol():
            return symbol.type
        case TypeSymbol():
            hint = (
                f"write `{symbol.name}(...)` for a value of it"
                if symbol.record
                else "it stands behind ':' or 'is' only"
            )
            c.report("E112", expr, name=symbol.name, what="a type", hint=hint)
        case ModuleSymbol():
            c.report(
                "E112", expr, name=symbol.name, what="an imported file", hint=f"write `{symbol.name}.name`"
            )
        case _:
            c.report(
                "E112",
                expr,
                name=symbol.name,
                what="a built-in function",
                hint=f"call it, or write `fn(x: ...) => {symbol.name}(x)`",
            )
    return UNKNOWN


def module_member(c: Checker, expr: s.Expr) -> tuple[bool, Symbol | None]:
    """Whether an expression is `alias.name` of an imported file, and what that is (None if it was reported)."""
    if not isinstance(expr, s.Member) or not isinstance(expr.value, s.Name):
        return False, None
    alias = c.lookup(expr.value.name)
    if not isinstance(alias, ModuleSymbol):
        return False, None
    c.use(expr.value)
    symbol = imported_member(c, alias.module, alias.name, expr.name)
    if symbol is not None:
        c.module.members[expr] = symbol
    return True, symbol


def member(c: Checker, expr: s.Member, want: Type | None) -> Type:
    """`a.b`: a name of an imported file, or a field."""
    qualified, symbol = module_member(c, expr)
    if qualified:
        return UNKNOWN if symbol is None else value_of(c, expr, symbol)
    kind = infer(c, expr.value)
    return field_of(c, expr, kind)
