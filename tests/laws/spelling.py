"""A model of two symbols that answers in several steps, for laws about batches, limits and masks. No package's backend."""

from __future__ import annotations

import math

from ppl.dist import Deferred
from ppl.requests import Backend, Draw, Drawn, Evaluate, Plan, ScoreText

LAW = {"a": 0.5, "b": 0.2, "$": 0.3}  # whatever came before


class Speller(Backend):
    """One symbol a step for each row; notes the size of every batch."""

    name = "speller"
    capabilities = frozenset({"draw", "score", "evaluate"})

    def __init__(self):
        self.batches = []

    def __deepcopy__(self, memo):
        return self

    def step(self, rows):
        self.batches.append(len(rows))
        for row in rows:
            if isinstance(row, Evaluate):
                row.cost.charge(reward_calls=1)
                row.complete(row.arguments[0].count("a") / 10)
            elif isinstance(row, ScoreText):
                row.cost.charge(scored_tokens=len(row.value) + 1)
                row.complete(log_prob(row.value, row.settings[0]))
            else:
                self._draw(row)

    def _draw(self, row):
        most, masked = row.settings
        text, log_q = row.state or ("", 0.0)
        kept = {s: p for s, p in LAW.items() if not (masked and s in masked)}
        total, running = sum(kept.values()), 0.0
        symbol = None
        for candidate in list(kept)[:-1]:
            running += kept[candidate] / total
            if row.uniforms[len(text)] < running:
                symbol = candidate
                break
        symbol = symbol or list(kept)[-1]
        row.cost.charge(generated_tokens=1)
        log_q += math.log(kept[symbol] / total)
        text += symbol
        if symbol == "$" or len(text) == most:
            row.complete(Drawn(text.rstrip("$"), log_prob(text.rstrip("$"), most), log_q))
        else:
            row.state = (text, log_q)


def log_prob(text, most):
    """Of a text of at most `most` symbols, where the last needs no end."""
    if len(text) > most or set(text) - {"a", "b"}:
        return -math.inf
    return sum(math.log(LAW[s]) for s in text) + (math.log(LAW["$"]) if len(text) < most else 0.0)


class Word(Deferred):
    """Words of at most `most` symbols; symbols in `masked` are never drawn, at the price of a weight."""

    def __init__(self, speller, most, masked=""):
        self.speller, self.settings, self.weighted = speller, (most, masked), bool(masked)

    def draw(self, rng):
        uniforms = list(rng.random(self.settings[0]))
        request = Draw(
            backend=self.speller, context="", settings=self.settings, max_tokens=len(uniforms), uniforms=uniforms
        )
        return Plan("word", [request], lambda results: results[0])

    def assess(self, value):
        request = ScoreText(
            backend=self.speller, context="", settings=self.settings, value=value, key=("score", value, self.settings)
        )
        return Plan("word", [request], lambda results: results[0])

    def __eq__(self, other):
        return isinstance(other, Word) and self.settings == other.settings

    def __hash__(self):
        return hash(self.settings)

    @property
    def kind(self):
        return ("word", self.settings)

    def __repr__(self):
        return f"Word{self.settings}"


def words(most):
    """{text: probability}, by recursion."""

    def extend(text):
        yield text, math.exp(log_prob(text, most))
        if len(text) < most:
            for symbol in "ab":
                yield from extend(text + symbol)

    return dict(extend(""))
