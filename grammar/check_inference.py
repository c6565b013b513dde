"""`infer` and `limit` lines: engines with their options, and whether an engine can run a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from grammar import syntax as s
from grammar.check_context import Checker, closest, closest_hint
from grammar.check_sites import WORDS
from grammar.constants import NotConstant, fold
from grammar.diagnostics import Note
from grammar.symbols import ExternSymbol, FunctionSymbol, Inference, ModelSymbol, Site
from grammar.type_names import quote
from ppl.cost import limit
from ppl.registry import ENGINES, REQUIRED, EngineEntry, Option

OLD_ENGINES = {
    "enumerate": "exact",
    "enumeration": "exact",
    "bestof": "best_of",
    "a_star": "astar",
    "pg": "particle_gibbs",
}
"""What an engine is called elsewhere."""

OLD_OPTIONS = {
    "ess": "ess_threshold",
    "resample": "resampling",
    "n": "particles",
    "num_particles": "particles",
    "k": "width",
}

FUEL = ("max_steps", "max_depth", "max_text", "max_list")
"""Limits of one run of the machine, beside those of `ppl.limit`."""

EngineOptions = tuple[str, Mapping[str, Any]]


# -------------------------------------------------------------------------------------------------- engines


def engine(c: Checker, written: s.Engine) -> EngineOptions | None:
    """An engine's name and plain options; None if something is wrong with it."""
    name = written.name.name
    entry = ENGINES.get(name)
    if entry is None:
        meant = OLD_ENGINES.get(name) or closest(name, ENGINES)
        hint = f"did you mean '{meant}'?" if meant in ENGINES else f"engines are {', '.join(ENGINES)}"
        c.report("E420", written.name, what=f"there is no engine '{name}'", hint=hint)
        return None
    given: dict[str, Any] = {}
    fits = [_option(c, name, entry, index, arg, given) for index, arg in enumerate(written.args)]
    lacking = [o for o, spec in entry.options.items() if spec.default is REQUIRED and o not in given]
    if lacking and all(fits):
        example = f"{name}({', '.join(f'{o}=16' for o in lacking)})"
        c.report("E422", written, name=name, option=lacking[0], example=example)
    return (name, given) if all(fits) and not lacking else None


def _option(c: Checker, name: str, entry: EngineEntry, index: int, arg: s.Arg, given: dict[str, Any]) -> bool:
    """Add one option to `given`; False, reported, if it does not exist or its value does not fit."""
    if arg.name is None and index >= len(entry.options):
        c.report(
            "E420",
            arg.value,
            what=f"{name} has no {index + 1} options",
            hint=f"its options are {_options(entry)}",
        )
        return False
    option = arg.name.name if arg.name is not None else list(entry.options)[index]
    spec = entry.options.get(option)
    if spec is None:
        c.report(
            "E420",
            arg.name or arg.value,
            what=f"{name} has no option '{option}'",
            hint=_option_hint(option, entry),
        )
        return False
    if option in given:
        c.report("E213", arg.name or arg.value, callee=f"'{name}'", name=option)
        return False
    words: dict[str, Any] = {"name": name, "option": option, "value": c.quoted(arg.value)}
    try:
        given[option] = fold(arg.value, c.constants)
    except NotConstant as error:
        c.report("E421", error.node, **words, problem="expected a plain value", hint=_value_hint(spec))
        return False
    problem = spec.problem(given[option])
    if problem and spec.kind == "function":
        problem = "expected a function"
    if problem:
        c.report("E421", arg.value, **words, problem=problem, hint=_choice_hint(spec, given[option]))
    return problem is None


def _option_hint(option: str, entry: EngineEntry) -> str:
    if option == "seed":
        return "the caller gives the seed: `--seed 1`, or `seed=1` in Python"
    old = OLD_OPTIONS.get(option)
    meant = old if old in entry.options else closest(option, entry.options)
    return (f"did you mean '{meant}'? " if meant else "") + f"options: {_options(entry)}"


def _options(entry: EngineEntry) -> str:
    """The options that a file can set, with their defaults."""
    shown = (
        o if spec.default is REQUIRED else f"{o}={_value(spec.default)}"
        for o, spec in entry.options.items()
        if spec.kind != "function"
    )
    return ", ".join(shown) or "none"


def _value(value: object) -> str:
    return quote(value) if isinstance(value, str) else str(value).lower()


def _value_hint(spec: Option) -> str:
    if spec.kind == "function":
        return "a function can be given from Python only"
    return "write a literal, or the name of a const"


def _choice_hint(spec: Option, value: object) -> str | None:
    if spec.kind == "function":
        return "a function can be given from Python only"
    near = (
        closest(value, [each for each in spec.choices if isinstance(each, str)])
        if isinstance(value, str)
        else None
    )
    if near:
        return f'did you mean "{near}"?'
    return spec.meaning or None


# -------------------------------------------------------------------------------------------------- programs


