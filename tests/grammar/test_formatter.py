"""`format_source`: one layout, the same tree, every comment, and nothing left to change the second time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar import formatter
from grammar.diagnostics import ScaleError
from grammar.formatter import FormatRefused, format_source
from grammar.lexer import tokenize
from grammar.parser import parse, read
from grammar.syntax import same_tree
from tests.grammar.mutations import example_files

CASES = {
    "scale   1\nconst a=1": "scale 1\nconst a = 1\n",
    "": "",
    "\n# only\n\n\n# comments": "# only\n\n# comments\n",
    "const a = ((1+2))*-x**2": "const a = (1 + 2) * -x ** 2\n",
    "const a = not(b)or(c and d)": "const a = not b or (c and d)\n",
    "const a = [1,2 , 3 ,]": "const a = [1, 2, 3]\n",
    "const a = [\n1,\n2,\n]": "const a = [\n  1,\n  2,\n]\n",
    "const a = [\n1,\n2]": "const a = [1, 2]\n",
    'const a = f({\n"k":1,\n}, end="$")': 'const a = f({\n  "k": 1,\n}, end="$")\n',
    "const a = xs[ 1 : ] + xs[ : ]": "const a = xs[1:] + xs[:]\n",
    "const a = r with{x:1,y : 2}": "const a = r with { x: 1, y: 2 }\n",
    "const a = r with { x: 1,\n y: 2 }": "const a = r with { x: 1, y: 2 }\n",
    "const a = r with { x: 1, # one\ny: 2 }": "const a = r with {\n  x: 1,  # one\n  y: 2,\n}\n",
    f"const a = r with {{ x: {'1 + ' * 20}1, y: 2 }}": f"const a = r with {{\n  x: {'1 + ' * 20}1,\n  y: 2\n}}\n",
    "type A=int|str ?": "type A = int | str?\n",
    "type A = (int|str)?": "type A = (int | str)?\n",
    'type C { a:int, b : str "doc" }': 'type C { a: int, b: str "doc" }\n',
    "type C {\na:int, b:str\n}": "type C {\n  a: int\n  b: str\n}\n",
    "impure extern fn f( x:int=1 )->int": "impure extern fn f(x: int = 1) -> int\n",
    "pure extern fn f()->int": "extern fn f() -> int\n",
    "infer p with a()\n  then b()": "infer p with a() then b()\n",
    "fn f(){}": "fn f() {}\n",
    "fn f(){\n}": "fn f() {}\n",
    "fn f(){pass}": "fn f() { pass }\n",
    "fn f(){\npass}": "fn f() {\n  pass\n}\n",
    "fn f() {\nif a{pass}else if b{\npass\n}\nelse{pass}\n}": (
        "fn f() {\n  if a { pass } else if b {\n    pass\n  } else { pass }\n}\n"
    ),
    "fn f() { # why\n  pass  # because\n\n\n  # tail\n}": "fn f() {  # why\n  pass  # because\n\n  # tail\n}\n",
    "fn f() {\n  if a {\n    pass\n  }\n  # otherwise\n  else {\n    pass\n  }\n}": (
        "fn f() {\n  if a {\n    pass\n  }\n  # otherwise\n  else {\n    pass\n  }\n}\n"
    ),
    "const a = 1\nfn f() {\n  pass\n}\nconst b = 2": "const a = 1\n\nfn f() {\n  pass\n}\n\nconst b = 2\n",
    "const a = f(  # first\n  1, # one\n  # two\n  2\n  # end\n)": (
        "const a = f(\n  # first\n  1,  # one\n  # two\n  2,\n  # end\n)\n"
    ),
    "const a = 1 +  # why\n  2": "# why\nconst a = 1 + 2\n",
    'const c = chat { user "a" }': 'const c = chat { user "a" }\n',
    'const c = chat {\nuser "a"\n\n\nsystem   b }': 'const c = chat {\n  user "a"\n\n  system b\n}\n',
    'fn f() {\n  g("""\n      a\n        b\n\n      """)\n}': 'fn f() {\n  g("""\n    a\n      b\n\n    """)\n}\n',
    "fn f() {\r\n\tlet x = 1\t\r\n}\r\n": "fn f() {\n  let x = 1\n}\n",
    "const a = (  # c\n  b\n)": "# c\nconst a = b\n",
    "const a = [  # c\n  [x  # d\n    for x in xs]\n]": "const a = [\n  # c\n  # d\n  [x for x in xs],\n]\n",
    "const a = fn( x:int )=>x": "const a = fn(x: int) => x\n",
    "const a = b . c ( 1 ) [ 0 ]": "const a = b.c(1)[0]\n",
    "const a = 20_000 + 1.50": "const a = 20_000 + 1.50\n",
    'test   "t"   of p{given x=1\nexpect  y}': 'test "t" of p {\n  given x = 1\n  expect y\n}\n',
}


@pytest.mark.parametrize("text", CASES)
def test_layout(text: str) -> None:
    assert format_source(text) == CASES[text]
    assert format_source(CASES[text]) == CASES[text]


def test_long_lines_are_broken_at_a_hundred_columns() -> None:
    names = [f"argument_number_{i}" for i in range(7)]
    text = (
        f"fn f() {{\n  let value = call({', '.join(names)})\n  let sum = {' + '.join(names)}\n"
        f"  let choice = {names[0]}{'0' * 30} if {names[1]} else {names[2]}{'0' * 40}\n"
        f"  require {' and '.join(names[:5])} else \"none of the names is what it should be\"\n"
        f"  let d = {{{', '.join(f'{name}: 1' for name in names)}}}\n"
        f"  let l = [{names[0]} + {names[1]} for {names[2]} in {names[3]}.{names[4]}({names[5]}) if {names[6]}]\n}}"
    )
    result = format_source(text)
    assert max(map(len, result.split("\n"))) <= 100
    assert "\n  let value = call(\n    argument_number_0,\n    argument_number_1,\n" in result
    assert "\n  let sum = argument_number_0 +\n    argument_number_1 +\n" in result
    assert '\n    else "none' in result


@pytest.mark.parametrize("path", example_files(), ids=lambda path: path.name)
def test_examples_are_formatted(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert format_source(text, str(path)) == text


def shaken(text: str, rng: random.Random) -> str:
    """The same program with other blanks, line breaks and comments wherever they mean nothing."""
    from grammar.diagnostics import Source

    lexed = tokenize(Source(text))
    out, at = [], 0
    in_text = [False] * len(lexed.tokens)
    for index, token in enumerate(lexed.tokens):
        opener = lexed.inside[index]
        in_text[index] = token.type in ("CHARS", "HOLE", "QUOTE_END") or (
            opener >= 0 and (in_text[opener] or lexed.tokens[opener].type == "HOLE")
        )
        gap = text[at : token.start]
        opener_text = lexed.tokens[opener] if opener >= 0 else ""
        free = opener_text in ("(", "[") or lexed.brace_kinds.get(opener) in ("dict", "update")
        if in_text[index] or token.type == "NEWLINE" or index == 0:
            out.append(gap)
        elif free and rng.random() < 0.2:
            out.append(gap + rng.choice(["\n", "\n\n  ", "  # note\n", "\n# a\n\n# b\n", "\t"]))
        elif "\n" in gap and rng.random() < 0.3:
            out.append(gap + rng.choice(["\n", "# note\n", "\n\n# a\n", "  "]))
        elif gap:
            out.append(gap + rng.choice(["", "", " ", "\t"]))
        out.append(text[token.start : token.end])
        at = token.end
    return "".join(out) + text[at:]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("path", example_files(), ids=lambda path: path.name)
def test_any_layout_of_an_example_is_formatted_once_and_for_all(path: object, seed: int) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    other = shaken(text, random.Random(seed))
    assert same_tree(parse(text), parse(other))
    result = format_source(other)
    assert format_source(result) == result
    assert same_tree(parse(text), parse(result))
    assert sorted(read(result).comments) == sorted(read(other).comments)


NAMES = st.sampled_from(["a", "b", "longer_name", "user", "limit"])
GAP = st.sampled_from([" ", "  ", " \t"])
INNER = st.sampled_from(["", " ", "\n", " # note\n", "\n\n"])
ATOMS = NAMES | st.sampled_from(["1", "2.50", "true", "none", '"text ${a} more"', 'r"raw\\d"', 're"x+"', '"' + "w" * 40 + '"'])


def bracketed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(inner, max_size=4)
    comma = st.booleans()

    def join(opening: str, closing: str) -> st.SearchStrategy[str]:
        return st.builds(
            lambda xs, gap, last: opening + gap + f",{gap}".join(xs) + ("," if last and xs else "") + gap + closing,
            items, INNER, comma,
        )  # fmt: skip

    binary = st.builds(
        lambda a, op, b, gap: f"({a}{gap}{op}{gap}{b})",
        inner, st.sampled_from(["+", "-", "*", "//", "**", "==", "in", "not in", "and", "or"]), inner, GAP,
    )  # fmt: skip
    return st.one_of(
        join("[", "]"),
        st.builds(lambda f, rest: f + rest, NAMES, join("(", ")")),
        binary,
        st.builds(lambda a, b: f"{a} + {b}", ATOMS, ATOMS).map(lambda text: f"({text})"),
        st.builds(lambda a, b, c: f"({a} if {b} else {c})", inner, inner, inner),
        st.builds(lambda a: f"(not {a})", inner),
        st.builds(lambda a: f"(sample {a})", inner),
        st.builds(lambda k, v, gap: f"{{{gap}{k}: {v}{gap}}}", ATOMS, inner, INNER),
        st.builds(lambda e, xs, gap: f"[{e}{gap} for x in{gap} {xs}]", inner, inner, INNER),
        st.builds(lambda a, n: f"{a}.{n}", st.builds("({})".format, inner), NAMES),
        st.builds(lambda a, i: f"{a}[{i}:]", NAMES, inner),
        st.builds(lambda b: f"(fn(x: int) => {b})", inner),
        st.builds(lambda t, gap: f"chat {{\n{gap}user {t}\n  system {t}}}", inner, st.sampled_from(["", "# c\n", "\n\n"])),
        st.builds(lambda r, v: f"({r} with {{ x: {v} }})", NAMES, inner),
    )


@st.composite
def expressions(draw: st.DrawFn) -> str:
    return draw(NESTED)


NESTED = st.recursive(ATOMS, bracketed, max_leaves=12)
EXPRESSIONS = expressions()


def statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, max_size=3).map(lambda lines: "{\n" + "\n".join(lines) + "\n}")
    one = inner.map(lambda line: "{ " + line + ("\n}" if "#" in line else " }"))
    return st.one_of(
        st.builds(lambda c, b: f"if {c} {b}", EXPRESSIONS, block | one),
        st.builds(lambda c, b, note, d: f"if {c} {b}{note}else {d}", EXPRESSIONS, block, st.sampled_from([" ", "\n# n\n"]), block),
        st.builds(lambda c, b: f"while {c} max 3 {b}", EXPRESSIONS, block),
        st.builds(lambda c, b: f"for x in {c} {b}", EXPRESSIONS, block),
    )


SIMPLE = st.one_of(
    EXPRESSIONS.map(lambda e: f"let x = {e}"),
    EXPRESSIONS.map(lambda e: f"x += {e}  # note"),
    EXPRESSIONS.map(lambda e: f"# above\n\nscore {e}"),
    st.builds(lambda a, b: f"observe {a}\n from {b}", EXPRESSIONS, EXPRESSIONS),
    st.builds(lambda a, b: f"let x: list[int | str]? = sample {a} using {b}", EXPRESSIONS, EXPRESSIONS),
    EXPRESSIONS.map(lambda e: f'require {e} else """\n    why\n      not\n    """'),
    st.sampled_from(["checkpoint", "return", "pass\n\n\n", "f(1)", "record a"]),
)


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines = draw(st.lists(STATEMENTS, max_size=4))
    return "program p() {\n" + "\n".join(lines) + "\n}\n"


STATEMENTS = st.recursive(SIMPLE, statements, max_leaves=6)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # of long descriptions
@settings(max_examples=120, deadline=None)
@given(programs())
def test_formatting_is_idempotent(text: str) -> None:
    assert not read(text).errors
    result = format_source(text)  # raises unless tree and comments are the same
    assert format_source(result) == result
    assert all(line == line.rstrip() for line in result.split("\n"))


def test_a_file_with_mistakes_is_refused() -> None:
    with pytest.raises(ScaleError, match=r"^f\.scale:1:11"):
        format_source("const a = 'x'", "f.scale")


@pytest.mark.parametrize("spoil", [lambda text: text.replace("1", "2"), lambda text: text.replace("# c", ""), lambda text: "("])
def test_a_result_that_means_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, spoil: object) -> None:
    monkeypatch.setattr(formatter, "layout", lambda doc, width: spoil("const a = 1  # c"))  # type: ignore[operator]
    with pytest.raises(FormatRefused):
        format_source("const a = 1  # c")
