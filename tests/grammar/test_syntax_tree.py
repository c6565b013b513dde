"""What the parser makes of each form, and that every node knows exactly where it stands."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from grammar import syntax as s
from grammar.diagnostics import ScaleError
from grammar.parser import parse, parse_expression, read
from grammar.syntax import children, same_tree, walk

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.scale"))


def statement(text: str) -> s.Statement:
    module = parse(f"fn f() {{\n{text}\n}}")
    [function] = module.declarations
    assert isinstance(function, s.FunctionDecl)
    [only] = function.body.statements
    return only


def show(node: object) -> object:
    """A tree as nested tuples of class names and values: short to write down in a test."""
    if isinstance(node, s.Identifier | s.Name):
        return node.name
    if isinstance(node, s.IntLiteral | s.FloatLiteral | s.BoolLiteral):
        return node.value
    if isinstance(node, s.Text) and node.plain:
        return repr(node.literal)
    if isinstance(node, s.Node):
        return (type(node).__name__, *(show(getattr(node, name)) for name in s.field_names(node)))
    return [show(each) for each in node] if isinstance(node, tuple) else node


EXPRESSIONS = {
    "1 + 2 * 3": ("Binary", "+", 1, ("Binary", "*", 2, 3)),
    "1 - 2 - 3": ("Binary", "-", ("Binary", "-", 1, 2), 3),
    "(1 - 2) - 3": ("Binary", "-", ("Binary", "-", 1, 2), 3),
    "1 - (2 - 3)": ("Binary", "-", 1, ("Binary", "-", 2, 3)),
    "-2 ** -3": ("Unary", "-", ("Binary", "**", 2, ("Unary", "-", 3))),
    "2 ** 3 ** 4": ("Binary", "**", 2, ("Binary", "**", 3, 4)),
    "7 // 2 % 3": ("Binary", "%", ("Binary", "//", 7, 2), 3),
    "not a and b or c": ("Logical", "or", ("Logical", "and", ("Unary", "not", "a"), "b"), "c"),
    "a == b and c not in d": ("Logical", "and", ("Compare", "==", "a", "b"), ("Compare", "not in", "c", "d")),
    "a in b": ("Compare", "in", "a", "b"),
    "not (a in b)": ("Unary", "not", ("Compare", "in", "a", "b")),
    "x is none": ("IsType", "x", ("TypeName", None, "none", [])),
    "x is rules.Verdict": ("IsType", "x", ("TypeName", "rules", "Verdict", [])),
    "a if b else c if d else e": ("Conditional", "b", "a", ("Conditional", "d", "c", "e")),
    "a.b(1, k=2)[0].c": (
        "Member",
        ("Index", ("Call", ("Member", "a", "b"), [("Arg", None, 1), ("Arg", "k", 2)]), 0),
        "c",
    ),
    "xs[1:]": ("Slice", "xs", 1, None),
    "xs[:-1]": ("Slice", "xs", None, ("Unary", "-", 1)),
    "xs[:]": ("Slice", "xs", None, None),
    "[]": ("ListExpr", []),
    "[1, 2,]": ("ListExpr", [1, 2]),
    "(1, 2,)": ("TupleExpr", [1, 2]),
    "{}": ("DictExpr", []),
    '{"a": 1, "b": 2,}': ("DictExpr", [("Entry", "'a'", 1), ("Entry", "'b'", 2)]),
    "[x * 2 for x in xs if x > 1]": (
        "Comprehension",
        ("Binary", "*", "x", 2),
        ["x"],
        "xs",
        ("Compare", ">", "x", 1),
    ),
    "{k: v for k, v in d}": ("Comprehension", ("Entry", "k", "v"), ["k", "v"], "d", None),
    "fn(x: int, y: int = 2) -> int => x + y": (
        "Lambda",
        [("Param", "x", ("TypeName", None, "int", []), None), ("Param", "y", ("TypeName", None, "int", []), 2)],
        ("TypeName", None, "int", []),
        ("Binary", "+", "x", "y"),
    ),
    "r with { a: 1, b: 2 }": ("RecordUpdate", "r", [("FieldUpdate", "a", 1), ("FieldUpdate", "b", 2)]),
    "(sample d using e)": ("Sample", "d", "e"),
    "f(sample d, k=sample e)": (
        "Call",
        "f",
        [("Arg", None, ("Sample", "d", None)), ("Arg", "k", ("Sample", "e", None))],
    ),
    "[sample d for i in range(3)]": (
        "Comprehension",
        ("Sample", "d", None),
        ["i"],
        ("Call", "range", [("Arg", None, 3)]),
        None,
    ),
    "max(1, 2)": ("Call", "max", [("Arg", None, 1), ("Arg", None, 2)]),
    "model.reward": ("Member", "model", "reward"),
    "x.score": ("Member", "x", "score"),
    "20_000 + 1.5e3": ("Binary", "+", 20000, 1500.0),
    're"a\\"b"': ("Regex", 'a\\"b'),
    "chat { }": ("ChatExpr", []),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions(text: str) -> None:
    assert show(parse_expression(text)) == EXPRESSIONS[text]


STATEMENTS = {
    "let x: list[int] = []": ("Let", ["x"], ("TypeName", None, "list", [("TypeName", None, "int", [])]), ("ListExpr", [])),
    "let a, b = pair": ("Let", ["a", "b"], None, "pair"),
    "let x = sample d\n  using e": ("Let", ["x"], None, ("Sample", "d", "e")),
    "x += 1": ("Assign", "x", "+", 1),
    "x = sample d": ("Assign", "x", None, ("Sample", "d", None)),
    "score log(p)": ("Score", ("Call", "log", [("Arg", None, "p")])),
    "observe v\n  from d": ("Observe", "v", "d"),
    'require c else "why"': ("Require", "c", "'why'"),
    "heuristic h": ("Heuristic", "h"),
    "checkpoint": ("Checkpoint",),
    "record x": ("Record", "x", None),
    "record x = 1": ("Record", "x", 1),
    "return": ("Return", None),
    "for k, v in d { pass }": ("For", ["k", "v"], "d", ("Block", [("Pass",)])),
    "while max(a, b) max max(1, 2) { break }": (
        "While",
        ("Call", "max", [("Arg", None, "a"), ("Arg", None, "b")]),
        ("Call", "max", [("Arg", None, 1), ("Arg", None, 2)]),
        ("Block", [("Break",)]),
    ),
    "if a { pass }\n# note\nelse if b { continue }\nelse { }": (
        "If",
        [("Branch", "a", ("Block", [("Pass",)])), ("Branch", "b", ("Block", [("Continue",)]))],
        ("Block", []),
    ),
    "xs.f(1)": ("CallStatement", ("Call", ("Member", "xs", "f"), [("Arg", None, 1)])),
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements(text: str) -> None:
    assert show(statement(text)) == STATEMENTS[text]


INT, STR = ("TypeName", None, "int", []), ("TypeName", None, "str", [])
DECLARATIONS = {
    'import "lib/a.scale" as a': ("Import", "'lib/a.scale'", "a"),
    'model model = hf("x", dtype="float32")': (
        "ModelDecl", "model", "model", "hf", [("Arg", None, "'x'"), ("Arg", "dtype", "'float32'")],
    ),
    'reward prm = reward("judge:smollm2")': ("ModelDecl", "reward", "prm", "reward", [("Arg", None, "'judge:smollm2'")]),
    "extern fn f(x: int) -> str": ("ExternDecl", "f", [("Param", "x", INT, None)], STR, True),
    "impure extern fn f() -> int": ("ExternDecl", "f", [], INT, False),
    'type A = "x" | "y"\n  | int?': (
        "TypeAliasDecl", "A", ("TypeUnion", [("TypeLiteral", "x"), ("TypeLiteral", "y"), ("TypeOptional", INT)]),
    ),
    "type F = fn(int, str) -> (int, str)": (
        "TypeAliasDecl", "F", ("TypeFunction", [INT, STR], ("TypeTuple", [INT, STR])),
    ),
    'type C {\n  a: int = 1 "doc"\n  b: m.T, c: chat\n}': (
        "RecordDecl",
        "C",
        [
            ("Field", "a", INT, 1, "'doc'"),
            ("Field", "b", ("TypeName", "m", "T", []), None, None),
            ("Field", "c", ("TypeName", None, "chat", []), None, None),
        ],
    ),
    "const a: int = 1": ("ConstDecl", "a", INT, 1),
    "program p(lm: model, limit: int = 2,) -> chat { }": (
        "FunctionDecl",
        "program",
        "p",
        [("Param", "lm", ("TypeName", None, "model", []), None), ("Param", "limit", INT, 2)],
        ("TypeName", None, "chat", []),
        ("Block", []),
    ),
    "infer p with smc(particles=4)\n  then best_of(n=1)": (
        "InferDecl",
        "p",
        [("Engine", "smc", [("Arg", "particles", 4)]), ("Engine", "best_of", [("Arg", "n", 1)])],
    ),
    "infer exact()": ("InferDecl", None, [("Engine", "exact", [])]),
    "limit tokens = 20_000, seconds = 60": ("LimitDecl", [("Limit", "tokens", 20000), ("Limit", "seconds", 60)]),
    'test "t" of p {\n given reply = 1\n with smc()\n reply re"a" -> "b"\n expect posterior.p(1) > 0.5\n}': (
        "TestDecl",
        "'t'",
        "p",
        [
            ("Given", "reply", 1),
            ("WithEngine", ("Engine", "smc", [])),
            ("Reply", ("Regex", "a"), "'b'"),
            ("Expect", ("Compare", ">", ("Call", ("Member", "posterior", "p"), [("Arg", None, 1)]), 0.5)),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", DECLARATIONS)
def test_declarations(text: str) -> None:
    [declaration] = parse(text).declarations
    assert show(declaration) == DECLARATIONS[text]


def test_version_and_empty_files() -> None:
    assert parse("scale 1").version == 1
    assert parse("").version is None
    assert parse("\n# only a comment").declarations == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_parse_and_open_with_two_comment_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parsed = read(text, str(path))
    assert parsed.diagnostics == ()
    first, second, third = text.split("\n")[:3]
    assert first.startswith("# ") and second.startswith("# ") and not third.startswith("#")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_expression_stands_where_its_span_says(path: Path, ends: str) -> None:
    """An expression cut out of the text by its span and parsed alone is the same expression."""
    text = path.read_text(encoding="utf-8").replace("\n", ends)
    seen = 0
    for node in walk(parse(text)):
        start, end, line, column = node.span
        assert line == text.count("\n", 0, start) + 1
        assert column == start - (text.rfind("\n", 0, start) + 1) + 1
        assert not text[start:end][:1].isspace() and not text[start:end][-1:].isspace() or isinstance(node, s.Module)
        if isinstance(node, s.Identifier):
            assert text[start:end] == node.name
        if isinstance(node, s.Expr.__args__):
            assert same_tree(parse_expression(f"({text[start:end]})"), node)
            seen += 1
    assert seen


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_children_stand_inside_their_parent_and_apart(path: Path) -> None:
    for node in walk(parse(path.read_text(encoding="utf-8"))):
        spans = sorted(child.span for child in children(node))
        assert all(node.span.start <= span.start < span.end <= node.span.end for span in spans)
        assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


def test_spans_count_code_points_tabs_and_skip_the_byte_order_mark() -> None:
    text = '\ufeffconst é = 1\nconst a = "ä😀" +\t\tb\n'.replace("é", "e")
    module = parse(text)
    second = module.declarations[1]
    assert isinstance(second, s.ConstDecl) and isinstance(second.value, s.Binary)
    assert second.value.left.span == (22, 26, 2, 11)
    assert second.value.right.span == (30, 31, 2, 19)


def test_parentheses_belong_to_the_span() -> None:
    tree = parse_expression("( a ) + (b)")
    assert isinstance(tree, s.Binary)
    assert (tree.span.start, tree.span.end) == (0, 11)
    assert (tree.left.span.start, tree.left.span.end) == (0, 5)


def test_same_tree_tells_trees_apart() -> None:
    assert same_tree(parse_expression("a + b"), parse_expression("(a)\t+ b"))
    for other in ("a - b", "a + c", "a + b + c", "a + 'b'" if False else "a + 1", "a + 1.0"):
        assert not same_tree(parse_expression("a + b"), parse_expression(other))
    assert not same_tree(parse_expression("1"), parse_expression("1.0"))
    assert not same_tree(parse_expression("true"), parse_expression("1"))


def test_nodes_key_tables_by_identity() -> None:
    tree = parse_expression("a + a")
    assert isinstance(tree, s.Binary)
    assert len({tree.left: 1, tree.right: 2}) == 2


def test_parse_expression_reports_its_place() -> None:
    with pytest.raises(ScaleError) as caught:
        parse_expression("[1, 2", "--input xs")
    assert str(caught.value).startswith("--input xs:1:1: error[E004]")
