"""A* with a heuristic: the most probable texts of a language model, in order, without looking at most of them.

`heuristic` estimates all the log weight still to come. If it never says too little (it bounds the rest from above),
A* returns the true best traces, best first. Here the best rest of a bigram model is known by dynamic programming.
"""

import math

from rich import print

from backends import TableLM
from inference import astar, exact
from ppl import heuristic, model, require, sample

ROWS = {
    "":  {"t": 0.5, "a": 0.3, "n": 0.2},
    "t": {"a": 0.6, "e": 0.3, "t": 0.1},
    "a": {"n": 0.5, "t": 0.3, "$": 0.2},
    "e": {"n": 0.4, "a": 0.2, "$": 0.4},
    "n": {"a": 0.4, "e": 0.4, "$": 0.2},
}  # fmt: skip
LENGTH = 7  # of the texts we want, exactly
lm = TableLM(ROWS)


def best_rest(symbol: str, left: int) -> float:
    """The largest log probability of `left` more symbols and an end after `symbol`: Viterbi, backwards."""
    if left == 0:
        return math.log(ROWS[symbol].get("$", 0.0) or 1e-300)
    return max(math.log(p) + best_rest(s, left - 1) for s, p in ROWS[symbol].items() if s != "$")


@model
def word(guided: bool) -> str:
    text = ""
    while True:
        symbol = sample("symbol", lm.token(text))
        if symbol == "$":
            require(len(text) == LENGTH)
            return text
        text += symbol
        require(len(text) <= LENGTH)
        if guided:
            heuristic(best_rest(symbol, LENGTH - len(text)))


if __name__ == "__main__":
    truth = word.run(False, engine=exact())
    for guided in (False, True):
        found = word.run(guided, engine=astar(expand=5, max_nodes=5000, goals=3))
        nodes = f"{found.cost.nodes} nodes (all: {truth.cost.nodes})"
        print("with the heuristic:   " if guided else "without a heuristic: ", found.values, nodes)
    print("the truth (two are equal):", sorted(set(truth.values), key=lambda text: -truth.p(text))[:3])
