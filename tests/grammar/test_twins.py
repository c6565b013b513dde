"""The same program as Python and as .scale, with equal site names: equal results for a seed, under every engine.

Compared is all that a result says (traces with their effects, values, weights, evidence, warnings, cost) but the
reasons of the dead, which name the file. And a .scale program obeys the laws by itself: nothing depends on which
continuations are kept, weights are unbiased by enumeration, trace operations agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

import grammar
import inference
from backends import TableLM
from inference import (
    ab_mcts,
    astar,
    beam,
    best_of,
    dvts,
    ets,
    exact,
    importance,
    mcmc,
    mcts,
    parallel_tempering,
    particle_gibbs,
    rebase,
    smc,
    stochastic_beam,
)
from inference.engine import Engine
from ppl import Program, checkpoint, heuristic, iid, model, observe, record, require, sample, score
from ppl.dist import bernoulli, categorical, normal, uniform
from ppl.testing import check_replay_invariance, check_trace_laws, check_unbiased, fingerprint
from tests.naming import named

ROWS = {
    "": {"a": 0.5, "b": 0.3, "$": 0.2},
    "a": {"a": 0.2, "b": 0.5, "$": 0.3},
    "b": {"a": 0.6, "b": 0.1, "$": 0.3},
}
LM = TableLM(ROWS)


@dataclass(frozen=True)
class Twin:
    program: Program
    text: str
    finite: bool = True

    @property
    def scale(self) -> Any:
        name = self.program.name
        return grammar.loads(
            f"scale 1\n{self.text}", models={"lm": LM} if "lm" in self.text else {}
        ).programs[name]


TWINS: dict[str, Twin] = {}


def twin(text: str, finite: bool = True):
    def register(program: Program) -> Program:
        TWINS[program.name] = Twin(program, text, finite)
        return program

    return register


@twin("""
program weights() -> int {
  let a = sample bernoulli(0.5)
  score log(0.5 if a else 0.25)
  let b = sample bernoulli(0.5)
  score log(1.0 if b else 0.25)
  let c = sample bernoulli(0.5)
  score log(0.5 if b or c else 0.25)
  return (1 if a else 0) + (1 if b else 0) + (1 if c else 0)
}
""")
@model
def weights():
    a = sample("a", bernoulli(0.5))
    score(math.log(0.5 if a else 0.25))
    b = sample("b", bernoulli(0.5))
    score(math.log(1.0 if b else 0.25))
    c = sample("c", bernoulli(0.5))
    score(math.log(0.5 if b or c else 0.25))
    return a + b + c


@twin("""
program lengths() -> int {
  for n in range(3) {
    let stop = sample bernoulli(0.25)
    if stop { return n }
    score log(0.75)
    heuristic 1.0 - n
  }
  score log(0.5)
  return 3
}
""")
@model
def lengths():
    for n in range(3):
        if sample("stop", bernoulli(0.25)):
            return n
        score(math.log(0.75))
        heuristic(lambda: 1.0 - n)  # noqa: B023
    score(math.log(0.5))
    return 3


@twin("""
program marked() -> (bool, bool) {
  checkpoint
  let a = sample bernoulli(0.5)
  record a
  checkpoint
  score log(0.25 if a else 0.5)
  let b = sample bernoulli(0.2) using bernoulli(0.6)
  heuristic 0.25
  score log(0.5 if b else 1.0)
  checkpoint
  return (a, b)
}
""")
@model
def marked():
    checkpoint()
    a = sample("a", bernoulli(0.5))
    record("a", a)
    checkpoint()
    score(math.log(0.25 if a else 0.5))
    b = sample("b", bernoulli(0.2), proposal=bernoulli(0.6))
    heuristic(lambda: 0.25)
    score(math.log(0.5 if b else 1.0))
    checkpoint()
    return a, b


@twin("""
fn side(p: prob) -> bool {
  let up = sample bernoulli(p)
  score log(0.25 if up else 0.75)
  return up
}
program callees() -> list[bool] {
  let first = side(0.5)
  let both = [side(0.25 if first else 0.75) for _ in range(2)]
  let seen = false
  observe seen from bernoulli(0.8 if first else 0.2)
  return [first] + both
}
""")
@model
def callees():
    def side(p: float) -> bool:
        up = sample("side/up", bernoulli(p))
        score(math.log(0.25 if up else 0.75), "side/score")
        return up

    first = side(0.5)
    both = [side(0.25 if first else 0.75) for _ in range(2)]
    observe("seen", bernoulli(0.8 if first else 0.2), False)
    return [first, *both]


@twin("""
fn grow(depth: int) -> int {
  let leaf = true if depth == 0 else (sample bernoulli(0.5))
  if leaf { return sample uniform([1, 2]) }
  return grow(depth - 1) + grow(depth - 1)
}
program recursive() -> int {
  let total = grow(2)
  require total % 2 == 0
  heuristic float(total)
  let extra = sample categorical({"x": 1, "y": 3})
  return total + len(extra)
}
""")
@model
def recursive():
    def grow(depth: int) -> int:
        leaf = True if depth == 0 else sample("grow/leaf", bernoulli(0.5))
        return sample("grow/return", uniform([1, 2])) if leaf else grow(depth - 1) + grow(depth - 1)

    total = grow(2)
    require(total % 2 == 0)
    heuristic(lambda: float(total))
    extra = sample("extra", categorical({"x": 1, "y": 3}))
    return total + len(extra)


@twin(
    """
