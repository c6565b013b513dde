"""From what is typed to what runs: the file, its program, its inputs, engine and limits."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.failure import CommandError
from ppl import Program, limit
from ppl.errors import PPLError, did_you_mean


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


def existing(path_text: str) -> Path:
    """The path of a file that is there; otherwise one message with the nearest name."""
    path = Path(path_text)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = did_you_mean(path.name, [p.name for p in folder.iterdir() if p.suffix in (".py", ".scale")])
        raise CommandError(f"there is no file {path_text!r}.{near}")
    return path


def _of_scale(path: Path, name: str, models: Sequence[str], externs: Sequence[str], untrusted: bool) -> Program:
    import grammar

    functions = {given.rpartition(":")[2]: _function(given) for given in externs}
    module = grammar.load(path, dict(map(_model, models)), functions, untrusted=untrusted)
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
    return name, spec


def _function(given: str) -> Any:
    """FILE.py:NAME as a function."""
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
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise CommandError(f"{path}:{error.lineno}: {error.msg}") from None
    return module


def read_inputs(program: Program, given: Sequence[str]) -> tuple[list[dict[str, Any]], bool]:
    """The arguments of each problem, and whether they came from a file (one result per line then)."""
    files = [item[1:] for item in given if item.startswith("@")]
    named = dict(_split(item) for item in given if not item.startswith("@"))
    if len(files) > 1:
        raise CommandError(f"one --input @FILE at most, found {len(files)}")
    if not files:
        return [_typed(program, named)], False
    problems = []
    for number, line in enumerate(_lines(files[0]), 1):
        where = f"{files[0]}:{number}"
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise CommandError(f"{where}: not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise CommandError(f"{where}: expected an object such as {_example(program)}, found {line.strip()[:60]}")
        try:
            problems.append(_typed(program, {**fields, **named}))
        except CommandError as error:
            raise CommandError(f"{where}: {error}") from None
    return problems, True


def _lines(path: str) -> list[str]:
    try:
        return [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise CommandError(f"there is no file {path!r} to read inputs from") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _split(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name.isidentifier():
        raise CommandError(f"--input {item!r}: write name=value, or @FILE.jsonl")
    return name, value


def _typed(program: Program, given: dict[str, Any]) -> dict[str, Any]:
    """Match names and types against the program's parameters; text stays as it is, the rest is read as a literal."""
    parameters = inspect.signature(program.fn).parameters
    hints = _hints(program)
    for name in given:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise CommandError(
                f"{program.name} has no input {name!r}.{did_you_mean(name, parameters)} Its inputs: {known}."
            )
    for name, parameter in parameters.items():
        if name not in given and parameter.default is parameter.empty:
            kind = _kind(hints.get(name))
            raise CommandError(
                f"{program.name} needs the input {name!r} ({kind}). Write --input {name}={_sample(hints.get(name))}"
            )
    return {name: _read(name, value, hints.get(name)) for name, value in given.items()}


def _hints(program: Program) -> dict[str, Any]:
    try:
        return typing.get_type_hints(program.fn)
    except Exception:
        return {}


def _read(name: str, value: Any, hint: Any) -> Any:
    if not isinstance(value, str) or hint is str:
        if hint in (str, int, bool) and not isinstance(value, hint):
            raise CommandError(f"input {name!r} expects {_kind(hint)}, found {value!r}")
        return value
    if hint is None:
        return value
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise CommandError(
            f"input {name!r} expects {_kind(hint)}, found {value!r}. Write --input {name}={_sample(hint)}"
        ) from None
    if hint is float and isinstance(read, int):
        read = float(read)
    if isinstance(hint, type) and not isinstance(read, hint):
        raise CommandError(
            f"input {name!r} expects {_kind(hint)}, found {value!r}. Write --input {name}={_sample(hint)}"
        )
    return read


_SAMPLES = {str: "text", int: "3", float: "0.5", bool: "True", list: "[1,2]", dict: "{'a':1}"}


def _kind(hint: Any) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "True or False"}.get(
        hint, str(hint or "any value")
    )


def _sample(hint: Any) -> str:
    return _SAMPLES.get(typing.get_origin(hint) or hint, "value")


def _example(program: Program) -> str:
    hints = _hints(program)
    return json.dumps({name: _sample(hints.get(name)) for name in inspect.signature(program.fn).parameters})


def read_limit(given: Sequence[str]) -> limit | None:
    """tokens=4000 and the like as one limit."""
    names = list(limit.__dataclass_fields__)
    bounds: dict[str, Any] = {}
    for item in given:
        name, _, value = item.partition("=")
        if name not in names:
            raise CommandError(
                f"--limit {item!r}: there is no bound {name!r}.{did_you_mean(name, names)} Bounds: {', '.join(names)}."
            )
        try:
            bounds[name] = float(value) if name == "seconds" else int(value)
        except ValueError:
            raise CommandError(f"--limit {item!r}: expected a number, as in {name}=1000") from None
    try:
        return limit(**bounds) if bounds else None
    except PPLError as error:
        raise CommandError(str(error)) from None
