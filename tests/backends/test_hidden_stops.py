"""Stops that are hidden, after texts of a grammar and by themselves; and tokens that nothing rules out, or something does."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import torch

from backends import TableLM, lark
from backends.hf import HFModel
from backends.hidden_stops import StopMask
from backends.next_tokens import NextTokens
from backends.sampling import log_probs
from backends.settings import Settings
from inference import importance
from ppl import model, sample
from tests.backends.test_constraints import weighted_outcomes
from tests.backends.tiny_models import byte_tokenizer, tiny

ROWS_AB = {
    "": {"a": 0.5, "b": 0.3, "$": 0.2}, "a": {"a": 0.4, "b": 0.4, "$": 0.2}, "b": {"a": 0.3, "b": 0.3, "$": 0.4},
}  # fmt: skip
AB = TableLM(ROWS_AB)
GREEDY = {
    "one lexeme": ('start: /a+/', lambda t: bool(re.fullmatch("a+", t)), ("ab",)),
    "a lexeme for each": ('start: A+\nA: "a"', lambda t: bool(re.fullmatch("a+", t)), ("ab",)),
    "either letter": ("start: /[ab]+/", lambda t: bool(re.fullmatch("[ab]+", t)), ("ba", "bb")),
    "or nothing": ('start: /b*/ | "ab"', lambda t: bool(re.fullmatch("b*|ab", t)), ("aa",)),
}


@pytest.mark.parametrize("rules, belongs, stops", GREEDY.values(), ids=GREEDY)
def test_a_lexeme_does_not_swallow_a_hidden_stop(rules, belongs, stops):
    """Against every path of the table: what ends, is stopped or is cut after four letters, where that is complete."""

    def paths(text="", p=1.0):
        for symbol, q in ROWS_AB[text[-1:]].items():
            if symbol == "$":
                yield text, p * q
                continue
            longer = text + symbol
            stop = next((s for s in stops if longer.endswith(s)), None)
            if stop is not None:
                yield longer[: -len(stop)], p * q
            elif len(longer) == 4:
                yield longer, p * q
            else:
                yield from paths(longer, p * q)

    expected = {}
    for text, p in paths():
        if belongs(text):
            expected[text] = expected.get(text, 0.0) + p
    options = {"stop": stops, "include_stop": False, "max_tokens": 4, "grammar": lark(rules)}

    @model
    def program():
        return str(sample("x", AB("", **options)))

    assert weighted_outcomes(program, importance(1)) == pytest.approx(expected)
    dist = AB("", **options)
    for text, p in expected.items():
        assert dist.log_prob(text) == pytest.approx(math.log(p))


def test_a_stop_may_begin_inside_a_token():
    """Tokens of several letters: a text and the beginning of its stop, or both whole, in one of them."""
    lm = HFModel(tiny("llama", 330), byte_tokenizer(), "tiny")
    rules = lark('start: "a" /[a-e]*/')
    mask = StopMask.begin(lm.lexicon, rules, ("ea",))
    for token, spelled in enumerate(lm.lexicon.spelled):
        text = spelled.decode(errors="replace")
        inside = re.fullmatch("a[a-e]*", text) is not None
        stopped = any(
            re.fullmatch("a[a-e]*", text[:at]) and (text[at:].startswith("ea") or "ea".startswith(text[at:]))
            for at in range(1, len(text))
        )
        assert mask.allows(token) == (inside or stopped), text


def test_the_same_stop_twice_is_one():
    dist = AB("", stop=["b", "b"], include_stop=False, max_tokens=3)
    texts = ["".join(w) for n in range(4) for w in itertools.product("ab", repeat=n)]
    assert sum(math.exp(dist.log_prob(t)) for t in texts) == pytest.approx(1.0)


def test_a_nucleus_is_cut_only_where_one_is_asked_for():
    rare = TableLM({"": {"a": 1, "b": 1e-13}, "a": {"$": 1}, "b": {"$": 1}})
    for options in ({}, {"top_k": 2}, {"temperature": 0.999}):
        assert rare("", max_tokens=1, **options).log_prob("b") == pytest.approx(math.log(1e-13), rel=2e-3)
    assert rare("", max_tokens=1, top_k=1).log_prob("b") == -math.inf
    logits = torch.tensor([[0.0, -40.0, -60.0]])
    assert log_probs(logits, Settings(top_k=2))[0].tolist() == pytest.approx([0.0, -40.0, -math.inf])


def test_a_draw_never_falls_on_a_token_that_is_ruled_out():
    """A uniform of almost nothing, where the block sums of float32 lie on either side of the sum in double."""
    stream = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 700, generator=stream) * 6
    bias = torch.full((64, 700), -math.inf)
    allowed = torch.rand(64, 700, generator=stream) < 0.5
    allowed[:, ::256] = False  # the first of every block
    bias[allowed] = 0.0
    masked = NextTokens(logits, Settings()).within(range(64), bias)
    blocks = masked.running[:, :-1] / masked.running[:, -1:]  # where one block ends and the next begins
    for nudge in (0.0, 1e-9, -1e-9):
        for k in range(blocks.shape[1]):
            ids = masked.draw(range(64), (blocks[:, k] + nudge).clamp(0.0, 1.0 - 1e-12).tolist())
            assert all(bool(allowed[i, t]) for i, t in enumerate(ids))
    assert all(bool(allowed[i, t]) for i, t in enumerate(masked.draw(range(64), [1e-10] * 64)))
