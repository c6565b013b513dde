"""The checker as a whole: programs that are right, tables of codes, imports, what a module tells, and hard inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grammar.checker import check_module
from grammar.codes import CODES, explain
from grammar.diagnostics import ScaleError, Source
from grammar.modules import check_file, check_text, project_root
from grammar.parser import parse
from grammar.symbols import CheckedModule
from grammar.type_names import show
from grammar.types import MODEL
from ppl import registry
from ppl.registry import EngineEntry, ModelEntry, Option

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.scale"))
CHECKED = [*sorted(code for code in CODES if code[:2] in ("E1", "E2", "E3", "E4", "W4") and code != "E103"), "E511"]
LIB = "model lm = smollm2()\nconst ONE = 1\nfn opening(m: model, q: str) -> chat { return m.prompt(q) }\n"


def codes(module: CheckedModule) -> list[str]:
    return [each.code for each in module.diagnostics]


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme that draws and does not score, whatever the registry says of it by now."""
    monkeypatch.setitem(registry.MODELS, "openai", ModelEntry("", "openai:URL#MODEL", frozenset({"draw"})))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scale.toml").touch()
    (tmp_path / "lib.scale").write_text(LIB)
    return tmp_path


# ------------------------------------------------------------------------------------------- right and wrong


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_right(path: Path) -> None:
    grammar_aware = {"lm": frozenset({"draw", "score", "next_token", "grammar"})}
    module = check_file(path, models=grammar_aware)
    assert not module.errors, "\n".join(each.render() for each in module.errors)
    assert module.main is not None


@pytest.mark.parametrize("code", CHECKED)
def test_each_code_is_what_its_wrong_example_gets_and_its_right_example_does_not(
    code: str, folder: Path
) -> None:
    entry = CODES[code]
    bound = () if code == "E130" else None
    path = folder / ("circle.scale" if code == "E120" else "main.scale")
    path.write_text(entry.wrong)
    assert code in codes(check_file(path, externs=bound))
    path.write_text(entry.right)
    right = check_file(path, externs=bound)
    assert not right.errors and code not in codes(right)


@pytest.mark.parametrize("code", CHECKED)
def test_explanations_have_no_gaps(code: str) -> None:
    assert explain(code).count("\n\n") >= 3 and CODES[code].explanation.endswith((".", "."))


def test_errors_are_raised_as_one(folder: Path) -> None:
    module = check_text("const a = b\nconst c = d\n", "main.scale", folder=folder)
    with pytest.raises(ScaleError) as caught:
        module.raise_errors()
    assert str(caught.value).startswith("main.scale:1:11: error[E102]") and "main.scale:2:11" in str(
        caught.value
    )
    assert (caught.value.line, caught.value.column, caught.value.code) == (1, 11, "E102")


def test_mistakes_of_writing_come_first(folder: Path) -> None:
    module = check_text("const a = 1;\nconst b = unknown\n", folder=folder)
    assert codes(module) == ["E002"]


def test_mistakes_do_not_multiply() -> None:
    uses = "".join(f"let b{i} = a + {i}\nrecord b{i}\n" for i in range(20))
    assert codes(check_text(f"fn f() {{\nlet a = unknown\n{uses}}}")) == ["E102"]
    assert codes(check_text("fn f(x: Unknown) -> Unknown { return x.a.b(x)[0] + x }")) == ["E106", "E106"]


def test_a_file_with_countless_mistakes_is_given_up() -> None:
    module = check_text("fn f() {\n" + "".join(f"record r = a{i}\n" for i in range(500)) + "}")
    assert len(module.errors) == 100


# ------------------------------------------------------------------------------------ what a module tells


MODULE = """
scale 1
model lm = table({"": {"a": 0.25, "$": 0.75}, "a": {"$": 1}}, end="$")
reward prm = reward("judge:smollm2")
const N = 4
const HALF: float = N / 8
impure extern fn now(zone: str = "UTC") -> float
fn helper(x: int) -> bool { return x > N }
program first(question: str, depth: int? = none) -> dict[str, float] {
  require helper(depth or 1)
  return {question: 1}
}
program second() -> int { return N }
infer first with smc(N * 2, ess_threshold=HALF) then best_of(n=1)
limit tokens = 20_000, seconds = 1.5
test "one" of second {
  with importance(particles=N)
  reply re"a" -> "b"
  expect posterior.mode == N and posterior.p(fn(n: int) => n > 3) > 0.9
}
"""


