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
                out,
                as_json,
                sys.stderr.isatty(),
            )
        )


def main() -> None:
    app()


if __name__ == "__main__":
    main()
