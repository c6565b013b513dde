"""Calls: of functions, records, built-ins (also as methods), models, rewards and distributions; and `value.name`."""

from __future__ import annotations

from collections.abc import Sequence

from grammar import check_builtins
from grammar import syntax as s
from grammar.builtins import (
    DIST_METHODS,
    FUNCTIONS,
    MODEL_METHODS,
    POSTERIOR_METHODS,
    REWARD_METHODS,
    WEIGHTED_ONLY,
    Builtin,
)
from grammar.check_arguments import match
from grammar.check_context import Checker, closest, closest_hint
from grammar.check_fit import fit, jsonable, missing
from grammar.check_infer import check, infer
from grammar.check_members import FOREIGN_METHODS, field_of, no_method
from grammar.check_names import module_member, value_of
from grammar.symbols import (
    ExternSymbol,
    FunctionSymbol,
    Parameter,
    ResolvedCall,
    Symbol,
    TypeSymbol,
)
from grammar.type_names import show, with_article
from grammar.types import (
    GRAMMAR,
    MODEL,
    NONE,
    REWARD,
    UNKNOWN,
    BestOf,
    DistOf,
    Function,
    PosteriorOf,
    RecordField,
    RecordType,
    Type,
    options,
)


def call(c: Checker, expr: s.Call, want: Type | None) -> Type:
    """The type of a call; what it means is noted in `calls`."""
    qualified, symbol = module_member(c, expr.callee)
    if qualified or isinstance(expr.callee, s.Name):
        if not qualified:
            symbol = c.use(expr.callee)  # type: ignore[arg-type]
        return _call_symbol(c, expr, symbol)
    if isinstance(expr.callee, s.Member):
        return _call_method(c, expr, expr.callee)
    return _call_value(c, expr, infer(c, expr.callee))


def _call_symbol(c: Checker, expr: s.Call, symbol: Symbol | None) -> Type:
    name = c.quoted(expr.callee)
    match symbol:
        case None:
            return give_up(c, expr)
        case FunctionSymbol() | ExternSymbol():
            if c.fixed:
                c.report("E109", expr.callee, place=c.fixed, name=symbol.name)
                return give_up(c, expr)
            c.body.facts.mentions[symbol] = None
            kind = "function" if isinstance(symbol, FunctionSymbol) else "extern"
            c.module.calls[expr] = _arguments(c, expr, kind, symbol, name, symbol.params)
            return symbol.result
        case TypeSymbol():
            return _call_type(c, expr, name, symbol)
        case Builtin():
            if symbol.name == "json" and (grammar := _json_grammar(c, expr)):
                return grammar
            return check_builtins.call_builtin(c, expr, symbol, "builtin", name)
        case _:
            kind_of = value_of(c, expr.callee, symbol)
            c.module.types[expr.callee] = kind_of
            return _call_value(c, expr, kind_of)


def _arguments(
    c: Checker,
    expr: s.Call,
    kind: str,
    target: FunctionSymbol | ExternSymbol | RecordType,
    name: str,
    params: Sequence[Parameter | RecordField],
) -> ResolvedCall:
    written = (f"{p.name}: {show(p.type)}" + " = ..." * (not p.required) for p in params)
    example = f"{name}({', '.join(written)})"
    matched = match(c, expr, f"'{name}'", [*params], expr.args, example=example)
    for param, arg in zip(params, matched.args):
        if arg is not None:
            place = (
                f"field '{param.name}' of '{name}'"
                if kind == "record"
                else f"argument '{param.name}' of '{name}'"
            )
            check(c, arg, param.type, place)
    _rest(c, expr, matched.args)
    return ResolvedCall(kind, target, matched.args)


def _rest(c: Checker, expr: s.Call, checked: Sequence[s.Expr | None]) -> None:
    """Also look into arguments that belong to no parameter."""
    done = {id(each) for each in checked}
    for arg in expr.args:
        if id(arg.value) not in done:
            infer(c, arg.value)


def give_up(c: Checker, expr: s.Call) -> Type:
    """The callee was reported: look into the arguments only."""
    for arg in expr.args:
        infer(c, arg.value)
    return UNKNOWN


def _call_type(c: Checker, expr: s.Call, name: str, symbol: TypeSymbol) -> Type:
    record = symbol.record
    if record is not None:
        c.module.calls[expr] = _arguments(c, expr, "record", record, name, list(record.fields.values()))
        return record
    if symbol.type != UNKNOWN:
        c.report(
            "E209",
            expr.callee,
            what=f"'{name}' is a name for {show(symbol.type)}",
            hint="only record types make values: `type Case { ... }`",
        )
    return give_up(c, expr)


def _json_grammar(c: Checker, expr: s.Call) -> Type | None:
    """`json(Type)`: the grammar of a type's JSON texts; None if the argument is a value."""
    if len(expr.args) != 1 or expr.args[0].name is not None:
        return None
    arg = expr.args[0].value
    symbol = c.lookup(arg.name) if isinstance(arg, s.Name) else module_member(c, arg)[1]
    if not isinstance(symbol, TypeSymbol):
        return None
    if not jsonable(symbol.type):
        c.report(
            "E218",
            arg,
            what=c.quoted(arg),
            found=show(symbol.type),
            hint="JSON has texts, numbers, bools, lists, dicts with text keys and records of them",
        )
    if isinstance(arg, s.Name):
        c.module.names[arg] = symbol
    c.module.calls[expr] = ResolvedCall("grammar", FUNCTIONS["json"], (arg,), type=symbol.type)
    return GRAMMAR


# -------------------------------------------------------------------------------------------------- methods


