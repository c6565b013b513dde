"""`pytest` runs the `test` blocks of .scale files: pytest loads this by its entry point, `-p no:scale` leaves it out.

A file without `test` blocks is no test file. A file with mistakes is one error, told as `scale check` tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grammar.diagnostics import ScaleError

_TEST_BLOCK = re.compile(r'^[ \t]*test[ \t]*"', re.MULTILINE)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".scale" or not _TEST_BLOCK.search(file_path.read_text("utf-8", errors="replace")):
        return None
    return ScaleFile.from_parent(parent, path=file_path)


class ScaleFile(pytest.File):
    """A .scale file that holds tests."""

    def collect(self) -> Iterator[ScaleTest]:
        from grammar.testing import tested_file

        checked = tested_file(self.path)
        for case in checked.tests:
            yield ScaleTest.from_parent(self, name=case.title, checked=checked, case=case)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        return str(excinfo.value) if isinstance(excinfo.value, ScaleError) else super().repr_failure(excinfo)


class ScaleTest(pytest.Item):
    """One `test` block."""

    def __init__(self, *, checked: Any, case: Any, **options: Any) -> None:
        super().__init__(**options)
        self.checked, self.case = checked, case

    def runtest(self) -> None:
        from grammar.testing import run_test

        outcome = run_test(self.checked, self.case)
        if not outcome.passed:
            raise Unexpected(outcome.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Unexpected) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.case.decl.span.line - 1, f"test {self.name!r}"


class Unexpected(Exception):
    """What a test expected and did not find."""
