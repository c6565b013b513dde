"""Speculative steps: a cheap model writes each line, the model you care about only reads it.

`sample(name, p, proposal=q)` draws from q and weighs by p / q, so the posterior stays p's own however bad the draft
is; how bad shows in the effective sample size. The twin of speculative.scale, with two models that can be checked.
"""

import math

from rich import print

from backends import TableLM
from inference import exact, importance
from ppl import model, sample

target = TableLM({
    "":  {"a": 0.6, "b": 0.4},
    "a": {"a": 0.2, "b": 0.5, ".": 0.3},
    "b": {"a": 0.3, "b": 0.3, ".": 0.4},
    ".": {"a": 0.5, "b": 0.1, "$": 0.4},
})  # fmt: skip
draft = TableLM({
    "":  {"a": 0.5, "b": 0.5},
    "a": {"a": 0.4, "b": 0.3, ".": 0.3},
    "b": {"a": 0.3, "b": 0.3, ".": 0.4},
    ".": {"a": 0.4, "b": 0.4, "$": 0.2},
})  # fmt: skip


@model
def story(lines: int, drafted: bool) -> str:
    text = ""
    for _ in range(lines):
        p = target(text, stop=".", max_tokens=5)
        line = sample("line", p, proposal=draft(text, stop=".", max_tokens=5) if drafted else None)
        text += line
        if line.finish == "end":
            break
    return text


@model
def by_symbol(lines: int) -> str:
    """The same texts symbol by symbol, finite, so that the truth can be enumerated."""
    text = ""
    for _ in range(lines):
        for _ in range(5):
            symbol = sample("symbol", target.token(text))
            if symbol == "$":
                return text
            text += symbol
            if symbol == ".":
                break
    return text


if __name__ == "__main__":
    truth = by_symbol.run(2, engine=exact())
    posterior = story.run(2, True, engine=importance(particles=600), seed=0)
    print(f"{'text':>8} {'exact':>7} {'speculative':>12}")
    for text in sorted(set(truth.values), key=lambda text: -truth.p(text))[:5]:
        print(f"{text:>8} {truth.p(text):7.3f} {posterior.p(text):12.3f}")
    print(f"evidence {math.exp(posterior.log_evidence):.3f} (exactly 1): the draft changes no meaning")
    print(f"of 600 drafts, worth {posterior.ess:.0f} draws of the target")
