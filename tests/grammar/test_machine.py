"""What programs compute: values, operators, built-ins, control flow, scope, names of sites. No engine but one forward run
and `exact`, whose posteriors are compared with sums by hand."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

import grammar
from inference import exact, importance
from ppl import model
from ppl.errors import UsageError
from ppl.operations import simulate

SYNTAX = "scale 1\n"


def program(body: str, result: str, before: str = "", params: str = "", **options: Any) -> Any:
    lines = "\n".join("  " + line for line in body.splitlines())
    return grammar.loads(f"{SYNTAX}{before}\nprogram p({params}) -> {result} {{\n{lines}\n}}", **options).p


def value(expression: str, result: str, before: str = "") -> Any:
    """Of an expression, both as the machine computes it in a run and, where it is constant, when it is loaded."""
    found = program(f"return {expression}", result, before)()
    hidden = program(
        f'let zero = len(letters(""))\nlet xs = [zero]\nreturn {expression} if zero == 0 else {expression}',
        result,
        before,
    )()
    assert type(found) is type(hidden) and found == hidden
    return found


EXPRESSIONS = [
    # numbers
    ("7 // 2 + 7 % 2", "int", 4), ("-7 // 2", "int", -4), ("-7 % 3", "int", 2), ("7 / 2", "float", 3.5), ("4 / 2", "float", 2.0),
    ("2 ** 10", "int", 1024), ("2 ** -1", "float", 0.5), ("2.0 ** 3", "float", 8.0), ("1 + 2.5", "float", 3.5), ("-(3)", "int", -3),
    ("abs(-3)", "int", 3), ("abs(-2.5)", "float", 2.5), ("round(2.5)", "int", 2), ("round(2.567, 1)", "float", 2.6),
    ("log(1.0)", "float", 0.0), ("log(0.0)", "float", -math.inf), ("log(0.0, floor=0.5)", "float", math.log(0.5)),
    ("exp(0.0)", "float", 1.0), ("int(3.9)", "int", 3), ("int(true)", "int", 1), ("float(2)", "float", 2.0),
    ("int(\" 42 \")", "int?", 42), ("int(\"4.5\")", "int?", None), ("float(\"1e3\")", "float?", 1000.0), ("float(\"nan\")", "float?", None),
    ("min(3, 1, 2)", "int", 1), ("max([1.5, 2.5])", "float", 2.5), ("sum([1, 2, 3])", "int", 6), ("sum([0.5, 1.0])", "float", 1.5),
    ("max([\"b\", \"a\"])", "str", "b"), ("min([\"bb\", \"a\"], key=fn(s: str) => -len(s))", "str", "bb"),
    # comparisons and logic
    ("1 < 2 and not 2 < 1", "bool", True), ("1 == 1.0", "bool", True), ("\"a\" != \"b\"", "bool", True), ("2 in [1, 2]", "bool", True),
    ("\"x\" not in \"abc\"", "bool", True), ("\"k\" in {\"k\": 1}", "bool", True), ("[1, 2] == [1, 2]", "bool", True),
    ("{\"a\": 1, \"b\": 2} == {\"b\": 2, \"a\": 1}", "bool", True), ("int(\"x\") or 7", "int", 7), ("int(\"0\") or 7", "int", 0),
    ("1 if false else 2", "int", 2), ("(1, \"a\")[1]", "str", "a"),
    # texts
    ("\"${1} ${1.0} ${true} ${\"x\"}\"", "str", "1 1.0 true x"), ("\"a\" + \"b\"", "str", "ab"), ("\"hello\"[1]", "str", "e"),
    ("\"hello\"[-1]", "str", "o"), ("\"hello\"[1:3]", "str", "el"), ("\"hello\"[:2] + \"hello\"[3:]", "str", "helo"),
    ("len(\"héé\")", "int", 3), ("\"A b\".lower().upper()", "str", "A B"), ("\"  x \".strip()", "str", "x"), ("\"xxaxx\".strip(\"x\")", "str", "a"),
    ("\"a,b\".split(\",\")", "list[str]", ["a", "b"]), ("\" a  b \".split()", "list[str]", ["a", "b"]), ("join([\"a\", \"b\"], \"-\")", "str", "a-b"),
    ("\"aXbX\".replace(\"X\", \"__\")", "str", "a__b__"), ("\"abc\".starts_with(\"ab\")", "bool", True), ("\"abc\".ends_with(\"bc\")", "bool", True),
    ("\"abc\".find(\"c\")", "int?", 2), ("\"abc\".find(\"x\")", "int?", None), ("\"abcabc\".count(\"bc\")", "int", 2),
    ("letters(\" it's 5!\")", "list[str]", ["i", "t", "s"]), ("lines(\"a\\nb\\n\")", "list[str]", ["a", "b"]),
    ("after(\"a#b#c\", \"#\")", "str?", "c"), ("after(\"abc\", \"#\")", "str?", None), ("before(\"a#b#c\", \"#\")", "str?", "a"),
    ("re\"[0-9]+\".first_match(\"ab12cd3\")", "str?", "12"), ("re\"x=(\\w+)\".first_match(\"a x=yes\")", "str?", "yes"),
    ("re\"(a)?b\".first_match(\"b\")", "str?", None), ("matches(re\"a+\", \"aaa\")", "bool", True), ("matches(re\"a\", \"aa\")", "bool", False),
    ("numbers(\"-3, 4.5 and 1e2; x-1\")", "list[float]", [-3.0, 4.5, 100.0, 1.0]),
    ("numbers(\"-.5 or .25, 1e999\")", "list[float]", [-0.5, 0.25]), ("float(\"1e999\")", "float?", None),
    ("int(join([\"9\" for _ in range(1250)]))", "int?", None), ("int(join([\"9\" for _ in range(5000)]))", "int?", None),
    ("str(1.5)", "str", "1.5"),
    ("json({\"a\": [1, 2], \"b\": []})", "str", '{"a": [1, 2], "b": []}'), ("json((1, none, \"é\"))", "str", '[1, null, "é"]'),
    # lists and dicts
    ("[1, 2] + [3]", "list[int]", [1, 2, 3]), ("[1, 2, 3][-1]", "int", 3), ("[1, 2, 3][1:]", "list[int]", [2, 3]), ("range(2, 8, 3)", "list[int]", [2, 5]),
    ("[x * x for x in range(5) if x % 2 == 0]", "list[int]", [0, 4, 16]), ("{x: x + 1 for x in [1, 2]}", "dict[int, int]", {1: 2, 2: 3}),
    ("[a + b for a, b in zip([1, 2], [10, 20])]", "list[int]", [11, 22]), ("enumerate([\"a\"], 5)", "list[(int, str)]", [(5, "a")]),
    ("sorted([3, 1, 2], reverse=true)", "list[int]", [3, 2, 1]), ("sorted([\"bb\", \"a\", \"cc\"], key=fn(s: str) => len(s))", "list[str]", ["a", "bb", "cc"]),
    ("sorted([\"a\", \"bb\", \"cc\"], key=fn(s: str) => len(s), reverse=true)", "list[str]", ["bb", "cc", "a"]),
    ("reversed([1, 2])", "list[int]", [2, 1]), ("any([false, true]) and all([true])", "bool", True), ("[1, 1, 2].count(1)", "int", 2),
    ("({\"a\": 1} + {\"b\": 2, \"a\": 3})[\"a\"]", "int", 3), ("{\"a\": 1}.get(\"x\")", "int?", None), ("len({\"a\": 1})", "int", 1),
    ("[k for k in {\"b\": 1, \"a\": 2}]", "list[str]", ["b", "a"]), ("[1, 2.5]", "list[float]", [1.0, 2.5]),
    # distributions as values
    ("bernoulli(0.25).prob(true)", "prob", 0.25), ("uniform([1, 1, 2]).log_prob(1)", "float", math.log(2 / 3)),
    ("categorical({\"a\": 1, \"b\": 3}).prob(\"b\")", "prob", 0.75), ("delta(3).log_prob(4)", "float", -math.inf),
    ("normal(0.0, 1.0).log_prob(0.0)", "float", -0.5 * math.log(2 * math.pi)), ("iid(bernoulli(0.5), 2).log_prob([true, false])", "float", -2 * math.log(2)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "result", "expected"), EXPRESSIONS, ids=[e[0] for e in EXPRESSIONS])
def test_expressions(expression: str, result: str, expected: Any):
    found = value(expression, result)
    assert found == (
        pytest.approx(expected) if isinstance(expected, float) and math.isfinite(expected) else expected
    )
    assert isinstance(found, float) == isinstance(expected, float) and isinstance(found, bool) == isinstance(
        expected, bool
    )


RECORDS = "type Point { x: int, y: float = 0.5, note: str? = none }\ntype Tree { value: int, kids: list[Tree] = [] }\n"


def test_records():
    p = value('Point(x=1) with { y: 2, note: "n" }', "Point", RECORDS)
    assert (p.x, p.y, p.note) == (1, 2.0, "n") and isinstance(p.y, float)
    assert (
        p["x"] == 1
        and dict(p) == {"x": 1, "y": 2.0, "note": "n"} == p
        and hash(p) == hash(value('Point(1, 2, "n")', "Point", RECORDS))
    )
    assert p != value("Point(x=2)", "Point", RECORDS) and repr(p) == "Point(x=1, y=2.0, note='n')"
    tree = value("Tree(1, [Tree(2), Tree(3, [Tree(4)])])", "Tree", RECORDS)
    assert tree.kids[1].kids[0].value == 4
    assert (
        value("json(Tree(1, [Tree(2)]))", "str", RECORDS)
        == '{"value": 1, "kids": [{"value": 2, "kids": []}]}'
    )
    with pytest.raises(AttributeError, match="has no field 'z'; it has x, y, note"):
        _ = p.z


def test_values_of_python_and_of_the_language_are_equal():
    found = value('[(1, "a")]', "list[(int, str)]")
    assert (
        found == [(1, "a")]
        and found == ((1, "a"),)
        and hash(found) == hash(((1, "a"),))
        and list(found) == [(1, "a")]
    )
    assert (
        found[0] == (1, "a") and found[-1:] == [(1, "a")] and len(found) == 1 and repr(found) == "[(1, 'a')]"
    )


def test_unions_and_narrowing():
    before = "type A { n: int }\ntype B { s: str }\n"
    body = """let v: A | B = A(n=1) if which else B(s="x")
