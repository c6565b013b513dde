"""The grammar file itself, and what editors and documents make of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pygments.token import Error, Keyword, Name, String

from grammar import textmate
from grammar.highlight import ScaleLexer
from grammar.tokens import compile_grammar, keywords, scanner
from tests.grammar.mutations import example_files


def test_the_grammar_has_no_conflicts() -> None:
    pytest.importorskip("interegular")
    compile_grammar(strict=True)


def test_the_grammar_is_cached_in_the_users_own_folder(tmp_path: Path) -> None:
    code = "import grammar.parser as p; p.parse('const a = 1')"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True, env={"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": "."})
    [file] = tmp_path.rglob("*.lark")
    assert file.stat().st_size > 10_000


def test_reading_a_file_imports_nothing_heavy() -> None:
    code = (
        "import sys, grammar.formatter, grammar.parser\n"
        "heavy = {'torch', 'transformers', 'pyro', 'pandas', 'scipy', 'numpy', 'pygments'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_longer_operators_are_scanned_before_shorter_ones() -> None:
    for operator in ("->", "=>", "+=", "==", "<=", "**", "//", '"""'):
        found = scanner().match(operator)
        assert found and found.group() == operator


@pytest.mark.parametrize("path", example_files(), ids=lambda path: path.name)
def test_every_character_of_an_example_is_coloured(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pieces = list(ScaleLexer().get_tokens_unprocessed(text))
    assert "".join(value for _, _, value in pieces) == text
    assert all(text.startswith(value, at) for at, _, value in pieces)
    assert not any(kind is Error for _, kind, _ in pieces)


@pytest.mark.parametrize("text", ["", "let x = 'a' && b; é ~ $", '"${', "\ufeffconst a = 1", "elif x {", "a \\ b"])
def test_files_with_mistakes_are_coloured_in_full(text: str) -> None:
    assert "".join(value for _, _, value in ScaleLexer().get_tokens_unprocessed(text)) == text


def test_soft_keywords_and_holes_are_told_apart() -> None:
    text = 'model lm = f()\nprogram p(model: int) {\n  let c = chat { user "a ${model}" }\n  user = sample lm(c)\n}'
    kinds = [(value, kind) for _, kind, value in ScaleLexer().get_tokens_unprocessed(text) if not value.isspace()]
    assert [kind for value, kind in kinds if value == "model"] == [Keyword, Name, Name]
    assert [kind for value, kind in kinds if value == "user"] == [Name.Label, Name]
    assert ("${", String.Interpol) in kinds and ("sample", Keyword.Pseudo) in kinds and ("p", Name.Function) in kinds


def test_the_textmate_grammar_is_current() -> None:
    assert textmate.FILE.read_text(encoding="utf-8") == textmate.dump(), "run `python -m grammar.textmate`"


def test_the_textmate_grammar_colours_every_keyword_and_compiles() -> None:
    rules = textmate.code()
    for word in keywords():
        assert any(re.search(rule["match"], f"{word} x") for rule in rules if "match" in rule), word

    def check(value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("match", "begin", "end"):
                    re.compile(inner)
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)

    check(json.loads(textmate.dump()))
