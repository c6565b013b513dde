"""Limits are hard and the ledger adds up, for every engine: against counts that the backends keep themselves."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter

import pytest

from backends import TableLM
from backends.judges import JudgeReward, Verdict
from backends.scripted import Scripted
from inference import smc, suffix
from ppl import AllDead, heuristic, limit, model, sample, score
from ppl.requests import Draw, NextToken, ScoreText
from tests.inference.test_conformance import ENGINE_TABLE

SMALL = {
    "importance": {"particles": 6}, "smc": {"particles": 6, "ess_threshold": 1.0}, "mcmc": {"samples": 8, "burn_in": 2, "chains": 2},
    "particle_gibbs": {"particles": 3, "sweeps": 4, "burn_in": 1}, "parallel_tempering": {"sweeps": 5, "burn_in": 1},
    "beam": {"width": 3, "expand": 2}, "stochastic_beam": {"width": 3}, "dvts": {"trees": 2, "expand": 2},
    "rebase": {"width": 4}, "ets": {"width": 4}, "astar": {"expand": 2, "goals": 2, "max_nodes": 60},
    "mcts": {"simulations": 8, "batch": 2}, "ab_mcts": {"nodes": 14, "batch": 3}, "best_of": {"n": 5},
}  # fmt: skip
ENGINES = {name: dataclasses.replace(engine, **SMALL.get(name, {})) for name, engine in ENGINE_TABLE.items()}
ENGINES["smc that moves"] = smc(particles=3, rejuvenate=suffix)
ENGINES["smc as published"] = smc(particles=4, compat="puri")
ENGINES["smc annealed"] = smc(particles=4, annealing="ess", horizon=4)
ENGINES["beam that looks ahead"] = dataclasses.replace(ENGINES["beam"], lookahead=2)
FINITE = ("exact", "stochastic_beam")  # these enumerate, so tokens are chosen, not drawn
SLOW = {"ab_mcts": {"nodes": 10**4}, "mcts": {"simulations": 10**4}, "astar": {"max_nodes": 10**4}}
COLUMNS = {"tokens": "generated_tokens", "calls": "model_calls", "reward_calls": "reward_calls", "reward_tokens": "reward_tokens",
           "nodes": "nodes"}  # fmt: skip


class Counting:
    """Counts what a backend was really asked and what it drew, apart from any ledger."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen, self.counts = set(), Counter()

    def step(self, rows):
        super().step(rows)
        for row in rows:
            if row not in self.seen:
                self.seen.add(row)
                if isinstance(row, Verdict):
                    self.counts["reward_calls"] += 1
                    self.counts["reward_tokens"] += len(row.context.tokens)
                elif row.column == "model_calls" and isinstance(row, (Draw, ScoreText, NextToken)):
                    self.counts["model_calls"] += 1
            if isinstance(row, Draw):
                self.counts["generated_tokens"] += 1


class CountingTable(Counting, TableLM): ...


class CountingScripted(Counting, Scripted): ...


def world(tokens):
    """(a program of steps with a reward after each, the models that count)."""
    lm = CountingTable(
        {"": {"a": 0.6, "b": 0.4}, "a": {"a": 0.2, "b": 0.5, "$": 0.3}, "b": {"a": 0.5, "b": 0.1, "$": 0.4}}
    )
    judge = CountingScripted(lambda text: {"Yes": 1 + text.count("b"), "No": 2})
    prm = JudgeReward(judge, "ok?")

    @model
    def steps():
        text = ""
        for _ in range(3):
            step = sample("step", lm.token(text) if tokens else lm(text, max_tokens=2))
            if not tokens or step != "$":
                text += step
            heuristic(lambda text=text: prm("q", text).log())
            if step.finish == "end":
                break
        score(prm("q", text).log())
        return text

    return steps, [lm, judge]


def run(name, **options):
    program, models = world(name in FINITE)
    try:
        result = program.run(engine=ENGINES[name], seed=4, **options)
    except AllDead:
        return None, {}
    return result, sum((m.counts for m in models), Counter())


@pytest.mark.parametrize("name", ENGINES)
def test_the_ledger_is_what_the_backends_did(name):
    result, counts = run(name)
    assert {column: getattr(result.cost, column) for column in counts} == dict(counts)
    assert counts["reward_calls"] and counts["model_calls"] and result.cost.nodes
    assert bool(counts["generated_tokens"]) == (name not in FINITE)
    assert result.cost.shared_tokens <= result.cost.prompt_tokens
    assert result.cost.batches <= sum(counts[c] for c in ("generated_tokens", "model_calls", "reward_calls"))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("bound", COLUMNS)
def test_no_limit_is_overshot_wherever_it_falls(name, bound):
    """At none, one, in the middle, one short of all, and all: stopped if and only if there was more to do."""
    column = COLUMNS[bound]
    whole = getattr(run(name)[0].cost, column)
    if whole == 0:
        return
    for most in sorted({0, 1, whole // 3, whole // 2, whole - 1, whole}):
        result, counts = run(name, limit=limit(**{bound: most}))
        spent = getattr(result.cost, column)
        assert spent <= most
        assert {c: getattr(result.cost, c) for c in counts} == dict(counts)
        assert result.stopped == (None if most == whole else bound)
        assert all((t.value is not None) == (t.status == "finished") for t in result.traces)


@pytest.mark.parametrize("name", ENGINES)
def test_time_is_a_limit_too(name):
    result, counts = run(name, limit=limit(seconds=0))
    assert result.stopped == "seconds" and not result.values and not counts

    @model
    def endless():
        for _ in range(400):
            time.sleep(0.001)
            sample("x", ENDLESS.token("a"))
            score(-1e-3)

    start = time.perf_counter()
    engine = dataclasses.replace(ENGINES[name], **SLOW.get(name, {}))
    result = endless.run(engine=engine, seed=0, limit=limit(seconds=0.05))
    assert result.stopped == "seconds" and time.perf_counter() - start < 2.0


ENDLESS = TableLM({"a": {"a": 0.5, "b": 0.5}})


def test_several_limits_at_once_name_the_one_that_was_reached():
    program, _ = world(tokens=False)
    result = program.run(engine=ENGINES["smc"], seed=0, limit=limit(tokens=5, calls=10**6, reward_tokens=10**6))
    assert result.stopped == "tokens"
    result = program.run(engine=ENGINES["smc"], seed=0, limit=limit(tokens=10**6, reward_tokens=7))
    assert result.stopped == "reward_tokens" and result.cost.reward_tokens <= 7


def test_problems_of_a_map_have_a_limit_each():
    lm = CountingTable({"": {"a": 1.0}, "a": {"a": 0.5, "b": 0.5}, "b": {"a": 1.0}})

    @model
    def spelled(n):
        text = ""
        for _ in range(n):
            text += sample("x", lm(text, max_tokens=1))
            score(math.log(0.5))
        return text

    results = spelled.map([1, 2, 3, 4], engine=smc(particles=3), seed=0, limit=limit(tokens=6))
    assert [r.cost.generated_tokens for r in results] == [3, 6, 6, 6]
    assert [r.stopped for r in results] == [None, None, "tokens", "tokens"]
    assert sum(r.cost.generated_tokens for r in results) == lm.counts["generated_tokens"]
    assert sum(r.cost.model_calls for r in results) == lm.counts["model_calls"]