def test_a_module_tells_what_the_machine_needs() -> None:
    module = check_text(MODULE)
    assert not module.diagnostics
    assert list(module.programs) == ["first", "second"] and module.main is module.programs["first"]
    first = module.programs["first"]
    assert [(p.name, show(p.type), p.required) for p in first.params] == [
        ("question", "str", True),
        ("depth", "int?", False),
    ]
    assert show(first.result) == "dict[str, float]"
    assert list(module.constants) == ["N", "HALF"] and show(module.constants["HALF"].type) == "float"
    assert not module.externs["now"].pure and not module.externs["now"].params[0].required
    model = module.models["lm"]
    assert model.type == MODEL and model.backend == "table" and not model.is_reward
    assert model.args == {"rows": {"": {"a": 0.25, "$": 0.75}, "a": {"$": 1}}, "end": "$"}
    assert module.models["prm"].is_reward and module.models["prm"].args == {"spec": "judge:smollm2"}
    assert module.limits == {"tokens": 20_000, "seconds": 1.5}


def test_infer_lines_and_tests_have_plain_options() -> None:
    module = check_text(MODULE)
    assert module.inference is not None and module.inference.program.name == "first"
    engines = [(name, dict(options)) for name, options in module.inference.engines]
    assert engines[1] == ("best_of", {"n": 1}) and engines[0][0] == "smc" and engines[0][1]["particles"] == 8
    (test,) = module.tests
    assert (test.title, test.program.name, test.engine) == ("one", "second", ("importance", {"particles": 4}))
    assert len(test.replies) == 1 and len(test.expects) == 1


def test_the_main_program() -> None:
    assert check_text("program a() -> int { return 1 }").main is not None
    assert check_text("program a() -> int { return 1 }\nprogram b() -> int { return 1 }").main is None
    chosen = "program a() -> int { return 1 }\nprogram b() -> int { return 1 }\ninfer b with importance(particles=2)"
    main = check_text(chosen).main
    assert main is not None and main.name == "b"


def test_a_tree_that_is_already_parsed() -> None:
    text = "program a(n: int) -> int { return n }"
    module = check_module(parse(text), Source(text, "a.scale"))
    assert not module.diagnostics and module.main is not None


# --------------------------------------------------------------------------------- engines, models, externs


FREE = "model lm = smollm2()\nprogram p(q: str) -> str { return sample lm(q, max_tokens=3) }\ninfer p with exact()"


def test_models_put_in_by_the_host_count() -> None:
    assert codes(check_text(FREE)) == ["E410"]
    assert codes(check_text(FREE, models={"lm": None})) == []
    observed = 'model lm = openai("u")\nprogram p(q: str) -> str {\n  observe q from lm("a", max_tokens=3)\n  return q\n}'
    assert codes(check_text(observed)) == ["E511"]
    assert codes(check_text(observed, models={"lm": frozenset({"draw", "score"})})) == []


def test_texts_of_a_table_and_of_unknown_models_may_be_enumerated() -> None:
    table = 'table({"": {"a": 0.5, "$": 0.5}, "a": {"$": 1.0}})'
    assert codes(check_text(FREE.replace("smollm2()", table))) == []
    passed = FREE.replace("q: str", "lm: model, q: str").replace("model lm =", "model other =")
    assert codes(check_text(passed)) == []
    constrained = FREE.replace("max_tokens=3", 'max_tokens=3, grammar=re"a|b"')
    assert "E410" not in codes(check_text(constrained))


def test_what_a_called_function_does_counts(folder: Path) -> None:
    called = "fn a(q: str) -> str { return b(q) }\nfn b(q: str) -> str {\n  score -1.0\n  return sample lm(q, max_tokens=3)\n}\n"
    program = "program p(q: str) -> str { return %s }\ninfer p with %s"
    model = "model lm = smollm2()\n"
    assert codes(check_text(model + called + program % ("a(q)", "exact()"))) == ["E410"]
    assert codes(check_text(model + called + program % ("q", "exact()"))) == []
    assert codes(check_text(model + called + program % ("a(q)", "smc(particles=3)"))) == []
    assert codes(check_text(model + called + program % ("q", "smc(particles=3)"))) == ["W412"]
    (folder / "other.scale").write_text(model + called)
    imported = 'import "other.scale" as other\n' + program % ("other.a(q)", "exact()")
    assert codes(check_text(imported, "main.scale", folder=folder)) == ["E410"]


