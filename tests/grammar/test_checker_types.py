"""The types of expressions, and what the checker hands to the machine about them."""

from __future__ import annotations

import pytest

from grammar import syntax as s
from grammar.modules import check_text
from grammar.symbols import CheckedModule, Local, ResolvedCall
from grammar.type_names import show
from grammar.types import FLOAT, PROB, RecordType

HEAD = """
model lm = smollm2()
reward prm = reward("judge:smollm2")
type Mood = "calm" | "angry"
type Case { mood: Mood, weight: float = 0.0, tags: list[str] = [] }
const SIZE = 3
fn shout(text: str, times: int = 1) -> str { return join([text.upper() for _ in range(times)]) }
fn later(m: model, ctx: chat) -> dist[str] { return m(ctx, max_tokens=3) }
extern fn price(item: str) -> float?
"""
PARAMS = "q: str, n: int, x: float, p: prob, m: int?, xs: list[int], d: dict[str, float], c: Case, u: int | str, ctx: chat"


def checked(*statements: str, head: str = HEAD) -> CheckedModule:
    body = "\n".join(statements)
    module = check_text(f"{head}\nfn test_of({PARAMS}) {{\n{body}\n}}\n", models={"lm": None})
    assert not module.errors, "\n".join(each.render() for each in module.errors)
    return module


def value_of(module: CheckedModule) -> s.Expr:
    """What the last `let` of the test function is given."""
    body = module.functions["test_of"].decl.body
    return next(each.value for each in reversed(body.statements) if isinstance(each, s.Let))


