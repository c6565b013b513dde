"""Laws of programs, engines, distributions and kernels, as checks for your own. Knows no engine and no backend.

from ppl.testing import check_unbiased
check_unbiased(my_engine(particles=2), my_program)     # E[evidence] = Z, over every path of the engine's own draws
"""

from ppl.testing.distributions import check_distribution
from ppl.testing.enumeration import EnumeratingStreams, NotEnumerable, enumerate_outcomes
from ppl.testing.laws import (
    CLT,
    check_clt,
    check_replay_invariance,
    check_seed_determinism,
    check_unbiased,
    expected_measure,
    fingerprint,
    measure_of,
)
from ppl.testing.traces import check_invariant, check_trace_laws, transition_matrix

__all__ = [
    "CLT", "EnumeratingStreams", "NotEnumerable", "check_clt", "check_distribution", "check_invariant",
    "check_replay_invariance", "check_seed_determinism", "check_trace_laws", "check_unbiased", "enumerate_outcomes",
    "expected_measure", "fingerprint", "measure_of", "transition_matrix",
]  # fmt: skip
