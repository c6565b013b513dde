"""Engines over one unchanged program, at equal tokens: how often the returned solution of a Game of 24 is right.

    python examples/game24/compare.py [--puzzles 100] [--seeds 3] [--engines smc best_of]

Every engine runs `solve.scale` and its twin `solve.py` on the same test puzzles under the same hard limit of tokens,
guided by the same learned reward. "Returned right" is the share of puzzles whose best-weighted solution is right by the
exact verifier, "share right" the weight on right solutions, "twin" whether `solve.py` gave every puzzle the same
solutions with the same weights. Intervals are 95 %, over puzzles.
"""

import argparse
import csv
import time
import warnings
from contextlib import nullcontext

import numpy as np
from checker import solved
from display import Board, final_table, show_search
from rich.console import Console
from solve import HERE, lm, solve

import grammar
from inference import astar, beam, best_of, ets, importance, smc
from ppl import Result, limit
from ppl.events import recording, watching

PROGRAMS = {"solve.scale": grammar.load(HERE / "solve.scale").solve, "solve.py": solve}
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


def results_of(program: str, name: str, puzzles: list[str], seed: int, board: Board) -> list[Result]:
    """One engine over all puzzles, their model calls in common batches."""
    board.begin(name)
    lm.forget()  # each engine and program pays for its own tokens
    with watching(board.watch):
        return PROGRAMS[program].map(puzzles, engine=ENGINES[name], seed=seed, limit=limit(tokens=TOKENS))


def same(one: Result, other: Result) -> bool:
    """The same solutions in the same order, with the same weights to the tolerance of the model's numbers."""
    return one.values == other.values and np.allclose(one.weights, other.weights, atol=1e-4)


def measure(name: str, puzzles: list[str], seed: int, board: Board) -> dict[str, list[float]]:
    """What one engine makes of both programs, by column."""
    results, twins = (results_of(program, name, puzzles, seed, board) for program in PROGRAMS)
    read = [readings(p, r) for p, r in zip(puzzles, results, strict=True)]
    costs = [r.cost for r in results]
    return {
        "returned": [returned for returned, _ in read],
        "share": [share for _, share in read],
        "tokens": [float(c.generated_tokens) for c in costs],
        "reward": [float(c.reward_tokens) for c in costs],
        "shared": [c.shared_tokens / max(c.shared_tokens + c.forwarded_tokens, 1) for c in costs],
        "twin": [float(same(r, t)) for r, t in zip(results, twins, strict=True)],
    }


def compare(engines: list[str], puzzles: list[str], seeds: int, console: Console) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    board = Board(engines, len(PROGRAMS) * len(puzzles) * seeds, readings, console)
    with board.live or nullcontext():
        for name in engines:
            for seed in range(seeds):
                for column, numbers in measure(name, puzzles, seed, board).items():
                    found.setdefault(name, {}).setdefault(column, []).extend(numbers)
    return found


def one_search(puzzles: list[str], console: Console) -> None:
    """Draw how SMC found a solution that best-of-n missed."""
    program = PROGRAMS["solve.scale"]
    for numbers in puzzles:
        missed = program.run(numbers, engine=ENGINES["best_of"], seed=0)
        with recording():
            found = program.run(numbers, engine=ENGINES["smc"], seed=0)
        if not readings(numbers, missed)[0] and readings(numbers, found)[0]:
            console.print("\nOne search by solve.scale; best-of-n misses this puzzle:", highlight=False)
            show_search(found, f"{numbers} -> 24", console)
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--puzzles", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    options = parser.parse_args()
    if options.puzzles < 1 or options.seeds < 1:
        parser.error("--puzzles and --seeds are numbers from 1")
    warnings.filterwarnings("ignore", message=".* of a run stopped by its limit")  # equal tokens is the point
    console = Console()
    start = time.perf_counter()
    found = compare(options.engines, test_puzzles(options.puzzles), options.seeds, console)
    title = f"Game of 24: {options.puzzles} unseen puzzles x {options.seeds} seed{'s' if options.seeds > 1 else ''}, at most {TOKENS} tokens each"
    console.print(final_table(found, title))
    console.print(
        "tokens: drawn per puzzle · reward tokens: read by the reward · KV shared: of all tokens read, those computed before"
        f" · twin: solve.py found what solve.scale found · {time.perf_counter() - start:.0f} s", style="dim", highlight=False,
    )  # fmt: skip
    one_search(test_puzzles(options.puzzles), console)


if __name__ == "__main__":
    main()