def test_engines_of_a_user_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EngineEntry(
        "mine:mine", {"width": Option("int", low=2), "style": Option("str", "a", choices=("a", "b"))}
    )
    monkeypatch.setitem(registry.ENGINES, "mine", entry)
    program = "program p() -> int { return 1 }\ninfer p with mine(%s)"
    assert codes(check_text(program % "3")) == codes(check_text(program % 'width=3, style="b"')) == []
    assert codes(check_text(program % "1")) == codes(check_text(program % 'width=3, style="c"')) == ["E421"]
    assert codes(check_text(program % "")) == ["E422"]
    assert codes(check_text(program % "wide=3")) == ["E420"]
    assert codes(check_text(program % '3, "a", 1')) == ["E420"]


def test_schemes_of_a_user_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.MODELS, "mine", ModelEntry("m:load", "mine:PATH", frozenset({"draw"})))
    module = check_text('model lm = mine("path")')
    assert not module.diagnostics and module.models["lm"].args == {"spec": "path"}
    assert codes(check_text("model lm = mine(3)")) == ["E201"]


def test_externs_are_missed_only_once_they_are_known() -> None:
    text = "extern fn f(x: int) -> int\nextern fn g(x: int) -> int\nprogram p() -> int { return f(1) + g(2) }"
    assert codes(check_text(text)) == []
    assert codes(check_text(text, externs=["f", "g"])) == []
    missing = check_text(text, externs=["f", "h"])
    assert codes(missing) == ["E130"] and missing.diagnostics[0].line == 2


# --------------------------------------------------------------------------------------------------- imports


def test_imports_are_resolved_and_shared(folder: Path) -> None:
    (folder / "types.scale").write_text(
        "type Case { name: str }\nfn make(n: str) -> Case { return Case(name=n) }"
    )
    (folder / "sub").mkdir()
    (folder / "sub" / "use.scale").write_text(
        'import "../types.scale" as t\nfn show(c: t.Case) -> str { return c.name }'
    )
    main = 'import "types.scale" as t\nimport "sub/use.scale" as u\nprogram p(q: str) -> t.Case {\n  record r = u.show(t.make(q))\n  return t.Case(q)\n}'
    (folder / "main.scale").write_text(main)
    module = check_file(folder / "main.scale")
    assert not module.diagnostics
    assert module.imports["t"] is module.imports["u"].imports["t"]
    assert len(list(module.modules())) == 3


def test_mistakes_in_imported_files_are_told_with_their_own_place(folder: Path) -> None:
    (folder / "lib.scale").write_text("fn f(x: int) -> int { return y }")
    main = 'import "lib.scale" as lib\nprogram p() -> int { return lib.f("a") }'
    (folder / "main.scale").write_text(main)
    module = check_file(folder / "main.scale")
    assert [(Path(each.path).name, each.code) for each in module.errors] == [
        ("lib.scale", "E102"),
        ("main.scale", "E201"),
    ]


def test_an_unreadable_import_is_reported_once(folder: Path) -> None:
    (folder / "broken.scale").write_text("fn f(x: int) -> int { return ;; }")
    (folder / "latin.scale").write_bytes("# \xe9".encode("latin-1"))
    uses = "program p(c: b.Case, d: l.Case) -> int { return b.f(1) + l.g(c) + n.h(d) }"
    main = f'import "broken.scale" as b\nimport "latin.scale" as l\nimport "no.scale" as n\n{uses}'
    module = check_text(main, str(folder / "main.scale"), folder=folder)
    assert codes(module) == ["E002", "E122", "E122"]
    assert "UTF-8" in module.diagnostics[1].message


def test_imports_stay_in_the_project(tmp_path: Path) -> None:
    inside, outside = tmp_path / "project", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "pyproject.toml").touch()
    (outside / "secret.scale").write_text("const KEY = 1")
    (inside / "link.scale").symlink_to(outside / "secret.scale")
    (inside / "folder").symlink_to(outside)
    for path in (
        "../outside/secret.scale",
        "link.scale",
        "folder/secret.scale",
        str(outside / "secret.scale"),
        "~/x.scale",
    ):
        module = check_text(
            f'import "{path}" as s\nconst a = s.KEY', str(inside / "main.scale"), folder=inside
        )
        assert codes(module) == ["E121"], path


