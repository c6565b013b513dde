"""Keys of votes: what counts as the same answer."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
import pytest

from inference import best_of
from inference.keys import math_verify, numeric
from ppl import SearchResult, Trace, model, sample
from ppl.dist import uniform
from ppl.errors import CapabilityError, ResultError
from ppl.trace import Node


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("1,000", 1000), ("$1000.00", 1000), ("1e3", 1000), ("#### 42", 42), ("so it is 17.", 17), ("-$5", -5), ("$-5", -5),
        ("1/2", Fraction(1, 2)), (r"\frac{1}{2}", Fraction(1, 2)), (r"-\dfrac{3}{4}", Fraction(-3, 4)), ("−7", -7),
        ("50%", 50), ("7 apples or 8 pears", 8), ("3-4", 4), ("12 - 5", 5), ("1,234,567.5", Fraction("1234567.5")),
        (".5", Fraction(1, 2)), (0.5, Fraction(1, 2)), (17, 17), (True, 1), ("2e5/4", 50_000), ("4, 5", 5), ("0.10", Fraction(1, 10)),
        ("", None), ("none", None), (float("nan"), None), ("5/0", None), (None, None),
    ],
)  # fmt: skip
def test_the_last_number_exactly(value, key):
    assert numeric(value) == key


def test_huge_exponents_are_not_spelled_out():
    assert numeric("1e999999999") == 999999999


def test_mathematical_equality_groups_votes():
    pytest.importorskip("math_verify")
    key = math_verify()
    labels = [key(text) for text in (r"$\frac{1}{2}$", "0.5", "1/2", "$x+1$", "$1+x$", "", "3")]
    assert labels == [0, 0, 0, 1, 1, None, 2]
    assert math_verify()("3") == 0  # groups of another vote


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(CapabilityError, match="pip install math-verify"):
        math_verify()


def answers(texts):
    @model
    def program():
        return sample("answer", uniform(texts))

    return program


def test_votes_through_a_result():
    result = answers(["$1,000", "1000", "1e3", "7", "no idea"]).run(engine=best_of(n=60), seed=0)
    assert numeric(result.vote("majority", key=numeric)) == 1000
    assert result.vote("majority", key=lambda text: "7" if "7" in text else None) == "7"
    with pytest.raises(ResultError, match="no trace votes"):
        result.vote("majority", key=lambda text: None)


def test_a_vote_over_unhashable_values_asks_for_a_key():
    result = answers([[1], [2]]).run(engine=best_of(n=8), seed=0)
    with pytest.raises(ResultError, match="key=str"):
        result.vote("majority")
    assert result.vote("majority", key=str) in ([1], [2])


# -- best of majority (Di et al. 2025) -----------------------------------------------------------------------------------


def votes(counts, rewards):
    """A result with `counts[a]` traces that answer a, each with log weight log `rewards[a]`."""
    traces = [
        Trace(Node(None, "score", "", log_weight=math.log(rewards[a])), a, "finished", log_weight=math.log(rewards[a]))
        for a, count in counts.items()
        for _ in range(count)
    ]
    return SearchResult(traces)


def test_best_of_majority_keeps_the_frequent_and_takes_the_best_of_them():
    result = votes({"A": 9, "B": 5, "C": 4, "D": 1, "E": 1}, {"A": 0.3, "B": 0.8, "C": 0.6, "D": 0.99, "E": 0.1})
    for threshold, winner in ((0.0, "D"), (0.1, "B"), (0.15, "B"), (0.25, "B"), (0.3, "A"), (0.9, "A")):
        assert result.vote("best_of_majority", threshold=threshold) == winner
    assert result.vote("majority") == "A"


def test_chance_of_success_of_three_selections():
    """One right answer (p .2, reward .8), one frequent wrong one (p .55, reward .3), 25 rare wrong ones (.01, .95 each).

    Of 50 samples the right one wins with probability .809590 by best of majority at threshold .15, below .001 by
    majority and below 1e-6 by best-of-n. Bounds are 5 standard deviations at 1500 trials.
    """
    names = ["right", "wrong", *(f"rare {i}" for i in range(25))]
    rewards = dict(zip(names, [0.8, 0.3] + [0.95] * 25, strict=True))
    rng = np.random.default_rng(0)
    wins = {"majority": 0, "best_of_majority": 0, "best": 0}
    for row in rng.multinomial(50, [0.2, 0.55] + [0.01] * 25, size=1500).tolist():
        result = votes({n: c for n, c in zip(names, row, strict=True) if c}, rewards)
        wins["majority"] += result.vote("majority") == "right"
        wins["best_of_majority"] += result.vote("best_of_majority", threshold=0.15) == "right"
        wins["best"] += result.best.value == "right"
    assert abs(wins["best_of_majority"] / 1500 - 0.809590) < 5 * (0.81 * 0.19 / 1500) ** 0.5
    assert wins["majority"] < 12 and wins["best"] == 0