program batch() -> list[bool] {
  let both = sample iid(bernoulli(0.25), 2)
  score log(0.5) * len([x for x in both if x])
  return both
}
""",
    finite=False,
)
@model
def batch():
    both = sample("both", iid(bernoulli(0.25), 2))
    score(math.log(0.5) * len([x for x in both if x]))
    return both


@twin(
    """
program reals() -> float {
  let x = sample normal(0.0, 1.0)
  observe 1.0 from normal(x, 0.5)
  let y = sample normal(x, 1.0)
  score -0.5 * y * y
  return x + y
}
""",
    finite=False,
)
@model
def reals():
    x = sample("x", normal(0.0, 1.0))
    observe("observe", normal(x, 0.5), 1.0)
    y = sample("y", normal(x, 1.0))
    score(-0.5 * y * y)
    return x + y


@twin("""
model lm = smollm2()
program symbols() -> str {
  let text = ""
  while true max 3 {
    let c = sample lm.token(text)
    if c == "$" { break }
    text += c
    require not text.contains("aa")
    heuristic -0.5 * len(text)
  }
  return text
}
""")
@model
def symbols():
    text = ""
    for _ in range(3):
        c = sample("c", LM.token(text))
        if c == "$":
            break
        text += c
        require("aa" not in text)
        heuristic(lambda: -0.5 * len(text))  # noqa: B023
    return text


@twin(
    """
