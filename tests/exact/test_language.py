"""A bigram language model over a b c $: under a constraint (C9), and tilted by a reward (C10)."""

from __future__ import annotations

import math

import pytest

from inference import best_of, exact, smc
from ppl import model, require, sample, score
from ppl.dist import categorical
from ppl.testing import enumerate_outcomes
from tests.exact.test_finite import moments
from tests.laws.programs import allowed, row, short_strings


def mean_length(posterior) -> float:
    return posterior.mean(len)


def test_constrained_strings():
    for early in (True, False):
        posterior = short_strings(4, early).run(engine=exact())
        assert math.exp(posterior.log_evidence) == pytest.approx(0.24531, rel=1e-12)
        assert len(posterior) == 37
        known = {"c": 0.326117973177, "bc": 0.14675308793, "cb": 0.097835391953, "ac": 0.0652235946354}
        assert {v: posterior.p(v) for v in known} == pytest.approx(known, abs=1e-11)
        assert mean_length(posterior) == pytest.approx(2.1293057763645997, abs=1e-12)
        assert posterior.marginal("symbol")["a"] == pytest.approx(0.19534466593, abs=1e-11)


def completable(text: str, left: int) -> bool:
    """Whether some allowed string of at most `left` more symbols starts with text."""
    return allowed(text) or (left > 0 and any(completable(text + s, left - 1) for s in "abc" if starts(text + s)))


def starts(text: str) -> bool:
    return text.count("c") <= 1 and "aa" not in text


@model
def masked(weighted: bool):
    """Step-wise masked decoding: symbols without a valid completion are left out. `weighted`: with its weights."""
    text = ""
    while True:
        law = categorical(row(text[-1:]))
        kept = {s: p for s, p in row(text[-1:]).items() if valid(text, s)}
        symbol = sample(
            "symbol", law if weighted else categorical(kept), proposal=categorical(kept) if weighted else None
        )
        if symbol == "$":
            return text
        text += symbol


def valid(text: str, symbol: str) -> bool:
    if symbol == "$":
        return allowed(text)
    return len(text) < 4 and starts(text + symbol) and completable(text + symbol, 3 - len(text))


def test_masked_decoding_is_right_with_its_weights_and_wrong_without():
    plain = masked.run(False, engine=exact())
    assert plain.p("c") == pytest.approx(0.0987654320988, abs=1e-12)
    assert plain.p("abac") == pytest.approx(0.0952380952381, abs=1e-12)
    assert mean_length(plain) == pytest.approx(3.18241370622323, abs=1e-11)
    right = short_strings(4, early=True).run(engine=exact())
    distance = 0.5 * sum(abs(plain.p(v) - right.p(v)) for v in right.values)
    assert distance == pytest.approx(0.4401477384670662, abs=1e-12)
    assert moments(masked, True) == pytest.approx((0.24531, 0.0662829903), abs=1e-10)


def test_smc_on_masked_decoding_is_unbiased():
    """37 strings and their kept masses; N = 1 enumerates, so the mean of the weights is exact string by string."""
    right = short_strings(4, early=True).run(engine=exact())
    totals: dict[str, float] = {}
    for p, result in enumerate_outcomes(lambda s: masked.run(True, engine=smc(1, ess_threshold=1.0), seed=s)):
        totals[result.values[0]] = totals.get(result.values[0], 0.0) + p * math.exp(result.log_evidence)
    assert totals == pytest.approx({v: 0.24531 * right.p(v) for v in right.values}, abs=1e-13)


# -- C10 ---------------------------------------------------------------------------------------------------------------


@model
def tilted(beta: float):
    text = ""
    while (symbol := sample("symbol", categorical(row(text[-1:])))) != "$":
        text += symbol
        require(len(text) <= 4)
        if symbol == "b":
            score(beta)
    return text


def test_reward_tilted_strings():
    posterior = tilted.run(1.5, engine=exact())
    assert posterior.log_evidence == pytest.approx(1.6678212320707482, abs=1e-12)
    assert posterior.mean(lambda s: s.count("b")) == pytest.approx(1.9496755377203292, abs=1e-12)
    top = {
        "b": 0.0760954473313,
        "bb": 0.0682072269214,
        "bbb": 0.0611367166824,
        "bbbb": 0.0547991509904,
        "bcb": 0.0409243361529,
    }
    assert {v: posterior.p(v) for v in top} == pytest.approx(top, abs=1e-12)
    base = tilted.run(0.0, engine=exact())
    assert math.exp(base.log_evidence) == pytest.approx(0.81359, rel=1e-12)
    assert base.mean(lambda s: s.count("b")) == pytest.approx(0.6695264199412474, abs=1e-12)
    divergence = posterior.mean(lambda s: math.log(posterior.p(s) / base.p(s)))
    assert divergence == pytest.approx(1.0503933491343105, abs=1e-11)
    mean, variance = moments(tilted, 1.5)
    assert mean == pytest.approx(5.300606415706969, rel=1e-12)
    assert variance == pytest.approx(252.88786219369206, rel=1e-11)


def test_best_of_n_on_the_reward():
    """E[max] over n draws from the base model given len <= 4; ties cost nothing."""
    base = tilted.run(0.0, engine=exact())
    table = {k: base.p(lambda s, k=k: s.count("b") == k) for k in range(5)}

    @model
    def judged():
        k = sample("k", categorical(table))
        score(float(k))
        return k

    for n, expected in ((1, 0.669526419941), (2, 1.05665770887), (4, 1.46493583144)):
        runs = enumerate_outcomes(lambda s, n=n: judged.run(engine=best_of(n), seed=s).best.value)
        assert math.fsum(p * k for p, k in runs) == pytest.approx(expected, abs=1e-11)
