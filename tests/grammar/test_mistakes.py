"""Messages for mistakes of writing: which one, where, how many, and that the rest of the file is still read."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar import syntax as s
from grammar.codes import CODES, explain, general
from grammar.diagnostics import Diagnostic, ScaleError, Source, diagnostic
from grammar.modules import check_text
from grammar.parser import parse, parse_expression, read
from grammar.syntax import Span
from tests.grammar.hard_inputs import REPEATED, hard_input
from tests.grammar.mutations import example_files, meter, mutants

WRITING = sorted(code for code in CODES if code.startswith(("E0", "W0")) or code == "E103")


@pytest.mark.parametrize("code", [code for code in WRITING if code != "E001"])
def test_each_code_is_what_its_wrong_example_gets_and_its_right_example_does_not(code: str) -> None:
    entry = CODES[code]
    assert [each.code for each in read(entry.wrong).diagnostics] == [code]
    assert read(entry.right).diagnostics == ()


@pytest.mark.parametrize("code", sorted(CODES))
def test_explanations_are_complete(code: str) -> None:
    entry = CODES[code]
    page = explain(code)
    assert page.startswith(f"{code}: ") and entry.wrong.split("\n")[0] in page and entry.right.split("\n")[0] in page
    assert entry.explanation.strip()[-1] in '.)"}]0123456789' and not entry.title.endswith(".")
    assert "{" not in general(entry.title).replace("{", "", 1)


# What stands in the file ("|" marks the place), the code and a piece of the hint.
CASES = [
    ("let x = 1|;", "E002", "remove"),
    ("let x = 1|; let y = 2", "E002", "remove"),
    ("let x = |'hi'", "E003", '"hi"'),
    ("let x = |(1 + 2", "E004", "')'"),
    ("f(|[1, 2)", "E004", "']'"),
    ("let x = 1|) + 2", "E023", "remove"),
    ("let x = |3px", "E008", "42"),
    ("let x = 1 |$ 2", "E009", '"${name}"'),
    ("let x = 1 |\\ + 2", "E009", "goes on"),
    ("while i < 3 |{ i += 1 }", "E010", "max 20"),
    ('observe "Yes"|, lm(q)', "E011", "from <distribution>"),
    ("observe v| lm(q)".replace("v| ", "v |"), "E011", "from <distribution>"),
    ("x |~ lm(q)", "E012", "let x = sample"),
    ("let x |~ lm(q)", "E012", "let x = sample"),
    ("|def g(x: int) -> int { return x }", "E013", "fn name"),
    ('if q == "a"|:', "E014", "'{'"),
    ("for x in xs|:", "E014", "'{'"),
    ('if q == "a" { pass } else|:', "E014", "'{'"),
    ("if a { pass } |elif b { pass }", "E015", "else if"),
    ("import |numpy", "E016", "extern fn"),
    ("let x = 1 + |sample d", "E017", "let x = sample"),
    ("|sample d", "E017", "let x = sample"),
    ("if x |= 1 { pass }", "E018", "=="),
    ("require x |= 1", "E018", "=="),
    ("let b = f(x[0] |= 1)", "E018", "=="),
    ("let b = x |&& y", "E019", "and"),
    ("let b = x ||| y", "E019", "or"),
    ("let b = |!x", "E019", "not"),
    ("let b = x |=== y", "E019", "=="),
    ("let b = x |? 1 : 2", "E019", "if condition else"),
    ("x|++", "E019", "x += 1"),
    ("let g = fn(|x) => x", "E020", "x: str"),
    ("let c = chat { user|: q }", "E021", "user <text>"),
    ("let c = chat { user |= q }", "E021", "user <text>"),
    ("let c = chat { |human q }", "E022", "system, user"),
    ("|const a = 1", "E026", "let"),
    ("|program g() { }", "E026", "missing above"),
    ("|fn g(x: int) -> int { return x }", "E026", "out of the block"),
    ("let a = 1 |let b = 2", "E027", "new line before `let`"),
    ("let a = 1 |2", "E027", "operator"),
    ("let x = smaple |bernoulli(0.5)", "E027", "did you mean `sample`?"),
    ("return 1|, 2", "E027", "(a, b)"),
    ('require q == "a"|, "not a"', "E027", "else"),
    ("f(a |b)", "E028", "','"),
    ("let xs = [1 |2]", "E028", "','"),
    ("f(k|: 1)", "E028", "name=value"),
    ("let x = 1 +|", "E029", "value"),
    ("score|", "E029", "after `score`"),
    ("let x =|", "E029", "value"),
    ("let x = |= 2", "E029", "compares"),
    ("f(1,|, 2)", "E029", "remove one ','"),
    ("let x = a not |b", "E029", "not in"),
    ("require c else |5", "E029", '"why it failed"'),
    ("let |3 = x", "E030", "after `let`"),
    ("let y = x.|", "E030", "value.name"),
    ("for |3 in xs { pass }", "E030", "after `for`"),
    ("let x|", "E031", "let x = <value>"),
    ("let x: int|", "E031", "let x = <value>"),
    ("let x |+= 1", "E031", "let x = <value>"),
    ("if a|", "E032", "'{'"),
    ("if a |b { pass }", "E032", "operator"),
    ("for i |= 3 { pass }", "E033", "range(n)"),
    ("let x = [i for i |of xs]", "E033", "range(n)"),
    ("|x == 1".replace("|x =", "x |="), "E035", "let x"),
    ("|x", "E035", "let x"),
    ("x |+ 1", "E035", "let x"),
    ("let b = 1 < 2 |< 3", "E036", "a < b and b < c"),
    ("|* 2", "E037", "keyword"),
    ("|retrun x", "E037", "return"),
    ("x |y", "E037", "x(...)"),
    ("|else { pass }", "E038", "right after"),
    ("let x: |= 3", "E039", "list[T]"),
    ("xs|[0] = 1".replace("xs|[0]", "xs[0|]"), "E040", "xs = xs + ..."),
    ("r.|name = 1", "E040", "with { name: ... }"),
    ("f(1|) = 2", "E040", "let x"),
    ("let x = |None", "E041", "none"),
    ("|try { pass }", "E041", "require"),
    ("|print x", "E041", "record"),
    ("|var x = 1", "E041", "let"),
    ("|assert x == 1", "E041", "require"),
    ("let f = |lambda x: x", "E054", "fn(x: int) =>"),
    ("let f = fn(x: int) |{ return x }", "E054", "=>"),
    ("let x = min(key=1, |2)", "E048", "name=2"),
    ("|x: int = 3", "E049", "let x: int"),
    ("|// note", "E050", "#"),
    ('let d = {"a" |1}', "E051", "key: value"),
    ('let d = {"a": 1 |"b": 2}', "E051", "','"),
    ("let s = r with |x", "E051", "with { field: value }"),
    ("let c = chat { |\"hi\" }", "E051", "user <text>"),
    ("let x = 1 if q|", "E052", "else b"),
    ("let |score = 1", "E103", "score_"),
    ("|record = 1", "E103", "record_"),
    ("let x = |pass + 1", "E103", "pass_"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "hint"), CASES, ids=[case[0] for case in CASES])
def test_statement_mistakes(line: str, code: str, hint: str) -> None:
    mark = line.rindex("|") if line.count("|") != 3 else line.index("|")
    text = f"program p(q: str) -> str {{\n  {line[:mark]}{line[mark + 1 :]}\n  return q\n}}\n"
    [error] = read(text, "p.scale").errors
    assert (error.code, error.line, error.column) == (code, 2, mark + 3)
    assert hint in error.hint


TOP_LEVEL = [
    ("program p(q|) { }".replace("q|", "|q"), "E020", "q: str"),
    ("program p(|str q) { }", "E020", "str"),
    ("program p |-> int { }", "E034", "p()"),
    ("program |3() { }", "E030", "name"),
    ("program p() ->| { }".replace("->| {", "-> |{"), "E039", "list[T]"),
    ("program p()|", "E032", "'{'"),
    ("extern fn f(x: int)|", "E039", "list[T]"),
    ("extern |f(x: int) -> int", "E029", "extern fn name"),
    ("|let x = 1", "E025", "const name"),
    ("|x = 1", "E025", "const name"),
    ("|f(1)", "E025", "move it into"),
    ("|progam p() { }", "E037", "program"),
    ("|@smc", "E046", "infer p with"),
    ("model lm = smollm2|", "E044", "smollm2()"),
    ("model lm |smollm2()", "E044", "model name ="),
    ('import "a.scale"|', "E043", "as steps"),
    ("infer p |smc(particles=4)", "E045", "infer <program> with"),
    ("limit tokens |20", "E045", "limit tokens = 20_000"),
    ("type A |int", "E053", "type Name"),
    ("type A { x |int }", "E053", "name: T"),
    ("|scale 2", "E042", "scale 1"),
    ("const a = 1\n|scale 1", "E042", "first line"),
    ('test "t" { |foo }', "E045", "expect"),
    ("const a = |ö", "E009", "a-z"),
    ("const a = 1|}", "E023", "remove"),
    ("const a = |1" + "0" * 1300, "E008", "smaller"),
    ("const a = |1e400", "E008", "1.8e308"),
    ("const a = 1\r|const b = 2".replace("\r|", "|\r"), "E009", "\\r\\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "hint"), TOP_LEVEL, ids=[case[0][:40] for case in TOP_LEVEL])
def test_declaration_mistakes(text: str, code: str, hint: str) -> None:
    mark = text.index("|")
    found = read(text.replace("|", "")).errors
    assert [each.code for each in found] == [code]
    assert found[0].span.start == mark
    assert hint in found[0].hint


def test_three_planted_mistakes_give_three_messages() -> None:
    text = """scale 1
