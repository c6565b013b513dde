"""Programs that Markov kernels get wrong, with their exact measures by brute force; every value tells its whole trace.

`stationary` and `check_keeps` are the kernel law against that oracle: the masses come from fractions, not from traces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction as F  # noqa: N817
from typing import Any

import numpy as np

from ppl import Program, checkpoint, heuristic, model, observe, require, sample, score
from ppl.dist import bernoulli, categorical, uniform
from ppl.execution import Stop
from ppl.testing import enumerate_outcomes
from ppl.trace import Trace
from tests.laws.oracle import HALF, brute, coin

CASES: dict[str, tuple[Program, Mapping[Any, F]]] = {}


def case(twin: Callable[..., Any]) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        CASES[program.name] = program, brute(twin)
        return program

    return register


def log(x: Any) -> float:
    return math.log(x) if x else -math.inf


class Forward:
    """One run to its end; it lets the program compute its heuristics, as the engines that look at them do."""

    uses_heuristic = True

    def search(self, run):
        (execution,) = run.start()
        run.advance_all([execution], Stop.END)
        return execution.trace()


def stationary(program: Program, exact: Mapping[Any, F]) -> tuple[list[Trace], Any]:
    """The traces of positive weight, and their exact posterior probabilities."""
    paths = enumerate_outcomes(lambda streams: program.run(engine=Forward(), seed=streams))
    traces = {t.value: t for _, t in paths if t.status == "finished"}
    assert traces.keys() == exact.keys(), (set(traces) ^ set(exact), program.name)
    z = sum(exact.values())
    return list(traces.values()), np.array([float(exact[value] / z) for value in traces])


def transitions(traces: list[Trace], step: Callable[[Trace, Any], Trace]) -> Any:
    """The exact transition matrix of step(trace, streams), by enumeration from every trace."""
    index = {t.value: i for i, t in enumerate(traces)}
    matrix = np.zeros((len(traces), len(traces)))
    for i, trace in enumerate(traces):
        for p, moved in enumerate_outcomes(lambda streams, t=trace: step(t, streams)):
            matrix[i, index[moved.value]] += p
    return matrix


def check_keeps(name: str, step: Callable[[Trace, Any], Trace], reversible: bool = False) -> Any:
    """pi P = pi to 1e-12; with `reversible` detailed balance too. Returns P."""
    traces, pi = stationary(*CASES[name])
    matrix = transitions(traces, step)
    error = np.abs(pi @ matrix - pi).max()
    assert error < 1e-12, f"{name}: max |pi P - pi| = {error:.3g}"
    if reversible:
        flow = pi[:, None] * matrix
        assert np.abs(flow - flow.T).max() < 1e-12, f"{name}: not reversible"
    return matrix


# -- branches of different size ----------------------------------------------------------------------------------------


def _c13(pick, weigh):
    if pick(coin("3/10")):
        y = pick(coin("9/10"))
        weigh(F(8, 10) if y else F(1, 10))
        return True, y
    u, v = pick(coin("1/5")), pick(HALF)
    weigh(F(1, 2) if u != v else F(1, 4))
    return False, u, v


@case(_c13)
@model
def c13():
    """One branch has two choices, the other three."""
    if sample("x", bernoulli(0.3)):
        y = sample("y", bernoulli(0.9))
        score(log(0.8 if y else 0.1))
        return True, y
    u, v = sample("u", bernoulli(0.2)), sample("v", bernoulli(0.5))
    score(log(0.5 if u != v else 0.25))
    return False, u, v


def _rounds(pick, weigh):
    seen = ()
    for n in range(3):
        if pick(coin("1/3")):
            return seen
        seen += (pick(coin(F(1, 2 + n))),)
        weigh(F(3, 4) if seen[-1] else F(1, 5))
    weigh(F(1, 2) if sum(seen) == 2 else 2)
    return seen


@case(_rounds)
@model
def rounds():
    """Up to three rounds of two choices, a weight in each; sites whose probabilities change; two weights at the end."""
    seen = ()
    for n in range(3):
        if sample("stop", bernoulli(1 / 3)):
            return seen
        seen += (sample("seen", bernoulli(1 / (2 + n))),)
        score(log(3 / 4 if seen[-1] else 1 / 5))
    score(log(1 / 2 if sum(seen) == 2 else 2))
    return seen


# -- choices that are kept, or may not be ------------------------------------------------------------------------------


def _kinds(pick, weigh):
    x = pick({1: F(1, 2), 2: F(1, 4), 3: F(1, 4)})
    v = pick({i: F(1, x) for i in range(x)} if x != 2 else coin("1/3"))
    w = pick(coin(F(x, 4)))
    weigh(F(1 + v, 4) if w else F(x, 5))
    return x, v, w


@case(_kinds)
@model
def kinds():
    """A site whose support changes (drawn again), and one whose probability alone does (kept)."""
    x = sample("x", categorical({1: 2, 2: 1, 3: 1}))
    v = sample("v", uniform(range(x)) if x != 2 else bernoulli(1 / 3))
    w = sample("w", bernoulli(x / 4))
    score(log((1 + v) / 4 if w else x / 5))
    return x, v, w


def _proposed(pick, weigh):
    x = pick(coin("3/10"))
    y = pick(coin("9/10" if x else "1/5"))
    z = pick(HALF) if y else None
    weigh(F(2, 3) if z else F(1, 5))
    return x, y, z


@case(_proposed)
@model
def proposed():
    """Proposals of changing parameters, at kept and at vanishing sites."""
    x = sample("x", bernoulli(0.3), proposal=bernoulli(0.6))
    y = sample("y", bernoulli(0.9 if x else 0.2), proposal=bernoulli(0.5 if x else 0.7))
    z = sample("z", bernoulli(0.5), proposal=bernoulli(0.25 if x else 0.8)) if y else None
    score(log(2 / 3 if z else 1 / 5))
    return x, y, z


# -- weights of zero, observations, weights before the first choice ----------------------------------------------------


def _ruled_out(pick, weigh):
    a = pick(HALF)
    weigh(F(3, 4) if a else F(1, 5))
    b = pick({"l": F(1, 2), "m": F(1, 4), "r": F(1, 4)})
    weigh(not (a and b == "l"))
    c = pick(coin("1/3")) if b == "m" else None
    weigh(0 if c else 1)
    return a, b, c


@case(_ruled_out)
@model
def ruled_out():
    """require, a score of -inf and an impossible observation."""
    a = sample("a", bernoulli(0.5))
    observe("seen", bernoulli(0.75 if a else 0.2), True)
    b = sample("b", categorical({"l": 2, "m": 1, "r": 1}))
    require(not (a and b == "l"), "a, l")
    c = sample("c", bernoulli(1 / 3)) if b == "m" else None
    score(log(0 if c else 1))
    return a, b, c


# -- barriers with heuristics, and checkpoints -------------------------------------------------------------------------


def _guided(pick, weigh):
    a = pick(HALF)
    weigh(F(1, 2) if a else F(1, 4))
    b = pick(coin("1/3")) if a else None
    weigh(1 if b else F(1, 4))
    c = pick(HALF)
    weigh(F(1, 2) if b or c else F(1, 5))
    return a, b, c


@case(_guided)
@model
def guided():
    """Estimates at barriers, one before a checkpoint with a weight behind it, and one as the last statement."""
    a = sample("a", bernoulli(0.5))
    score(log(1 / 2 if a else 1 / 4))
    heuristic(-0.5 if a else -1.5)
    checkpoint()
    b = None
    if a:
        b = sample("b", bernoulli(1 / 3))
    heuristic(lambda: 1.0 if b else -1.0)
    checkpoint()
    score(log(1 if b else 1 / 4))
    c = sample("c", bernoulli(0.5))
    score(log(1 / 2 if b or c else 1 / 5))
    heuristic(3.0 if c else 0.0)
    checkpoint()
    return a, b, c


# -- the toy of Puri et al.: two steps, odds of a reward after each ----------------------------------------------------

ODDS = {(0,): F(1, 4), (1,): F(4), (0, 0): F(9), (0, 1): F(1, 9), (1, 0): F(1), (1, 1): F(7, 3)}


def _odds_toy(pick, weigh):
    a = pick({0: F(6, 10), 1: F(4, 10)})
    weigh(ODDS[a,])
    b = pick({0: F(1, 4), 1: F(3, 4)} if a == 0 else {0: F(1, 2), 1: F(1, 2)})
    weigh(ODDS[a, b])
    return a, b


@case(_odds_toy)
@model
def odds_toy():
    """Its posterior under the odds convention is .111878 .004144 .265193 .618785."""
    a = sample("a", categorical({0: 0.6, 1: 0.4}))
    score(log(ODDS[a,]))
    b = sample("b", categorical({0: 0.25, 1: 0.75} if a == 0 else {0: 0.5, 1: 0.5}))
    score(log(ODDS[a, b]))
    return a, b


def _stopper(pick, weigh):
    if pick(HALF):
        weigh(4)
        return "E"
    b = pick(HALF)
    weigh(4 if b else F(1, 2))
    c = pick(coin("1/4"))
    weigh(F(7, 3) if c else 1)
    return b, c


@case(_stopper)
@model
def stopper():
    """E ends at once with a high reward; the others go on, and would lose to it if it were counted again."""
    if sample("E", bernoulli(0.5)):
        score(log(4))
        return "E"
    b = sample("b", bernoulli(0.5))
    score(log(4 if b else 1 / 2))
    c = sample("c", bernoulli(1 / 4))
    score(log(7 / 3 if c else 1))
    return b, c