EXPRESSIONS = [
    # numbers
    ("n + 1", "int"), ("n / 2", "float"), ("n // 2", "int"), ("n % 2", "int"), ("n ** 2", "int"), ("n ** n", "float"),
    ("x + n", "float"), ("-n", "int"), ("-x", "float"), ("2 ** -1", "float"), ("1_000 * 2", "int"),
    # probabilities
    ("p * p", "prob"), ("0.5 * p", "prob"), ("1 - p", "prob"), ("p * 2", "float"), ("p + p", "float"), ("p / 2", "float"),
    ("2 - p", "float"), ("-p", "float"), ("min(p, 0.5)", "prob"), ("[p, 0.5]", "list[prob]"), ("p if n > 1 else 1", "prob"),
    ("float(p)", "float"), ("log(p)", "float"), ("log(p, floor=0.01)", "float"), ("log(x)", "float"), ("log(2)", "float"),
    ("bernoulli(0.5).prob(true)", "prob"), ("bernoulli(p).log_prob(false)", "float"), ("prm(q, q)", "prob"),
    ("prm(q, [q])", "prob"), ("prm.steps(q, ctx)", "list[prob]"), ("min(prm.steps(q, ctx))", "prob"),
    ("sum(prm.steps(q, ctx))", "float"), ("max(x, n)", "float"), ("sum(xs)", "int"), ("sum([1, 0.5])", "float"),
    # texts
    ('"a" + q', "str"), ('"${n} ${x} ${p} ${n > 1}"', "str"), ("q[0]", "str"), ("q[1:]", "str"), ("len(q)", "int"),
    ("q.upper().strip()", "str"), ("split(q)", "list[str]"), ('q.split(",")', "list[str]"), ('after(q, "x")', "str?"),
    ('after(q, "x") or "y"', "str"), ("int(q)", "int?"), ("int(x)", "int"), ("int(q) or 0", "int"), ("float(q)", "float?"),
    ("numbers(q)", "list[float]"), ('re"[0-9]+".first_match(q)', "str?"), ('matches(re"a", q)', "bool"), ("json(c)", "str"),
    ('"x" in q', "bool"), ('q.find("x")', "int?"), ('q.contains("x")', "bool"), ("xs.contains(1)", "bool"), ("str(p)", "str"),
    ("round(x)", "int"), ("round(x, 2)", "float"), ("abs(n)", "int"), ("abs(p - 0.5)", "float"),
    # lists, dicts, tuples, records
    ("[1, 2.5]", "list[float]"), ("[n, m]", "list[int?]"), ("xs + [4]", "list[int]"), ("xs[-1]", "int"), ("xs[:2]", "list[int]"),
    ("[]+xs", "list[int]"), ("[k for k in d]", "list[str]"), ("[i * x for i in range(n) if i > 1]", "list[float]"),
    ("{k: d[k] for k in d}", "dict[str, float]"), ('d + {"a": 1}', "dict[str, float]"), ('d.get("a")', "float?"),
    ('d.get("a") or 0', "float"), ("(n, q)", "(int, str)"), ("(n, q)[1]", "str"), ("(n, q)[-2]", "int"),
    ("zip(xs, split(q))", "list[(int, str)]"), ("zip(xs, xs, xs)", "list[(int, int, int)]"), ("enumerate(xs)", "list[(int, int)]"),
    ("sorted(xs)", "list[int]"), ("sorted([(x, q)], reverse=true)", "list[(float, str)]"), ("max(xs)", "int"),
    ("max([c], key=fn(a: Case) => a.weight)", "Case"), ("reversed(split(q))", "list[str]"), ("any([i > 1 for i in xs])", "bool"),
    ('Case("calm")', "Case"), ('Case(mood="angry", weight=1)', "Case"), ("c.tags", "list[str]"), ("c with { weight: 2 }", "Case"),
    ("c.mood", '"calm" | "angry"'), ("n if n > 1 else none", "int?"), ("m or n", "int"), ("m or x", "float"), ("u", "int | str"),
    ("SIZE + 1", "int"), ("{(1, 2): q}", "dict[(int, int), str]"),
    # functions
    ("shout(q)", "str"), ("shout(times=2, text=q)", "str"), ("shout", "fn(str, int) -> str"), ("fn(a: int) => a / 2", "fn(int) -> float"),
    ("price(q) or 0.0", "float"), ("(fn(a: int) => a)(n)", "int"), ("fn() => n", "fn() -> int"),
    # contexts, models, distributions
    ("chat { user q }", "chat"), ('ctx + "a"', "chat"), ('lm.prompt(q) + " b"', "chat"), ("lm", "model"), ("prm", "reward"),
    ('lm(ctx, stop="a", max_tokens=3, temperature=0.5, top_p=0.9, top_k=5)', "dist[str]"), ("lm(q, max_tokens=n)", "dist[str]"),
    ("lm(q, max_tokens=m)", "dist[str]"), ('lm(q, grammar=re"a+", max_tokens=9)', "dist[str]"), ("lm.token(q)", "dist[str]"),
    ('lm.choice(q, ["a", "b"])', 'dist["a" | "b"]'), ("lm.choice(q, c.tags)", "dist[str]"), ("later(lm, ctx)", "dist[str]"),
    ('(sample lm(q, stop=["a", "b"]))', "str"), ("bernoulli(0.5)", "dist[bool]"), ("bernoulli(x)", "dist[bool]"),
    ('categorical({"a": 1, "b": 0.5})', 'dist["a" | "b"]'), ("categorical(d)", "dist[str]"), ("categorical({1: p, 2: 1 - p})", "dist[int]"),
    ("categorical({k: len(k) for k in c.tags})", "dist[str]"), ('uniform(["a", "b"])', 'dist["a" | "b"]'), ("uniform(range(6))", "dist[int]"),
    ("uniform(xs)", "dist[int]"), ("delta(q)", "dist[str]"), ("iid(bernoulli(0.1), 3)", "dist[list[bool]]"), ("normal(0, x)", "dist[float]"),
    ("beta(1, 2)", "dist[prob]"), ("poisson(3)", "dist[int]"), ("uniform_real(0, 1)", "dist[float]"), ("json(Case)", "grammar"),
    ('choice(["a", "b"])', "grammar"), ("min(2, 1)", "int"), ("max(1, 2, x)", "float"), ("count(xs, 1)", "int"), ("range(1, n, 2)", "list[int]"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_expressions(expression: str, expected: str) -> None:
    module = checked(f"let v = {expression}")
    assert show(module.types[value_of(module)]) == expected


# A `let` with a type, and the values in it that become another number.
CONVERSIONS = [
    ("let v: float = n", {"n": FLOAT}),
    ("let v: float = 1", {"1": FLOAT}),
    ("let v: list[float] = [1, x, n]", {"1": FLOAT, "n": FLOAT}),
    ("let v = [1, x]", {"1": FLOAT}),
    ("let v: dict[str, float] = {q: 1}", {"1": FLOAT}),
    ("let v: (float, int) = (1, 2)", {"1": FLOAT}),
    ("let v: float? = n", {"n": FLOAT}),
    ("let v: float = 1 if n > 2 else x", {"1": FLOAT}),
    ("let v: prob = 0.5", {"0.5": PROB}),
    ("let v: prob = x", {"x": PROB}),
    ("let v = bernoulli(x)", {"x": PROB}),
    ("let v = bernoulli(p)", {}),
    ("let v = normal(0, 1)", {"0": FLOAT, "1": FLOAT}),
    ('let v = Case(mood="calm", weight=n)', {"n": FLOAT}),
    ("let v: list[float] = [i for i in xs]", {"i": FLOAT}),
    ("let v: int | str = n", {}),
    ("let v = m or x", {}),
    ("let v = max(1, x)", {"1": FLOAT}),
    ("let w: float = 1.0\nw += n\nlet v = w", {}),
    ("let w: prob = 0.1\nw *= x\nlet v = w", {"0.1": PROB, "w": PROB}),
]


@pytest.mark.parametrize(("statement", "expected"), CONVERSIONS)
def test_conversions_are_noted_where_they_happen(statement: str, expected: dict[str, object]) -> None:
    module = checked(statement)
    text = module.source.text
    inside = module.functions["test_of"].decl.span
    noted = {
        text[n.span.start : n.span.end]: to
        for n, to in module.conversions.items()
        if n.span.start >= inside.start
    }
    assert noted == expected


NARROWING = [
    ("if m == none { return }\nlet v = m", "int"),
    ("if m != none { n = m }\nlet v = m", "int?"),
    ("require m != none\nlet v = m", "int"),
    ("let v = m if m != none else 0", "int"),
    ("let v = m != none and m > 1", "bool"),
    ("let v = m == none or m > 1", "bool"),
    ("if not (m == none or n > 1) { let v = m + 1\nrecord v }\nlet v2 = m", "int?"),
    ("if m == none { m = 0 }\nlet v = m", "int"),
    ("if m == none { n = 1 } else { m = none }\nlet v = m", "none"),
    ("if u is int { return }\nlet v = u", "str"),
    ("if u is str { u = 3 }\nlet v = u", "int"),
    ("let v = u if u is int else len(u)", "int"),
    ("let w: int? = 3\nlet v = w", "int"),
    ("let w: int? = 3\nw = none\nlet v = 1 if w == none else w + 1", "int"),
    ("let w: int? = 3\nw = m\nlet v = w", "int?"),
    ("let w: int? = 3\nwhile n > 1 max 3 { w = none }\nlet v = w", "int?"),
    ("let w: int? = none\nfor i in xs { if w == none { w = i } else { w = w + i } }\nlet v = w", "int?"),
    ('if c.mood == "calm" { return }\nlet v = c.mood', '"calm" | "angry"'),
    ('let mood = c.mood\nif mood == "calm" { return }\nlet v = mood', '"angry"'),
    ("for i in xs { if m == none { break }\nn = m }\nlet v = m", "int?"),
    ("let f = fn(a: int?) => a + 1 if a != none else 0\nlet v = f(m)", "int"),
    ("let v = [a + 1 for a in [m, 3] if a != none]", "list[int]"),
    ("if m == none { require false }\nlet v = m", "int"),
    ("let ys = [1]\nys = reversed([])\nys += [2]\nlet v = ys", "list[int]"),
    ("if n == 1 { m = 1 } else if n == 2 { m = 2 } else { return }\nlet v = m", "int"),
]


@pytest.mark.parametrize(("statements", "expected"), NARROWING)
def test_narrowing(statements: str, expected: str) -> None:
    module = checked(statements)
    assert show(module.types[value_of(module)]) == expected


def call_in(module: CheckedModule) -> ResolvedCall:
    call = value_of(module)
    assert isinstance(call, s.Call)
    return module.calls[call]


def arguments(module: CheckedModule) -> list[str | None]:
    text = module.source.text
    return [None if arg is None else text[arg.span.start : arg.span.end] for arg in call_in(module).args]


CALLS = [
    ("shout(times=2, text=q)", "function", ["q", "2"]),
    ("shout(q)", "function", ["q", None]),
    ("price(q)", "extern", ["q"]),
    ('Case(tags=[], mood="calm")', "record", ['"calm"', None, "[]"]),
    ('q.replace("a", new="b")', "builtin", ["q", '"a"', '"b"']),
    ("sorted(xs, key=fn(a: int) => -a)", "builtin", ["xs", "fn(a: int) => -a", None]),
    ("max(1, 2, 3)", "builtin", ["1", "2", "3"]),
    ("lm(q, max_tokens=5)", "model", ["q", None, "5", *[None] * 8]),
    ('lm.choice(q, ["a"])', "model", ["q", '["a"]']),
    ("prm(q, q)", "reward", ["q", "q"]),
    ("bernoulli(p).log_prob(true)", "distribution", ["bernoulli(p)", "true"]),
    ("json(Case)", "grammar", ["Case"]),
]


@pytest.mark.parametrize(("expression", "kind", "expected"), CALLS)
def test_calls_are_resolved(expression: str, kind: str, expected: list[str | None]) -> None:
    module = checked(f"let v = {expression}")
    assert call_in(module).kind == kind
    assert arguments(module) == expected


def test_the_signature_that_fits_is_told() -> None:
    assert call_in(checked("let v = range(1, n)")).signature == 1
    assert call_in(checked("let v = log(x)")).signature == 1
    assert call_in(checked("let v = log(p)")).signature == 0


def test_a_called_value_is_the_receiver() -> None:
    module = checked("let f = fn(a: int, b: int) => a\nlet v = f(n, 1)")
    call = call_in(module)
    assert (
        call.kind == "value"
        and isinstance(call.receiver, s.Name)
        and call.receiver.name == "f"
        and len(call.args) == 2
    )


def test_names_are_resolved() -> None:
    module = checked("let v = [q for q2 in xs]\nrecord v")
    names = {node.name: symbol for node, symbol in module.names.items() if isinstance(node, s.Name)}
    assert isinstance(names["q"], Local) and names["q"].kind == "parameter" and names["q"] is not names["xs"]


def test_records_keep_defaults_and_descriptions() -> None:
    module = check_text(
        'type Case { age: int = 3 "in years", next: Case? = none }\nfn f(c: Case) -> Case? { return c.next }'
    )
    assert not module.diagnostics
    record = module.records["Case"]
    assert isinstance(record, RecordType)
    assert record.fields["age"].doc == "in years" and isinstance(record.fields["age"].default, s.IntLiteral)
    assert show(record.fields["next"].type) == "Case?"
