"""`grammar.load(path)`: a file, checked, compiled and bound to the models and functions of the host.

Models are looked up by name in `ppl.registry` and imported when a program first asks them, so that a file can
be loaded, and its finite programs run, where no model can be.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grammar import trust
from grammar.diagnostics import Diagnostic
from grammar.faults import Fuel
from grammar.linker import Linker
from grammar.modules import check_file, check_text
from grammar.programs import ScaleProgram
from grammar.symbols import CheckedModule, ModelSymbol
from grammar.then import chain
from ppl import registry
from ppl.cost import limit as bounds
from ppl.errors import OptionError, UsageError, did_you_mean

FUEL_NAMES = tuple(f.name for f in dataclasses.fields(Fuel))


class Module:
    """A loaded file. Its programs are attributes; `main` is the one that its `infer` line names, bound to
    that engine.

    programs  by name, without engines
    warnings  what the checker remarked
    checked   the checked syntax tree
    """

    def __init__(self, checked: CheckedModule, linker: Linker, limit: bounds | None) -> None:
        self.checked, self.linker = checked, linker
        self.programs = {n: ScaleProgram(linker, symbol, limit) for n, symbol in checked.programs.items()}

    @property
    def main(self) -> ScaleProgram:
        """The file's program: that of the `infer` line under its engine, or the only one."""
        inference = self.checked.inference
        if inference is None:
            return self._only()
        program = self.programs[inference.program.name].bind(chain(inference.engines))
        program.engine_source = "infer line"
        return program

    def _only(self) -> ScaleProgram:
        names = list(self.programs)
        if len(names) != 1:
            path = self.checked.source.path
            if not names:
                raise UsageError(f"{path} has no program to run. Write one: `program name(question: str) -> str {{ ... }}`.")
            raise UsageError(
                f"{path} has several programs: {', '.join(names)}. Name one, or say `infer NAME with ...` in the file."
            )
        return self.programs[names[0]]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [each for each in self.checked.diagnostics if not each.is_error]

    def __getattr__(self, name: str) -> ScaleProgram:
        programs = self.__dict__.get("programs", {})
        if name in programs:
            return programs[name]  # type: ignore[no-any-return]
        known = ", ".join(programs) or "none"
        raise AttributeError(f"no program {name!r}.{did_you_mean(name, programs)} Its programs: {known}.")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.programs]

    def __repr__(self) -> str:
        return f"<.scale file {self.checked.source.path}: {', '.join(self.programs)}>"


def load(
    path: str | Path,
    models: Mapping[str, Any] | None = None,
    externs: Mapping[str, Callable[..., Any]] | None = None,
    *,
    fuel: Fuel | None = None,
    untrusted: bool = False,
) -> Module:
    """Check a file and make its programs ready to run. Raises one `ScaleError` with every mistake found.

    models     in the place of declared ones, by name: a model, or what `backends.load` takes, such as
    "hf:PATH"
    externs    the functions that `extern fn` declares, by name
    fuel       what one run may use up; by default what the file's `limit` says, else `Fuel()`
    untrusted  refuse extern functions and all but a few models, and keep runs within the limits of
    `grammar.trust`
    """
    checked = check_file(path, models=_capabilities(models or {}), externs=list(externs or {}))
    return link(checked, models or {}, externs or {}, fuel, untrusted)


def loads(
    text: str,
    models: Mapping[str, Any] | None = None,
    externs: Mapping[str, Callable[..., Any]] | None = None,
    *,
    path: str = "<text>",
    fuel: Fuel | None = None,
    untrusted: bool = False,
) -> Module:
    """`load`, of a text."""
    checked = check_text(text, path, models=_capabilities(models or {}), externs=list(externs or {}))
    return link(checked, models or {}, externs or {}, fuel, untrusted)


def link(
    checked: CheckedModule,
    models: Mapping[str, Any],
    externs: Mapping[str, Callable[..., Any]],
    fuel: Fuel | None = None,
    untrusted: bool = False,
) -> Module:
    """A checked file, ready to run."""
    if untrusted:
        trust.refuse(checked, models)
    checked.raise_errors()
    _check_names(checked, models)
    fuel = fuel or Fuel(**{name: int(value) for name, value in checked.limits.items() if name in FUEL_NAMES})
    said = {name: value for name, value in checked.limits.items() if name not in FUEL_NAMES}
    limit = bounds(**said) if said else None  # type: ignore[arg-type]
    if untrusted:
        fuel, limit = trust.tighter(fuel), trust.within(limit)

    def load_model(module: CheckedModule, symbol: ModelSymbol) -> Any:
        given = models.get(symbol.name)
        if given is None:
            return declared_model(module, symbol)
        return registry.load_model(_full_spec(given, symbol)) if isinstance(given, str) else given

    return Module(checked, Linker(checked, fuel, load_model, externs), limit)


