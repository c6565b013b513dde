"""Enumerate randomness instead of sampling it: every outcome of a function of random streams, with its probability.

A uniform draw is left undecided until it is compared with a number. Each comparison that could go either way becomes
two paths, and the function is run again down each of them. A path's probability is the volume of the box of uniforms
that leads to it, so whatever is piecewise constant in its uniforms (inverse CDFs, resampling schemes, acceptance
tests written `u < a`) is enumerated exactly, down to outcomes of probability 1e-13, which are taken for rounding: keep
weights and heuristics of test programs well within exp(25) of each other. monad-bayes tests its inference this way (Scibior et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ppl.streams import Key

T = TypeVar("T")
SLIVER = 1e-13  # intervals shorter than this are rounding, not outcomes


class NotEnumerable(TypeError):
    """A draw was used in a way that has no finite set of outcomes."""


class _Draw:
    """One uniform: the interval it is known to lie in."""

    __slots__ = ("high", "low", "path")

    def __init__(self, path: EnumeratingStreams) -> None:
        self.path, self.low, self.high = path, 0.0, 1.0

    def below(self, threshold: float) -> bool:
        """Whether the draw lies below the threshold, deciding it where both are possible."""
        if threshold >= self.high - SLIVER:
            return True
        if threshold <= self.low + SLIVER:
            return False
        if self.path._decide():
            self.high = threshold
            return True
        self.low = threshold
        return False


class Uniform:
    """slope * u + shift for an undecided u: it can be moved, scaled and compared with numbers, and nothing else."""

    __slots__ = ("_draw", "_shift", "_slope")
    __array_ufunc__ = None  # numpy scalars leave comparisons to us
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, draw: _Draw, slope: float = 1.0, shift: float = 0.0) -> None:
        self._draw, self._slope, self._shift = draw, slope, shift

    def __add__(self, other: float) -> Uniform:
        return Uniform(self._draw, self._slope, self._shift + _number(other))

    def __mul__(self, other: float) -> Uniform:
        factor = _number(other)
        if factor == 0.0:
            raise NotEnumerable("a uniform draw was multiplied by zero")
        return Uniform(self._draw, self._slope * factor, self._shift * factor)

    def __neg__(self) -> Uniform:
        return self * -1.0

    def __sub__(self, other: float) -> Uniform:
        return self + -_number(other)

    def __rsub__(self, other: float) -> Uniform:
        return -self + other

    def __truediv__(self, other: float) -> Uniform:
        return Uniform(self._draw, self._slope / _number(other), self._shift / _number(other))

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: float) -> bool:
        threshold = (_number(other) - self._shift) / self._slope
        below = self._draw.below(threshold)
        return below if self._slope > 0 else not below

    def __gt__(self, other: float) -> bool:
        return not self < other

    __le__, __ge__ = __lt__, __gt__  # ties have probability zero

    def __eq__(self, other: object) -> bool:
        return False

    def __float__(self) -> float:
        raise NotEnumerable(
            "a uniform draw was used as a number. To be enumerable, code compares draws (`u < p`) and does nothing else with them."
        )

    __int__ = __index__ = __float__  # type: ignore[assignment]


def _number(value: Any) -> float:
    if isinstance(value, Uniform):
        raise NotEnumerable("two uniform draws were combined; compare each with numbers")
    return float(value)


class EnumeratingRng:
    """The methods of numpy's Generator that have finitely many outcomes, on draws that are decided by comparison."""

    def __init__(self, path: EnumeratingStreams, draws: list[_Draw]) -> None:
        self._path, self._draws, self._next = path, draws, 0

    def _uniform(self) -> Uniform:
        if self._next == len(self._draws):
            self._draws.append(_Draw(self._path))
        self._next += 1
        return Uniform(self._draws[self._next - 1])

    def random(self, size: int | None = None) -> Any:
        if size is None:
            return self._uniform()
        uniforms = np.empty(int(size), dtype=object)
        uniforms[:] = [self._uniform() for _ in range(int(size))]
        return uniforms

    def integers(self, low: int, high: int | None = None) -> int:
        low, high = (0, low) if high is None else (low, high)
        if high - low > 4096:
            raise NotEnumerable(f"integers({low}, {high}) has too many outcomes to enumerate")
        return int(low) + self._index([1.0] * int(high - low))

    def choice(self, a: Any, size: int | None = None, replace: bool = True, p: Sequence[float] | None = None) -> Any:
        values = list(range(a)) if isinstance(a, (int, np.integer)) else list(a)
        weights = [1.0] * len(values) if p is None else [float(x) for x in p]
        picked = []
        for _ in range(1 if size is None else int(size)):
            i = self._index(weights)
            picked.append(values[i])
            if not replace:
                del values[i], weights[i]
        return picked[0] if size is None else np.array(picked)

    def _index(self, weights: Sequence[float]) -> int:
        """Inverse CDF over unnormalised weights."""
        u, total, running = self._uniform(), math.fsum(weights), 0.0
        last = max(i for i, w in enumerate(weights) if w > 0)
        for i, weight in enumerate(weights[:last]):
            running += weight / total
            if u < running:
                return i
        return last

    def __getattr__(self, method: str) -> Any:
        raise NotEnumerable(f"the enumerating stream has no {method!r}: its outcomes are not finitely many")


class EnumeratingStreams:
    """A source of streams (see `ppl.streams.StreamSource`) that follows one path. The same key gives the same draws."""

    root: Key = bytes(16)

    def __init__(self, script: Sequence[bool] = ()) -> None:
        self._script = list(script)
        self.taken: list[bool] = []
        self._draws: dict[tuple[Key, str, int], list[_Draw]] = {}

    def at(self, key: Key, site: str, index: int) -> EnumeratingRng:
        """The stream of one draw: the same key gives the same uniforms, decided as far as they are."""
        return EnumeratingRng(self, self._draws.setdefault((key, site, index), []))

    own = at

    def rng(self, name: str = "rng") -> EnumeratingRng:
        """A stream of its own, for functions that take one rng."""
        return self.at(self.root, name, 0)

    def _decide(self) -> bool:
        n = len(self.taken)
        self.taken.append(self._script[n] if n < len(self._script) else True)
        return self.taken[-1]

    @property
    def probability(self) -> float:
        """Of the path taken: the volume of the box of uniforms that leads to it."""
        return math.prod(d.high - d.low for draws in self._draws.values() for d in draws)


def enumerate_outcomes(fn: Callable[[EnumeratingStreams], T], max_paths: int = 100_000) -> list[tuple[float, T]]:
    """[(probability, outcome)] over every path of `fn(streams)`; the probabilities sum to 1.

    `fn` hands the streams to a program, as in `lambda s: program.run(seed=s)`, or takes one `s.rng()`. It must be a
    function of its draws alone. Raises NotEnumerable where a draw has infinitely many outcomes.
    """
    outcomes: list[tuple[float, T]] = []
    script: list[bool] = []
    while True:
        streams = EnumeratingStreams(script)
        value = fn(streams)
        if len(streams.taken) < len(script):
            raise AssertionError("the function took fewer decisions on the same draws: it depends on something else")
        outcomes.append((streams.probability, value))
        if len(outcomes) > max_paths:
            raise NotEnumerable(f"more than max_paths={max_paths} paths")
        script = streams.taken
        while script and not script[-1]:
            script.pop()
        if not script:
            break
        script[-1] = False
    total = math.fsum(p for p, _ in outcomes)
    assert abs(total - 1.0) < 1e-9, f"the paths have total probability {total}, not 1"
    return outcomes
