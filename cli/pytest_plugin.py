"""`pytest` runs the `test` blocks of .scale files: pytest loads this by its entry point, `-p no:scale` leaves it out.

A file without `test` blocks is no test file. A file with mistakes is one error, told as `scale check` tells it.
`extern fn`s are bound by the option `scale_externs` of pytest's own settings: a line FILE.py:NAME each, relative to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.failure import CommandError

_TEST_BLOCK = re.compile(r'^[ \t]*test[ \t]*"', re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "scale_externs", "functions for the extern fns of .scale files, as FILE.py:NAME", type="paths", default=[]
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".scale" or not _TEST_BLOCK.search(file_path.read_text("utf-8", errors="replace")):
        return None
    return ScaleFile.from_parent(parent, path=file_path)


class ScaleFile(pytest.File):
    """A .scale file that holds tests."""

    def collect(self) -> Iterator[ScaleTest]:
        from cli.program import bound_externs
        from grammar.testing import tested_file

        externs = bound_externs([str(path) for path in self.config.getini("scale_externs")])
        checked = tested_file(self.path, externs)
        for case in checked.tests:
            yield ScaleTest.from_parent(self, name=case.title, checked=checked, case=case, externs=externs)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        from grammar.diagnostics import ScaleError

        return (
            str(excinfo.value)
            if isinstance(excinfo.value, (ScaleError, CommandError))
            else super().repr_failure(excinfo)
        )


class ScaleTest(pytest.Item):
    """One `test` block."""

    def __init__(self, *, checked: Any, case: Any, externs: Any, **options: Any) -> None:
        super().__init__(**options)
        self.checked, self.case, self.externs = checked, case, externs

    def runtest(self) -> None:
        from grammar.testing import run_test

        outcome = run_test(self.checked, self.case, externs=self.externs)
        if not outcome.passed:
            raise Unexpected(outcome.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Unexpected) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.case.decl.span.line - 1, f"test {self.name!r}"


class Unexpected(Exception):
    """What a test expected and did not find."""
