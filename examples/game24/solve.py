"""Solve a Game of 24 with a language model that is often wrong and a learned reward that says how it is going.

The model writes three lines, each taking two numbers and listing what is left. The posterior is the model's own
distribution weighted by the reward of the finished solution; the rewards on the way only guide the search.

    scale run examples/game24/solve.py --input numbers="4 5 6 10" --engine "smc(particles=16)" --seed 0
"""

from pathlib import Path

import torch

from backends import load
from inference import smc
from ppl import heuristic, model, sample, score

torch.set_num_threads(1)  # the model is tiny: a second thread only waits for the first

HERE = Path(__file__).parent
lm = load(f"hf:{HERE / 'model'}")
prm = load(f"reward:head:{HERE / 'prm'}")
FLOOR = 1e-6  # a reward of exactly 0 would rule a solution out for good


@smc(particles=16)
@model
def solve(numbers: str) -> str:
    text = lm.prompt(f"{numbers} -> 24\n")
    lines = []
    for _ in range(3):
        line = sample("line", lm(text, stop="\n", max_tokens=24))
        lines.append(line)
        text += line
        if line.finish != "stop" or len(lines) == 3:
            break
        heuristic(lambda so_far=text: prm(so_far).log(FLOOR))
    score(prm(text).log(FLOOR))
    return "".join(lines).strip()


if __name__ == "__main__":
    from rich import print

    print(solve("4 5 6 10", seed=0))
