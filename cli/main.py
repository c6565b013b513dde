"""The command's entry point and its subcommands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.failure import failures_as_messages

app = typer.Typer(
    name="scale",
    help="Inference-time search with language models, as probabilistic programs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def scale() -> None:
    """Inference-time search with language models, as probabilistic programs."""


@app.command()
def run(
    file: Annotated[
        str, typer.Argument(help="FILE.py or FILE.scale, with :PROGRAM if it holds several", metavar="FILE[:PROGRAM]")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="an argument as name=value, or @FILE.jsonl with one problem per line"),
    ] = None,
    engine: Annotated[str | None, typer.Option(help='the engine, as in "smc(particles=64)"')] = None,
    seed: Annotated[int | None, typer.Option(help="makes the run repeatable")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="a hard bound, as in tokens=4000; repeatable")] = None,
    model: Annotated[list[str] | None, typer.Option(help="rebind a model, as in lm=hf:PATH; repeatable")] = None,
    extern: Annotated[
        list[str] | None, typer.Option(help="a function for an extern, as in FILE.py:NAME; repeatable")
    ] = None,
    untrusted: Annotated[bool, typer.Option(help="refuse externs, allow few models, set hard limits")] = False,
    out: Annotated[Path | None, typer.Option(help="folder for the results and events.jsonl")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False,
) -> None:
    """Run a program and show its result."""
    from cli.run import Request, execute

    with failures_as_messages():
        execute(
            Request(
                file,
                tuple(inputs or ()),
                engine,
                seed,
                tuple(limit or ()),
                tuple(model or ()),
                tuple(extern or ()),
                untrusted,
                out,
                as_json,
                sys.stderr.isatty(),
            )
        )


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help=".scale files", metavar="FILE...")],
    strict: Annotated[bool, typer.Option(help="warnings fail too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per remark")] = False,
) -> None:
    """Find every mistake of .scale files without running them."""
    from cli.language import check_files

    with failures_as_messages():
        check_files(files, strict, as_json)


@app.command()
def fmt(
    files: Annotated[list[str], typer.Argument(help=".scale files", metavar="FILE...")],
    check: Annotated[bool, typer.Option(help="write nothing; exit 1 if something would be")] = False,
) -> None:
    """Lay .scale files out in the one way."""
    from cli.language import format_files

    with failures_as_messages():
        format_files(files, check)


@app.command()
def test(file: Annotated[str, typer.Argument(help="a .scale file", metavar="FILE")]) -> None:
    """Run the tests that stand in a .scale file."""
    from cli.language import run_file_tests

    with failures_as_messages():
        run_file_tests(file)


@app.command()
def explain(code: Annotated[str, typer.Argument(help="a message's code, as in E104", metavar="CODE")]) -> None:
    """Say what a message means, with an example that is wrong and one that is right."""
    from cli.language import explain_code

    with failures_as_messages():
        explain_code(code)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
