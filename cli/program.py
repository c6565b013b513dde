"""From what is typed to what runs: the file and its program, with its models and externs."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.failure import CommandError
from cli.files import existing
from ppl import Program
from ppl.errors import did_you_mean


def load_program(
    spec: str, models: Sequence[str] = (), externs: Sequence[str] = (), untrusted: bool = False
) -> Program:
    """FILE.py[:NAME] or FILE.scale[:NAME] as a program."""
    path_text, _, name = spec.partition(":") if not Path(spec).exists() else (spec, "", "")
    path = existing(path_text)
    if path.suffix == ".scale":
        return _of_scale(path, name, models, externs, untrusted)
    if path.suffix != ".py":
        raise CommandError(f"{path}: expected a .py or .scale file, found {path.suffix or 'no suffix'!r}")
    if externs or untrusted:
        raise CommandError("--extern and --untrusted are for .scale files; a .py file is trusted with everything")
    if models:
        raise CommandError("--model rebinds the models of a .scale file; a .py file names its own")
    programs = {k: v for k, v in vars(_import(path)).items() if isinstance(v, Program)}
    return _pick(path, programs, name)


def _of_scale(path: Path, name: str, models: Sequence[str], externs: Sequence[str], untrusted: bool) -> Program:
    import grammar

    module = grammar.load(path, dict(map(_model, models)), bound_externs(externs), untrusted=untrusted)
    if not name:
        return module.main
    if name not in module.programs:
        known = module.programs
        raise CommandError(f"{path} has no program {name!r}.{did_you_mean(name, known)} It has {', '.join(known)}.")
    return module.programs[name]


def _model(given: str) -> tuple[str, str]:
    name, equals, spec = given.partition("=")
    if not equals or not name.isidentifier():
        raise CommandError(f"--model {given!r}: write name=spec, as in lm=hf:PATH")
    where = spec.rpartition(":")[2]
    if where.startswith(("/", "./", "../", "~")) and not Path(where).expanduser().exists():
        raise CommandError(f"--model {given!r}: there is no {where}")
    return name, spec


def bound_externs(given: Sequence[str]) -> dict[str, Any]:
    """The functions of "FILE.py:NAME"s, by name."""
    return {each.rpartition(":")[2]: _function(each) for each in given}


def _function(given: str) -> Any:
    file, _, name = given.rpartition(":")
    if not file:
        raise CommandError(f"--extern {given!r}: write FILE.py:NAME")
    found = vars(_import(existing(file)))
    if not callable(found.get(name)):
        functions = [n for n, v in found.items() if callable(v) and not n.startswith("_")]
        raise CommandError(f"{file} has no function {name!r}.{did_you_mean(name, functions)}")
    return found[name]


def _pick(path: Path, programs: dict[str, Program], name: str) -> Program:
    if not programs:
        raise CommandError(f"{path} holds no program: decorate a function with @model")
    if name:
        if name not in programs:
            raise CommandError(
                f"{path} has no program {name!r}.{did_you_mean(name, programs)} It has {', '.join(programs)}."
            )
        return programs[name]
    if len(programs) > 1 and "main" not in programs:
        raise CommandError(
            f"{path} holds several programs: {', '.join(programs)}. Name one, as in {path}:{next(iter(programs))}"
        )
    return programs.get("main") or next(iter(programs.values()))


def _import(path: Path) -> Any:
    """Run a file of the user's as a module; what stands beside it can be imported, as under `python FILE`."""
    from cli.doctor import shadows

    for hidden in shadows(path.parent):
        raise CommandError(f"{hidden} hides SCALE's own `{hidden.stem}` from {path.name}. Rename it.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise CommandError(
            f"{os.path.relpath(error.filename or path)}:{error.lineno}: error: {error.msg}: {(error.text or '').strip()}",
            plain=True,
        ) from None
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{path} imports {error.name!r}, and there is no such module here. If that is how the package is spelled, install it."
        ) from error
    return module