if v is A { return "a${v.n}" }
return v.s"""
    p = program(body, "str", before, "which: bool")
    assert (p(True), p(False)) == ("a1", "x")
    q = program(
        'if x is int { return "int" }\nif x is str { return "str" }\nreturn "list"',
        "str",
        "",
        "x: int | str | list[int]",
    )
    assert (q(3), q("s"), q([1])) == ("int", "str", "list")


CONTROL = """let total = 0
for i in range(10) {
  if i == 2 { continue }
  if i == 6 { break }
  for j in [1, 2] {
    if j == 2 { break }
    total += 10
  }
  total += i
}
let n = 0
while n < 100 max bound {
  n += 1
  if n == 2 { continue }
  total += 100
}
if total > 1000 { total = 0 } else if n == 3 { total += 5 } else { total += 7 }
for k, v in [("a", 1), ("b", 2)] { total += v + len(k) }
for key in {"x": 1, "yy": 2} { total += len(key) }
pass
return total"""


def test_control_flow():
    def expected(bound: int) -> int:
        total = 10 * 5 + 0 + 1 + 3 + 4 + 5 + 100 * (bound - (bound >= 2))
        total = total + 5 if bound == 3 else total + 7
        return total + (1 + 1) + (2 + 1) + 1 + 2

    p = program(CONTROL, "int", "", "bound: int")
    assert [p(b) for b in (0, 1, 3, 5)] == [expected(b) for b in (0, 1, 3, 5)]


def test_assignment_goes_through_blocks_and_lambdas_keep_what_they_saw():
    body = """let x = 1
