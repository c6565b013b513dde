"""Strings: escapes, holes, text blocks, raw text, and what goes wrong in them."""

from __future__ import annotations

import pytest

from grammar import syntax as s
from grammar.parser import parse_expression, read


def parts(text: str) -> list[str]:
    node = parse_expression(text)
    assert isinstance(node, s.Text)
    return [part if isinstance(part, str) else f"<{type(part).__name__}>" for part in node.parts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('""', []),
        ('"a"', ["a"]),
        (r'"\n\t\r\\\"\$"', ['\n\t\r\\"$']),
        (r'"\u{e9}\u{1F600}"', ["é😀"]),
        ('"a ${b} c"', ["a ", "<Name>", " c"]),
        ('"${a}${b}"', ["<Name>", "<Name>"]),
        (r'"\${a}"', ["${a}"]),
        ('"$5 $$ $ {x} [y] {{z}}"', ["$5 $$ $ {x} [y] {{z}}"]),
        ('"it\'s"', ["it's"]),
        ('"${"p" if q else "r"}"', ["<Conditional>"]),
        ('"${f({"k": "}"})["a"]} "', ["<Index>", " "]),
        ('"${"a ${"b ${c}"}"}"', ["<Text>"]),
        (r'r"\frac{1}{2} ${x} \n"', [r"\frac{1}{2} ${x} \n"]),
        ('r""', []),
        ('r"""\n  a\\b\n    "c"\n  """', ['a\\b\n  "c"']),
    ],
)
def test_one_line(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""\n  a\n    b\n  """', ["a\n  b"]),
        ('"""\n    a\n  b\n    """', ["  a\nb"]),
        ('"""\n    a\n  """', ["  a"]),
        ('"""\n  a\n\n  b\n\n  """', ["a\n\nb\n"]),
        ('"""\n  a"""', ["a"]),
        ('"""a\n   b\n   """', ["a\nb"]),
        ('"""a"""', ["a"]),
        ('""""""', []),
        ('"""\n"""', []),
        ('"""\n  ${x}\n    y ${z}\n  """', ["<Name>", "\n  y ", "<Name>"]),
        ('"""\n  ${x}"""', ["<Name>"]),
        ('"""\n  say "hi" and ""\n  {"json": [1]}\n  """', ['say "hi" and ""\n{"json": [1]}']),
        ('"""\n  a\\n\\u{41}\n   \\"""\n  """', ['a\nA\n """']),
        ('"""\n  ${f(\n1)}\n  b\n  """', ["<Call>", "\nb"]),
        ('"""\n      \n  a\n  """', ["    \na"]),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_text_blocks(text: str, expected: list[str], ends: str) -> None:
    assert parts(text.replace("\n", ends)) == expected


def test_escapes_do_not_make_indentation() -> None:
    assert parts('"""\n  a\n  \\tb\n  """') == ["a\n\tb"]


def test_the_place_of_an_expression_in_a_hole() -> None:
    text = 'const a = """\n  x\n  ${ foo }\n  """'
    [name] = [node for node in s.walk(read(text).module) if isinstance(node, s.Name)]
    assert text[name.span.start : name.span.end] == "foo"
    assert (name.span.line, name.span.column) == (3, 6)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('const a = "x', "E005", 1, 11),
        ('const a = """\nx\n', "E005", 1, 11),
        ('const a = f("x)\nconst b = 1', "E005", 1, 13),
        ('const a = "x ${y"', "E006", 1, 14),
        ('const a = "x ${y\nconst b = 1', "E006", 1, 14),
        ('const a = "x ${"y" z"', "E006", 1, 14),
        ('const a = """\n ${x\n"""', "E006", 2, 2),
        ('const a = "x \\q"', "E024", 1, 14),
        ('const a = """\n  ok\n   \\d\n  """', "E024", 3, 4),
        ('const a = "\\u{110000}"', "E024", 1, 12),
        ('const a = "\\u{D800}"', "E024", 1, 12),
        ('const a = "\\u{}"', "E024", 1, 12),
        ('const a = "${}"', "E029", 1, 14),
        ('const a = "${x y}"', "E028", 1, 16),
        ('const a = "${sample d}"', "E017", 1, 14),
        ('import "${x}" as y', "E047", 1, 8),
        ('type A = "x${y}"', "E047", 1, 10),
        ('test "${x}" { }', "E047", 1, 6),
        ("const a = 'x'", "E003", 1, 11),
        ("const a = '''x'''", "E003", 1, 11),
        ("const a = \u201cx\u201d", "E003", 1, 11),
    ],
)
def test_mistakes(text: str, code: str, line: int, column: int) -> None:
    [error] = read(text).errors
    assert (error.code, error.line, error.column) == (code, line, column)


@pytest.mark.parametrize("text", [r'"a \neq b"', r'"\text{x}"', r'"2 \times 3"', r'"\nu"', r'"\theta + \rho"'])
def test_latex_in_an_ordinary_string_warns(text: str) -> None:
    parsed = read(f"const a = {text}")
    assert not parsed.errors
    assert {each.code for each in parsed.diagnostics} == {"W001"}


@pytest.mark.parametrize("text", [r'"a\nThink aloud"', r'"a \\neq b"', r'r"\neq"', '"""\n\\neq\n"""', r'"\nonetheless"'])
def test_ordinary_escapes_do_not_warn(text: str) -> None:
    assert read(f"const a = {text}").diagnostics == ()
