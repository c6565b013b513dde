"""A syntax tree -> a checked module: names, types, and every mistake that can be known before anything is loaded.

Order of the work: the names of all declarations, the types they say, constants, signatures, models, then the bodies of
functions one after the other, then `infer`, `limit` and `test`, which need to know what the functions do. Each part of
the tree is looked at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from grammar import syntax as s
from grammar.check_binders import block
from grammar.check_context import Body, Checker, TooManyMistakes, closest
from grammar.check_declarations import _fixed, check_constants, declare, resolve_types
from grammar.check_forms import RULES
from grammar.check_infer import check
from grammar.check_inference import infer_line, limit_line
from grammar.check_models import check_model
from grammar.check_statements import check_block
from grammar.check_tests import test_block
from grammar.check_types import resolve
from grammar.diagnostics import Source
from grammar.symbols import (
    CheckedModule,
    ExternSymbol,
    FunctionSymbol,
    Local,
    ModuleSymbol,
    Parameter,
)
from grammar.type_names import show
from grammar.type_relations import assignable
from grammar.types import (
    GRAMMAR,
    MODEL,
    NONE,
    REGEX,
    REWARD,
    UNKNOWN,
    DistOf,
    Function,
    Type,
    parts,
)

RESERVED = ("seed", "limit", "engine", "live")
"""What the call of a program means by these names is fixed."""


def check_module(
    tree: s.Module,
    source: Source,
    *,
    path: Path | None = None,
    imports: Mapping[str, CheckedModule | None] | None = None,
    models: Mapping[str, frozenset[str] | None] | None = None,
    externs: Collection[str] | None = None,
) -> CheckedModule:
    """Check one parsed file.

    imports  the checked files behind its aliases; None for one that could not be read (and was reported)
    models   models that the host puts in the place of declared ones, with their capabilities (None: unknown)
    externs  the functions that the host binds; None: not known yet, so that none is reported as missing
    """
    c = Checker(CheckedModule(source, tree, path), RULES)
    with suppress(TooManyMistakes):
        _check(c, imports or {}, models or {}, externs)
    c.module.diagnostics.sort(key=lambda each: each.span)
    return c.module


def _check(
    c: Checker,
    imports: Mapping[str, CheckedModule | None],
    models: Mapping[str, frozenset[str] | None],
    externs: Collection[str] | None,
) -> None:
    declare(c, imports)
    resolve_types(c)
    check_constants(c)
    _check_signatures(c, externs)
    for symbol in c.module.models.values():
        check_model(c, symbol, models)
    for function in c.module.functions.values():
        _check_function(c, function)
    _check_lines(c)
    _warn_unused_imports(c)


# ------------------------------------------------------------------------------------------------ functions


def _check_signatures(c: Checker, externs: Collection[str] | None) -> None:
    for symbol in c.module.symbols.values():
        if isinstance(symbol, FunctionSymbol):
            symbol.params = _params(c, symbol.decl.params)
            symbol.result = resolve(c, symbol.decl.result) if symbol.decl.result is not None else NONE
            if symbol.kind == "program":
                _check_program(c, symbol)
        elif isinstance(symbol, ExternSymbol):
            symbol.params = _params(c, symbol.decl.params)
            symbol.result = resolve(c, symbol.decl.result)
            _check_extern(c, symbol, externs)


def _params(c: Checker, written: Sequence[s.Param]) -> tuple[Parameter, ...]:
    params: dict[str, Parameter] = {}
    for each in written:
        name = each.name.name
        kind = resolve(c, each.type)
        if each.default is not None:
            with _fixed(c, "a default value"):
                check(c, each.default, kind, f"the default of '{name}'")
        elif any(not p.required for p in params.values()):
            c.report("E115", each.name, name=name)
        if name in params:
            c.report("E111", each.name, what=f"parameter '{name}'", where="this parameter list")
        params[name] = Parameter(name, kind, each.default)
    return tuple(params.values())


def _check_program(c: Checker, symbol: FunctionSymbol) -> None:
    for param in symbol.decl.params:
        if param.name.name in RESERVED:
            c.report("E116", param.name, name=param.name.name)
    if symbol.decl.result is not None and _has_no_value(symbol.result):
        what = f"the result of program '{symbol.name}'"
        c.report("E131", symbol.decl.result, what=what, found=show(symbol.result))


def _check_extern(c: Checker, symbol: ExternSymbol, bound: Collection[str] | None) -> None:
    for written, param in zip(symbol.decl.params, symbol.params):
        if _has_no_value(param.type):
            c.report(
                "E131", written.type, what=f"parameter '{param.name}' of an extern fn", found=show(param.type)
            )
    if _has_no_value(symbol.result):
        c.report("E131", symbol.decl.result, what="the result of an extern fn", found=show(symbol.result))
    if bound is not None and symbol.name not in bound:
        near = closest(symbol.name, bound)
        hint = f"'{near}' is bound; did you mean that?" if near else None
        c.report("E130", symbol.decl.name, name=symbol.name, hint=hint)


def _has_no_value(kind: Type) -> bool:
    """Whether a type has values that cannot leave a run: distributions, functions, models, patterns."""
    if isinstance(kind, (DistOf, Function)) or kind in (MODEL, REWARD, REGEX, GRAMMAR):
        return True
    return any(map(_has_no_value, parts(kind)))


def _check_function(c: Checker, symbol: FunctionSymbol) -> None:
    decl = symbol.decl
    c.body = Body(symbol.name, symbol.result if decl.result is not None else None, symbol.facts)
    mark = c.mark()
    with block(c):
        for written, param in zip(decl.params, symbol.params):
            c.declare(written.name, Local(param.name, param.type, written.name.span, "parameter"))
        reached = check_block(c, decl.body)
    c.undo(mark)
    if reached and symbol.result != UNKNOWN and not assignable(NONE, symbol.result):
        end = c.source.span(decl.body.span.end - 1, decl.body.span.end)
        c.report("E207", end, name=symbol.name, result=show(symbol.result))
    c.body = Body("", None)


# ----------------------------------------------------------------------------------------- lines of the file


def _check_lines(c: Checker) -> None:
    """`limit` and `infer` lines, then tests, which run what `infer` says."""
    for decl in c.module.tree.declarations:
        if isinstance(decl, s.LimitDecl):
            limit_line(c, decl)
        elif isinstance(decl, s.InferDecl):
            infer_line(c, decl)
    for decl in c.module.tree.declarations:
        if isinstance(decl, s.TestDecl):
            test_block(c, decl)


def _warn_unused_imports(c: Checker) -> None:
    for symbol in c.module.symbols.values():
        if isinstance(symbol, ModuleSymbol) and not symbol.used and symbol.module is not None:
            c.report("W405", symbol.decl.alias, name=symbol.name)