def program(c: Checker, name: s.Identifier | None, place: s.Node, line: str) -> FunctionSymbol | None:
    """The program that an `infer` line or a `test` means; None, reported, if there is no such one."""
    programs = c.module.programs
    if name is not None:
        found = programs.get(name.name)
        if found is None:
            other = name.name in c.module.functions
            hint = (
                f"'{name.name}' is a fn; declare it with `program`"
                if other
                else closest_hint(name.name, programs)
            )
            c.report(
                "E425",
                name,
                what=f"'{name.name}' is not a program of this file",
                hint=hint or _listing(programs),
            )
        else:
            c.module.names[name] = found
        return found
    if c.module.main is None:
        what = "this file has no program" if not programs else "this file has several programs"
        mend = (
            "declare one: `program solve(question: str) -> str { ... }`"
            if not programs
            else f"write `{line} {next(iter(programs))}`"
        )
        c.report("E425", place, what=what, hint=mend)
    return c.module.main


def _listing(programs: Iterable[str]) -> str:
    names = ", ".join(programs)
    return (
        f"its programs are {names}" if names else "declare it: `program solve(question: str) -> str { ... }`"
    )


def infer_line(c: Checker, decl: s.InferDecl) -> None:
    """`infer p with e1, e2`: p is a program of this file and each engine can run it."""
    chosen = program(c, decl.program, decl, "infer")
    engines = [engine(c, written) for written in decl.engines]
    if c.module.inference is not None:
        c.report("E426", decl, what="`infer` line")
        return
    if chosen is None or any(each is None for each in engines):
        return
    c.module.inference = Inference(chosen, tuple(each for each in engines if each is not None))
    for written in decl.engines:
        _suits(c, written, chosen)


def reached(start: FunctionSymbol) -> list[FunctionSymbol | ExternSymbol]:
    """All functions that a run of `start` may call, itself first."""
    seen: dict[FunctionSymbol | ExternSymbol, None] = {start: None}
    pending: list[FunctionSymbol | ExternSymbol] = [start]
    while pending:
        current = pending.pop()
        if isinstance(current, FunctionSymbol):
            fresh = [each for each in current.facts.mentions if each not in seen]
            seen.update(dict.fromkeys(fresh))
            pending.extend(fresh)
    return list(seen)


def _suits(c: Checker, written: s.Engine, start: FunctionSymbol) -> None:
    """Whether the engine can run the program, as far as the text tells."""
    name, entry = written.name.name, ENGINES[written.name.name]
    called = reached(start)
    facts = [each.facts for each in called if isinstance(each, FunctionSymbol)]
    if "finite" in entry.needs:
        free = next((site for each in facts for site in each.sites if site.free), None)
        if free is not None:
            hint = (
                None
                if free.model is not None
                else "use another engine: smc(particles=16), importance(particles=16)"
            )
            notes = _elsewhere(c, free)
            c.report("E410", written, name=name, site=_site(free), why=free.free, notes=notes, hint=hint)
    if "rescore" in entry.needs:
        silent = next((site for each in facts for site in each.sites if _cannot_score(site.model)), None)
        if silent is not None and silent.model is not None:
            c.report(
                "E411",
                written,
                name=name,
                model=silent.model.name,
                site=_site(silent),
                lacks=WORDS["score"],
                notes=_elsewhere(c, silent),
            )
        impure = next((each for each in called if isinstance(each, ExternSymbol) and not each.pure), None)
        if impure is not None:
            c.report("E412", written, name=name, extern=impure.name)
    if "heuristic" in entry.needs and not any(each.heuristics for each in facts):
        c.report("W410", written, name=name)
    weighs = any(each.weights or each.heuristics or each.barriers for each in facts)
    if "resampling" in entry.options and not weighs:
        c.report("W412", written, name=name)


def _cannot_score(model: ModelSymbol | None) -> bool:
    return model is not None and model.capabilities is not None and "score" not in model.capabilities


def _site(site: Site) -> str:
    return f"'{site.name}' (line {site.node.span.line})"


def _elsewhere(c: Checker, site: Site) -> list[Note]:
    here = site.source is c.source
    return [
        Note(
            "the choice is here" if here else f"the choice is in {site.source.path}",
            site.node.span if here else None,
        )
    ]


# ---------------------------------------------------------------------------------------------------- limits


def limit_line(c: Checker, decl: s.LimitDecl) -> None:
    """`limit tokens = n`: known columns, each once, with positive numbers."""
    known = [f.name for f in dataclasses.fields(limit)] + [*FUEL]
    for each in decl.limits:
        name = each.name.name
        if name not in known:
            hint = closest_hint(name, known) or f"limits are {', '.join(known)}"
            c.report("E427", each.name, name=name, hint=hint)
        elif name in c.module.limits:
            c.report("E426", each.name, what=f"limit '{name}'")
        else:
            c.module.limits[name] = _limit(c, each)


def _limit(c: Checker, each: s.Limit) -> float:
    try:
        value = fold(each.value, c.constants)
    except NotConstant:
        value = None
    whole = each.name.name != "seconds"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value <= 0:
        kind = "a positive integer" if whole else "a positive number"
        c.report(
            "E428",
            each.value,
            name=each.name.name,
            kind=kind,
            example=f"{each.name.name} = {20_000 if whole else 60}",
        )
        return 0
    return value
