"""Small programs with exactly known measures: {returned value: Z * posterior}. One table for every engine's laws.

Each has a twin in plain Python that `brute` enumerates with fractions; cases named in design notes and in the
literature also carry their published Z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ppl import (
    Done,
    Program,
    Reward,
    call,
    checkpoint,
    heuristic,
    iid,
    model,
    observe,
    record,
    require,
    sample,
    score,
    unfold,
)
from ppl.dist import bernoulli, categorical, uniform
from tests.laws.oracle import HALF, brute, coin


@dataclass(frozen=True)
class Case:
    program: Program
    exact: Mapping[Any, Fraction]
    size: str  # "tiny", "small" or "large": how many paths an engine with three particles has

    @property
    def evidence(self) -> float:
        return float(sum(self.exact.values()))


CASES: dict[str, Case] = {}
F = Fraction


def log(x: Any) -> float:
    return math.log(x) if x else -math.inf


def case(
    twin: Callable[..., Any], evidence: Fraction | None = None, size: str = "large"
) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        exact = brute(twin)
        assert evidence is None or sum(exact.values()) == evidence, (program.name, sum(exact.values()))
        CASES[program.name] = Case(program, exact, size)
        return program

    return register


def flip(name: str, p: float = 0.5) -> bool:
    return sample(name, bernoulli(p))


# -- the three programs whose combination catches every known bug of SMC's evidence ------------------------------------


def _incr(pick, weigh):
    a = pick(HALF)
    weigh(F(1, 2) if a else F(1, 4))
    b = pick(HALF)
    weigh(1 if b else F(1, 4))
    c = pick(HALF)
    weigh(F(1, 2) if b or c else F(1, 4))
    return a + b + c


@case(_incr, F(57, 512))
@model
def incr():
    """A weight after each of three choices."""
    a = flip("a")
    score(log(1 / 2 if a else 1 / 4))
    b = flip("b")
    score(log(1 if b else 1 / 4))
    c = flip("c")
    score(log(1 / 2 if b or c else 1 / 4))
    return a + b + c


def _var(pick, weigh):
    for n in range(3):
        if pick(coin("1/3")):
            return n
        weigh(F(3, 4))
    weigh(F(1, 2))
    return 3


@case(_var, F(31, 48), size="small")
@model
def var():
    """Runs of different lengths; two weights in the last block, the last statement among them."""
    for n in range(3):
        if flip("stop", 1 / 3):
            return n
        score(log(3 / 4))
    score(log(1 / 2))
    return 3


def _tail(pick, weigh):
    a = pick(coin("3/4"))
    weigh(F(1, 3) if a else 1)
    b = pick(HALF)
    weigh(a != b)
    c = pick(HALF)
    return a + 2 * b + 4 * c


@case(_tail, F(1, 4))
@model
def tail():
    """Weights of zero in the middle, a choice at the end."""
    a = flip("a", 3 / 4)
    score(log(1 / 3 if a else 1))
    b = flip("b")
    score(log(a != b))
    c = flip("c")
    return a + 2 * b + 4 * c


# -- where weights may stand -------------------------------------------------------------------------------------------


def _or_flips(pick, weigh):
    x, y = pick(HALF), pick(HALF)
    weigh(x or y)
    return x, y


@case(_or_flips, F(3, 4), size="tiny")
@model
def or_flips():
    x, y = flip("x"), flip("y")
    require(x or y, "neither")
    return x, y


@case(_or_flips, F(3, 4), size="small")
@model
def guided():
    """C1 with proposals: a sample with one is a weight, and so makes a barrier."""
    x = sample("x", bernoulli(0.5), proposal=bernoulli(0.2))
    y = sample("y", bernoulli(0.5), proposal=bernoulli(0.7))
    require(x or y)
    return x, y


def _late(pick, weigh):
    n = pick({1: F(1, 2), 2: F(1, 4), 3: F(1, 4)})
    weigh(F(n, 3))
    return n


@case(_late, F(7, 12), size="tiny")
@model
def late():
    """One weight, as the last statement."""
    n = sample("n", categorical({1: 2, 2: 1, 3: 1}))
    score(log(n / 3))
    return n


def _leading(pick, weigh):
    weigh(F(1, 2))
    a = pick(coin("1/4"))
    weigh(F(1, 5) if a else F(4, 5))
    weigh(2 if a else 1)
    return a


@case(_leading, size="tiny")
@model
def leading():
    """A weight before any choice, observations, and weights above one."""
    score(log(1 / 2))
    a = flip("a", 1 / 4)
    observe("seen", bernoulli(0.8 if a else 0.2), False)
    score(log(2 if a else 1))
    return a


def _hopeless(pick, weigh):
    pick(HALF)
    weigh(0)


@case(_hopeless, F(0), size="tiny")
@model
def hopeless():
    """No trace has weight."""
    score(-math.inf if flip("a") else log(0))


def _early(pick, weigh):
    if pick(HALF):
        weigh(F(9, 10))
        return "A"
    weigh(F(8, 10) ** 4)
    return "B"


@case(_early, F(1, 2) * (F(9, 10) + F(8, 10) ** 4), size="small")
@model
def early():
    """A ends after one step with reward .9, B runs four steps with .8: P(A) = .687, where published loops say .962."""
    if flip("A"):
        score(log(0.9))
        return "A"
    for _ in range(4):
        score(log(0.8))
        checkpoint()
    return "B"


def _stopper(pick, weigh):
    if pick(HALF):
        weigh(4)
        return "E"
    weigh(1)
    pick(HALF)
    weigh(4)
    return "D"


@case(_stopper, F(4), size="tiny")
@model
def stopper():
    """E stops with odds 4 at once, D with odds 4 a step later: P(E) = 1/2, where the published loop says .8."""
    if flip("E"):
        score(log(4))
        return "E"
    score(0.0)
    flip("more")
    score(log(4))
    return "D"


# -- heuristics, checkpoints -------------------------------------------------------------------------------------------


@case(_incr, F(57, 512))
@model
def guessed():
    """incr with estimates of what is to come: good, wrong, a callable, several in a block, one after the last weight."""
    a = flip("a")
    heuristic(-3.0)
    score(log(1 / 2 if a else 1 / 4))
    heuristic(lambda: -0.5 if a else -1.5)
    b = flip("b")
    score(log(1 if b else 1 / 4))
    c = flip("c")
    heuristic(2.0 if c else -2.0)
    score(log(1 / 2 if b or c else 1 / 4))
    heuristic(7.0 if b else 0.0)
    return a + b + c


@case(_var, F(31, 48))
@model
def hopeful():
    """var with heuristics only: a run that stops early carries none of them."""
    weight = 0.0
    for n in range(3):
        if flip("stop", 1 / 3):
            score(weight)
            return n
        weight += log(3 / 4)
        heuristic(1.0 - n)
    score(weight + log(1 / 2))
    return 3


def _marked(pick, weigh):
    a = pick(HALF)
    weigh(F(1, 3) if a else F(2, 3))
    b = pick(coin("1/5"))
    weigh(F(1, 2) if b else 1)
    return a, b


@case(_marked, F(9, 20))
@model
def marked():
    """Checkpoints: before anything, between a choice and its weight, and at the end."""
    checkpoint()
    a = flip("a")
    checkpoint()
    score(log(1 / 3 if a else 2 / 3))
    b = flip("b", 1 / 5)
    heuristic(0.3)
    score(log(1 / 2 if b else 1))
    checkpoint()
    return a, b


def _telescoping(pick, weigh):
    # exp(score) is not rational, but the scores cancel along every path: the measure is the prior's
    return len(pick({(10,): F(1, 2), (20, 10, 5): F(1, 2)}))


@case(_telescoping, F(1))
@model
def telescoping():
    """C3: shaping that cancels, over runs of two and four weights (webppl's varFactors1). Z = 1."""
    items = list(sample("items", uniform([(10,), (20, 10, 5)])))
    n, before = len(items), 0.0
    while items:
        now = -0.1 * sample("guess", uniform(items))
        score(now - before)
        before = now
        items.pop(0)
    score(-before)
    return n


# -- effects that are recorded, and programs made of programs ----------------------------------------------------------


def _walk(pick, weigh):
    x = 0
    for _ in range(2):
        x += pick(HALF)
        weigh(F(1 + x, 3))
    weigh(F(1, 1 + pick(HALF)))
    return x


@case(_walk)
@model
def walk():
    """unfold, with a weight in each step and a choice after it."""

    def step(state: tuple[int, int]) -> Any:
        n, x = state
        if n == 2:
            return Done(x)
        x += flip("up")
        score(log((1 + x) / 3))
        return n + 1, x

    x = unfold(step, (0, 0))
    score(log(1 / (1 + flip("last"))))
    return x


def _batch(pick, weigh):
    x, y = pick(HALF), pick(coin("1/4"))
    weigh(F(1 + x, 2))
    weigh(F(2 + x + y, 4))
    return x + y


@case(_batch)
@model
def batch():
    """call and record between weights."""
    x = flip("x")
    record("x was", x)
    score(log(call(lambda v: (1 + v) / 2, x)))
    y = flip("y", 1 / 4)
    record("y was", y)
    score(log(call(lambda u, v: (2 + u + v) / 4, x, y)))
    return x + y


@model
def coin_and_weight(p: float) -> bool:
    a = flip("inner", p)
    score(log(1 / 4 if a else 3 / 4))
    return a


def _inlined(pick, weigh):
    a = pick(HALF)
    weigh(F(1, 4) if a else F(3, 4))
    b = pick(coin("1/4" if a else "3/4"))
    weigh(F(1, 4) if b else F(3, 4))
    return a, b


@case(_inlined, size="small")
@model
def inlined():
    """A program called inside another is part of it."""
    a = coin_and_weight(0.5)
    b = coin_and_weight(0.25 if a else 0.75)
    return a, b


def _pair(pick, weigh):
    pair = (pick(coin("1/3")), pick(coin("1/3")))
    weigh(F(1 + sum(pair), 3))
    return sum(pair)


@case(_pair, size="tiny")
@model
def pair():
    """Two draws as one choice."""
    both = sample("both", iid(bernoulli(1 / 3), 2))
    score(log((1 + sum(both)) / 3))
    return sum(both)


# -- C9: a language model under a constraint, with alphabet a b c $ ----------------------------------------------------

BIGRAMS = {
    "": (".4", ".3", ".2", ".1"),
    "a": (".3", ".3", ".1", ".3"),
    "b": (".2", ".2", ".3", ".3"),
    "c": (".1", ".4", ".1", ".4"),
}


def row(last: str) -> dict[str, Fraction]:
    return {symbol: F(p) for symbol, p in zip("abc$", BIGRAMS[last])}


def allowed(text: str) -> bool:
    return text.count("c") == 1 and "aa" not in text


def short_strings(limit: int, early: bool) -> Program:
    """Draw symbols until $; keep strings of at most `limit` symbols with one c and no aa (checked early, or at the end)."""

    @model
    def strings():
        text = ""
        while (symbol := sample("symbol", categorical(row(text[-1:])))) != "$":
            text += symbol
            require(len(text) <= limit)
            if early:
                require("aa" not in text and text.count("c") <= 1)
        require(allowed(text))
        return text

    strings.name = f"strings{limit}{'e' if early else 'l'}"
    return strings


def strings_twin(limit: int) -> Callable[..., Any]:
    def twin(pick, weigh):
        text = ""
        while (symbol := pick(row(text[-1:]))) != "$":
            text += symbol
            if len(text) > limit:
                weigh(0)
                return text
        weigh(allowed(text))
        return text

    return twin


case(strings_twin(1))(short_strings(1, early=True))


# -- PRM potentials: the same text, five posteriors (Puri et al. 2025 and others) --------------------------------------

P1 = {0: F(6, 10), 1: F(4, 10)}
P2 = {0: {0: F(1, 4), 1: F(3, 4)}, 1: {0: F(1, 2), 1: F(1, 2)}}
R1 = {0: 0.2, 1: 0.8}
R2 = {(0, 0): 0.9, (0, 1): 0.1, (1, 0): 0.5, (1, 1): 0.7}


def potential(name: str, first: Callable[[Reward], float], second: Callable[[Reward, Reward], float]) -> Program:
    """Two steps, each judged by a reward r_t that enters the target as exp(first(r_1)) and exp(second(r_1, r_2))."""

    @model
    def steps():
        x = sample("x", categorical(P1))
        r = Reward(R1[x])
        score(first(r))
        y = sample("y", categorical(P2[x]))
        score(second(r, Reward(R2[x, y])))
        return x, y

    steps.name = name
    return steps


POTENTIALS = {
    "product": potential("product", lambda r: r.log(), lambda r, s: s.log()),
    "odds": potential("odds", lambda r: r.logit(), lambda r, s: s.logit()),
    "exp": potential("exp", float, lambda r, s: float(s)),
    "telescoping": potential("telescoping", lambda r: r.log(), lambda r, s: s.log() - r.log()),
    "min": potential("min", lambda r: r.log(), lambda r, s: min(0.0, s.log() - r.log())),
}
