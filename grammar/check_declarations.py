"""What a file declares: its names, the types they say, its constants. All of it is known before any body is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from grammar import syntax as s
from grammar.builtins import FUNCTIONS
from grammar.check_binders import block
from grammar.check_context import Checker
from grammar.check_fit import fit
from grammar.check_infer import check, infer
from grammar.check_types import resolve
from grammar.constants import NotConstant, fold
from grammar.signatures import GENERIC_ARITY
from grammar.symbols import (
    CheckedModule,
    ConstSymbol,
    ExternSymbol,
    FunctionSymbol,
    ModelSymbol,
    ModuleSymbol,
    Symbol,
    TypeSymbol,
)
from grammar.types import FLOAT, MODEL, NAMED, NEVER, NONE, REWARD, UNKNOWN, RecordField, RecordType, mentions


def declare(c: Checker, imports: Mapping[str, CheckedModule | None]) -> None:
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


def resolve_types(c: Checker) -> None:
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


def check_constants(c: Checker) -> None:
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
