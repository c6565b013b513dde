"""Training data: puzzles of the Game of 24 and derivations (worked solutions) in the format of `checker.py`.

The 1,362 puzzles are those of 4nums.com as published with Tree of Thoughts (Yao et al. 2023); its 100 test puzzles,
rows 900..999, are kept apart. Two sources of training text: solutions of the train puzzles, found by exhaustive
search, and random steps over random numbers, whose result becomes the target. No test multiset ever appears with
the target 24.
"""

import csv
import random
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path

from checker import puzzle

LARGEST = 199  # the largest number that has a token
Numbers = tuple[int, ...]
Step = tuple[str, Numbers]  # its line of text, and the numbers left after it


def puzzles(split: str) -> list[Numbers]:
    """The sorted number tuples of the `train` or `test` split, in the order of the published file."""
    with open(Path(__file__).parent / "puzzles.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [tuple(map(int, row["numbers"].split())) for row in rows]


@cache
def steps(numbers: Numbers) -> list[Step]:
    """Every step from these sorted numbers with a result in 0..LARGEST; sums and products name the smaller first."""
    found = []
    for i, j in combinations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        results = [(a, "+", b, a + b), (a, "*", b, a * b), (b, "-", a, b - a)]
        if a > 0 and b % a == 0:
            results.append((b, "/", a, b // a))
        rest = numbers[:i] + numbers[i + 1 : j] + numbers[j + 1 :]
        for x, op, y, result in results:
            if result <= LARGEST:
                left = tuple(sorted((*rest, result)))
                found.append((f"{x} {op} {y} = {result} left: {' '.join(map(str, left))}\n", left))
    return list(dict.fromkeys(found))


@cache
def solutions(numbers: Numbers, target: int = 24) -> list[str]:
    """Every solution text of a puzzle (empty where none stays within the integers 0..LARGEST)."""
    if len(numbers) == 1:
        return [""] if numbers == (target,) else []
    return [line + rest for line, left in steps(numbers) for rest in solutions(left, target)]


def random_derivation(count: int, rng: random.Random) -> tuple[Numbers, int, str]:
    """Random numbers in 1..13, random steps down to one number, which is the target (1..99)."""
    while True:
        numbers = left = tuple(sorted(rng.randint(1, 13) for _ in range(count)))
        lines = []
        while len(left) > 1:
            line, left = rng.choice(steps(left))
            lines.append(line)
        if 1 <= left[0] <= 99:
            return numbers, left[0], "".join(lines)


def derivations(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Endless (prompt, solution) pairs: 40 % train puzzles, 40 % random steps from four numbers, 20 % from three."""
    train = [numbers for numbers in puzzles("train") if solutions(numbers)]
    test = set(puzzles("test"))
    while True:
        kind = rng.random()
        if kind < 0.4:
            numbers = rng.choice(train)
            yield puzzle(numbers), rng.choice(solutions(numbers))
            continue
        numbers, target, text = random_derivation(4 if kind < 0.8 else 3, rng)
        if not (target == 24 and numbers in test):
            yield puzzle(numbers, target), text
