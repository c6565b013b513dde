"""A posterior you can check by hand: strings from a toy language model, weighted by how many b's they have.

TableLM is an exact language model over one-character symbols, so `exact` can enumerate the program and every other
engine can be compared with the truth.
"""

import math

from rich import print

from backends import TableLM
from inference import exact, smc
from ppl import model, sample, score

lm = TableLM({
    "":  {"a": 0.5, "b": 0.3, "$": 0.2},
    "a": {"a": 0.4, "b": 0.4, "$": 0.2},
    "b": {"a": 0.3, "b": 0.3, "$": 0.4},
})  # fmt: skip


@smc(particles=2000)
@model
def favours_b() -> str:
    text = ""
    for _ in range(4):
        symbol = sample("symbol", lm.token(text))
        if symbol == "$":
            break
        text += symbol
        score(math.log(2.0) if symbol == "b" else 0.0)
    return text


if __name__ == "__main__":
    posterior = favours_b(seed=0)
    truth = favours_b.run(engine=exact())
    print(posterior)
    print(f"{'string':>8} {'smc':>8} {'exact':>8}")
    for text in sorted(set(truth.values), key=lambda t: -truth.p(t))[:6]:
        print(f"{text or '(empty)':>8} {posterior.p(text):8.4f} {truth.p(text):8.4f}")
    print(f"log evidence: smc {posterior.log_evidence:.4f}, exact {truth.log_evidence:.4f}")
