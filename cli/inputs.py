"""What is typed after --input, --limit and --seed, read against what the program takes; every mistake in one message."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.failure import CommandError
from ppl import Program, limit
from ppl.errors import PPLError, did_you_mean


@dataclass
class Job:
    """One set of arguments and what came of it. `where` is FILE:LINE, of a problem from a file."""

    arguments: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    line: int | None = None
    result: Any = None
    error: Exception | None = None

    def take(self, outcome: Any) -> None:
        """What the run gave: a result, or the exception in its place."""
        if isinstance(outcome, Exception):
            self.error = outcome
        else:
            self.result = outcome


def read_inputs(program: Program, given: Sequence[str], keep_going: bool = False) -> tuple[list[Job], bool]:
    """The problems, and whether they came from a file (one result per line then)."""
    files = [item[1:] for item in given if item.startswith("@")]
    named: dict[str, Any] = {}
    for name, value in (_split(item) for item in given if not item.startswith("@")):
        if name in named:
            raise CommandError(f"--input {name}= is given twice")
        named[name] = value
    if len(files) > 1:
        raise CommandError(f"one --input @FILE at most, found {len(files)}")
    if not files:
        if keep_going:
            raise CommandError("--keep-going is for many problems: write --input @FILE.jsonl")
        return [Job(_typed(program, named))], False
    jobs = []
    for number, line in enumerate(_lines(files[0]), 1):
        if not line.strip():
            continue
        job = Job(where=f"{files[0]}:{number}", line=number)
        try:
            job.arguments = _typed(program, {**_fields(program, line), **named})
        except (CommandError, PPLError) as error:
            said = str(error).partition(" Write --input")[0]
            job.error = CommandError(f"{job.where}: error: {said} Expected a line such as {_example(program)}", plain=True)
            if not keep_going:
                raise job.error from None
        jobs.append(job)
    if not jobs:
        raise CommandError(f"{files[0]} holds no problems: expected lines such as {_example(program)}")
    return jobs, True


def _fields(program: Program, line: str) -> dict[str, Any]:
    """A line of JSON as named arguments."""
    try:
        fields = json.loads(line)
    except ValueError as error:
        found = f"{error.msg.lower()} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise CommandError(f"not JSON: {found}.") from None
    if not isinstance(fields, dict):
        raise CommandError(f"not an object: {line.strip()[:60]}.")
    return fields


def _lines(path: str) -> list[str]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
        return text.split("\n")
    except FileNotFoundError:
        folder = Path(path).parent
        near = did_you_mean(Path(path).name, [p.name for p in folder.iterdir()] if folder.is_dir() else [])
        raise CommandError(f"there is no file {path!r} to read inputs from.{near}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from None


def _split(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name.isidentifier():
        raise CommandError(f"--input {item!r}: write name=value, or @FILE.jsonl")
    return name, value


def _typed(program: Program, given: dict[str, Any]) -> dict[str, Any]:
    """Match names and types against the program's parameters; text stays as it is, the rest is read as a literal."""
    parameters, hints = inspect.signature(program.fn).parameters, _hints(program)
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise CommandError(
                f"{program.name} takes {parameter}, which has no name to be given by. Write a parameter such as"
                f" {parameter.name}: list[str]"
            )
    for name in given:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise CommandError(
                f"{program.name} has no input {name!r}.{did_you_mean(name, parameters)} Its inputs: {known}."
            )
    for name, parameter in parameters.items():
        if name not in given and parameter.default is parameter.empty:
            hint = hints.get(name)
            raise CommandError(
                f"{program.name} needs the input {name!r} ({_kind(hint)}). Write --input {name}={_sample(hint)}"
            )
    if hasattr(program, "read_argument"):  # a .scale program, which has literals of its own
        return {n: program.read_argument(n, v) if isinstance(v, str) else v for n, v in given.items()}
    return {name: _read(name, value, hints.get(name)) for name, value in given.items()}


def _hints(program: Program) -> dict[str, Any]:
    try:
        return typing.get_type_hints(program.fn)
    except Exception:
        return {}


def _read(name: str, value: Any, hint: Any) -> Any:
    """A value as the program wants it: what is typed is text, read as a literal unless text is wanted."""
    if hint is None or fits(value, hint):
        return value
    read = value
    if isinstance(value, str):
        try:
            read = ast.literal_eval(value.title() if hint is bool else value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            read = value
    if hint is float and isinstance(read, int) and not isinstance(read, bool):
        return float(read)
    if read is value or not fits(read, hint):
        raise CommandError(
            f"input {name!r} expects {_kind(hint)}, found {value!r}. Write --input {name}={_sample(hint)}"
        )
    return read


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, as far as plain data goes; types of another kind are let through."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if hint in (None, types.NoneType):
        return value is None
    if hint is float:
        return isinstance(value, float)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is tuple or hint is tuple:
        return isinstance(value, tuple)
    kind = origin if isinstance(origin, type) else hint
    if not isinstance(kind, type):
        return True
    if not isinstance(value, kind):
        return False
    if isinstance(value, Mapping) and len(args) == 2:
        return all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
    if isinstance(value, (list, set, frozenset)) and args:
        return all(fits(each, args[0]) for each in value)
    return True


_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False"}


def _kind(hint: Any) -> str:
    if hint is None:
        return "any value"
    return _KINDS.get(hint) or (
        hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")
    )


def _sample_value(hint: Any) -> Any:
    """Something of the type, to show."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType, typing.Literal):
        return _sample_value(args[0]) if origin is not typing.Literal else args[0]
    if (origin or hint) in (list, set, tuple, Sequence):
        return [_sample_value(args[0]) if args else 1] * 2
    if (origin or hint) is dict:
        return {"a": 1}
    return {str: "text", int: 3, float: 0.5, bool: True}.get(hint, "value")


def _sample(hint: Any) -> str:
    value = _sample_value(hint)
    if isinstance(value, (list, dict)):
        return f"{repr(value)!r}" if "'" not in repr(value) else f'"{value!r}"'
    return str(value)


def _example(program: Program) -> str:
    hints = _hints(program)
    return json.dumps({name: _sample_value(hints.get(name)) for name in inspect.signature(program.fn).parameters})


# -- bounds and seeds --------------------------------------------------------------------------------------------------


def read_limit(given: Sequence[str]) -> limit | None:
    """tokens=4000 and the like as one limit."""
    names = list(limit.__dataclass_fields__)
    bounds: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise CommandError(f"--limit {item!r}: write name=number, as in tokens=4000. Bounds: {', '.join(names)}.")
        if name not in names:
            raise CommandError(
                f"--limit {item!r}: there is no bound {name!r}.{did_you_mean(name, names)} Bounds: {', '.join(names)}."
            )
        if name in bounds:
            raise CommandError(f"--limit {name}= is given twice")
        try:
            bounds[name] = float(value) if name == "seconds" else int(value)
        except ValueError:
            kind = "a number" if name == "seconds" else "a whole number"
            raise CommandError(f"--limit {item!r}: expected {kind}, as in {name}=1000") from None
    try:
        return limit(**bounds) if bounds else None
    except PPLError as error:
        raise CommandError(f"--limit: {error}") from None


def read_seed(given: str | None) -> int | tuple[int, ...] | None:
    """A whole number, or several with commas between them: problem i of a file under seed s is run under s,i."""
    if given is None:
        return None
    try:
        numbers = tuple(int(part) for part in given.split(","))
    except ValueError:
        raise CommandError(f"--seed {given!r}: expected a whole number, as in --seed 0") from None
    return numbers[0] if len(numbers) == 1 else numbers
