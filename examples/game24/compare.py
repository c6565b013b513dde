"""Engines over one unchanged program, at equal tokens: how often the returned solution of a Game of 24 is right.

    python examples/game24/compare.py [--puzzles 100] [--seeds 3] [--engines smc best_of]

Every engine runs `solve` on the same test puzzles under the same hard limit of tokens, guided by the same learned
reward. "Returned right" is the share of puzzles whose best-weighted solution is right by the exact verifier, "share
right" the weight on right solutions. Intervals are 95 %, over puzzles.
"""

import argparse
import csv
import math
import time

from checker import solved
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from solve import HERE, lm, solve

from inference import astar, beam, best_of, ets, importance, smc
from ppl import Result, limit
from ppl.events import watching

TOKENS = 500  # per puzzle: 16 solutions of three lines
ENGINES = {
    "best_of": best_of(n=16),
    "importance": importance(particles=16),
    "smc": smc(particles=16, ess_threshold=1.0),  # resampled after every line
    "beam": beam(width=4, expand=4),
    "ets": ets(width=16),
    "astar": astar(expand=8, max_nodes=200, goals=16),
}


def test_puzzles(n: int) -> list[str]:
    """The first n of the 100 puzzles that neither the model nor its reward has seen."""
    with (HERE / "puzzles.csv").open() as file:
        rows = [row["numbers"] for row in csv.DictReader(file) if row["split"] == "test"]
    return [" ".join(sorted(numbers.split(), key=int)) for numbers in rows[:n]]


def is_right(numbers: str, solution: str) -> bool:
    return solved(f"{numbers} -> 24\n", solution)


def readings(numbers: str, result: Result) -> tuple[float, float]:
    """(the best solution is right, the weight on right solutions) of one run."""
    if not len(result):
        return 0.0, 0.0
    right = [is_right(numbers, value) for value in result.values]
    share = sum(float(w) for w, r in zip(result.weights, right, strict=True) if r)
    return float(is_right(numbers, result.best.value)), share


def interval(shares: list[float]) -> str:
    mean = sum(shares) / len(shares)
    spread = math.sqrt(sum((s - mean) ** 2 for s in shares) / max(len(shares) - 1, 1) / len(shares))
    return f"{mean:.2f} ± {1.96 * spread:.2f}"


def measure(name: str, puzzles: list[str], seed: int, progress: Progress) -> dict[str, list[float]]:
    """One engine over all puzzles, their model calls in common batches."""
    lm.forget()  # each engine pays for its own tokens
    task = progress.add_task(f"{name:<11}", total=len(puzzles))

    def watch(runs: object) -> None:
        done = sum(all(t.dead for t in run.tasks) for run in runs)  # type: ignore[attr-defined]
        progress.update(task, completed=done)

    with watching(watch):
        results = solve.map(puzzles, engine=ENGINES[name], seed=seed, limit=limit(tokens=TOKENS))
    progress.update(task, completed=len(puzzles))
    read = [readings(p, r) for p, r in zip(puzzles, results, strict=True)]
    costs = [r.cost for r in results]
    return {
        "returned": [returned for returned, _ in read],
        "share": [share for _, share in read],
        "tokens": [float(c.generated_tokens) for c in costs],
        "reward": [float(c.reward_tokens) for c in costs],
        "forwarded": [float(c.forwarded_tokens) for c in costs],
    }


def compare(engines: list[str], puzzles: list[str], seeds: int, console: Console) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    with Progress(console=console, transient=True) as progress:
        for name in engines:
            for seed in range(seeds):
                for column, numbers in measure(name, puzzles, seed, progress).items():
                    found.setdefault(name, {}).setdefault(column, []).extend(numbers)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--puzzles", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    options = parser.parse_args()
    console = Console()
    start = time.perf_counter()
    found = compare(options.engines, test_puzzles(options.puzzles), options.seeds, console)
    title = f"Game of 24: {options.puzzles} unseen puzzles x {options.seeds} seeds, at most {TOKENS} tokens each"
    table = Table(title=title)
    table.add_column("engine")
    for column in ("returned right", "share right", "tokens", "reward tokens", "forwarded"):
        table.add_column(column, justify="right")
    for name, columns in found.items():
        means = [f"{sum(columns[c]) / len(columns[c]):.0f}" for c in ("tokens", "reward", "forwarded")]
        table.add_row(
            repr(ENGINES[name]).split("(")[0], interval(columns["returned"]), interval(columns["share"]), *means
        )
    console.print(table)
    console.print(
        "tokens: drawn per puzzle; reward tokens: read by the reward; forwarded: what really went through the model,"
        f" reward included, because every prefix is computed once. {time.perf_counter() - start:.0f} s."
    )


if __name__ == "__main__":
    main()
