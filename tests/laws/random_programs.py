"""Random programs as data, with two meanings: a ppl program, and a plain recursion over fractions. They share no code.

A program works on a growing tuple of drawn bits, its environment; weights and probabilities are looked up by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from ppl import (
    Done,
    Program,
    Reward,
    call,
    checkpoint,
    heuristic,
    model,
    observe,
    record,
    require,
    sample,
    score,
    unfold,
)
from ppl.dist import bernoulli, categorical
from tests.laws.programs import log

Env = tuple[int, ...]


@dataclass(frozen=True)
class Flip:
    """Draw a bit; `guide` is the proposal's probability of 1."""

    name: str
    odds: tuple[Fraction, ...]
    guide: Fraction | None


@dataclass(frozen=True)
class Weigh:
    """Multiply by a weight, said in one of several ways."""

    how: str
    weights: tuple[Fraction, ...]


@dataclass(frozen=True)
class Note:
    """What must not change the measure: a heuristic, a checkpoint, a record, a call."""

    how: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Stop:
    """Return from the whole program if the last bit is `last`."""

    last: int


@dataclass(frozen=True)
class Branch:
    """One block or the other, by the last bit."""

    yes: tuple[Any, ...]
    no: tuple[Any, ...]


@dataclass(frozen=True)
class Loop:
    """The block `times` over; as an `unfold`, an inlined program, or a plain loop."""

    how: str
    times: int
    body: tuple[Any, ...]


def look_up(table: tuple[Any, ...], env: Env) -> Any:
    return table[(sum(env) + len(env)) % len(table)]


# -- meaning 1: brute force --------------------------------------------------------------------------------------------


def paths(block: tuple[Any, ...], env: Env = (), mass: Fraction = Fraction(1)) -> Iterator[tuple[Env, Fraction, bool]]:
    """(environment, mass, whether the program has returned) at the end of every path through the block."""
    if mass == 0:
        return
    if not block:
        yield env, mass, False
        return
    first, rest = block[0], block[1:]
    if isinstance(first, Flip):
        p = look_up(first.odds, env)
        yield from paths(rest, (*env, 1), mass * p)
        yield from paths(rest, (*env, 0), mass * (1 - p))
    elif isinstance(first, Weigh):
        yield from paths(rest, env, mass * look_up(first.weights, env))
    elif isinstance(first, Note):
        yield from paths(rest, env, mass)
    elif isinstance(first, Stop):
        if env[-1:] == (first.last,):
            yield env, mass, True
        else:
            yield from paths(rest, env, mass)
    else:
        inner = first.body * first.times if isinstance(first, Loop) else first.yes if env[-1:] == (1,) else first.no
        for env_after, mass_after, returned in paths(inner, env, mass):
            if returned:
                yield env_after, mass_after, True
            else:
                yield from paths(rest, env_after, mass_after)


def measure(block: tuple[Any, ...]) -> dict[Env, Fraction]:
    masses: dict[Env, Fraction] = {}
    for env, mass, _ in paths(block):
        masses[env] = masses.get(env, Fraction(0)) + mass
    return masses


# -- meaning 2: a ppl program ------------------------------------------------------------------------------------------


def program(block: tuple[Any, ...]) -> Program:
    @model
    def generated() -> Env:
        env: list[int] = []
        execute(block, env)
        return tuple(env)

    return generated


@model
def inlined(block: tuple[Any, ...], env: list[int]) -> bool:
    return execute(block, env)


def execute(block: tuple[Any, ...], env: list[int]) -> bool:
    """Run the block, extending env; whether the program has returned."""
    return any(statement(item, env) for item in block)


def statement(item: Any, env: list[int]) -> bool:
    now = tuple(env)
    if isinstance(item, Flip):
        guide = None if item.guide is None else bernoulli(item.guide)
        env.append(int(sample(item.name, bernoulli(look_up(item.odds, now)), proposal=guide)))
    elif isinstance(item, Weigh):
        weigh(item.how, look_up(item.weights, now))
    elif isinstance(item, Note):
        note(item.how, look_up(item.values, now))
    elif isinstance(item, Stop):
        return now[-1:] == (item.last,)
    elif isinstance(item, Branch):
        return execute(item.yes if now[-1:] == (1,) else item.no, env)
    elif item.how == "unfold":
        env[:], returned = unfold(lambda state: step(item, *state), (0, now))
        return bool(returned)
    elif item.how == "inline":
        return any(inlined(item.body, env) for _ in range(item.times))
    else:
        return any(execute(item.body, env) for _ in range(item.times))
    return False


def step(item: Loop, n: int, env: Env) -> Any:
    if n == item.times:
        return Done((env, False))
    extended = list(env)
    if execute(item.body, extended):
        return Done((extended, True))
    return n + 1, tuple(extended)


def weigh(how: str, weight: Fraction) -> None:
    if how == "require" and weight in (0, 1):
        require(weight == 1)
    elif how == "observe" and weight <= 1:
        observe("seen", categorical({"this": weight, "that": 1 - weight}), "this")
    elif how == "reward" and weight <= 1:
        score(Reward(float(weight)).log())
    else:
        score(log(weight))


def note(how: str, value: float) -> None:
    if how == "checkpoint":
        checkpoint()
    elif how == "record":
        record("note", value)
    elif how == "call":
        call(abs, value)
    else:
        heuristic(value if how == "heuristic" else lambda: value)


# -- drawing programs --------------------------------------------------------------------------------------------------

probabilities = st.sampled_from([Fraction(n, 8) for n in range(1, 8)])
tables = st.lists(probabilities, min_size=1, max_size=3).map(tuple)
weights = st.lists(st.sampled_from([Fraction(n, 4) for n in (0, 1, 2, 3, 4, 4, 6)]), min_size=1, max_size=3).map(tuple)
hints = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 1.0, 3.0]), min_size=1, max_size=3).map(tuple)

simple = st.one_of(
    st.builds(Flip, st.sampled_from("ab"), tables, st.none() | probabilities),
    st.builds(Flip, st.sampled_from("ab"), tables, st.none()),
    st.builds(Weigh, st.sampled_from(["score", "observe", "require", "reward"]), weights),
    st.builds(Note, st.sampled_from(["heuristic", "callable", "checkpoint", "record", "call"]), hints),
    st.builds(Stop, st.sampled_from([0, 1])),
)


def blocks(statements: Any) -> Any:
    return st.lists(statements, min_size=1, max_size=3).map(tuple)


compound = st.one_of(
    simple,
    st.builds(Branch, blocks(simple), blocks(simple)),
    st.builds(Loop, st.sampled_from(["unfold", "inline", "plain"]), st.integers(1, 2), blocks(simple)),
    st.builds(
        Loop,
        st.sampled_from(["unfold", "inline"]),
        st.integers(1, 2),
        blocks(st.one_of(simple, st.builds(Loop, st.just("unfold"), st.integers(1, 2), blocks(simple)))),
    ),
)

programs = st.lists(compound, min_size=2, max_size=6).map(tuple)
