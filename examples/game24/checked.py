"""Game of 24 with two rewards: a learned one that guesses how it is going, and an exact one that knows the rules.

    python examples/game24/checked.py [--puzzles 20] [--seeds 1]

The learned reward (P(solved), from the model's own hidden states) sees trouble coming but cannot do arithmetic; the
checker can, and sees nothing coming. Their product is the target: a solution counts if every line is legal, in
proportion to what the reward says of it. Each weight goes where it is known, so that SMC drops an illegal line at once.

Columns, over unseen puzzles: "any right", one of the 16 particles solves it; "returned right", the best-weighted one
does; "share right", the share of the particles that do, dead ones included.
"""

import argparse

from checker import solved
from compare import test_puzzles
from rich.console import Console
from rich.table import Table
from solve import FLOOR, HERE, lm, prm

from backends import load
from inference import smc
from ppl import Posterior, Program, heuristic, model, sample, score

PARTICLES = 16
legal = load(f"reward:fn:{HERE / 'checker.py'}:legal")


def solver(guided: bool, checked: bool) -> Program:
    """The program that weighs solutions by the learned reward, by the checker, or by both."""

    @smc(particles=PARTICLES)
    @model
    def solve(numbers: str) -> str:
        puzzle = f"{numbers} -> 24\n"
        text = lm.prompt(puzzle)
        for lines_left in (2, 1, 0):
            line = sample("line", lm(text, stop="\n", max_tokens=24))
            text += line
            if checked:
                score(legal(puzzle, text).log())
            if line.finish != "stop" or not lines_left:
                break
            if guided:
                heuristic(lambda so_far=text: prm(so_far).log(FLOOR))
        if guided:
            score(prm(text).log(FLOOR))
        return "".join(text.pieces).strip()

    return solve


def readings(numbers: str, posterior: Posterior) -> tuple[float, float, float]:
    """(one is right, the best-weighted is right, the share of all particles that is right)."""
    right = [solved(f"{numbers} -> 24\n", value) for value in posterior.values]
    returned = len(posterior) > 0 and solved(f"{numbers} -> 24\n", posterior.best.value)
    return float(any(right)), float(returned), sum(right) / PARTICLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--puzzles", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    puzzles = test_puzzles(options.puzzles)
    table = Table(
        "weight", title=f"SMC, {PARTICLES} particles, {options.puzzles} unseen puzzles x {options.seeds} seeds"
    )
    for column in ("any right", "returned right", "share right"):
        table.add_column(column, justify="right")
    for name, guided, checked in (("checker", False, True), ("reward", True, False), ("reward x checker", True, True)):
        read = []
        for seed in range(options.seeds):
            results = solver(guided, checked).map(puzzles, seed=seed)
            read += [readings(p, r) for p, r in zip(puzzles, results, strict=True)]
        table.add_row(name, *(f"{sum(column) / len(read):.2f}" for column in zip(*read, strict=True)))
    Console().print(table)


if __name__ == "__main__":
    main()