model lm = smollm2()
program talk() -> str {
  let ctx = chat {
    system "a"
    user "b"
  }
  let said: list[str] = []
  for _ in range(3) {
    let line = sample lm(ctx, max_tokens=2, stop="b")
    ctx += line
    said += [line]
    score -0.25 * len(line)
  }
  let judged = sample lm.choice(ctx, ["a", "b"]) using categorical({"a": 1, "b": 1})
  observe "b" from lm(ctx, max_tokens=2, prefix=true)
  return join(said, "|") + judged
}
""",
    finite=False,
)
@model
def talk():
    ctx = LM.chat(system="a", user="b")
    said = []
    for _ in range(3):
        line = sample("line", LM(ctx, max_tokens=2, stop="b"))
        ctx += line
        said.append(line)
        score(-0.25 * len(line))
    judged = sample("judged", LM.choice(ctx, ["a", "b"]), proposal=categorical({"a": 1, "b": 1}))
    observe("observe", LM(ctx, max_tokens=2, prefix=True), "b")
    return "|".join(said) + judged


ANY = [
    importance(5), smc(6), smc(5, "multinomial", 1.0), smc(4, "residual", 0.7, rejuvenate=inference.single_site), best_of(4),
    mcmc(12), mcmc(8, burn_in=2, kernel="suffix"), mcmc(6, kernel="prior", chains=2), particle_gibbs(3, 3),
    particle_gibbs(3, 2, ancestor_sampling=True), parallel_tempering([1.0, 0.5], 4),
    beam(2, 2), beam(2, 3, children="draw"), dvts(2, 2), rebase(4), ets(4), astar(2, 24), mcts(6, 2), ab_mcts(8),
]  # fmt: skip
FINITE = [exact(), stochastic_beam(3), beam(3, 2, lookahead=1), astar(3, 200, goals=3)]


def test_every_engine_is_here():
    known = {
        e
        for e in vars(inference).values()
        if isinstance(e, type) and issubclass(e, Engine) and e is not Engine
    }
    assert known == {type(e) for e in [*ANY, *FINITE]}


def _told(program: Any, engine: Any, seed: int, **options: Any) -> Any:
    """All that a run says, or the error that it raises instead."""
    try:
        result = program.run(engine=engine, seed=seed, **options)
    except Exception as error:
        return (
            type(error).__mro__[1].__name__ if isinstance(error, grammar.ScaleError) else type(error).__name__
        )
    told = fingerprint(result)
    return {key: told[key] for key in told if key != "reasons"} | {"died": sum(result.reasons.values())}


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal_under_every_engine(name: str):
    case = TWINS[name]
    scale = case.scale
    for engine in [*ANY, *FINITE * case.finite]:
        for seed in (0, 1):
            told, expected = _told(scale, engine, seed), _told(case.program, engine, seed)
            assert told == expected, f"{engine!r}, seed {seed}"


@pytest.mark.parametrize("name", TWINS)
def test_what_is_kept_changes_nothing(name: str):
    case = TWINS[name]
    for engine in [*ANY, *FINITE * case.finite]:
        if isinstance(_told(case.program, engine, 3), str):
            continue  # this engine does not take this program
        check_replay_invariance(engine, case.scale, seed=3)


@pytest.mark.parametrize("name", ["weights", "lengths", "marked", "callees"])
@pytest.mark.parametrize("engine", [importance(2), smc(2), smc(2, "multinomial", 1.0)], ids=named)
def test_weights_are_unbiased_by_enumeration(name: str, engine: Any):
    check_unbiased(engine, TWINS[name].scale)


@pytest.mark.parametrize("name", TWINS)
def test_trace_operations_agree(name: str):
    check_trace_laws(TWINS[name].scale)


def _outer(inner: Any) -> Program:
    @model
    def outer():
        first = sample("first", bernoulli(0.5))
        score(-0.5 if first else -1.0)
        value = inner()
        last = sample("last", bernoulli(0.25))
        return first, value, last

    return outer


@pytest.mark.parametrize("name", [name for name, case in TWINS.items() if case.finite])
def test_inside_a_python_program_it_is_a_part_of_it(name: str):
    case = TWINS[name]
    ours, theirs = _outer(case.scale), _outer(case.program)
    for engine in (exact(), smc(5), beam(3, 2), mcmc(8), astar(2, 30)):
        for live in (None, 0):
            assert _told(ours, engine, 1, live=live) == _told(theirs, engine, 1, live=live), engine


def test_a_bound_program_inside_a_python_program_is_a_query():
    inner = TWINS["weights"].scale.bind(exact())

    @model
    def outer():
        a = sample("a", bernoulli(0.5))
        score(inner().log_evidence if a else 0.0)
        return a

    z = math.exp(inner().log_evidence)
    assert outer.run(engine=exact()).p(True) == pytest.approx(z / (1 + z))