let before = fn(y: int) => x + y
if true { x = 10 }
let after = fn(y: int) => fn(z: int) => x + y + z
x = 100
let g = after(1)
return [before(0), g(1), x]"""
    assert program(body, "list[int]")() == [1, 12, 100]


def test_functions_defaults_and_function_values():
    before = """const BASE = 2 * 10
fn add(a: int, b: int = BASE, c: float = 1) -> float { return a + b + c }
fn twice(f: fn(int) -> int, x: int) -> int { return f(f(x)) }
fn square(x: int) -> int { return x * x }
fn nothing(x: int) { record x }
"""
    body = """nothing(3)
return [add(1), add(1, c=3), add(1, 2), float(twice(square, 3)), float(twice(fn(n: int) => n + 1, 0))]"""
    p = program(body, "list[float]", before)
    assert p() == [22.0, 24.0, 4.0, 81.0, 2.0]
    assert simulate(p, rng=0).records == {"nothing/x": 3}


def test_evaluation_is_from_left_to_right_and_no_further_than_needed():
    before = """fn say(x: int, what: bool) -> bool {
  record x
  return what
}
"""
    body = """let a = say(1, false) and say(2, true)
let b = say(3, true) or say(4, true)
let c = say(5, true) if say(6, false) else say(7, true)
let d = [say(8, true), a, say(9, b)]
let e = [say(y, true) for y in [10, 11] if say(y + 10, y == 11)]
let n: int? = none
let f = say(12, true) if n == none else c
return len(d) + len(e) + (1 if f else 0)"""
    records = simulate(program(body, "int", before), rng=0).records
    assert list(records.values()) == [1, 3, 6, 7, 8, 9, 20, 21, 11, 12]


def test_conversions():
    body = """let xs: list[float] = [1, 2]
