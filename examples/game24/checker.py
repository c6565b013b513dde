"""The text format of the Game of 24, and the exact rules it must obey.

A puzzle is one line, `numbers -> target`; a solution takes two numbers at a time and says what is left:

    4 5 6 10 -> 24
    6 + 10 = 16 left: 4 5 16
    5 * 16 = 80 left: 4 80
    80 / 4 = 20 left: 20          (legal, but it misses the target)

Numbers are non-negative integers and divisions are exact. `legal` judges a solution while it is being written, as
the reward model `reward:fn:examples/game24/checker.py:legal`; `solved` is the final verifier. Standard library only.
"""

import re
from collections import Counter

_STEP = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+) left: (\d+(?: \d+)*)")
_PUZZLE = re.compile(r"(\d+(?: \d+)*) -> (\d+)\n?")


def puzzle(numbers: tuple[int, ...], target: int = 24) -> str:
    """The prompt line of a puzzle, newline included."""
    return f"{' '.join(map(str, sorted(numbers)))} -> {target}\n"


def legal(prompt: str, partial_text: str) -> float:
    """1.0 if every finished line of `partial_text` is a legal step from the prompt's numbers, else 0.0.

    A line is finished once its newline is there; what follows the last newline is not judged yet.
    """
    numbers, _ = _parse(prompt)
    return float(_left_over(numbers, partial_text.split("\n")[:-1]) is not None)


def solved(prompt: str, text: str) -> bool:
    """Whether `text` is a whole solution: legal steps that use each number once and end in the target alone.

    The newline of the last line may be missing.
    """
    numbers, target = _parse(prompt)
    return _left_over(numbers, text.removesuffix("\n").split("\n")) == Counter([target])


def _parse(prompt: str) -> tuple["Counter[int]", int]:
    found = _PUZZLE.fullmatch(prompt)
    if not found:
        raise ValueError(f"expected a puzzle such as '4 5 6 10 -> 24', found {prompt!r}")
    return Counter(map(int, found[1].split())), int(found[2])


def _left_over(numbers: "Counter[int]", lines: list[str]) -> "Counter[int] | None":
    """The numbers left after all lines, or None where one of them is not a legal step."""
    for line in lines:
        step = _STEP.fullmatch(line)
        if not step:
            return None
        a, op, b, result = int(step[1]), step[2], int(step[3]), int(step[4])
        taken = Counter([a, b])
        if not taken <= numbers or not _holds(a, op, b, result):
            return None
        numbers = numbers - taken + Counter([result])
        if numbers != Counter(map(int, step[5].split())):
            return None
    return numbers


def _holds(a: int, op: str, b: int, result: int) -> bool:
    if op == "/":
        return b != 0 and a == b * result
    return result == {"+": a + b, "-": a - b, "*": a * b}[op]