model lm = smollm2()

program solve(question: str) -> str {
  let total = 0
  while total < 3 {
    total += 1
  }
  let step = sample lm(question max_tokens=8)
  if step = "yes" {
    return step
  }
  return question
}

infer solve with smc(particles=4)
"""
    parsed = read(text)
    assert [(each.code, each.line) for each in parsed.errors] == [("E010", 6), ("E028", 9), ("E018", 10)]
    [_model, program, _infer] = parsed.module.declarations
    assert isinstance(program, s.FunctionDecl) and len(program.body.statements) == 4


def test_a_mistake_does_not_hide_the_declarations_around_it() -> None:
    parsed = read("const a = 1\nconst = 2\nfn f( -> int { return 1 }\nfn g() -> int {\n  let x = \n  return 2\n}\nconst b = 3")
    assert [each.line for each in parsed.errors] == [2, 3, 5]
    kept = [each.name.name for each in parsed.module.declarations if isinstance(each, s.ConstDecl | s.FunctionDecl)]
    assert kept == ["a", "g", "b"]


def test_the_brace_that_is_really_missing_is_named() -> None:
    text = 'program p(q: str) -> str {\n  if q == "a" {\n    return q\n  return "b"\n}\n\nfn g() -> int { return 1 }\n'
    [error] = read(text).errors
    assert (error.code, error.line, error.column) == ("E004", 2, 15)
    assert "new declaration" in error.notes[0].message and error.notes[0].span and error.notes[0].span.line == 7


# ------------------------------------------------------------------------------------------------- newlines

NEWLINES_OK = [
    "const a = 1 +\n  2 *\n\n  # note\n  3",
    "const a = true\n  or false\n  and true",
    "const a = f(\n  1,\n\n  x=2, # c\n)",
    'const a = {\n  "a": 1, # one\n  "b": 2,\n}',
    "const a = [\n  x\n  for x in xs\n  if x > 1\n]",
    "fn f() { # why\n  pass # because\n  # tail\n}",
    "fn f() { }",
    "fn f() {\n}",
    "fn f() {\n\n\n}",
    "program p() {\n  let x = sample a(1)\n    # note\n    using b(2)\n  observe x\n    from d\n}",
    "infer p with smc()\n  then best_of(n=1)",
    "fn f() {\n  while g(chat {\n    user a\n  }) max 3 {\n    pass\n  }\n}",
    "fn f() {\n  while {\n    a: 1,\n  } == b max 3 {\n    pass\n  }\n}",
    'const c = chat {\n  # c\n  system "a"\n\n  user "b" +\n    "c"\n}',
    "\n\n  const a = 1  \n\n",
    "const a = 1\r\nconst b = [\r\n  2]\r\n",
    "type A = int\n  | str\n  | none",
    "type A = int |\n  str",
    "fn f() {\n  if a {\n  }\n\n  # note\n\n  else {\n  }\n}",
    "fn f() -> chat {\n  return chat {\n    user \"a\"\n  }\n}",
    "fn f(\n  x: int,\n  y: int,\n) -> int {\n  return x\n}",
    "\ufeffscale 1\nconst a = 1",
    "fn f(user: str, limit: int, test: int) -> str {\n  let tool = user\n  model = limit\n  return tool\n}",
]  # fmt: skip


@pytest.mark.parametrize("text", NEWLINES_OK)
def test_where_a_line_may_end(text: str) -> None:
    assert read(text).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("const a =\nconst b = 1", 1),
        ("fn f() {\n  let x =\n  let y = 1\n}", 2),
        ("const a = 1\n  + 2", 2),
        ("program p()\n{\n}", 1),
        ("fn f() {\n  return\n    1\n}", 3),
    ],
)
def test_where_a_line_may_not_end(text: str, line: int) -> None:
    assert read(text).errors[0].line == line


# ----------------------------------------------------------------------------------------------- mutations


def test_few_mutants_get_only_the_fallback() -> None:
    codes, _ = meter(25)
    rejected = codes.total() - codes[""]
    assert rejected > 200
    assert codes["E001"] < 0.05 * rejected  # the aim is a fifth


def test_a_mutation_is_reported_where_it_is_and_mostly_once() -> None:
    rng = random.Random(2)
    lines_off, messages = [], []
    for path in example_files():
        text = path.read_text(encoding="utf-8")
        for mutant in mutants(text, 25, rng):
            errors = read(mutant).errors
            if errors:
                at = next((i for i, (a, b) in enumerate(zip(text, mutant)) if a != b), 0)
                line = text.count("\n", 0, at) + 1
                lines_off.append(min(abs(each.line - line) for each in errors))
                messages.append(len(errors))
    assert sum(off <= 1 for off in lines_off) > 0.95 * len(lines_off)
    assert sum(count == 1 for count in messages) > 0.9 * len(messages)


ALPHABET = st.sampled_from(
    ["let ", "x", "=", "==", "(", ")", "[", "]", "{", "}", "\n", '"', '"""', "${", "sample ", "chat ", "user ", "if ",
     "else ", "fn ", "program ", "p", ":", ",", "1", ".", "+", "r\"", "#", "\\", "'", "\t", "\r\n", "for ", "in ", "max ",
     "while ", "with ", "type ", "->", "=>", "|", "?", "test ", "ö", "\x00", "is ", "not ", "then ", "infer "]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(ALPHABET, max_size=60).map("".join))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = read(text)
    for each in parsed.diagnostics:
        assert each.render().startswith(f"<text>:{each.line}:{each.column}: ")
        assert 0 <= each.span.start <= each.span.end <= len(parsed.source.text)
    if not parsed.errors:
        parse(text)
    with contextlib.suppress(ScaleError):
        parse_expression(text)


