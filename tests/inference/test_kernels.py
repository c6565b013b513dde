"""Kernels leave the posterior invariant: exact transition matrices, and what must fail does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backends.table import TableLM
from inference import Metropolis, block, prior, single_site, suffix
from inference.kernels import KERNELS
from ppl import model, operations, sample, score
from ppl.dist import bernoulli, uniform
from ppl.errors import OptionError
from ppl.execution import Forced
from ppl.operations import generate, regenerate, simulate, update
from ppl.testing import check_invariant, transition_matrix
from tests.inference.chain_cases import CASES, check_keeps, stationary, transitions
from tests.laws.programs import CASES as LAWS
from tests.naming import named

BLOCKS = {
    "c13": block("x", "v"), "rounds": block("stop"), "kinds": block("x"), "proposed": block("x", "z"),
    "ruled_out": block("b"), "guided": block("b", "c"), "odds_toy": block("a"), "stopper": block("E", "c"),
}  # fmt: skip


def with_rng(kernel):
    return lambda trace, streams: kernel(trace, streams.rng())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CASES)
def test_a_kernel_keeps_the_posterior(name, kernel):
    check_keeps(name, with_rng(KERNELS[kernel]), reversible=True)


@pytest.mark.parametrize("name", CASES)
def test_a_block_keeps_the_posterior(name):
    check_keeps(name, with_rng(BLOCKS[name]), reversible=True)


SMALL = [name for name, case in LAWS.items() if case.evidence and name not in ("early", "strings3e", "strings3l")]


@pytest.mark.parametrize("name", SMALL)
def test_kernels_keep_the_posterior_of_every_small_law_program(name):
    for kernel in (single_site, suffix):
        states, pi, matrix = transition_matrix(kernel, LAWS[name].program)
        for value, mass in LAWS[name].exact.items():
            found = sum(p for t, p in zip(states, pi, strict=True) if t.value == value)
            assert abs(found - float(mass) / LAWS[name].evidence) < 1e-12
        assert np.abs(pi @ matrix - pi).max() < 1e-12


def test_single_site_on_c13_has_the_known_second_eigenvalue():
    matrix = check_keeps("c13", with_rng(single_site))
    assert sorted(np.abs(np.linalg.eigvals(matrix)))[-2] == pytest.approx(0.795732587302, abs=1e-12)


def without_dimension_factor(trace, rng):
    return regenerate(trace, [uniform(list(trace.choices)).sample(rng)], rng)


def test_without_the_dimension_factor_c13_converges_elsewhere():
    traces, pi = stationary(*CASES["c13"])
    matrix = transitions(traces, with_rng(Metropolis(without_dimension_factor)))
    assert np.abs(pi @ matrix - pi).max() > 1e-3
    limit = np.linalg.matrix_power(matrix, 4096)[0]
    assert sum(p for t, p in zip(traces, limit, strict=True) if t.value[0]) == pytest.approx(0.357405140759, abs=1e-10)


def test_keeping_a_value_because_it_would_still_be_possible_fails(monkeypatch):
    def by_its_value(node, dist, proposal):
        return Forced(node.value, None) if node.value in dist.support() else None

    monkeypatch.setattr(operations, "keep_value", by_its_value)
    with pytest.raises(AssertionError, match="max"):
        check_keeps("kinds", with_rng(single_site))


def test_a_ratio_that_forgets_scores_or_proposals_fails():
    for name, forget in (("c13", lambda n, o: n.log_score - o.log_score), ("proposed", gain)):

        def propose(trace, rng, forget=forget):
            new, log_ratio = single_site.propose(trace, rng)
            return new, log_ratio - (0.0 if new.status == "dead" else forget(new, trace))

        with pytest.raises(AssertionError, match="max"):
            check_keeps(name, with_rng(Metropolis(propose)))


def gain(new, old):
    return (new.log_total - new.log_score) - (old.log_total - old.log_score)


TABLE = TableLM({"": {"a": 0.6, "b": 0.4}, "a": {"b": 0.3, "$": 0.7}, "b": {"a": 0.2, "b": 0.3, "$": 0.5}})


@model
def two_texts():
    """Texts whose contexts change with what came before; the second is kept and scored again after another first."""
    first = sample("first", TABLE("", max_tokens=2))
    second = sample("second", TABLE(first, max_tokens=2)) if first.finish == "end" else None
    score(len(second or "") - 0.5 * len(first))
    return str(first), str(second)


@pytest.mark.parametrize("kernel", [*KERNELS.values(), block("first")], ids=named)
def test_kernels_keep_the_posterior_of_texts_by_a_model(kernel):
    check_invariant(kernel, two_texts, reversible=True)


def test_kernels_compose():
    check_keeps("c13", lambda trace, streams: suffix(single_site(trace, streams.rng("a")), streams.rng("b")))


def test_temperature_tempers_scores_and_not_the_prior():
    """At temperature 2 the law of a kernel is p(t) exp(scores / 2), on programs with proposals too."""
    for name in ("c13", "proposed", "ruled_out"):
        traces, _ = stationary(*CASES[name])
        tempered = np.array([math.exp(t.log_prob + t.log_score / 2) for t in traces])
        tempered /= tempered.sum()
        for kernel in (single_site, suffix, prior, BLOCKS[name]):
            matrix = transitions(traces, lambda t, streams, k=kernel: k(t, streams.rng(), 2.0))
            assert np.abs(tempered @ matrix - tempered).max() < 1e-12


def test_a_chain_may_start_from_constrained_and_updated_traces():
    """How a value got into a trace (drawn, constrained, kept by an update) does not change what a kernel does next."""
    traces, _ = stationary(*CASES["proposed"])
    expected = transitions(traces, with_rng(single_site))
    constrained = [generate(t.program, t.choices)[0] for t in traces]
    updated = [update(t, {})[0] for t in traces]
    for others in (constrained, updated):
        assert np.abs(transitions(others, with_rng(single_site)) - expected).max() < 1e-12


@model
def many():
    xs = [sample("x", bernoulli(0.4)) for _ in range(3)]
    score(math.log(1 + sum(xs)))
    return tuple(xs)


def moved(kernel):
    """The positions that the kernel changes in some move."""
    states, _, matrix = transition_matrix(kernel, many)
    pairs = [(a.value, b.value) for i, a in enumerate(states) for j, b in enumerate(states) if matrix[i, j] > 0]
    return {k for a, b in pairs for k in range(3) if a[k] != b[k]}


def test_block_means_all_uses_of_a_name_or_the_one_it_numbers():
    for names, positions in ((["x"], {0, 1, 2}), (["x[1]"], {1}), (["x[0]", "x[2]"], {0, 2}), (["y"], set())):
        assert moved(block(*names)) == positions
        check_invariant(block(*names), many, reversible=True)
    with pytest.raises(OptionError, match="block needs the names of sites"):
        block()
    assert repr(block("x", "x[2]")) == "block('x', 'x[2]')"


def test_a_program_without_choices_stays_where_it_is():
    @model
    def constant():
        score(-1.0)
        return 7

    trace = simulate(constant, rng=0)
    for kernel in (*KERNELS.values(), block("x")):
        assert kernel(trace, np.random.default_rng(0)) is trace