def test_the_project_root(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "scale.toml").touch()
    assert project_root(deep) == tmp_path / "a"
    (tmp_path / "a" / "b" / ".git").mkdir()
    assert project_root(deep) == deep


def test_circles_and_long_chains(folder: Path) -> None:
    (folder / "a.scale").write_text('import "b.scale" as b\nconst X = 1')
    (folder / "b.scale").write_text('import "c.scale" as c\nconst X = 1')
    (folder / "c.scale").write_text('import "a.scale" as a\nconst X = a.X')
    circle = check_file(folder / "a.scale")
    assert [each.code for each in circle.errors] == ["E120"]
    assert circle.errors[0].message.endswith("a.scale -> b.scale -> c.scale -> a.scale")
    for i in range(300):
        (folder / f"f{i}.scale").write_text(f'import "f{i + 1}.scale" as next\nconst X = next.X')
    (folder / "f300.scale").write_text("const X = 1")
    assert not check_file(folder / "f0.scale").diagnostics


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    module = check_file(tmp_path / "no.scale")
    assert codes(module) == ["E122"] and "there is no such file" in module.diagnostics[0].message


# ----------------------------------------------------------------------------------------------- hard inputs


HARD = {
    "types that double": "type A0 = (int, int)\n"
    + "".join(f"type A{i} = (A{i - 1}, A{i - 1})\n" for i in range(1, 200)),
    "values that double": "fn f() {\nlet a0 = (1, 2)\n"
    + "".join(f"let a{i} = (a{i - 1}, a{i - 1})\n" for i in range(1, 200))
    + "}",
    "aliases in a row": "".join(f"type A{i} = A{i + 1}?\n" for i in range(3000))
    + "type A3000 = int\nfn f(x: A0) -> int { return x or 1 }",
    "records in a row": "".join(f"type R{i} {{ next: R{i + 1}? }}\n" for i in range(3000))
    + "type R3000 { a: int }\nfn f(x: R0) -> str { return json(x) }",
    "numbers that explode": "const A = 9 ** 9 ** 9 ** 9\nconst B = 10 ** 4000 * 10 ** 4000\nlimit tokens = 2 ** 4000 ** 2\n",
    "texts that double": 'const A0 = "x"\n'
    + "".join(f"const A{i} = A{i - 1} + A{i - 1}\n" for i in range(1, 200)),
    "a long name": "fn f() {\nlet " + "a" * 40_000 + " = 1\nrecord " + "a" * 39_999 + "\n}",
    "a wide union": "type T = "
    + " | ".join(f'"{i}"' for i in range(5_000))
    + "\nfn f(x: T) -> T { return x }",
    "functions in a row": "".join(f"fn f{i}(x: int) -> int {{ return f{i + 1}(x) }}\n" for i in range(2000))
    + "fn f2000(x: int) -> int { return x }\nprogram p() -> int { return f0(1) }\ninfer p with exact()",
    "deep nesting": "fn f() -> int { return " + "abs(" * 90 + "1" + ")" * 90 + " }",
}


@pytest.mark.parametrize("name", HARD)
def test_hard_inputs_end_in_messages_or_nothing(name: str) -> None:
    for each in check_text(HARD[name]).diagnostics:
        assert len(each.render()) < 2_000


def test_messages_do_not_drive_the_terminal(folder: Path) -> None:
    text = 'import "\\u{1b}[31m.scale" as a\nfn f(x: "\x1b[0m") -> int { return x }'
    module = check_text(text, folder=folder)
    assert codes(module) == ["E122", "E201"]
    assert not any("\x1b" in each.render() for each in module.diagnostics)


def test_large_vocabularies_are_texts() -> None:
    table = ", ".join(f'"w{i}": 1' for i in range(100))
    module = check_text(f"program p() -> str {{ return sample categorical({{{table}}}) }}")
    assert not module.diagnostics


def test_checking_imports_nothing_heavy() -> None:
    script = (
        "import sys; from grammar.modules import check_text; from grammar.codes import explain\n"
        "assert not check_text('program p() -> int { return 1 }\\ninfer p with smc(particles=3)').errors; explain('E301')\n"
        "heavy = {'torch', 'transformers', 'pyro', 'pandas', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