# ----------------------------------------------------------------------------------------------- linear time


def calls(action: Callable[[], object]) -> int:
    """How many Python calls an action makes: its time, without the machine."""
    count = 0

    def count_call(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", REPEATED)
def test_reading_takes_linear_time(name: str) -> None:
    """Twice the text, twice the steps, at most. (That the regular expressions do not backtrack is seen by the test's
    ending: the strings with many holes would take 2**n steps.)"""
    read(hard_input(name, 3000))
    once, twice = (calls(lambda size=size: read(hard_input(name, size))) for size in (6000, 12000))
    assert twice < 2.2 * once + 2000


def cpu_seconds(action: Callable[[], object], rounds: int = 1) -> float:
    """The least of some rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def test_ten_times_the_lines_take_ten_times_as_long() -> None:
    """8,000 lines against 800, read and checked; what is quadratic takes a hundred times as long. The seconds stand in
    benchmarks/README.md."""
    function = (
        "fn f{}(q: str, n: int) -> str {{\n  let xs = [i * 2 for i in range(n) if i != 3]  # some\n"
        '  let ctx = chat {{\n    system "Be brief."\n    user "Mood: ${{"high" if n > 3 else "low"}}. ${{q}}"\n  }}\n'
        "  for x in xs {{\n    if x > 3 {{ continue }}\n    record x\n  }}\n"
        "  let said = sample lm(ctx, max_tokens=8)\n  score -0.5 * len(said)\n  return said\n}}\n"
    )
    short, long = ("model lm = smollm2()\n" + "\n".join(map(function.format, range(n))) for n in (54, 540))
    assert long.count("\n") > 8_000
    read("")
    assert cpu_seconds(lambda: read(long).module) < 25 * cpu_seconds(lambda: read(short).module, 3)
    assert cpu_seconds(lambda: check_text(long).raise_errors()) < 25 * cpu_seconds(lambda: check_text(short).raise_errors(), 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_100_kilobytes_of_anything_take_no_longer_than_ten_times_ten(name: str) -> None:
    """Up to noise: what is quadratic takes a hundred times as long."""
    read("")
    short, long = hard_input(name, 10_000), hard_input(name, 100_000)
    assert cpu_seconds(lambda: read(long), 2) < 30 * cpu_seconds(lambda: read(short), 3)


def test_ten_thousand_brackets_end_in_a_named_error() -> None:
    for text in ("(" * 10_000, "[" * 10_000 + "]" * 10_000, "not " * 10_000 + "x", "1" + "+1" * 10_000):
        [error] = read(f"const a = {text}\nconst b = 1").errors
        assert error.code == "E007"


# ------------------------------------------------------------------------------------------------ rendering


def test_rendering() -> None:
    source = Source("const a = 1\n\tlet größe = 大 + x\n", "dir/a.scale")
    found = diagnostic("E002", source, source.span(27, 28))
    assert found.render() == (
        "dir/a.scale:2:16: error[E002]: statements end at the end of the line\n"
        "  |\n"
        "2 | \tlet größe = 大 + x\n"
        "  | \t               ^\n"
        "  = hint: remove ';'"
    )


def test_rendering_of_long_lines_and_control_characters() -> None:
    source = Source("x" * 5000 + "\x1b[31m!" + "y" * 5000)
    rendered = diagnostic("E002", source, source.span(5005, 5006)).render()
    line, underline = rendered.split("\n")[2:4]
    assert "\x1b" not in rendered and len(line) < 200
    assert line[underline.index("^")] == "!"


def test_scale_error() -> None:
    with pytest.raises(ScaleError) as caught:
        parse("const a = 1;\nconst b = 'x'", "f.scale")
    error = caught.value
    assert (error.path, error.line, error.column, error.code) == ("f.scale", 1, 12, "E002")
    assert str(error).startswith("f.scale:1:12: error[E002]") and "E003" in str(error)
    assert [each.code for each in error.diagnostics] == ["E002", "E003"]


def test_diagnostics_are_values() -> None:
    source = Source("x")
    assert diagnostic("E002", source, Span(0, 1, 1, 1)) == diagnostic("E002", source, Span(0, 1, 1, 1))
    assert Diagnostic("W001", "m", source, Span(0, 1, 1, 1)).severity == "warning"
