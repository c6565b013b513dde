"""Calls of built-ins and of the methods of models, rewards, distributions and posteriors, against their signatures."""

from __future__ import annotations

from collections.abc import Mapping

from grammar import check_sites
from grammar import syntax as s
from grammar.builtins import Builtin
from grammar.check_arguments import Matched, match, shaped
from grammar.check_context import Checker
from grammar.check_fit import fit, jsonable, mismatch, missing, need_shown, orderable
from grammar.check_infer import infer
from grammar.check_literals import rules
from grammar.constants import folded_number
from grammar.signatures import ORDERED, SHOWN, VARS, WORDS, Param, Signature, bind, substitute
from grammar.symbols import ResolvedCall
from grammar.type_names import show
from grammar.type_relations import assignable, union
from grammar.types import (
    MAX_LITERALS,
    NEVER,
    NONE,
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

FIRST_ARGUMENT = ("builtin", "distribution")
"""Of these the value before the dot is the first argument; of models, rewards and posteriors it is the owner."""

_ANYTHING = dict.fromkeys((v.name for v in VARS), UNKNOWN)


def call_builtin(
    c: Checker,
    expr: s.Call,
    builtin: Builtin,
    owner: str,
    name: str,
    receiver: s.Expr | None = None,
    bindings: Mapping[str, Type] | None = None,
) -> Type:
    """The type of a call of `builtin`, by the first of its signatures that fits. `owner` is the kind of call as in
    `ResolvedCall`, `name` how messages call it, `bindings` the type parameters that the owner settles."""
    first = receiver if owner in FIRST_ARGUMENT else None
    chosen = _choose(c, expr, builtin, name, first, bindings or {})
    if chosen is None:
        return UNKNOWN
    index, matched = chosen
    result = _check_arguments(c, builtin, index, matched, name, bindings or {})
    own = receiver if owner not in FIRST_ARGUMENT else None
    resolved = ResolvedCall(owner, builtin, matched.args, receiver=own, signature=index)
    c.module.calls[expr] = resolved
    if owner == "model":
        check_sites.check_model_call(c, expr, resolved)
    return result


def _choose(
    c: Checker, expr: s.Call, builtin: Builtin, name: str, first: s.Expr | None, bindings: Mapping[str, Type]
) -> tuple[int, Matched] | None:
    """The signature that is meant, and the arguments put to its parameters; None, reported, if there is none."""
    positional = sum(a.name is None for a in expr.args) + (first is not None)
    names = {a.name.name for a in expr.args if a.name is not None}
    fitting = [
        i for i, each in enumerate(builtin.signatures)
        if shaped(each.params, positional, names, each.named, each.repeats)
    ]  # fmt: skip
    if len(fitting) > 1:
        fitting = _by_types(c, expr, builtin, fitting, first, bindings)
        if not fitting:
            _report_types(c, expr, builtin, name, first)
            return None
    index = fitting[0] if fitting else _nearest(builtin, positional)
    signature = builtin.signatures[index]
    many = len(builtin.signatures) > 1
    matched = match(
        c, expr, f"'{name}'", signature.params, expr.args,
        receiver=first, named=signature.named, repeats=signature.repeats,
        example=" or ".join(each.text for each in builtin.signatures) if many else _example(signature),
    )  # fmt: skip
    if not matched.fits:
        look_into(c, expr)
        return None
    return index, matched


def _example(signature: Signature) -> str:
    if signature.text.startswith("uniform("):
        return f"{signature.text}; between two bounds, `uniform_real(low, high)`"
    return signature.text if len(signature.params) < 5 else ""


def look_into(c: Checker, expr: s.Call) -> None:
    """Find the mistakes inside the arguments of a call that is wrong itself."""
    for arg in expr.args:
        if arg.value not in c.module.types:
            infer(c, arg.value)


def _nearest(builtin: Builtin, positional: int) -> int:
    """Of signatures that all do not fit, the one with about as many parameters."""
    counts = [abs(len(each.params) - positional) for each in builtin.signatures]
    return counts.index(min(counts))


def _by_types(
    c: Checker,
    expr: s.Call,
    builtin: Builtin,
    indices: list[int],
    first: s.Expr | None,
    bindings: Mapping[str, Type],
) -> list[int]:
    """Those of the signatures that fit the types of the arguments, as they are or else with a conversion."""
    values = [*([first] if first is not None else []), *(a.value for a in expr.args)]
    kinds = {value: _type_of(c, value) for value in values}
    for exact in (True, False):
        fitting = [i for i in indices if _takes(builtin.signatures[i], expr, first, kinds, bindings, exact)]
        if fitting:
            return fitting
    return []


def _type_of(c: Checker, value: s.Expr) -> Type:
    known = c.module.types.get(value)
    return infer(c, value) if known is None else known


def _takes(
    signature: Signature,
    expr: s.Call,
    first: s.Expr | None,
    kinds: Mapping[s.Expr, Type],
    settled: Mapping[str, Type],
    exact: bool,
) -> bool:
    by_name = {p.name: p for p in signature.params}
    positional = ([first] if first is not None else []) + [a.value for a in expr.args if a.name is None]
    bindings = dict(settled)
    pairs = list(zip(signature.params, positional)) + [
        (by_name[a.name.name], a.value) for a in expr.args if a.name is not None
    ]
    for param, value in pairs:
        if not bind(param.type, kinds[value], bindings):
            return False
        if exact and not assignable(kinds[value], substitute(param.type, bindings)):
            return False
    return True


def _report_types(c: Checker, expr: s.Call, builtin: Builtin, name: str, first: s.Expr | None) -> None:
    values = [*([first] if first is not None else []), *(a.value for a in expr.args)]
    if any(c.module.types[value] == UNKNOWN for value in values):
        return
    lead = {each.params[0].type for each in builtin.signatures if each.params}
    if len(lead) == 1:
        bindings: dict[str, Type] = {}
        wanted = lead.pop()
        if not bind(wanted, c.module.types[values[0]], bindings):
            mismatch(
                c,
                values[0],
                c.module.types[values[0]],
                substitute(wanted, _ANYTHING),
                f"the argument of '{name}'",
            )
            return
    for value in values:
        kind = c.module.types[value]
        if _drawn_or_missing(c, value, kind):
            return
    shown = ", ".join(show(c.module.types[value]) for value in values)
    c.report(
        "E231",
        expr,
        callee=name,
        types=shown,
        hint="it is " + " or ".join(each.text for each in builtin.signatures),
    )


def _drawn_or_missing(c: Checker, value: s.Expr, kind: Type) -> bool:
    if isinstance(kind, DistOf):
        c.drawn_by_mistake(value, kind)
        return True
    if NONE in options(kind) and kind != NONE:
        missing(c, value, kind)
        return True
    return False


# ------------------------------------------------------------------------------------------------ arguments


def _check_arguments(
    c: Checker, builtin: Builtin, index: int, matched: Matched, name: str, settled: Mapping[str, Type]
) -> Type:
    """Check each argument against its parameter; the type of the result."""
    signature = builtin.signatures[index]
    bindings = dict(settled)
    pairs = _pairs(signature, matched.args)
    found = []
    for param, arg in pairs:
        want = substitute(param.type, {**_ANYTHING, **settled})
        kind = _infer_argument(c, arg, want, builtin.literals)
        found.append(kind)
        if not bind(param.type, kind, bindings):
            place = f"argument '{param.name}' of '{name}'"
            mismatch(c, arg, kind, substitute(param.type, {**_ANYTHING, **bindings}), place)
            found[-1] = UNKNOWN
    for (param, arg), kind in zip(pairs, found):
        if kind != UNKNOWN:
            fit(c, arg, kind, substitute(param.type, bindings), f"argument '{param.name}' of '{name}'")
            _check_bounds(c, param, arg, name)
    if any(kind == UNKNOWN for kind in found):
        bindings = {**_ANYTHING, **{k: v for k, v in bindings.items() if v != NEVER}}
    _check_constraints(c, signature, pairs, bindings, builtin.name)
    return substitute(signature.result, bindings)


def _pairs(signature: Signature, args: tuple[s.Expr | None, ...]) -> list[tuple[Param, s.Expr]]:
    params = [*signature.params, *[signature.params[-1]] * (len(args) - len(signature.params))]
    return [(param, arg) for param, arg in zip(params, args) if arg is not None]


def _infer_argument(c: Checker, arg: s.Expr, want: Type, literals: bool) -> Type:
    """The type of an argument, for which nothing is inferred twice."""
    known = c.module.types.get(arg)
    if known is not None:
        return known
    if literals and (texts := _literal_texts(arg)):
        kinds = union(map(Literal, texts))
        asked: Type = (
            DictOf(kinds, want.value if isinstance(want, DictOf) else UNKNOWN)
            if isinstance(arg, s.DictExpr)
            else ListOf(kinds)
        )
        return infer(c, arg, asked)
    return infer(c, arg, want)


def _literal_texts(arg: s.Expr) -> list[str]:
    """The texts written out as the keys of a dict or the items of a list, if there are only such, and not too many."""
    exprs = (
        [e.key for e in arg.entries]
        if isinstance(arg, s.DictExpr)
        else arg.items
        if isinstance(arg, s.ListExpr)
        else ()
    )
    texts = [e.literal for e in exprs if isinstance(e, s.Text) and e.literal is not None]
    return texts if len(texts) == len(exprs) and len(texts) <= MAX_LITERALS else []


def _check_bounds(c: Checker, param: Param, arg: s.Expr, name: str) -> None:
    value = folded_number(arg, c.constants)
    broken = param.bound_broken(value) if value is not None else None
    if broken:
        c.report("E219", arg, what=f"argument '{param.name}' of '{name}'", bound=broken, value=c.quoted(arg))


def _check_constraints(
    c: Checker,
    signature: Signature,
    pairs: list[tuple[Param, s.Expr]],
    bindings: Mapping[str, Type],
    name: str,
) -> None:
    """What types do not say: what has an order, what can be shown, texts; and rules that can be read."""
    if name == "lark":
        rules(c, pairs[0][1])
    for letter in (ORDERED, SHOWN, WORDS):
        kind = bindings.get(letter, UNKNOWN)
        place = next(
            (arg for param, arg in pairs if mentions(param.type, [v for v in VARS if v.name == letter])), None
        )
        if kind in (UNKNOWN, NEVER) or place is None:
            continue
        if letter == ORDERED and not orderable(kind):
            c.report("E232", place, name=name, found=show(kind))
        elif letter == WORDS and not assignable(kind, STR):
            c.report(
                "E201",
                place,
                place=f"the texts of '{name}'",
                wanted="list[str]",
                found=f"list[{show(kind)}]",
                hint="write them as texts",
            )
        elif letter == SHOWN and name == "json" and not jsonable(kind):
            c.report(
                "E218",
                place,
                what=c.quoted(place),
                found=show(kind),
                hint="JSON has texts, numbers, bools, none, lists, dicts with text keys and records of them",
            )
        elif letter == SHOWN and name != "json":
            need_shown(c, place, kind)
