"""`scale run`: one program over one problem or many, with a live display and whatever was asked for at the end."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.failure import CommandError, describe
from cli.inputs import Job, read_inputs, read_limit, read_seed
from cli.live import Display
from cli.program import load_program
from ppl import Program, Result
from ppl.display import engine_line, one_line, remarks
from ppl.errors import OptionError
from ppl.events import recording, watching
from ppl.registry import ENGINES, build_engine
from ppl.storage import encode
from ppl.tasks import Stopped


@dataclass(frozen=True)
class Request:
    """What was typed."""

    file: str
    inputs: tuple[str, ...] = ()
    engine: str | None = None
    seed: str | None = None
    limits: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    externs: tuple[str, ...] = ()
    untrusted: bool = False
    keep_going: bool = False
    dry_run: bool = False
    out: Path | None = None
    as_json: bool = False
    live: bool = False


def execute(request: Request) -> None:
    """Check everything that can be checked, run, print. Exit code 1 if a problem failed."""
    from_program = Path(request.file.partition(":")[0]).suffix == ".py" and not _known(request.engine)
    options = {
        "engine": None if from_program else _engine(request.engine),
        "limit": read_limit(request.limits),
        "seed": read_seed(request.seed),
    }
    _writable(request.out)
    with ExitStack() as stack:
        if request.dry_run:
            from backends.loading import standing_in
            from cli.rehearsal import stand_in

            stack.enter_context(standing_in(stand_in))
        program = load_program(request.file, request.models, request.externs, request.untrusted)
        if from_program:  # a .py file may register an engine of its own
            options["engine"] = _engine(request.engine)
        jobs, from_file = read_inputs(program, request.inputs, request.keep_going)
        if request.dry_run:
            options["on_error"] = "drop"  # what a stand-in writes means nothing to the program
        _run(program, jobs, from_file, request, options)
    _report(jobs, from_file, request)


def _report(jobs: Sequence[Job], from_file: bool, request: Request) -> None:
    done = [p.result for p in jobs if p.error is None]
    for result in done:
        if request.engine is not None and isinstance(result, Result):
            result.engine_source = "--engine"
    if request.out is not None:
        _save(jobs, request)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # they stand in the result itself
        if request.dry_run:
            _show_estimate(done, request.as_json)
        elif request.as_json:
            _print_json(jobs, from_file)
        else:
            _show(jobs, from_file)
    failed = [p for p in jobs if p.error is not None]
    for job in failed:
        assert job.error is not None
        known = isinstance(job.error, CommandError) and job.error.plain  # it begins with its place
        print(describe(job.error) if known else f"{job.where}: {describe(job.error)}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(jobs)} problems failed", file=sys.stderr)
        raise SystemExit(1)


def _known(engine: str | None) -> bool:
    return engine is None or engine.partition("(")[0].strip() in ENGINES


def _engine(text: str | None) -> Any:
    try:
        return None if text is None else build_engine(text)
    except OptionError as error:
        raise CommandError(f"--engine: {error}") from None


def _run(
    program: Program, jobs: Sequence[Job], from_file: bool, request: Request, options: dict[str, Any]
) -> None:
    """Give every problem its result or its error."""
    ready = [p for p in jobs if p.error is None]
    with ExitStack() as stack:
        record = stack.enter_context(recording(None if request.out is None else request.out / "events.jsonl"))
        engine = options["engine"] or program.engine
        title = f"{program.name} · {engine_line(repr(engine)) if engine is not None else 'one forward run'}"
        display = stack.enter_context(Display(len(ready), record, request.live and not request.as_json, title))
        stack.enter_context(_interruptible(display))
        stack.enter_context(watching(display.step))
        try:
            if from_file:
                given = [p.arguments for p in ready]
                results = program.run_many(given, keep_going=request.keep_going, **options)
            else:
                results = [program.run(**p.arguments, **options) for p in ready]
        except Stopped:
            raise CommandError("stopped before its one forward run was over; there is nothing to show") from None
        except Exception as error:
            said = describe(error)
            if from_file and hasattr(error, "problem"):
                said = f"{ready[error.problem].where}: {said}"
            if request.dry_run:
                said += " (This was a dry run: what it stumbled over may be the made-up text of a stand-in.)"
            raise CommandError(said, plain=True) from error
    for job, result in zip(ready, results, strict=True):
        job.take(result)


@contextmanager
def _interruptible(display: Display) -> Iterator[None]:
    """The first Ctrl-C ends the run after the step under way, with what there is; the second aborts."""

    def interrupt(signum: int, frame: Any) -> None:
        if display.interrupted:
            raise KeyboardInterrupt
        display.interrupted = True
        print("stopping after this step; Ctrl-C again aborts", file=sys.stderr)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# -- what is left behind -----------------------------------------------------------------------------------------------


def _writable(out: Path | None) -> None:
    """Make the run folder before anything is paid."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out {str(out)!r}: cannot make this folder: {error.strerror}") from None


def _save(jobs: Sequence[Job], request: Request) -> None:
    """The run folder: result.json (result-0.json, ... of several), and run.json with what was asked."""
    out = request.out
    assert out is not None
    for old in out.glob("result*.json"):
        old.unlink()
    asked = []
    for i, job in enumerate(jobs):
        name = f"result-{i}.json" if len(jobs) > 1 else "result.json"
        if isinstance(job.result, Result):
            job.result.save(out / name)
        asked.append({
            "input": {k: encode(v) for k, v in job.arguments.items()},
            "result": name if isinstance(job.result, Result) else None,
            "error": None if job.error is None else describe(job.error),
        })  # fmt: skip
    data = {"file": request.file, "engine": request.engine, "seed": request.seed, "problems": asked}
    (out / "run.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _show(jobs: Sequence[Job], from_file: bool) -> None:
    console = Console()
    for job in jobs:
        if job.error is not None:
            continue
        if from_file:
            line = ", ".join(f"{k}={one_line(v)}" for k, v in job.arguments.items())
            console.print(line, style="bold", markup=False, highlight=False)
        console.print(job.result, markup=not isinstance(job.result, str))


def _show_estimate(results: Sequence[Any], as_json: bool) -> None:
    from cli.rehearsal import estimate, show_estimate

    if as_json:
        print(json.dumps(estimate(results), indent=1))
    else:
        show_estimate(results)


def _print_json(jobs: Sequence[Job], from_file: bool) -> None:
    if not from_file:
        print(json.dumps(plain(jobs[0].result), ensure_ascii=False, indent=1))
        return
    for job in jobs:
        about: dict[str, Any] = {"line": job.line, "input": {k: encode(v) for k, v in job.arguments.items()}}
        said = plain(job.result) if job.error is None else {"error": describe(job.error)}
        print(json.dumps({**about, **said}, ensure_ascii=False))


def plain(result: Any) -> dict[str, Any]:
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
        "warnings": remarks(result),
        "cost": result.cost.as_dict(),
    }
    if hasattr(result, "log_evidence"):
        data["log_evidence"] = encode(result.log_evidence)
        data["log_evidence_error"] = encode(result.log_evidence_error)
    return data