let p: prob = 0.5
p *= 0.5
let q: float = 1
q += 1
q -= 0.5
let d: dict[str, float] = {"a": 1}
return [xs[0], float(p), q, d["a"], 1 - 0.25]"""
    found = program(body, "list[float]")()
    assert found == [1.0, 0.25, 1.5, 1.0, 0.75] and all(type(x) is float for x in found)


def test_arguments_are_checked_and_converted():
    p = program("return (x, xs, d, point.y, s)", "(float, list[int], dict[str, int], float, str?)", RECORDS,
                "x: float, xs: list[int], d: dict[str, int], point: Point, s: str? = none")  # fmt: skip
    assert p(1, [1, 2], {"a": 1}, {"x": 1, "y": 2, "note": None}) == (1.0, [1, 2], {"a": 1}, 2.0, None)
    good: dict[str, Any] = {"x": 1, "xs": (1,), "d": {}, "point": {"x": 1, "y": 2, "note": None}}
    wrong = {"x": "1", "xs": "12", "d": [1], "point": {"y": 1}, "s": 3}
    for name, bad in wrong.items():
        with pytest.raises(UsageError, match=rf"p\({name}=\.\.\.\): expected .*[;,] found"):
            p(**{**good, name: bad})
    with pytest.raises(Exception, match="expected int, found bool True"):
        program("return n", "int", "", "n: int")(True)
    hints = {name: each.annotation for name, each in inspect.signature(p.fn).parameters.items()}
    assert hints == {"x": float, "xs": list[int], "d": dict, "point": Any, "s": Any}


SITES = """
fn coin(p: prob) -> bool {
  let side = sample bernoulli(p)
  return side
}
fn pair() -> (bool, bool) { return (coin(0.5), sample bernoulli(0.5)) }
fn down(n: int) -> int {
  let more = sample bernoulli(1.0)
  return down(n - 1) if more and n > 0 else 0
}
program inner() -> bool {
  let x = sample bernoulli(0.5)
  return x
}
program p() -> bool {
  let x = sample bernoulli(0.5)
  x = sample bernoulli(0.5)
  let both = (sample uniform([1, 2]), sample uniform([1, 2]))
  let a, b = sample uniform([(1, 2)])
  let xs = [sample bernoulli(0.5) for _ in range(2)]
  let f = coin
  f(0.5)
  let flip = fn(q: prob) => (sample bernoulli(q))
  flip(0.5)
  pair()
  inner()
  down(2)
  let _ = sample uniform([a, b])
  if (sample bernoulli(1.0)) { record done = (sample uniform([len(xs) + both[0]])) }
  return sample bernoulli(0.5)
}
"""


def test_names_of_sites():
    p = grammar.loads(SYNTAX + SITES).p
    trace = simulate(p, rng=0)
    assert list(trace.choices) == [
        "x", "x[1]", "both", "both[1]", "a,b", "xs", "xs[1]", "coin/side", "flip", "pair/coin/side", "pair/return",
        "inner/x", "down/more", "down/more[1]", "down/more[2]", "_", "sample", "done", "return",
    ]  # fmt: skip
    posterior = p.run(engine=importance(2), seed=0)
    assert sum(posterior.marginal("more").values()) == pytest.approx(1.0)  # one path has it
    with pytest.raises(Exception, match="coin/side, pair/coin/side"):
        posterior.marginal("side")


def test_exact_posteriors():
    """By hand: three coins, at least two heads; the first given a weight."""
    body = """let a = sample bernoulli(0.25)
let b = sample bernoulli(0.5)
let c = sample bernoulli(0.5)
require a and b or a and c or b and c
score log(0.5) if a else 0.0
return a"""
    posterior = program(body, "bool").run(engine=exact())
    heads, tails = 0.25 * 0.75 * 0.5, 0.75 * 0.25
    assert posterior.log_evidence == pytest.approx(math.log(heads + tails))
    assert posterior.p(True) == pytest.approx(heads / (heads + tails))


TABLE = 'model lm = table({"": {"a": 0.5, "b": 0.5}, "a": {"b": 0.6, "$": 0.4}, "b": {"$": 1.0}}, end="$")\n'


def test_table_models_are_exact():
    body = """let c = sample lm.choice("", ["a", "b"])
