"""Hypothesis-drawn programs: the engines, enumerated, against a recursion over fractions that shares no code with them."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inference import exact, importance, smc
from ppl.testing import check_replay_invariance, check_trace_laws, check_unbiased
from tests.laws.random_programs import measure, paths, program, programs
from tests.laws.test_unbiased import roulette, single_site

ENGINES = [
    importance(2),
    smc(1, rejuvenate=single_site),
    smc(2, ess_threshold=0.8),
    smc(2, "residual", 1.0),
    smc(2, "stratified", 1.0),
    smc(2, "multinomial", 0.7),
    smc(2, roulette, 1.0),
]
common = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def few_paths(block, most):
    """Whether the program is small enough to enumerate an engine on it."""
    return all(n <= most for n, _ in enumerate(paths(block), start=1))


@common
@given(programs)
def test_exact_is_brute_force(block):
    assume(few_paths(block, 100))
    posterior = program(block).run(engine=exact())
    expected = measure(block)
    total = math.fsum(expected.values())
    assert math.isclose(math.exp(posterior.log_evidence), total, rel_tol=1e-12, abs_tol=1e-15)
    for value, mass in expected.items():
        assert math.isclose(posterior.p(value) * total, mass, rel_tol=1e-11), value


@common
@given(programs, st.sampled_from(ENGINES))
def test_engines_are_unbiased(block, engine):
    assume(few_paths(block, 6))
    check_unbiased(engine, program(block), exact=measure(block))


@common
@given(programs, st.sampled_from([*ENGINES, smc(6), smc(5, "multinomial", 1.0)]), st.integers(0, 99))
def test_replay_and_trace_laws(block, engine, seed):
    check_replay_invariance(engine, program(block), seed=seed)
    check_trace_laws(program(block), seeds=(seed,))
