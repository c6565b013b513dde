"""Engines and model schemes by name, as plain data.

A room that must know of another looks it up here: `grammar` checks an `infer` line and the command an `--engine`
string without importing an engine, let alone torch. The target is imported on use. `register_engine` adds a user's.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from ppl.engine_catalogue import ENGINES, EngineEntry
from ppl.errors import OptionError, did_you_mean
from ppl.model_catalogue import LOADER, MODELS, ModelEntry
from ppl.options import REQUIRED, Option

__all__ = [
    "ENGINES", "LOADER", "MODELS", "REQUIRED", "EngineEntry", "ModelEntry", "Option", "build_engine", "check_options",
    "describe", "engine_class", "engine_entry", "load_model", "parse_engine", "register_engine",
]  # fmt: skip


def register_engine(cls: Any) -> Any:
    """Make a user's engine class (a frozen dataclass with `search(run)`) known by its name. Usable as a decorator."""
    options = {
        f.name: Option(_kind(f.type), REQUIRED if f.default is dataclasses.MISSING else f.default)
        for f in dataclasses.fields(cls)
    }
    summary = (cls.__doc__ or "").split("\n")[0]
    ENGINES[cls.__name__] = EngineEntry(cls, options, result=getattr(cls, "result", "posterior"), summary=summary)
    return cls


def _kind(annotation: Any) -> str:
    """What an option of this annotation takes: plain types are checked, others are the engine's own affair."""
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name if name in ("int", "float", "bool", "str") else "any"


def engine_entry(name: str) -> EngineEntry:
    """An engine by name; OptionError with the nearest names for one that is not there."""
    try:
        return ENGINES[name]
    except KeyError:
        raise OptionError(
            f"there is no engine {name!r}.{did_you_mean(name, ENGINES)} Engines: {', '.join(ENGINES)}."
        ) from None


def check_options(name: str, given: Mapping[str, Any]) -> None:
    """Raise OptionError for an option that does not exist, is missing, or is out of range; the message lists them."""
    options = engine_entry(name).options
    for option, value in given.items():
        if option not in options:
            raise OptionError(
                f"{name} has no option {option!r}.{did_you_mean(option, options)} Its options: {describe(name)}."
            )
        problem = options[option].problem(value)
        if problem:
            raise OptionError(f"{name}({option}={value!r}): {problem}. Its options: {describe(name)}.")
    for option, spec in options.items():
        if spec.default is REQUIRED and option not in given:
            raise OptionError(f"{name} needs {option}, as in {name}({option}=16). Its options: {describe(name)}.")


def describe(name: str) -> str:
    """An engine's options with their defaults, in a line."""
    options = engine_entry(name).options
    return ", ".join(o if s.default is REQUIRED else f"{o}={s.default!r}" for o, s in options.items()) or "none"


def engine_class(name: str) -> Any:
    """Import an engine."""
    target = engine_entry(name).target
    if not isinstance(target, str):
        return target
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)


def load_model(spec: str, **options: Any) -> Any:
    """A model or reward as `backends.load` gives it; the room is imported now."""
    module, attribute = LOADER.split(":")
    return getattr(importlib.import_module(module), attribute)(spec, **options)


def build_engine(text: str) -> Any:
    """An engine from "smc(particles=64)": a name and literal options, nothing evaluated."""
    name, options = parse_engine(text)
    check_options(name, options)
    return engine_class(name)(**options)


def parse_engine(text: str) -> tuple[str, dict[str, Any]]:
    """ "smc(particles=64)" as ("smc", {"particles": 64}). A lone positional argument is the engine's first option."""
    hint = 'Write it as in "smc(particles=64)".'
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise OptionError(f"cannot read the engine {text!r}. {hint}") from None
    if isinstance(node, ast.Name):
        engine_entry(node.id)
        return node.id, {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise OptionError(f"cannot read the engine {text!r}. {hint}")
    name = node.func.id
    names = list(engine_entry(name).options)
    if len(node.args) > len(names):
        raise OptionError(f"{name} has {len(names)} option{'' if len(names) == 1 else 's'}, found {len(node.args)}. They are: {describe(name)}.")
    given = [*zip(names, node.args, strict=False), *((k.arg or "", k.value) for k in node.keywords)]
    options: dict[str, Any] = {}
    for option, value in given:
        if option in options:
            raise OptionError(f"{option} is given twice in {text!r}.")
        try:
            options[option] = ast.literal_eval(value)
        except ValueError:
            raise OptionError(
                f"the options of {text!r} must be literals such as 16, 0.5 or 'systematic'. {hint} Functions are given"
                " from Python."
            ) from None
    return name, options
