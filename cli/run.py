"""`scale run`: one program over one problem or many, with a live display and whatever was asked for at the end."""

from __future__ import annotations

import json
import signal
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.failure import CommandError
from cli.live import Display
from cli.program import load_program, read_inputs, read_limit
from ppl import Program, Result
from ppl.errors import OptionError
from ppl.events import recording, watching
from ppl.registry import build_engine
from ppl.storage import encode


@dataclass(frozen=True)
class Request:
    """What was typed."""

    file: str
    inputs: tuple[str, ...] = ()
    engine: str | None = None
    seed: int | None = None
    limits: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    externs: tuple[str, ...] = ()
    untrusted: bool = False
    out: Path | None = None
    as_json: bool = False
    live: bool = False


def execute(request: Request) -> None:
    """Check everything that can be checked, run, print."""
    engine = _engine(request.engine)
    bound = read_limit(request.limits)
    program = load_program(request.file, request.models, request.externs, request.untrusted)
    problems, from_file = read_inputs(program, request.inputs)
    results = _run(program, problems, request, bound, engine)
    for result in results:
        if engine is not None and isinstance(result, Result):
            result.engine_source = "--engine"
    if request.out is not None:
        _save(results, request.out)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # they stand in the result itself
        _show(results, request.as_json, from_file, problems)


def _engine(text: str | None) -> Any:
    try:
        return None if text is None else build_engine(text)
    except OptionError as error:
        raise CommandError(f"--engine: {error}") from None


def _run(program: Program, problems: list[dict[str, Any]], request: Request, bound: Any, engine: Any) -> list[Any]:
    with ExitStack() as stack:
        if request.out is not None:
            stack.enter_context(recording(request.out / "events.jsonl"))
        display = stack.enter_context(Display(len(problems), live=request.live and not request.as_json))
        stack.enter_context(_interruptible(display))
        stack.enter_context(watching(display.step))
        options = {"seed": request.seed, "limit": bound, "engine": engine}
        if len(problems) == 1:
            return [program.run(**problems[0], **options)]
        return program.run_many(problems, **options)


@contextmanager
def _interruptible(display: Display) -> Iterator[None]:
    """The first Ctrl-C ends the run after the step under way, with what there is; the second aborts."""

    def interrupt(signum: int, frame: Any) -> None:
        if display.interrupted:
            raise KeyboardInterrupt
        display.interrupted = True

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _save(results: list[Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for i, result in enumerate(results):
        if isinstance(result, Result):
            result.save(out / (f"result-{i}.json" if len(results) > 1 else "result.json"))


def _show(results: list[Any], as_json: bool, from_file: bool, problems: list[dict[str, Any]]) -> None:
    if as_json:
        data = [plain(r) for r in results]
        if from_file:
            for line in data:
                print(json.dumps(line, ensure_ascii=False))
        else:
            print(json.dumps(data[0], ensure_ascii=False, indent=1))
        return
    console = Console()
    for problem, result in zip(problems, results, strict=True):
        if from_file:
            console.print(", ".join(f"{k}={v}" for k, v in problem.items()), style="bold", markup=False)
        console.print(result, markup=not isinstance(result, str))


def plain(result: Any) -> Any:
    """A result as JSON data under its own names."""
    if not isinstance(result, Result):
        return {"value": encode(result)}
    data: dict[str, Any] = {
        "program": result.program,
        "engine": result.engine,
        "engine_source": result.engine_source,
        "seed": encode(result.seed),
        "values": [encode(v) for v in result.values],
        "weights": [float(w) for w in result.weights],
        "log_weights": [float(w) for w in result.log_weights],
        "stopped": result.stopped,
        "reasons": dict(result.reasons),
        "warnings": result.warnings,
        "cost": result.cost.as_dict(),
    }
    if hasattr(result, "log_evidence"):
        data["log_evidence"] = encode(result.log_evidence)
    return data
