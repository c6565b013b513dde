"""The examples of constrained text run, and what they show is true. They draw from SmolLM2, so they are slow."""

from __future__ import annotations

import math

import pytest

from backends import load
from ppl.errors import BackendError
from tests.examples.test_examples import run


@pytest.fixture(scope="module", autouse=True)
def smollm2():
    try:
        return load("smollm2")
    except BackendError as error:
        pytest.skip(f"no wheel with SmolLM2 here: {error}")


@pytest.mark.slow
def test_json_extraction_reads_the_record_off_the_text():
    names = run("json_extraction")
    posterior, masked = names["posterior"], names["masked"]
    assert posterior.best.value == {"name": "Maria", "age": 31}
    assert posterior.p({"name": "Maria", "age": 31}) > 0.6
    assert all(set(record) == {"name", "age"} and 0 <= record["age"] <= 120 for record in posterior.values)
    assert "mode='mask'" in masked.warnings[0] and not posterior.warnings


@pytest.mark.slow
def test_short_words_are_short_and_smc_keeps_more_particles_worth_having():
    names = run("short_words")
    posterior, independent = names["posterior"], names["independent"]
    for text in posterior.values:
        if text.endswith("."):
            assert all(len(word.strip(",;.")) <= 5 for word in text.split())
    assert posterior.ess > 3 * independent.ess
    again = [names["sentence"].run(names["OPENING"], engine=names["smc"](particles=8), seed=s) for s in (1, 2)]
    assert all(math.isfinite(result.log_evidence) for result in again)


@pytest.mark.slow
def test_checked_sums_are_right():
    names = run("stepwise_sums")
    for question, answer in names["QUESTIONS"].items():
        assert set(names["checked"][question].values) == {answer}
        assert names["free"][question].p(answer) < 0.5
