"""The command's entry point and its subcommands. Each imports its work when it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.failure import failures_as_messages

typer.BadParameter.__bases__[0].exit_code = 1  # type: ignore[attr-defined]  # wrong usage ends like any other mistake
app = typer.Typer(
    name="scale",
    help="Inference-time search with language models, as probabilistic programs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"scale {version('scale-ppl')}")
        raise typer.Exit


@app.callback()
def scale(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Inference-time search with language models, as probabilistic programs."""


@app.command()
def run(
    file: Annotated[
        str, typer.Argument(help="FILE.py or FILE.scale, with :PROGRAM if it holds several", metavar="FILE[:PROGRAM]")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=VALUE",
            help="an argument; or @FILE.jsonl (@- for stdin) with one problem per line",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", "-e", help='the engine, as in "smc(particles=64)"', autocompletion=completion.engines),
    ] = None,
    seed: Annotated[str | None, typer.Option(help="makes the run repeatable: a whole number, or several as in 1,2", metavar="N")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N", help="a hard bound, as in tokens=4000; repeatable", autocompletion=completion.limits
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SPEC",
            help="rebind a model of a .scale file, as in lm=hf:PATH",
            autocompletion=completion.models,
        ),
    ] = None,
    extern: Annotated[
        list[str] | None, typer.Option(metavar="FILE.py:NAME", help="a function for an extern of a .scale file")
    ] = None,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="refuse externs, allow few models, set hard limits")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="go on after a problem that fails; exit code 1 at the end")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="estimate calls and tokens with a scripted model; nothing is paid")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder: results and events.jsonl")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False,
) -> None:
    """Run a program and show its result. Ctrl-C stops it and shows what there is; twice aborts."""
    with failures_as_messages():
        from cli.run import Request, execute

        execute(
            Request(
                file, tuple(inputs or ()), engine, seed, tuple(limit or ()), tuple(model or ()), tuple(extern or ()),
                untrusted, keep_going, dry_run, out, as_json, sys.stderr.isatty(),
            )
        )  # fmt: skip


@app.command()
def trace(
    folder: Annotated[Path, typer.Argument(help="what `scale run --out DIR` wrote", metavar="DIR")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write one self-contained page instead of printing")
    ] = None,
) -> None:
    """Show what a search did: the tree of a run folder, in the terminal or as a page."""
    with failures_as_messages():
        from cli.trace import show_trace

        show_trace(folder, html)


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help=".scale files", metavar="FILE...")],
    strict: Annotated[bool, typer.Option("--strict", help="warnings fail too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per remark")] = False,
) -> None:
    """Find every mistake of .scale files without running them."""
    with failures_as_messages():
        from cli.language import check_files

        check_files(files, strict, as_json)


@app.command()
def fmt(
    files: Annotated[list[str], typer.Argument(help=".scale files", metavar="FILE...")],
    check: Annotated[bool, typer.Option("--check", help="write nothing; exit 1 if something would be")] = False,
) -> None:
    """Lay .scale files out in the one way."""
    with failures_as_messages():
        from cli.language import format_files

        format_files(files, check)


@app.command()
def test(
    file: Annotated[str, typer.Argument(help="a .scale file", metavar="FILE")],
    extern: Annotated[
        list[str] | None, typer.Option(help="a function for an extern, as in FILE.py:NAME; repeatable")
    ] = None,
) -> None:
    """Run the tests that stand in a .scale file."""
    with failures_as_messages():
        from cli.language import run_file_tests

        run_file_tests(file, extern or ())


@app.command()
def explain(code: Annotated[str, typer.Argument(help="a message's code, as in E104", metavar="CODE")]) -> None:
    """Say what a message means, with an example that is wrong and one that is right."""
    with failures_as_messages():
        from cli.language import explain_code

        explain_code(code)


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="one JSON object per model")] = False) -> None:
    """List the models that `load` and --model know, and whether they can be had here."""
    with failures_as_messages():
        from cli.models import list_models

        list_models(as_json)


@app.command()
def engines(as_json: Annotated[bool, typer.Option("--json", help="one JSON object per engine")] = False) -> None:
    """List the engines that --engine knows, with their options."""
    with failures_as_messages():
        from cli.models import list_engines

        list_engines(as_json)


@app.command()
def doctor() -> None:
    """Check the installation: versions, devices, backends, and that our rooms are not hidden by something else."""
    with failures_as_messages():
        from cli.doctor import examine

        examine()


def main() -> None:
    """The entry point of `scale`."""
    app()


if __name__ == "__main__":
    main()
