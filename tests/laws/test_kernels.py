"""Markov kernels by their exact transition matrices: pi P = pi, on every small program."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ppl import model, sample, score
from ppl.dist import bernoulli
from ppl.operations import regenerate, update
from ppl.testing import check_invariant, transition_matrix
from tests.laws.programs import CASES, log
from tests.laws.random_programs import measure, program, programs
from tests.laws.test_random_programs import common, few_paths
from tests.laws.test_unbiased import single_site


def everything(trace, rng):
    """Independence Metropolis-Hastings from the program's own draws."""
    new, log_ratio = regenerate(trace, lambda site: True, rng)
    return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace


def first_site(trace, rng):
    """Redraw the first choice, keep the rest where it still has a site."""
    new, log_ratio = regenerate(trace, list(trace.choices)[:1], rng)
    return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace


def forgetful(trace, rng):
    """single_site without its factor |t| / |t'|: wrong where runs differ in length."""
    sites = list(trace.choices)
    new, log_ratio = regenerate(trace, {sites[rng.integers(len(sites))]}, rng)
    return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace


@pytest.mark.parametrize("name", [name for name in CASES if name != "hopeless"])
def test_kernels_keep_the_posterior(name):
    for kernel in (single_site, everything, first_site):
        check_invariant(kernel, CASES[name].program, reversible=True)


@settings(common, max_examples=60)
@given(programs, st.sampled_from([single_site, everything, first_site]))
def test_kernels_keep_the_posterior_of_random_programs(block, kernel):
    assume(few_paths(block, 10) and measure(block))
    check_invariant(kernel, program(block), reversible=True)


# -- C13: a program whose branches have different numbers of choices ---------------------------------------------------


@model
def branching():
    if sample("x", bernoulli(0.3)):
        y = sample("y", bernoulli(0.9))
        score(log(0.8 if y else 0.1))
        return True
    u, v = sample("u", bernoulli(0.2)), sample("v", bernoulli(0.5))
    score(log(0.5 if u != v else 0.25))
    return False


def test_branching_program():
    check_invariant(single_site, branching, reversible=True)
    states, pi, matrix = transition_matrix(single_site, branching)
    posterior = {tuple(int(v) for v in t.choices.values()): p for t, p in zip(states, pi, strict=True)}
    assert posterior == pytest.approx(
        {
            (1, 0): 0.00623052959502,
            (1, 1): 0.448598130841,
            (0, 0, 0): 0.145379023884,
            (0, 0, 1): 0.290758047767,
            (0, 1, 0): 0.0726895119418,
            (0, 1, 1): 0.0363447559709,
        }
    )
    assert sorted(np.abs(np.linalg.eigvals(matrix)))[-2] == pytest.approx(0.795732587302)


def test_without_the_dimension_factor_the_chain_goes_elsewhere():
    with pytest.raises(AssertionError, match="does not keep the posterior"):
        check_invariant(forgetful, branching)
    states, _, matrix = transition_matrix(forgetful, branching)
    stationary = np.linalg.matrix_power(matrix, 2000)[0]
    assert sum(p for t, p in zip(states, stationary, strict=True) if t.value) == pytest.approx(0.357405140759)


def test_update_is_metropolis_hastings_with_a_proposal_of_ones_own():
    """Flip one bit of the trace: a symmetric proposal, so update's weight is the acceptance ratio where no site changes."""

    def flip(trace, rng):
        site = ["u", "v"][rng.integers(2)]
        if site not in trace.choices:
            return trace
        new, log_ratio, _ = update(trace, {site: not trace[site]}, rng)
        return new if rng.random() < math.exp(min(0.0, log_ratio)) else trace

    check_invariant(flip, branching, reversible=True)
