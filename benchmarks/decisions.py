"""What one decision of ETS and of AB-MCTS costs besides the model.

    python benchmarks/decisions.py

ETS selects among 256 leaves of trees of many shapes, at the published weights: CPU milliseconds, the smaller of two, then
median and most over the trees. AB-MCTS walks down a tree that grows to 500 nodes: CPU milliseconds a walk.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from inference.ab_mcts import Beta, Branch, Gaussian, walk
from inference.allocation import ets_selection


def problems(trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Trees, each without coverage and with clusters at random."""
    rng = random.Random(seed)

    def grown(leaves: int, depth: int) -> list[tuple[int, ...]]:
        """Levels of a search, each node going on from one of the level before."""
        level: list[tuple[int, ...]] = [()]
        number = itertools.count()
        for d in range(1, depth + 1):
            level = [(*rng.choice(level), next(number)) for _ in range(max(1, round(leaves ** (d / depth))))]
        return [rng.choice(level) for _ in range(leaves)]

    for trial in range(trials):
        paths = grown(256, rng.choice([1, 2, 5, 10, 20]))
        scores = [rng.random() ** (1 + 5 * (trial % 2)) for _ in paths]
        yield {"paths": paths, "scores": scores, "width": 256}
        clusters = [rng.randrange(rng.choice([16, 64, 128])) for _ in paths]
        yield {"paths": paths, "scores": scores, "width": 256, "coverage": 1.45, "clusters": clusters}


def milliseconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def walks(arm: Any) -> float:
    rng = np.random.default_rng(0)
    root = Branch(None, None, None, None, arm(), arm(), arm())
    spent = 0.0
    for _ in range(500):
        start = time.process_time()
        parent = walk(root, rng)
        spent += time.process_time() - start
        parent.children.append(Branch(None, None, parent, None, arm(), arm(), arm()))
        parent.tell(rng.random())
    return 1000 * spent / 500


def main() -> None:
    for name, coverage in (("ets", False), ("ets, coverage 1.45", True)):
        chosen = [p for p in problems(trials=12, seed=5) if ("coverage" in p) == coverage]
        times = [min(milliseconds(lambda p=p: ets_selection(**p)) for _ in range(2)) for p in chosen]
        print(f"{name:20s} {statistics.median(times):5.1f} ms, at most {max(times):5.1f}")
    for arm in (Gaussian, Beta):
        print(f"ab_mcts, {arm.__name__:11s} {min(walks(arm) for _ in range(3)):5.3f} ms a walk")


if __name__ == "__main__":
    main()