let d = sample lm.token(c)
observe "b" from lm(c, max_tokens=1, prefix=true)
return c + d"""
    posterior = program(body, "str", TABLE).run(engine=exact())
    assert posterior.values == ["ab", "a$"] and posterior.log_evidence == pytest.approx(math.log(0.5 * 0.6))
    assert posterior.p("ab") == pytest.approx(0.6)


@pytest.mark.parametrize("written", ['re"a?b"', 'choice(["b", "ab"])', 'lark("start: \\"a\\"? \\"b\\"")'])
def test_a_grammar_conditions_and_the_weight_carries_the_kept_mass(written: str):
    """Of the four texts of the table, "b" (0.5) and "ab" (0.5 * 0.6) belong; "a" (0.2) does not."""
    body = f"let x = sample lm(\"\", max_tokens=3, grammar={written})\nreturn x"
    posterior = program(body, "str", TABLE).run(engine=importance(4000), seed=0)
    assert set(posterior.values) == {"b", "ab"}
    # weights lie in [0.6, 1]: 6 standard errors of each are below these bounds
    assert math.exp(posterior.log_evidence) == pytest.approx(0.8, abs=0.02)
    assert posterior.p("b") == pytest.approx(0.625, abs=0.05)


def test_json_of_a_type_is_a_grammar():
    table = 'model lm = table({"": {"1": 0.25, "x": 0.75}, "1": {"2": 0.5, "$": 0.5}, "2": {"$": 1.0}, "x": {"$": 1.0}})\n'
    body = 'let x = sample lm("", max_tokens=4, grammar=json(Count))\nreturn x'
    posterior = program(body, "str", table + "type Count = int\n").run(engine=importance(2000), seed=0)
    assert set(posterior.values) == {"1", "12"} and posterior.log_evidence == pytest.approx(math.log(0.25))


def test_a_chat_is_the_texts_of_its_turns_and_grows():
    body = """let ctx = chat {
  system "a"
  user "b"
  prefill "a"
}
let d = lm(ctx, max_tokens=1)
let grown = ctx + "b" + chat { user "a" }
return (d.prob("b"), lm(grown + "", max_tokens=1).prob("b"), lm(lm.prompt("") + "a", max_tokens=1).prob("b"))"""
    assert program(body, "(prob, prob, prob)", TABLE)() == pytest.approx((0.6, 0.6, 0.6))


def test_a_heuristic_is_computed_only_for_engines_that_use_it():
    asked: list[float] = []

    def costly(x: float) -> float:
        asked.append(x)
        return x

    body = (
        "let a = sample bernoulli(0.5)\nheuristic costly(1.0)\nlet b = sample bernoulli(0.5)\nreturn a and b"
    )
    p = program(body, "bool", "extern fn costly(x: float) -> float\n", externs={"costly": costly})
    p.run(engine=importance(3), seed=0)
    assert asked == []
    p.run(engine="beam(width=2)", seed=0)
    assert asked == [1.0]  # once: it is pure


def test_extern_functions():
    calls: list[Any] = []

    def shout(text: str, times: int) -> list[str]:
        calls.append(text)
        return [text.upper()] * times

    before = "extern fn shout(text: str, times: int = 2) -> list[str]\n"
    p = program(
        'let s = sample uniform(["a", "b"])\nlet f = shout\nreturn shout(s) + f(s, 1)',
        "list[str]",
        before,
        externs={"shout": shout},
    )
    posterior = p.run(engine=exact())
    assert sorted(posterior.values) == [["A", "A", "A"], ["B", "B", "B"]] and sorted(calls) == [
        "a",
        "a",
        "b",
        "b",
    ]
    impure = program(
        "return now() + now()",
        "int",
        "impure extern fn now() -> int\n",
        externs={"now": lambda: len(calls.append(0) or calls)},
    )
    first = impure()
    assert first == 5 + 6


def test_python_programs_call_scale_programs():
    coin = program(
        "let side = sample bernoulli(p)\nscore log(0.5) if side else 0.0\nreturn side", "bool", "", "p: prob"
    )

    @model
    def two():
        return coin(0.5), coin(0.25)

    posterior = two.run(engine=exact())
    assert posterior.log_evidence == pytest.approx(math.log((0.25 + 0.5) * (0.125 + 0.75)))
    assert list(posterior.traces[0].choices) == ["side", "side[1]"]
