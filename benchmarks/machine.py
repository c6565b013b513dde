"""What the machine of `.scale` programs costs: microseconds per effect, and per fork.

    python benchmarks/machine.py [--quick]

CPU time of this process, the smallest of several rounds. "core" is the same effects by the execution's own
methods in a plain Python loop; the difference is the machine. A fork is made at a choice, resumed once from
its saved state, and run to the next choice; the Python twin replays its history for that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import grammar
from inference import importance
from ppl import model, sample, score
from ppl.dist import bernoulli
from ppl.execution import Stop

TEXT = """
scale 1
program loop(steps: int) -> int {
  let total = 0
  for _ in range(steps) {
    let x = sample bernoulli(0.5)
    total += 1 if x else 0
    score -0.01 * total
  }
  return total
}
program calls(steps: int) -> int {
  let total = 0
  for _ in range(steps) { total += toss(0.5) }
  return total
}
fn toss(p: prob) -> int {
  let x = sample bernoulli(p)
  return 1 if x else 0
}
program words(steps: int) -> int {
  let xs: list[bool] = []
  for i in range(steps) {
    let x = sample bernoulli(0.5)
    xs += [x]
  }
  return len(xs)
}
limit max_steps = 10_000_000
"""
COIN = bernoulli(0.5)


@model
def loop(steps: int) -> int:
    total = 0
    for _ in range(steps):
        total += sample("x", COIN)
        score(-0.01 * total)
    return total


class _Effects:
    """The same effects without any program around them."""

    uses_heuristic = False

    def __init__(self, steps: int, scores: bool) -> None:
        self.steps, self.scores = steps, scores

    def search(self, run: Any) -> float:
        (execution,) = run.start()
        start, total = time.process_time(), 0
        for _ in range(self.steps):
            total += execution.sample("x", COIN)
            if self.scores:
                execution.score(-0.01 * total, "score")
        return time.process_time() - start


class _Forks:
    """Forks at the steps-th choice, each run to the next one."""

    uses_heuristic = False

    def __init__(self, steps: int, forks: int) -> None:
        self.steps, self.forks = steps, forks

    def search(self, run: Any) -> float:
        (execution,) = run.start()
        for _ in range(self.steps):
            run.advance_all([execution], Stop.ANY)
        start = time.process_time()
        for _ in range(self.forks):
            child = execution.fork()
            run.advance_all([child], Stop.ANY)
            run.drop([child])
        return (time.process_time() - start) / self.forks


def smallest(works: list[Callable[[], float]], rounds: int) -> list[float]:
    """The least time of each, in interleaved rounds."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        best = [min(b, work()) for b, work in zip(best, works, strict=True)]
    return best


def timed(program: Any, steps: int) -> float:
    start = time.process_time()
    program.run(steps, engine=importance(particles=1), seed=0)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds")
    quick = parser.parse_args().quick
    steps, rounds = (2_000, 3) if quick else (10_000, 7)
    module = grammar.loads(TEXT)
    names = ["core loop", "core, samples only", "python loop", *(f".scale {name}" for name in module.programs)]
    works: list[Callable[[], float]] = [
        lambda: loop.run(steps, engine=_Effects(steps, scores=True), seed=0),  # type: ignore[misc]
        lambda: loop.run(steps, engine=_Effects(steps, scores=False), seed=0),  # type: ignore[misc]
        *(lambda p=p: timed(p, steps) for p in (loop, *module.programs.values())),  # type: ignore[misc]
    ]
    print("us per effect (loop: a sample and a score; words: a sample kept in a list; calls: a sample inside a call)")
    for name, seconds in zip(names, smallest(works, rounds), strict=True):
        effects = steps * (2 if name.endswith("loop") else 1)
        print(f"  {name:<22} {1e6 * seconds / effects:7.2f}")
    print("us per fork, resumed to the next choice")
    for history in (200, 2_000) if quick else (200, 2_000, 20_000):
        machine, replay = smallest(
            [
                lambda n=history: module.words.run(n + 1, engine=_Forks(n, 200), seed=0),  # type: ignore[misc]
                lambda n=history: loop.run(n + 1, engine=_Forks(n, 20), seed=0),  # type: ignore[misc]
            ],
            2,
        )
        print(
            f"  after {history:>6} effects: .scale {1e6 * machine:8.1f}   python, by replay {1e6 * replay:10.1f}"
        )


if __name__ == "__main__":
    main()