def _call_method(c: Checker, expr: s.Call, callee: s.Member) -> Type:
    kind = infer(c, callee.value)
    name = callee.name.name
    if kind == UNKNOWN:
        return give_up(c, expr)
    shown = f"{c.quoted(callee.value)}.{name}"
    owner, methods, bindings = _methods(kind)
    if name in methods and name != "call":
        if name in WEIGHTED_ONLY and isinstance(kind, PosteriorOf) and not kind.evidence:
            c.report("E445", callee.name, name=name)
        return check_builtins.call_builtin(c, expr, methods[name], owner, shown, callee.value, bindings)
    if owner and owner != "posterior":
        _report_method(c, callee, kind, methods)
        return give_up(c, expr)
    if isinstance(kind, RecordType) and name in kind.fields:
        return _call_value(c, expr, field_of(c, callee, kind))
    if isinstance(kind, (PosteriorOf, BestOf)):
        _call_value(c, expr, field_of(c, callee, kind))
        return UNKNOWN
    return _call_on_data(c, expr, callee, kind, shown)


def _call_on_data(c: Checker, expr: s.Call, callee: s.Member, kind: Type, shown: str) -> Type:
    """`x.f(a)` of a text, number, list, ...: the built-in `f(x, a)`."""
    name = callee.name.name
    builtin = FUNCTIONS.get(name)
    if builtin is not None and (NONE not in options(kind) or name in ("str", "json")):
        return check_builtins.call_builtin(c, expr, builtin, "builtin", shown, callee.value)
    if NONE in options(kind) and kind != NONE and (builtin or name in FOREIGN_METHODS):
        missing(c, callee.value, kind)
    else:
        no_method(c, callee, kind)
    return give_up(c, expr)


def _methods(kind: Type) -> tuple[str, dict[str, Builtin], dict[str, Type]]:
    """Whose methods a model, reward, distribution or posterior has, the methods, and their type parameters."""
    if kind == MODEL:
        return "model", MODEL_METHODS, {}
    if kind == REWARD:
        return "reward", REWARD_METHODS, {}
    if isinstance(kind, DistOf):
        return "distribution", DIST_METHODS, {}
    if isinstance(kind, PosteriorOf):
        return "posterior", POSTERIOR_METHODS, {"T": kind.value}
    return "", {}, {}


def _report_method(c: Checker, callee: s.Member, kind: Type, methods: dict[str, Builtin]) -> None:
    name, value = callee.name.name, c.quoted(callee.value)
    names = [n for n in methods if n != "call"]
    if not isinstance(kind, DistOf):
        hint = (
            closest_hint(name, names)
            or f"its methods are {', '.join(names)}; `{value}(...)` is the {show(kind)} itself"
        )
        c.report("E214", callee.name, what=f"a {show(kind)} has no method '{name}'", hint=hint)
    elif name in ("sample", "draw", "rsample", "get"):
        c.report("E303", callee.name, name=name, value=value)
    elif name in FUNCTIONS and name not in methods or name in FOREIGN_METHODS:
        c.drawn_by_mistake(callee.value, kind)
    else:
        mends = {
            "logp": "log_prob",
            "log_probability": "log_prob",
            "logprob": "log_prob",
            "p": "prob",
            "probability": "prob",
        }
        meant = mends.get(name) or closest(name, names)
        hint = f"did you mean '{meant}'?" if meant else f"its methods are {', '.join(names)}"
        c.report("E214", callee.name, what=f"a distribution has no method '{name}'", hint=hint)


# -------------------------------------------------------------------------------------------------- values


def _call_value(c: Checker, expr: s.Call, kind: Type) -> Type:
    """A call of what an expression evaluates to: a function, a model or a reward."""
    name = c.quoted(expr.callee)
    if kind in (MODEL, REWARD):
        methods = MODEL_METHODS if kind == MODEL else REWARD_METHODS
        return check_builtins.call_builtin(c, expr, methods["call"], show(kind), name, receiver=expr.callee)
    if isinstance(kind, Function):
        return _call_function_value(c, expr, kind, name)
    if isinstance(kind, DistOf):
        c.report("E209", expr.callee, what=f"'{name}' is a distribution", hint=f"write `sample {name}`")
    elif kind != UNKNOWN:
        c.report(
            "E209",
            expr.callee,
            what=f"'{name}' is {with_article(kind)}",
            hint="only functions, models, rewards and record types are called",
        )
    return give_up(c, expr)


def _call_function_value(c: Checker, expr: s.Call, kind: Function, name: str) -> Type:
    for each in expr.args:
        if each.name is not None:
            c.report(
                "E212",
                each.name,
                callee=f"'{name}'",
                name=each.name.name,
                hint="a function in a variable takes its arguments by position",
            )
    positional = [each.value for each in expr.args]
    for index, arg in enumerate(positional):
        if index < len(kind.params):
            found = infer(c, arg, kind.params[index])
            fit(c, arg, found, kind.params[index], f"argument {index + 1} of '{name}'")
        else:
            infer(c, arg)
    if len(positional) > len(kind.params):
        takes = f"{len(kind.params)} argument{'s' * (len(kind.params) != 1)}"
        c.report(
            "E211",
            positional[len(kind.params)],
            callee=f"'{name}'",
            takes=takes,
            hint=f"it is a {show(kind)}",
        )
    elif len(positional) < len(kind.params):
        c.report(
            "E210",
            expr,
            callee=f"'{name}'",
            names=f"number {len(positional) + 1}",
            hint=f"it is a {show(kind)}",
        )
    c.module.calls[expr] = ResolvedCall("value", None, tuple(positional), receiver=expr.callee)
    return kind.result
