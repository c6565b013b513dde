"""The demo's program on the shared backend, where it runs by default, and on the plain one: the same results."""

from pathlib import Path

import pytest

from backends import load
from backends.rewards import RewardModel
from backends.shared import SharedModel
from inference import beam, importance, smc
from ppl import heuristic, model, sample, score

FOLDER = Path(__file__).parents[2] / "examples" / "game24"


@pytest.fixture(scope="module")
def backends():
    lm = load(f"hf:{FOLDER / 'model'}")
    prm = load(f"reward:head:{FOLDER / 'prm'}")
    plain = load(f"hf:{FOLDER / 'model'}", shared=False)
    assert isinstance(lm, SharedModel) and not isinstance(plain, SharedModel)
    assert isinstance(prm, RewardModel) and prm.model is lm
    return lm, plain, prm


@model
def solve(lm, prm):
    """solve.py's program, its models given: the reward's own model is swapped with the one that writes."""
    text = lm.prompt("4 5 6 10 -> 24\n")
    for k in range(3):
        line = sample("line", lm(text, stop="\n", max_tokens=24))
        text += line
        if line.finish != "stop" or k == 2:
            break
        heuristic(prm(text).log(1e-6))
    score(prm(text).log(1e-6))
    return text.text


@pytest.mark.parametrize("engine", [importance(8), smc(8, ess_threshold=1.0), beam(width=2, expand=4)], ids=repr)
def test_the_demo_is_the_same_on_either_backend(backends, engine, monkeypatch):
    lm, plain, prm = backends
    lm.forget()
    shared = solve.run(lm, prm, engine=engine, seed=2)
    monkeypatch.setattr(prm, "model", plain)
    unshared = solve.run(plain, prm, engine=engine, seed=2)
    assert shared.values == unshared.values
    assert list(shared.log_weights) == pytest.approx(list(unshared.log_weights), abs=1e-3)
    assert shared.cost.generated_tokens == unshared.cost.generated_tokens
    assert shared.cost.forwarded_tokens < unshared.cost.forwarded_tokens / 2


def test_each_unique_token_of_the_demo_is_forwarded_once(backends):
    """All solutions of one run as a prefix tree: every token that something follows, and no other, is forwarded."""
    lm, _, prm = backends
    lm.forget()
    result = solve.run(lm, prm, engine=importance(16), seed=2)
    paths = [lm.prompt(text.split("\n", 1)[0] + "\n").tokens + lm.encode(text.split("\n", 1)[1]) for text in result.values]
    unique = {path[: i + 1] for path in paths for i in range(len(path))}  # the last newline is read by the reward
    assert result.cost.forwarded_tokens == len(unique)
    assert result.cost.recomputed_tokens == 0
