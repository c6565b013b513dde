"""What is read of an inexact nested query warns, and `exact` over one is not called exact."""

from __future__ import annotations

import math

import pytest

from inference import exact, importance, smc
from ppl import limit, model, sample, score
from ppl.dist import bernoulli


@model
def estimated():
    x = sample("x", bernoulli(0.3))
    score(2.0 if x else -2.0)
    return x


READS = {
    "values": lambda r: r.values[0], "traces": lambda r: r.traces[0].value, "finished": lambda r: r.finished[0].value,
    "len": len, "best": lambda r: r.best.value, "p": lambda r: r.p(1), "weights": lambda r: float(r.weights[0]),
    "mean": lambda r: r.mean(), "mode": lambda r: r.mode, "ess": lambda r: r.ess,
}  # fmt: skip


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("outer", [importance(2), exact(), smc(2)])
def test_every_reading_of_an_inexact_query_warns(outer, read):
    @model
    def program(query):
        return READS[read](query())

    inexact = program.run(importance(4)(estimated), engine=outer, seed=0)
    assert any("of an inexact nested query (estimated under importance(particles=4))" in w for w in inexact.warnings)
    assert program.run(exact()(estimated), engine=outer, seed=0).warnings == []


def test_exact_over_an_estimate_is_none(tmp_path):
    @model
    def program(query):
        x = sample("x", bernoulli(0.4))
        score(query().log_evidence * (1 + x))
        return x

    @model
    def outermost(query):
        score(math.log(exact()(program)(query).p(1)))

    whole = program.run(exact()(estimated), engine=exact(), seed=0)
    assert whole.is_exact and whole.warnings == []
    result = program.run(importance(1)(estimated), engine=exact(), seed=0)
    assert not result.is_exact and "estimated under importance(particles=1), which is inexact" in result.warnings[0]
    assert not type(result).load(result.save(tmp_path / "r.json")).is_exact
    warned = outermost.run(importance(1)(estimated), engine=exact(), seed=0).warnings
    assert any("weights of an inexact nested query (program under exact(" in w for w in warned)
    assert not program.run(exact()(estimated), engine=exact(), seed=0, limit=limit(nodes=2)).is_exact
