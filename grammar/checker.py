"""A syntax tree -> a checked module: names, types, and every mistake that can be known before anything is loaded.

Order of the work: the names of all declarations, the types they say, constants, signatures, models, then the bodies of
functions one after the other, then `infer`, `limit` and `test`, which need to know what the functions do. Each part of
the tree is looked at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from grammar import syntax as s
from grammar.builtins import FUNCTIONS
from grammar.check_binders import block
from grammar.check_context import Body, Checker, TooManyMistakes, closest
from grammar.check_fit import fit
from grammar.check_forms import RULES
from grammar.check_infer import check, infer
from grammar.check_inference import infer_line, limit_line
from grammar.check_models import check_model
from grammar.check_statements import check_block
from grammar.check_tests import test_block
from grammar.check_types import resolve
from grammar.constants import NotConstant, fold
from grammar.diagnostics import Source
from grammar.signatures import GENERIC_ARITY
from grammar.symbols import (
    CheckedModule,
    ConstSymbol,
    ExternSymbol,
    FunctionSymbol,
    Local,
    ModelSymbol,
    ModuleSymbol,
    Parameter,
    Symbol,
    TypeSymbol,
)
from grammar.types import (
    FLOAT,
    GRAMMAR,
    MODEL,
    NAMED,
    NEVER,
    NONE,
    REGEX,
    REWARD,
    UNKNOWN,
    DistOf,
    Function,
    RecordField,
    RecordType,
    Type,
    assignable,
    mentions,
    parts,
    show,
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
    _declare(c, imports)
    _resolve_types(c)
    _check_constants(c)
    _check_signatures(c, externs)
    for symbol in c.module.models.values():
        check_model(c, symbol, models)
    for function in c.module.functions.values():
        _check_function(c, function)
    _check_lines(c)
    _warn_unused_imports(c)


# --------------------------------------------------------------------------------------------- declarations


def _declare(c: Checker, imports: Mapping[str, CheckedModule | None]) -> None:
    """Enter the names of all declarations; what they say follows."""
    for decl in c.module.tree.declarations:
        if isinstance(decl, (s.InferDecl, s.LimitDecl, s.TestDecl)):
            continue
        name = decl.alias if isinstance(decl, s.Import) else decl.name
        earlier = c.module.symbols.get(name.name)
        if earlier is not None:
            c.report("E101", name, name=name.name, line=earlier.decl.span.line)  # type: ignore[union-attr]
            continue
        if name.name in FUNCTIONS and not isinstance(decl, (s.TypeAliasDecl, s.RecordDecl)):
            c.report("W406", name, name=name.name, meaning="the built-in function")
        c.module.symbols[name.name] = c.module.names[name] = _symbol(c, decl, imports)


def _symbol(c: Checker, decl: s.Declaration, imports: Mapping[str, CheckedModule | None]) -> Symbol:
    path = c.source.path
    match decl:
        case s.Import():
            module = imports.get(decl.alias.name)
            if module is not None:
                c.module.imports[decl.alias.name] = module
            return ModuleSymbol(decl.alias.name, module, decl)
        case s.ModelDecl():
            return ModelSymbol(
                decl.name.name, REWARD if decl.kind == "reward" else MODEL, decl.backend.name, decl
            )
        case s.ExternDecl():
            return ExternSymbol(decl.name.name, decl.pure, decl, path)
        case s.RecordDecl():
            return TypeSymbol(decl.name.name, RecordType(decl.name.name, path), decl)
        case s.TypeAliasDecl():
            return TypeSymbol(decl.name.name, UNKNOWN, decl)
        case s.FunctionDecl():
            return FunctionSymbol(decl.name.name, decl.kind, decl, path)
        case s.ConstDecl():
            return ConstSymbol(decl.name.name, decl)
    raise TypeError(decl)


# --------------------------------------------------------------------------------------------------- types


def _resolve_types(c: Checker) -> None:
    """Aliases, each after those it is made of; then the fields of records."""
    types = [symbol for symbol in c.module.symbols.values() if isinstance(symbol, TypeSymbol)]
    for symbol in types:
        if symbol.name in NAMED or symbol.name in GENERIC_ARITY:
            c.report("W406", symbol.decl.name, name=symbol.name, meaning="the built-in type")
    for symbol in _in_order(c, [each for each in types if isinstance(each.decl, s.TypeAliasDecl)]):
        assert isinstance(symbol.decl, s.TypeAliasDecl)
        symbol.type = resolve(c, symbol.decl.type)
    for symbol in types:
        if symbol.record is not None and isinstance(symbol.decl, s.RecordDecl):
            _fill_fields(c, symbol.record, symbol.decl)


def _in_order(c: Checker, aliases: list[TypeSymbol]) -> list[TypeSymbol]:
    """Aliases so that each stands behind those it mentions; E108 for those that are made of themselves."""
    by_name = {symbol.name: symbol for symbol in aliases}
    uses = {symbol.name: _mentioned(symbol.decl, by_name) for symbol in aliases}
    done: dict[str, TypeSymbol] = {}
    open_names: set[str] = set()
    for start in by_name:
        pending = [start]
        while pending:
            name = pending[-1]
            waiting = [each for each in uses[name] if each not in done]
            if name in done or not waiting:
                done[name] = by_name[name]
                open_names.discard(name)
                pending.pop()
            elif any(each in open_names for each in waiting):
                c.report("E108", by_name[name].decl.name, name=name)
                done[name] = by_name[name]
                open_names.discard(name)
                pending.pop()
            else:
                open_names.add(name)
                pending.append(waiting[0])
    return list(done.values())


def _mentioned(decl: s.Node, names: Mapping[str, TypeSymbol]) -> list[str]:
    found = [n.name.name for n in s.walk(decl) if isinstance(n, s.TypeName) and n.module is None]
    return [name for name in dict.fromkeys(found) if name in names]


def _fill_fields(c: Checker, record: RecordType, decl: s.RecordDecl) -> None:
    for each in decl.fields:
        name = each.name.name
        if name in record.fields:
            c.report("E111", each.name, what=f"field '{name}'", where=f"'{record.name}'")
            continue
        kind = resolve(c, each.type)
        doc = each.doc.literal or "" if each.doc is not None else ""
        record.fields[name] = RecordField(name, kind, each.default, doc)


# ----------------------------------------------------------------------------------------------- constants


def _check_constants(c: Checker) -> None:
    """Constants in the order of the file: each may use those above it. Then the defaults of record fields."""
    for symbol in c.module.constants.values():
        with _fixed(c, "a const"):
            wanted = resolve(c, symbol.decl.type) if symbol.decl.type is not None else None
            kind = infer(c, symbol.decl.value, wanted)
            if wanted is not None:
                fit(c, symbol.decl.value, kind, wanted, f"'{symbol.name}'")
            elif mentions(kind, (NEVER,)) or kind == NONE:
                mend = f"const {symbol.name}: list[str] = []"
                c.report(
                    "E204", symbol.decl.value, name=symbol.name, what=c.quoted(symbol.decl.value), mend=mend
                )
                kind = UNKNOWN
        symbol.type = wanted if wanted is not None else kind
        symbol.ready = True
        with suppress(NotConstant):
            value = fold(symbol.decl.value, c.constants)
            if value is None or isinstance(value, (int, float, bool, str)):
                c.constants[symbol.name] = (
                    float(value) if symbol.type == FLOAT and isinstance(value, int) else value
                )
    for each in c.module.records.values():
        for field in each.fields.values():
            if field.default is not None:
                with _fixed(c, "the default of a field"):
                    check(c, field.default, field.type, f"field '{field.name}'")


@contextmanager
def _fixed(c: Checker, place: str) -> Iterator[None]:
    """Only constant expressions may stand here."""
    c.fixed = place
    with block(c):
        yield
    c.fixed = ""


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
