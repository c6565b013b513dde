"""Every family of `ppl.dist`, torch and Pyro distributions, and users' own: sample, log_prob and support agree.

Finite ones are enumerated exactly; of the others each fails by chance for at most 4 seeds in a million.
"""

from __future__ import annotations

import math

import numpy as np
import pyro.distributions as pd
import pytest
import torch
import torch.distributions as td

from ppl.dist import (
    as_distribution,
    bernoulli,
    beta,
    categorical,
    delta,
    gamma,
    geometric,
    iid,
    normal,
    poisson,
    uniform,
    uniform_real,
)
from ppl.testing import check_distribution
from tests.naming import named


class Loaded:
    """A user's own distribution: anything with sample and log_prob, and support when finite."""

    def __repr__(self):
        return "Loaded()"

    def sample(self, rng):
        return "heads" if rng.random() < 0.3 else "tails"

    def log_prob(self, value):
        return {"heads": math.log(0.3), "tails": math.log(0.7)}.get(value, -math.inf)

    def support(self):
        return ["heads", "tails"]


class Triangle:
    """A user's own density, 2x on [0, 1]."""

    def sample(self, rng):
        return max(float(rng.random()), float(rng.random()))

    def log_prob(self, x):
        return math.log(2 * x) if 0 < x <= 1 else -math.inf


FINITE = [
    categorical({"a": 0.2, "b": 0.5, "c": 0.3}),
    categorical({"a": 2, "never": 0, 3: 5}),
    categorical({None: 1, (1, 2): 1e-9, "": 3}),
    categorical(dict.fromkeys(range(3), 1 / 3)),
    bernoulli(0.0),
    bernoulli(0.3),
    bernoulli(1.0),
    uniform(range(7)),
    uniform("abca"),
    uniform([[1], [2], [1]]),
    delta("x"),
    delta([1, 2]),
    iid(bernoulli(0.25), 3),
    iid(uniform("ab"), 0),
    Loaded(),
    td.Bernoulli(0.3),
    td.Bernoulli(logits=torch.tensor(1.5)),
    td.Categorical(torch.tensor([0.2, 0.3, 0.5])),
    td.Categorical(torch.tensor([0.5, 0.0, 0.5])),
    pd.Bernoulli(0.75),
    pd.Categorical(logits=torch.tensor([0.0, 1.0])),
    td.Binomial(3, torch.tensor(0.4)),
    td.OneHotCategorical(torch.tensor([0.2, 0.8])),
    uniform([torch.tensor(0.0), torch.tensor(1.0)]),
    categorical({(1, torch.tensor(2)): 1, "b": 3}),
]
INFINITE = [
    normal(1.0, 2.0),
    uniform_real(-1, 3),
    beta(2, 5),
    gamma(3.0, 2.0),
    gamma(0.7),
    poisson(4.5),
    geometric(0.3),
    Triangle(),
    td.Normal(torch.tensor(1.0), torch.tensor(0.5)),
    td.Uniform(0.0, 2.0),
    td.Poisson(torch.tensor(3.0)),
    td.Gamma(torch.tensor(2.0), torch.tensor(1.0)),
    pd.LogNormal(0.0, 0.5),
    pd.Beta(2.0, 2.0),
]


@pytest.mark.parametrize("dist", FINITE, ids=named)
def test_finite(dist):
    check_distribution(dist, tolerance=1e-6 if isinstance(dist, td.Distribution) else 1e-12)


@pytest.mark.parametrize("dist", INFINITE, ids=named)
def test_infinite(dist):
    check_distribution(dist, draws=2000)


@pytest.mark.parametrize("one", [1, True, 1.0, np.int64(1), np.array(1), torch.tensor(1.0), torch.tensor(True)])
def test_a_finite_value_is_known_in_any_type(one):
    for dist in (bernoulli(0.25), categorical({0: 3, 1: 1}), uniform([torch.tensor(0), torch.tensor(1)] * 2)):
        assert dist.log_prob(one) == pytest.approx(math.log(0.25 if "uniform" not in repr(dist) else 0.5))
        assert not dist.outside(one) and dist.outside("one")
    assert td_categorical_outside(3) and not td_categorical_outside(2)


def td_categorical_outside(value) -> bool:
    return as_distribution(td.Categorical(torch.tensor([0.2, 0.3, 0.5]))).outside(value)


def test_few_independent_draws_are_finite_together():
    pair = iid(bernoulli(0.25), 2)
    assert pair.finite and pair.support() == [[False, False], [False, True], [True, False], [True, True]]
    assert iid(bernoulli(0.25), 12).finite and not iid(bernoulli(0.25), 13).finite
    assert not iid(normal(0, 1), 2).finite and iid(normal(0, 1), 2).log_prob([0.0]) == -math.inf


def test_geometric_with_certainty():
    assert geometric(1.0).sample(np.random.default_rng(0)) == 1
    assert geometric(1.0).log_prob(1) == 0.0


def test_the_law_rejects_wrong_distributions():
    class Wrong(Loaded):
        def log_prob(self, value):
            return math.log(0.5)

    class Narrow(Loaded):
        def support(self):
            return ["heads"]

    class Shifted(Triangle):
        def log_prob(self, x):
            return math.log(2 * (1 - x)) if 0 <= x < 1 else -math.inf

    for dist in (Wrong(), Narrow(), Shifted()):
        with pytest.raises(AssertionError):
            check_distribution(dist, draws=4000)


def test_torch_draws_leave_the_process_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    rng = np.random.default_rng(0)
    for dist in (td.Gamma(2.0, 1.0), td.Normal(0.0, 1.0), td.Categorical(torch.ones(3))):
        check = [float(iid(dist, 2).sample(np.random.default_rng(1))[0]) for _ in range(2)]
        assert check[0] == check[1]
        iid(dist, 2).sample(rng)
    assert torch.equal(torch.rand(1), expected)
