"""Every example runs: finite ones against exact posteriors, textual ones with models that reply by rule."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

import grammar
from backends import Scripted
from inference import beam, importance, smc
from ppl import Posterior
from ppl.errors import AllDead

EXAMPLES = Path(__file__).parents[2] / "examples"

FINITE = {
    "table_toy": ((), lambda r: r.p("b") == pytest.approx(0.625), math.log(0.8)),
    "sprinkler": ((), lambda r: r.p(lambda c: c.rain) == pytest.approx(0.1603 / 0.4484, abs=1e-3), None),
    "arithmetic_grammar": ((7,), lambda r: r.p("7") == 0.0, None),
}


@pytest.mark.parametrize("name", FINITE)
def test_finite_examples_under_exact_importance_and_smc(name: str, tmp_path: Path):
    args, holds, log_evidence = FINITE[name]
    module = grammar.load(EXAMPLES / f"{name}.scale")
    posterior = module.main(*args)
    assert holds(posterior) and (
        log_evidence is None or posterior.log_evidence == pytest.approx(log_evidence)
    )
    for engine in (importance(6000), smc(6000)):
        estimate = module.main.run(*args, engine=engine, seed=0)
        # weights are at most 1: 6 standard errors at least, so a right engine fails for 1 seed in 10^8
        spread = 6 * math.sqrt(math.exp(-posterior.log_evidence) / 6000)
        assert estimate.log_evidence == pytest.approx(posterior.log_evidence, abs=spread)
    saved = Posterior.load(posterior.save(tmp_path / "result.json"))
    assert [str(dict(v)) if hasattr(v, "fields") else v for v in saved.values] == posterior.values


TEXTUAL = {
    "best_of_n": (("What is 2 + 2?",), {"solver": "two and two #### 4"}, "4"),
    "infill": (("Once ", " end"), {"lm": {" end": 0.5, "upon a time.": 0.5}}, None),
    "intent": (("Where is it?",), {"lm": "Where is it?"}, None),
    "multiple_choice": (("Which?", ["red", "blue"]), {"lm": {"red": 0.75, "blue": 0.25}}, "red"),
    "self_consistency": (("2 + 2?",), {"lm": "Answer: 4", "judge": {"Yes": 0.9, "No": 0.1}}, 4),
    "short_words": (("cats",), {"lm": {" cat": 0.5, " win.": 0.5}}, None),
    "speculative": (("2 + 2?",), {"lm": "Answer: 4"}, None),
    "step_search": (("2 + 2?",), {"solver": "two and two is #### 4"}, "4"),
}


@pytest.mark.parametrize("name", TEXTUAL)
def test_textual_examples_with_scripted_models(name: str):
    args, replies, mode = TEXTUAL[name]
    models: dict[str, Any] = {model: Scripted(reply) for model, reply in replies.items()}
    if "prm" in (EXAMPLES / f"{name}.scale").read_text():
        from backends.judges import JudgeReward

        models["prm"] = JudgeReward(Scripted({"Yes": 0.8, "No": 0.2}))
    module = grammar.load(EXAMPLES / f"{name}.scale", models=models)
    for engine in (None, importance(6), smc(6), beam(3, 2)):
        result = module.main.run(*args, seed=1, **({} if engine is None else {"engine": engine}))
        assert result.values and (mode is None or str(result.mode).strip() == str(mode))


def test_the_constrained_example_writes_dates_only():
    from backends.hf import HFModel
    from tests.backends.tiny_models import byte_tokenizer, tiny

    net = tiny()
    net.config.max_position_embeddings = 512
    module = grammar.load(EXAMPLES / "dates.scale", models={"lm": HFModel(net, byte_tokenizer(), "tiny")})
    posterior = module.main.run("the moon landing", engine=smc(6), seed=0)
    assert all(re.fullmatch(r"(19|20)\d\d-\d\d-\d\d", value) for value in posterior.values) and posterior.log_evidence < -1
    assert all(trace.records["year"] == trace.value[:4] for trace in posterior.traces)


def test_every_example_is_run_here():
    by_name = {path.stem for path in EXAMPLES.glob("*.scale")}
    assert by_name == {*FINITE, *TEXTUAL, "dates"} and len(by_name) >= 11


@pytest.mark.parametrize(
    "path", sorted(p for p in EXAMPLES.glob("*.scale") if "\ntest " in p.read_text()), ids=lambda p: p.stem
)
def test_tests_of_examples(path: Path):
    for outcome in grammar.run_tests(path):
        assert outcome.passed, outcome.message


def test_examples_all_dead_say_why():
    module = grammar.load(EXAMPLES / "arithmetic_grammar.scale")
    with pytest.raises(AllDead, match=r"require: tree.value == value \(.*arithmetic_grammar.scale:27\)"):
        module.explain(1000, seed=0)