def _check_names(checked: CheckedModule, models: Mapping[str, Any]) -> None:
    declared = [name for module in checked.modules() for name in module.models]
    for name in models:
        if name not in declared:
            known = f"It declares {', '.join(declared)}." if declared else "It declares none."
            raise UsageError(
                f"{checked.source.path} declares no model {name!r}.{did_you_mean(name, declared)} {known}"
            )


def _full_spec(spec: str, symbol: ModelSymbol) -> str:
    return f"reward:{spec}" if symbol.is_reward and not spec.startswith("reward:") else spec


def _capabilities(models: Mapping[str, Any]) -> dict[str, frozenset[str] | None]:
    """What the models given by the host can do, as far as they say; None where that is not known."""
    return {name: _capability(given) for name, given in models.items()}


def _capability(given: Any) -> frozenset[str] | None:
    if not isinstance(given, str):
        return getattr(given, "capabilities", None)
    scheme, _, rest = given.partition(":")
    entry = registry.MODELS.get(f"reward:{rest.partition(':')[0]}" if scheme == "reward" else scheme)
    if entry is None and f"reward:{scheme}" not in registry.MODELS:
        raise OptionError(f"there is no model {given!r}.{did_you_mean(scheme, registry.MODELS)}")
    return entry.capabilities if entry is not None else None


# ------------------------------------------------------------------------------------------- declared models


def declared_model(module: CheckedModule, symbol: ModelSymbol) -> Any:
    """The model that a declaration names: loaded by `backends.load`, shared with all who ask for the same."""
    args = dict(symbol.args)
    folder = module.path.parent if module.path is not None else Path()
    match symbol.backend:
        case "table":
            return registry.load_model("table", **args)
        case "scripted":
            return scripted(_rule(args["rules"]))
        case "reward":
            family, _, rest = str(args["spec"]).partition(":")
            return registry.load_model(
                f"reward:{family}:{rest if _of_model(family) else _beside(folder, rest)}"
            )
    names = ("name", "path", "url", "spec")
    argument = next((str(args.pop(name)) for name in names if name in args), None)
    if argument is not None and symbol.backend in ("hf", "gguf"):
        argument = _beside(folder, argument)
    spec = symbol.backend if argument is None else f"{symbol.backend}:{argument}"
    return registry.load_model(spec, **{name: value for name, value in args.items() if value is not None})


def scripted(rule: Callable[[str], str] | str) -> Any:
    """A model that replies by rule."""
    room = registry.MODELS["scripted"].target.partition(":")[0]
    return importlib.import_module(room).Scripted(rule)


def judged_by(model: Any) -> Any:
    """A reward that asks this language model."""
    room = registry.MODELS["reward:judge"].target.partition(":")[0]
    return importlib.import_module(room).JudgeReward(model)


def _of_model(family: str) -> bool:
    """Whether a reward is written with the name of a model rather than a path."""
    entry = registry.MODELS.get(f"reward:{family}")
    return entry is not None and entry.form.endswith(":MODEL")


def _beside(folder: Path, written: str) -> str:
    """Relative paths that lead somewhere from the file's folder as absolute ones; else as it is."""
    if "," in written:
        return ",".join(_beside(folder, each) for each in written.split(","))
    file, colon, rest = written.partition(":")
    found = folder / file
    return f"{found.resolve()}{colon}{rest}" if file and found.exists() else written


def _rule(rules: str | Mapping[str, str]) -> Callable[[str], str] | str:
    """The replies of `scripted({"part of the prompt": "reply"})`: the first part that is found answers."""
    if isinstance(rules, str):
        return rules

    def reply(prompt: str) -> str:
        found = next((answer for part, answer in rules.items() if part in prompt), None)
        if found is None:
            raise UsageError(
                f"no rule of scripted(...) fits the prompt {prompt[-80:]!r}."
                f" Its parts: {', '.join(map(repr, rules))}."
            )
        return found

    return reply
