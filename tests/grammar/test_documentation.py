"""The pages on the language are true: generated parts are current, and every block of code is checked or run.

In `language.md`, a ```scale block is a file of its own (saved under its `title`, its tests run), `scale wrong` is one
with mistakes, `scale statements` stands inside a program. ```console blocks are typed and print exactly that; ```python
blocks run in the folder of the saved files, and print what their comments say.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import grammar
from cli.main import app
from grammar import reference
from grammar.codes import CODES
from grammar.modules import check_text

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "language.md").read_text(encoding="utf-8")
BLOCKS = [(m[1], m[2]) for m in re.finditer(r"^```([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
LIBRARY = "scale 1\nfn done(trail: list[str]) -> bool { return len(trail) > 2 }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scale.toml").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "steps.scale").write_text(LIBRARY)
    for info, code in BLOCKS:
        if title := re.search(r'title="([\w.]+)"', info):
            (tmp_path / title[1]).write_text(code)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_generated_parts_are_current() -> None:
    assert (DOCS / "diagnostics.md").read_text("utf-8") == reference.diagnostics_page(), "python -m grammar.reference docs"
    assert reference.filled(PAGE) == PAGE, "python -m grammar.reference docs"


def test_every_message_has_its_place() -> None:
    page = reference.diagnostics_page()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == sorted(CODES, key=lambda code: (code[0], code))


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {re.sub(r' ?title="[^"]*"', "", info) for info, _ in BLOCKS}
    assert kinds == {"scale", "scale wrong", "scale statements", "console", "python", "text"}
    assert [code for info, code in BLOCKS if info == "text"] == [reference.sections()["grammar"][len("```text\n") : -len("```")]]


@pytest.mark.parametrize("code", [code for info, code in BLOCKS if info.startswith("scale") and "wrong" not in info])
def test_code_is_right(code: str, folder: Path) -> None:
    if code.startswith(("let ", "#!")):
        body = "".join(f"  {line}\n" if line else "\n" for line in code.splitlines())
        code = f"scale 1\nmodel lm = smollm2()\nprogram p(q: str) {{\n{body}}}\n"
    checked = check_text(code, folder=folder)
    assert [each.render() for each in checked.diagnostics if each.code != "W403"] == []


def test_files_of_the_page_pass_their_own_tests(folder: Path) -> None:
    outcomes = [each for path in sorted(folder.glob("*.scale")) if path.stem != "wrong" for each in grammar.run_tests(path)]
    assert len(outcomes) >= 2
    assert [each.message for each in outcomes if not each.passed] == []


@pytest.mark.parametrize("code", [code for info, code in BLOCKS if info == "console"])
def test_commands_print_what_the_page_shows(code: str, folder: Path) -> None:
    for line in re.split(r"^\$ scale ", code, flags=re.MULTILINE)[1:]:
        command, _, shown = line.partition("\n")
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.output.strip() == shown.strip()


@pytest.mark.parametrize("code", [code for info, code in BLOCKS if info == "python"])
def test_python_prints_what_its_comments_say(code: str, folder: Path) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "language.md", "exec"), {})
    shown = re.findall(r"print\(.*\) +# ([^:\n]*)", code) or re.findall(r"print\(.*\)\s*# ([^:\n]*)", code)
    assert out.getvalue().split() == shown and shown
