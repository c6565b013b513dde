"""`scale check`, `fmt`, `test` and `explain`: what the command does with .scale files besides running them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from cli.failure import CommandError
from cli.files import existing
from grammar.diagnostics import Diagnostic


def check_files(files: Sequence[str], strict: bool, as_json: bool) -> None:
    """Print every diagnostic of every file; exit 1 if one is an error (or, strictly, anything at all)."""
    from grammar.modules import check_file

    remarks = [remark for file in files for remark in check_file(str(existing(file, ".scale"))).diagnostics]
    for remark in remarks:
        print(
            json.dumps(_plain(remark), ensure_ascii=False) if as_json else remark.render(),
            end="\n" if as_json else "\n\n",
        )
    errors = sum(remark.is_error for remark in remarks)
    if not as_json:
        counts = (_counted(len(files), "file"), _counted(errors, "error"), _counted(len(remarks) - errors, "warning"))
        print("{}: {}, {}".format(*counts), file=sys.stderr)
    if errors or (strict and remarks):
        raise SystemExit(1)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _plain(remark: Diagnostic) -> dict[str, object]:
    return {
        "file": remark.path, "line": remark.line, "column": remark.column,
        "code": remark.code, "message": remark.message, "hint": remark.hint,
    }  # fmt: skip


def format_files(files: Sequence[str], check: bool) -> None:
    """Rewrite files in place; with `check` only say which would change, and exit 1 if any would."""
    from grammar.formatter import format_source

    changed = []
    for file in files:
        path = existing(file, ".scale")
        text = path.read_bytes().decode("utf-8")
        laid_out = format_source(text, str(path))
        if laid_out != text:
            changed.append(file)
            if not check:
                path.write_text(laid_out, encoding="utf-8", newline="\n")
    for file in changed:
        print(f"{'would format' if check else 'formatted'} {file}")
    if check and changed:
        raise SystemExit(1)


def run_file_tests(file: str, externs: Sequence[str]) -> None:
    """Run a file's tests; one line each, exit 1 if one fails or there is none."""
    from cli.program import bound_externs
    from grammar.testing import run_tests

    outcomes = run_tests(existing(file, ".scale"), externs=bound_externs(externs))
    if not outcomes:
        raise CommandError(
            f'{file} has no tests. Write one, as in: test "it adds up" of program_name {{ expect posterior.p(3) > 0.5 }}'
        )
    for outcome in outcomes:
        print(f"{'passed' if outcome.passed else 'FAILED'}  {outcome.title}")
        if not outcome.passed:
            placed = outcome.message.startswith(f"{outcome.path}:")
            print(f"  {outcome.message}" if placed else f"  {outcome.path}:{outcome.line}: {outcome.message}")
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)


def explain_code(code: str) -> None:
    """Print what a message means; CommandError with the nearest code for one that is not there."""
    from grammar.codes import CODES, explain
    from ppl.errors import did_you_mean

    if code.upper() not in CODES:
        raise CommandError(
            f"there is no message {code!r}.{did_you_mean(code.upper(), CODES)} Codes look like E104 or W403."
        )
    print(explain(code.upper()), end="")
