"""Programs for the best-first engines, with oracles that enumerate them without any engine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ppl import Program, heuristic, model, observe, sample, score
from ppl.dist import categorical

Key = tuple[int, ...]

# -- a bigram model over a, b, c and an end symbol, strings of at most four symbols, `tilt` for each b ------------------

ROWS = {
    "": (0.4, 0.3, 0.2, 0.1),
    "a": (0.32, 0.29, 0.12, 0.27),
    "b": (0.2, 0.22, 0.27, 0.31),
    "c": (0.1, 0.4, 0.15, 0.35),
}


def row(text: str) -> dict[str, float]:
    return dict(zip("abc$", ROWS[text[-1:]], strict=True))


def bigram(tilt: float = 0.0, estimate: Callable[[str], float] | None = None) -> Program:
    @model
    def string() -> str:
        text = ""
        while len(text) < 4:
            if estimate is not None:
                heuristic(estimate(text))
            symbol = sample("symbol", categorical(row(text)))
            if symbol == "$":
                return text
            text += symbol
            if tilt and symbol == "b":
                score(tilt)
        observe("end", categorical(row(text)), "$")
        return text

    return string


def bigram_traces(tilt: float = 0.0) -> list[tuple[float, str]]:
    """(log weight, string), best first."""
    strings = ["".join(s) for n in range(5) for s in itertools.product("abc", repeat=n)]

    def log_weight(text: str) -> float:
        symbols = text + "$"
        return sum(math.log(row(symbols[:i])[symbols[i]]) for i in range(len(symbols))) + tilt * text.count("b")

    return sorted(((log_weight(s), s) for s in strings), reverse=True)


# -- a model of three symbols and four steps with a reward at each, from a seed ----------------------------------------


@dataclass(frozen=True)
class Rewarded:
    """Cost of a path: the sum of -log p - log r over its steps. Rows are Dirichlet(.7), rewards uniform on (.05, .95)."""

    symbols: int
    steps: int
    p: dict[Key, list[float]]
    r: dict[Key, float]

    @classmethod
    def of(cls, seed: int, symbols: int = 3, steps: int = 4) -> Rewarded:
        rng = np.random.default_rng(seed)
        paths = [path for t in range(steps + 1) for path in itertools.product(range(symbols), repeat=t)]
        before, after = [p for p in paths if len(p) < steps], [p for p in paths if p]
        rows = rng.dirichlet([0.7] * symbols, size=len(before)).tolist()
        rewards = rng.uniform(0.05, 0.95, size=len(after)).tolist()
        return cls(symbols, steps, dict(zip(before, rows, strict=True)), dict(zip(after, rewards, strict=True)))

    def step_cost(self, path: Key) -> float:
        return -math.log(self.p[path[:-1]][path[-1]]) - math.log(self.r[path])

    def cost(self, path: Key) -> float:
        return sum(self.step_cost(path[: t + 1]) for t in range(len(path)))

    def ranked(self) -> list[tuple[float, Key]]:
        """Every full path with its cost, least first."""
        return sorted((self.cost(path), path) for path in itertools.product(range(self.symbols), repeat=self.steps))

    def rest(self) -> Callable[[Key], float]:
        """The least cost still to come after a path."""

        @cache
        def least(path: Key) -> float:
            if len(path) == self.steps:
                return 0.0
            return min(self.step_cost((*path, v)) + least((*path, v)) for v in range(self.symbols))

        return least

    def rest_by_depth(self) -> Callable[[Key], float]:
        """A bound on it: for each step to come the cheapest step at that depth."""
        cheapest = [min(self.step_cost(q) for q in self.r if len(q) == t + 1) for t in range(self.steps)]
        return lambda path: sum(cheapest[len(path) :])

    def program(self, estimate: Callable[[Key], float] | None = None) -> Program:
        @model
        def path() -> Any:
            done: Key = ()
            for _ in range(self.steps):
                if estimate is not None:
                    heuristic(estimate(done))
                done += (sample("step", categorical(dict(enumerate(self.p[done])))),)
                score(math.log(self.r[done]))
            return done

        return path
