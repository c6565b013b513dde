"""Best-first engines over a language model: exact order over tokens, and budgets that are not overshot."""

from __future__ import annotations

import math

import pytest

from backends import TableLM
from inference import ab_mcts, astar, mcts
from ppl import heuristic, limit, model, observe, sample, score
from tests.inference.search_programs import ROWS, bigram_traces

LM = TableLM({c: dict(zip("abc$", row, strict=True)) for c, row in ROWS.items()}, end="$")


@model
def tokens():
    text = ""
    for _ in range(4):
        heuristic(0.0)
        token = sample("token", LM.token(text))
        if token.finish == "end":
            return text
        text += token
    observe("end", LM.token(text), "$")
    return text


def test_best_strings_of_a_language_model_in_order():
    result = tokens.run(engine=astar(expand=4, max_nodes=1000, goals=6))
    brute = bigram_traces()[:6]
    assert result.values == [text for _, text in brute]
    assert result.log_weights == pytest.approx([w for w, _ in brute], abs=1e-9)
    assert result.warnings == []
    assert result.cost.generated_tokens == 0  # tables of next tokens, and ends scored


@model
def steps():
    text = ""
    for _ in range(3):
        step = sample("step", LM(text, max_tokens=2))
        text += step
        heuristic(math.log((1 + text.count("b")) / 8))
        if step.finish == "end":
            break
    score(math.log((1 + text.count("b")) / 8))
    return text


ENGINES = [
    astar(expand=4, max_nodes=200, goals=9, edge="drop"),
    mcts(simulations=20, expand=4, batch=4),
    ab_mcts(nodes=60, batch=8),
]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("bound", [1, 4, 9, 14])
def test_no_budget_is_overshot_and_what_there_is_comes_back(engine, bound):
    for name, column in (("tokens", "generated_tokens"), ("calls", "model_calls"), ("nodes", "nodes")):
        result = steps.run(engine=engine, seed=0, limit=limit(**{name: bound}))
        assert getattr(result.cost, column) <= bound
        assert result.stopped == name
        assert result.traces
        for trace in result.traces:
            assert trace.status == ("finished" if trace.value is not None else "running")
    whole = steps.run(engine=engine, seed=0)
    assert whole.stopped is None and len(whole) > 0


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: type(e).__name__)
def test_every_paid_draw_is_in_the_tree(engine):
    result = steps.run(engine=engine, seed=1)
    assert result.cost.model_calls == result.cost.nodes - 1
