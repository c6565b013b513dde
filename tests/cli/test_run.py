"""`scale run` as it is typed: results, files, and one message for each mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from ppl import Posterior
from ppl.events import read_events

PROGRAM = """
from ppl import model, require, sample, score
from ppl.dist import bernoulli

@model
def coins(n: int, label: str = "coin") -> str:
    heads = sum(sample("flip", bernoulli(0.5)) for _ in range(n))
    score(0.3 * heads)
    return f"{label}:{heads}"
"""
TWO = PROGRAM + "\n\n@model\ndef broken(n: int) -> float:\n    return n / 0\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("coins.py").write_text(PROGRAM)
    Path("two.py").write_text(TWO)
    Path("data.jsonl").write_text('{"n": 1}\n{"n": 2, "label": "two"}\n')
    Path("bad.jsonl").write_text('{"n": 1}\n{"n": \n')
    Path("wrong.jsonl").write_text('{"n": 1}\n{"m": 3}\n')
    return tmp_path


def scale(*arguments):
    return CliRunner().invoke(app, ["run", *arguments])


def test_a_run_shows_the_posterior_and_who_chose_the_engine(folder):
    done = scale("coins.py", "--input", "n=2", "--engine", "exact")
    assert done.exit_code == 0
    assert "coin:1" in done.output and "exact" in done.output and "--engine" in done.output


def test_json_has_the_results_own_names(folder):
    done = scale("coins.py:coins", "-i", "n=2", "-i", "label=x", "--engine", "exact", "--seed", "4", "--json")
    data = json.loads(done.stdout)
    assert set(data["values"]) == {"x:0", "x:1", "x:2"} and sum(data["weights"]) == pytest.approx(1)
    assert (
        data["seed"] == 4 and data["engine_source"] == "--engine" and "log_evidence" in data and "nodes" in data["cost"]
    )


def test_a_seed_repeats_the_run(folder):
    runs = [
        scale("coins.py", "-i", "n=5", "--engine", "smc(particles=20)", "--seed", "3", "--json").stdout
        for _ in range(2)
    ]
    first, second = map(json.loads, runs)
    assert first["values"] == second["values"] and first["log_weights"] == second["log_weights"]


def test_a_file_of_problems_gives_a_line_each(folder):
    done = scale("coins.py", "-i", "@data.jsonl", "--engine", "exact", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [max(line["values"]) for line in lines] == ["coin:1", "two:2"]


def test_a_limit_is_kept_and_named(folder):
    done = scale("coins.py", "-i", "n=3", "--engine", "importance(particles=50)", "--limit", "nodes=7", "--json")
    data = json.loads(done.stdout)
    assert data["stopped"] == "nodes" and data["cost"]["nodes"] == 7 and len(data["values"]) == 7


def test_the_run_folder_keeps_results_and_events(folder):
    assert scale("coins.py", "-i", "n=2", "--engine", "smc(particles=5)", "--out", "kept").exit_code == 0
    assert len(Posterior.load("kept/result.json").values) == 5
    assert [e.action for e in read_events("kept/events.jsonl")].count("finish") == 5


def test_a_program_without_an_engine_gives_its_value(folder):
    assert scale("coins.py", "-i", "n=0").output.strip() == "coin:0"


HEAVY = ("torch", "transformers", "pyro", "pandas", "scipy", "numpy", "pydantic")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "toy.scale"], ["fmt", "--check", "toy.scale"], ["explain", "E104"], ["models"], ["engines"]], ids=" ".join)  # fmt: skip
def test_what_needs_no_model_imports_nothing_heavy(toy, arguments):
    code = f"import sys; sys.argv = ['scale', *{arguments!r}]\ntry:\n    from cli.main import main; main()\n"
    code += f"except SystemExit as end:\n    assert not end.code, end\nheavy = set({HEAVY!r}) & set(sys.modules)\nassert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


SCALE = "program coins(n: int) -> int {\n  let heads = sample binomial_of(n)\n  return heads\n}\n"
TOY = """# A coin that is seen twice.
program coin() -> bool {
  let fair = sample bernoulli(0.5)
  observe true from bernoulli(0.5 if fair else 0.9)
  return fair
}

infer coin with exact()

test "it leans to the unfair one" of coin {
  expect posterior.p(true) < 0.5
}
"""


@pytest.fixture
def toy(folder):
    Path("toy.scale").write_text(TOY)
    return folder


def scale_command(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_scale_file_runs_under_its_infer_line_and_under_another_engine(toy):
    own = json.loads(scale("toy.scale", "--json").stdout)
    assert own["engine_source"] == "infer line" and own["log_evidence"] == pytest.approx(__import__("math").log(0.7))
    other = json.loads(scale("toy.scale", "--engine", "importance(particles=10)", "--json").stdout)
    assert other["engine_source"] == "--engine" and len(other["values"]) == 10


def test_a_wrong_scale_file_is_met_with_its_place(toy):
    Path("wrong.scale").write_text(SCALE)
    for done in (scale("wrong.scale", "-i", "n=2"), scale_command("check", "wrong.scale")):
        assert done.exit_code == 1
        assert "wrong.scale:2:22: error[E" in done.output and "binomial_of" in done.output


def test_check_fmt_test_and_explain(toy):
    assert scale_command("check", "--strict", "toy.scale").exit_code == 0
    Path("loose.scale").write_text(TOY.replace("  let", "      let"))
    assert scale_command("fmt", "--check", "loose.scale").exit_code == 1
    assert scale_command("fmt", "loose.scale").output == "formatted loose.scale\n"
    assert Path("loose.scale").read_text() == TOY
    done = scale_command("test", "toy.scale")
    assert done.exit_code == 0 and "1 passed, 0 failed" in done.output
    assert scale_command("explain", "e104").output.startswith("E104: ")
    assert scale_command("explain", "E999").exit_code == 1
