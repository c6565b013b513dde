"""Types as written -> types. A type that cannot be understood is reported once and becomes UNKNOWN."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker, closest_hint
from grammar.signatures import GENERIC_ARITY, build_generic
from grammar.symbols import CheckedModule, ConstSymbol, ExternSymbol, FunctionSymbol, ModuleSymbol, TypeSymbol
from grammar.type_relations import assignable, union
from grammar.types import (
    BOOL,
    FLOAT,
    INT,
    MAX_SIZE,
    NAMED,
    NEVER,
    NONE,
    PROB,
    STR,
    UNKNOWN,
    Function,
    Literal,
    TupleOf,
    Type,
    options,
    size,
)

FOREIGN = {
    "string": "str", "text": "str", "String": "str", "integer": "int", "number": "float", "double": "float", "real": "float",
    "boolean": "bool", "probability": "prob", "logprob": "logp", "None": "none", "null": "none", "void": "none",
    "array": "list", "List": "list", "map": "dict", "Dict": "dict", "object": "dict", "distribution": "dist",
}  # fmt: skip
"""What other languages call a type."""

Visible = FunctionSymbol | ConstSymbol | TypeSymbol | ExternSymbol
"""What other files see of a file."""

KEYS = union((STR, INT, BOOL, FLOAT, PROB, NONE))
"""Dict keys are these, or tuples of them."""


def resolve(c: Checker, written: s.TypeExpr) -> Type:
    """The type that an annotation means."""
    kind = _resolve(c, written)
    if size(kind) > MAX_SIZE:
        c.report("E229", written, what="this type", limit=MAX_SIZE)
        return UNKNOWN
    return kind


def _resolve(c: Checker, written: s.TypeExpr) -> Type:
    match written:
        case s.TypeLiteral():
            return Literal(written.value)
        case s.TypeOptional():
            return union((resolve(c, written.inner), NONE))
        case s.TypeTuple():
            return TupleOf(tuple(resolve(c, item) for item in written.items))
        case s.TypeFunction():
            return Function(tuple(resolve(c, p) for p in written.params), resolve(c, written.result))
        case s.TypeUnion():
            if len(written.options) > MAX_SIZE:
                c.report("E229", written, what="this type", limit=MAX_SIZE)
                return UNKNOWN
            return union(resolve(c, option) for option in written.options)
        case s.TypeName():
            return _named(c, written)


def _named(c: Checker, written: s.TypeName) -> Type:
    name = written.name.name
    if written.module is not None:
        return _imported(c, written, written.module)
    if name in GENERIC_ARITY:
        return _generic(c, written)
    symbol = c.module.symbols.get(name)
    if isinstance(symbol, TypeSymbol):
        c.module.names[written.name] = symbol
        return _plain(c, written, symbol.type)
    if name in NAMED:
        return _plain(c, written, NAMED[name])
    known = [
        *NAMED,
        *GENERIC_ARITY,
        *(n for n, each in c.module.symbols.items() if isinstance(each, TypeSymbol)),
    ]
    meant = FOREIGN.get(name)
    hint = f"write '{meant}'" if meant else closest_hint(name, known)
    for arg in written.args:
        resolve(c, arg)
    c.report("E106", written.name, name=name, hint=hint)
    return UNKNOWN


def _imported(c: Checker, written: s.TypeName, alias: s.Identifier) -> Type:
    symbol = c.use(alias)
    if not isinstance(symbol, ModuleSymbol):
        if symbol is not None:
            c.report("E125", alias, name=alias.name)
        return UNKNOWN
    member = imported_member(c, symbol.module, alias.name, written.name)
    if member is None:
        return UNKNOWN
    if not isinstance(member, TypeSymbol):
        c.report(
            "E106",
            written,
            name=f"{alias.name}.{written.name.name}",
            hint="it is declared, but not as a type",
        )
        return UNKNOWN
    return _plain(c, written, member.type)


def imported_member(
    c: Checker, module: CheckedModule | None, alias: str, name: s.Identifier
) -> Visible | None:
    """What an imported file declares under a name; None, reported, if nothing that can be seen from outside."""
    symbol = module.symbols.get(name.name) if module is not None else None
    if isinstance(symbol, Visible):
        return symbol
    if symbol is not None:
        c.report("E126", name, alias=alias, name=name.name)
    elif module is not None and not module.errors:
        names = [n for n, each in module.symbols.items() if isinstance(each, Visible)]
        c.report("E124", name, alias=alias, name=name.name, hint=closest_hint(name.name, names))
    return None


def _plain(c: Checker, written: s.TypeName, kind: Type) -> Type:
    if written.args:
        c.report(
            "E220", written, name=written.name.name, takes="no types in brackets", example=written.name.name
        )
        return UNKNOWN
    return kind


def _generic(c: Checker, written: s.TypeName) -> Type:
    name, args = written.name.name, tuple(resolve(c, arg) for arg in written.args)
    arity = GENERIC_ARITY[name]
    if len(args) != arity:
        example = "dict[str, int]" if arity == 2 else f"{name}[str]"
        c.report(
            "E220",
            written,
            name=name,
            takes="two types in brackets" if arity == 2 else "one type in brackets",
            example=example,
        )
        return UNKNOWN
    if name == "dict" and not hashable(args[0]):
        c.report("E224", written.args[0], found=c.quoted(written.args[0]))
        return UNKNOWN
    return build_generic(name, args)


def hashable(kind: Type) -> bool:
    """Whether values of a type may be keys of a dict."""
    return all(
        option in (UNKNOWN, NEVER)
        or assignable(option, KEYS)
        or isinstance(option, TupleOf)
        and all(map(hashable, option.items))
        for option in options(kind)
    )
