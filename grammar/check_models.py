"""`model` and `reward` declarations: the scheme, its arguments, and the rows of a table model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grammar import syntax as s
from grammar.builtins import MODEL_FORMS, ModelForm
from grammar.check_arguments import match
from grammar.check_context import Checker, closest_hint
from grammar.check_infer import check
from grammar.constants import NotConstant, fold
from grammar.signatures import signature
from grammar.symbols import ModelSymbol
from grammar.types import MODEL, REWARD, Type
from ppl.registry import MODELS

OLD_SPELLINGS = {
    "mock": "write `scripted(...)`",
    "hf_prm": 'write `reward prm = reward("...")`',
    "transformers": 'write `hf("...")`',
    "llama": 'write `gguf("...")` for a model file',
}


def check_model(c: Checker, symbol: ModelSymbol, replaced: Mapping[str, frozenset[str] | None]) -> None:
    """Fill in what a declaration says. `replaced` are models that the host puts in the place of the declared ones,
    with their capabilities (None: unknown)."""
    decl, backend = symbol.decl, symbol.backend
    form = _form(c, decl, symbol.type)
    symbol.args = _arguments(c, decl, form) if form is not None else {}
    if backend == "table" and "rows" in symbol.args:
        _check_rows(c, decl, symbol.args["rows"], symbol.args.get("end", "$"))
    symbol.capabilities = _capabilities(backend, symbol.args)
    if symbol.name in replaced:
        symbol.capabilities, symbol.replaced = replaced[symbol.name], True


def _form(c: Checker, decl: s.ModelDecl, wanted: Type) -> ModelForm | None:
    backend = decl.backend.name
    form = MODEL_FORMS.get(backend)
    if form is None and backend in MODELS:
        form = ModelForm(MODEL, signature(f"{backend}(spec: str) -> model"), f'{backend}("...")')
    if form is None:
        schemes = [*MODEL_FORMS, *(n for n in MODELS if n.isidentifier())]
        known = f"backends are {', '.join(dict.fromkeys(schemes))}"
        hint = OLD_SPELLINGS.get(backend) or closest_hint(backend, schemes) or known
        c.report("E430", decl.backend, name=backend, hint=hint)
    elif form.kind != wanted:
        mend = (
            f'reward {decl.name.name} = reward("judge:...")'
            if wanted == REWARD
            else f"reward {decl.name.name} = reward(...)"
        )
        c.report(
            "E432",
            decl.backend,
            backend=backend,
            gives=f"a {form.signature.text.rpartition(' ')[2]}",
            kind=decl.kind,
            mend=mend,
        )
        return None
    return form


def _arguments(c: Checker, decl: s.ModelDecl, form: ModelForm) -> dict[str, Any]:
    """The plain values of the arguments, by parameter."""
    own = form.signature
    c.fixed = "the declaration of a model"
    matched = match(
        c,
        decl.backend,
        f"'{decl.backend.name}'",
        own.params,
        decl.args,
        named=own.named,
        example=form.example,
    )
    values = {}
    for param, arg in zip(own.params, matched.args):
        if arg is None:
            continue
        errors = len(c.module.errors)
        check(c, arg, param.type, f"argument '{param.name}' of '{decl.backend.name}'")
        if len(c.module.errors) == errors:
            values[param.name] = _plain(c, arg, param.name)
    c.fixed = ""
    if "spec" in values and form.kind == REWARD:
        _check_reward(c, decl, str(values["spec"]))
    return values


def _plain(c: Checker, arg: s.Expr, name: str) -> Any:
    try:
        return fold(arg, c.constants)
    except NotConstant as error:
        place: s.Node = error.node
        c.report(
            "E431",
            place,
            what=f"argument '{name}' is not a plain value",
            hint="write it out: a model is loaded before anything runs",
        )
        return None


def _check_reward(c: Checker, decl: s.ModelDecl, spec: str) -> None:
    families = [n.removeprefix("reward:") for n in MODELS if n.startswith("reward:")]
    family, colon, _ = spec.partition(":")
    if colon and families and family not in families:
        hint = closest_hint(family, families) or f"families are {', '.join(families)}"
        c.report("E430", decl.args[0].value, name=f"reward:{family}", hint=hint)
    elif not colon:
        c.report(
            "E431",
            decl.args[0].value,
            what=f"'{spec}' names no kind of reward",
            hint=f'write `reward("judge:{spec}")` for a judge, or "head:DIR", "fn:FILE.py:NAME", "qwen:PATH"',
        )


def _check_rows(c: Checker, decl: s.ModelDecl, rows: dict[str, dict[str, float]], end: str) -> None:
    """The rows of a table: one symbol each, weights that can be normalised, and every symbol with a row of its own."""
    place = decl.args[0].value
    for context, row in rows.items():
        if any(weight < 0 for weight in row.values()) or sum(row.values()) <= 0:
            c.report(
                "E431",
                place,
                what=f'the row of "{context}" has weights that are negative or all zero',
                hint="give each symbol a weight >= 0, and one of them more than 0",
            )
            return
    long = next(
        (sym for sym in [*rows, *(sym for row in rows.values() for sym in row)] if len(sym) > 1), None
    )
    if long is not None:
        c.report(
            "E431",
            place,
            what=f'"{long}" is more than one character',
            hint="the symbols of a table are single characters",
        )
        return
    symbols = {
        symbol: context
        for context, row in rows.items()
        for symbol in row
        if symbol != end and row[symbol] > 0
    }
    lacking = next((symbol for symbol in symbols if symbol not in rows), None)
    if lacking is not None:
        c.report(
            "E431",
            place,
            what=f'the symbol "{lacking}" (in the row of "{symbols[lacking]}") has no row of its own',
            hint=f'add a row: `"{lacking}": {{"{end}": 1.0}}`',
        )


def _capabilities(backend: str, args: Mapping[str, Any]) -> frozenset[str] | None:
    """What the registry says that a scheme can do; None where it says nothing."""
    spec = str(args.get("spec", ""))
    entry = MODELS.get(f"reward:{spec.partition(':')[0]}" if backend == "reward" else backend)
    return entry.capabilities if entry is not None and entry.capabilities else None
