"""The mcmc engine: what it keeps, how it starts, fails and stops; Geweke's joint-distribution test of its kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inference import Metropolis, block, importance, mcmc, prior, single_site, suffix
from inference.kernels import KERNELS
from ppl import AllDead, call, limit, model, observe, require, sample, score
from ppl.dist import Deferred, Distribution, bernoulli, normal
from ppl.errors import CapabilityError, OptionError, ResultError
from ppl.operations import regenerate, simulate, update
from ppl.requests import Backend, Draw, Drawn, Plan, ScoreText
from ppl.testing import check_replay_invariance, check_seed_determinism
from tests.inference.chain_cases import CASES

# -- what a chain keeps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_long_chains_converge(kernel):
    """5 standard errors by batch means over 40 batches: a right chain fails for about 1 seed in 10^5."""
    program, _ = CASES["c13"]
    values = program.run(engine=mcmc(4000, burn_in=50, kernel=kernel), seed=11).values
    hits = np.array([v[0] for v in values], dtype=float)
    batches = hits.reshape(40, -1).mean(axis=1)
    assert abs(hits.mean() - 146 / 321) < 5 * batches.std(ddof=1) / math.sqrt(40)


def test_equal_weights_and_no_evidence():
    posterior = CASES["c13"][0].run(engine=mcmc(30, burn_in=10, thin=3, chains=2), seed=0)
    assert len(posterior.values) == 60
    assert np.allclose(posterior.weights, 1 / 60)
    assert posterior.ess == pytest.approx(60)
    with pytest.raises(ResultError, match="Markov chain does not estimate it"):
        _ = posterior.log_evidence
    assert posterior.cost.nodes <= 2 * (10 + 30 * 3) + 10


def test_burn_in_and_thin_pick_states_of_one_and_the_same_chain():
    program = CASES["rounds"][0]
    every = program.run(engine=mcmc(40), seed=3).values
    some = program.run(engine=mcmc(10, burn_in=10, thin=3), seed=3).values
    assert some == every[12::3]


def test_chains_are_the_same_whatever_their_number():
    program = CASES["rounds"][0]
    four = program.run(engine=mcmc(25, chains=4), seed=8).values
    assert program.run(engine=mcmc(25, chains=1), seed=8).values == four[:25]
    assert program.run(engine=mcmc(25, chains=2), seed=8).values == four[:50]
    assert four[:25] != four[25:50]


@model
def inner(p):
    x = sample("x", bernoulli(p))
    score(0.5 if x else -0.5)
    return x


def test_nested_queries_of_chains_draw_from_the_chain():
    """A chain redraws its nested queries, by its own stream: neither frozen, nor dependent on the chains beside it."""

    @model
    def outer():
        p = 0.25 + 0.5 * sample("p", bernoulli(0.5))
        query = importance(particles=2)(inner)(p)
        score(query.log_evidence)
        return query.log_evidence

    three = outer.run(engine=mcmc(60, chains=3, kernel="prior"), seed=1).values
    assert outer.run(engine=mcmc(60, kernel="prior"), seed=1).values == three[:60]
    assert len(set(three[:60])) > 2
    again = simulate(outer, rng=0)
    rng = np.random.default_rng(0)
    assert len({regenerate(again, lambda site: True, rng)[0].value for _ in range(40)}) > 2


@pytest.mark.parametrize("kernel", [*KERNELS, block("stop", "a")])
def test_continuations_kept_or_not_change_nothing(kernel):
    for name in ("rounds", "guided"):
        check_replay_invariance(mcmc(12, chains=2, kernel=kernel), CASES[name][0], seed=3)


def test_seeds_do_not_depend_on_what_runs_beside():
    @model
    def shifted(mean):
        x = sample("x", normal(mean, 1.0))
        score(-abs(x))
        return x

    check_seed_determinism(mcmc(10, chains=2), shifted, [0.0, 1.0, 5.0], seed=4)


def test_a_chain_that_never_moves_is_told():
    posterior = CASES["c13"][0].run(engine=mcmc(20, kernel=block("typo")), seed=0)
    assert posterior.warnings == ["chain 0 never moved: block('typo') changed or accepted nothing in 20 steps"]


def test_what_comes_before_the_change_is_not_run_again():
    ran = []

    @model
    def program():
        for i in range(4):
            x = sample("x", bernoulli(0.5))
            score(call(lambda v, i=i: ran.append(i) or 0.1 * v, x))
        return x

    program.run(engine=mcmc(50, kernel=block("x[2]")), seed=0)
    assert ran.count(0) == ran.count(1) == 1
    assert ran.count(2) == ran.count(3) == 51


# -- starting ----------------------------------------------------------------------------------------------------------


def test_a_chain_starts_where_there_is_weight():
    @model
    def rare(p):
        require(sample("x", bernoulli(p)), "x is false")
        return sample("y", bernoulli(0.5))

    assert len(rare.run(0.1, engine=mcmc(5, chains=3), seed=0)) == 15
    with pytest.raises(AllDead) as caught:
        rare.run(0.0, engine=mcmc(5), seed=0)
    message = str(caught.value)
    assert "mcmc(samples=5" in message and "on rare: 100 runs from the prior all have weight zero" in message
    assert "100 x require: x is false (test_mcmc.py:" in message


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_limit_ends_every_chain_with_what_it_has():
    program = CASES["rounds"][0]
    posterior = program.run(engine=mcmc(1000, chains=2), seed=8, limit=limit(nodes=80))
    assert posterior.stopped == "nodes" and posterior.cost.nodes == 80
    assert len(posterior) == 78  # two of the 80 runs are where the chains start
    whole = program.run(engine=mcmc(60, chains=2), seed=8).values
    assert posterior.values == whole[:39] + whole[60:99]
    none = program.run(engine=mcmc(10, burn_in=1000), seed=8, limit=limit(nodes=80))
    assert len(none) == 0
    assert any("before the chain's first state was kept" in w for w in none.warnings)


# -- sites that cannot be scored again ---------------------------------------------------------------------------------


class Shouting(Backend):
    """A model that draws one of two words, the likelier one after a longer context; it scores if it may."""

    name = "shouting"

    def __init__(self, scores=True):
        self.capabilities = frozenset({"draw", "score"} if scores else {"draw"})
        self.served_draws = self.served_scores = self.steps = 0
        self.largest = 0

    def step(self, rows):
        self.steps += 1
        self.largest = max(self.largest, len(rows))
        for row in rows:
            p = (1 + len(row.context)) / (3 + len(row.context))
            if isinstance(row, Draw):
                self.served_draws += 1
                word = "HEY" if row.uniforms < p else "hey"
                row.complete(Drawn(word, math.log(p if word == "HEY" else 1 - p), 0.0))
            else:
                self.served_scores += 1
                row.complete(math.log(p if row.value == "HEY" else 1 - p))


class Word(Deferred):
    def __init__(self, model, context):
        self.model, self.context = model, context

    @property
    def rescorable(self):
        return "score" in self.model.capabilities

    def draw(self, rng):
        request = Draw(backend=self.model, context=self.context, settings=None, max_tokens=1, uniforms=rng.random())
        return Plan("word", [request], lambda results: results[0])

    def assess(self, value):
        key = ("score", self.context, value)
        request = ScoreText(backend=self.model, key=key, context=self.context, settings=None, value=value)
        return Plan("score word", [request], lambda results: results[0])

    def __eq__(self, other):
        return type(other) is Word and (self.model, self.context) == (other.model, other.context)

    __hash__ = None


def talk(backend, hashes=True):
    @model
    def program():
        said = ""
        for _ in range(3):
            said += sample("word", Word(backend, said if hashes else ""))
        score(0.5 * said.count("HEY"))
        return said

    return program


def test_a_model_that_only_draws_is_refused_before_its_first_call():
    backend = Shouting(scores=False)
    for kernel in ("single_site", block("word")):
        with pytest.raises(
            CapabilityError, match=r"site 'word' cannot be scored again: .*its model only draws.*suffix"
        ):
            talk(backend).run(engine=mcmc(10, kernel=kernel), seed=0)
    assert backend.served_draws == backend.steps == 0
    for kernel in ("suffix", "prior"):
        assert len(talk(backend).run(engine=mcmc(10, kernel=kernel), seed=0)) == 10


class DrawsOnly(Distribution):
    def sample(self, rng):
        return rng.random()

    def log_prob(self, value):
        raise NotImplementedError("no density")


class Own:
    """A user's distribution, not one of ours."""

    def sample(self, rng):
        return rng.random()

    def log_prob(self, value):
        raise ArithmeticError("no closed form")


@pytest.mark.parametrize("dist", [DrawsOnly(), Own()])
def test_a_density_that_raises_is_named_after_the_first_trace(dist):
    @model
    def program():
        sample("coin", bernoulli(0.5))
        return sample("z", dist)

    with pytest.raises(CapabilityError, match=r"site 'z' cannot be scored again: .*(no density|no closed form)"):
        program.run(engine=mcmc(10), seed=0)
    assert len(program.run(engine=mcmc(10, kernel="suffix"), seed=0)) == 10


def test_such_a_site_on_a_branch_taken_later_is_named_too():
    @model
    def program():
        x = sample("x", bernoulli(0.5))
        return sample("z", DrawsOnly()) if x else 0.0

    with pytest.raises(CapabilityError, match="'z'"):
        program.run(engine=mcmc(200), seed=0)


# -- model calls -------------------------------------------------------------------------------------------------------


def test_calls_of_all_chains_share_batches():
    backend = Shouting()
    talk(backend).run(engine=mcmc(20, chains=8, kernel="suffix"), seed=0)
    assert backend.largest >= 7
    assert backend.steps < backend.served_draws / 4


def test_values_kept_under_an_equal_distribution_are_not_scored():
    backend = Shouting()
    talk(backend, hashes=False).run(engine=mcmc(100), seed=0)
    assert backend.served_scores == 0 and backend.served_draws <= 3 + 100
    backend = Shouting()
    posterior = talk(backend).run(engine=mcmc(2000), seed=0)
    assert 0 < backend.served_scores < 50  # equal questions are asked once
    measure = talk_exactly()
    for said, p in measure.items():
        assert posterior.p(said) == pytest.approx(p, abs=0.07)


def talk_exactly():
    masses = {}
    for code in range(8):
        said, mass = "", 1.0
        for k in range(3):
            p = (1 + len(said)) / (3 + len(said))
            word = "HEY" if code >> k & 1 else "hey"
            mass *= p if word == "HEY" else 1 - p
            said += word
        masses[said] = mass * math.exp(0.5 * said.count("HEY"))
    return {said: mass / sum(masses.values()) for said, mass in masses.items()}


# -- a user's kernels and options --------------------------------------------------------------------------------------


def test_a_users_kernel_is_checked():
    program = CASES["ruled_out"][0]

    def twice(trace, rng):
        return suffix(single_site(trace, rng), rng)

    assert len(program.run(engine=mcmc(10, kernel=twice), seed=0)) == 10
    with pytest.raises(OptionError, match="expected a trace back, found None"):
        program.run(engine=mcmc(10, kernel=lambda trace, rng: None), seed=0)
    with pytest.raises(OptionError, match=r"returned a trace that is dead .*Return the old trace"):
        program.run(engine=mcmc(200, kernel=lambda trace, rng: regenerate(trace, lambda s: True, rng)[0]), seed=0)


def test_bad_options():
    for options, message in (
        ({}, "mcmc needs samples"),
        ({"samples": 0}, "at least 1"),
        ({"samples": 5, "thin": 0}, "at least 1"),
        ({"samples": 5, "kernel": "single-site"}, "expected one of 'single_site', 'suffix', 'prior'"),
        ({"samples": 5, "burnin": 3}, "Did you mean 'burn_in'"),
    ):
        with pytest.raises(OptionError, match=message):
            mcmc(**options)
    assert CASES["c13"][0].run(engine="mcmc(samples=4, kernel='suffix')", seed=0).engine.startswith("mcmc(samples=4")


# -- Geweke 2004: alternate "data given parameters" and "kernel on parameters given data" ------------------------------


@model
def normal_mean(y):
    """C5: mu ~ N(0, 2), five observations of standard deviation 1."""
    mu = sample("mu", normal(0.0, 2.0))
    for value in y:
        observe("y", normal(mu, 1.0), value)
    return mu


@model
def one_or_nine(y):
    """A mean made of one effect or of nine: sites of changing number and of changing parameters."""
    many = sample("many", bernoulli(0.3))
    mean = sample("effect", normal(0.5, 1.0) if many else normal(-1.0, 2.0))
    if many:
        mean += sum(sample("effect", normal(0.0, 0.25)) for _ in range(8))
    for value in y:
        observe("y", normal(mean, 1.0), value)
    return mean


def geweke(program, kernel, runs, steps, n, seed=0):
    """The traces at the end of short chains that alternate fresh data and the kernel, each begun from the joint itself.

    If the kernel leaves the posterior invariant, every one is an exact draw from the prior.
    """
    rng = np.random.default_rng(seed)
    last = []
    for _ in range(runs):
        trace = simulate(program, (), rng=rng)
        for _ in range(steps):
            y = tuple(float(v) for v in rng.normal(trace.value, 1.0, n))
            trace = update(trace, {}, rng, args=(y,))[0]
            trace = kernel(trace, rng)
        last.append(trace)
    return last


def z(values, expected):
    """How many standard errors the mean lies off; beyond 4.5 with probability 7e-6 where it is right."""
    x = np.array(values, dtype=float)
    return abs(x.mean() - expected) / (x.std(ddof=1) / math.sqrt(len(x)))


def z_of_one_or_nine(kernel, runs, steps):
    last = geweke(one_or_nine, kernel, runs, steps, n=2)
    second = 0.3 * (0.25 + 1.0 + 8 * 0.0625) + 0.7 * (1.0 + 4.0)
    return max(
        z([t["many"] for t in last], 0.3),
        z([t.value for t in last], 0.3 * 0.5 - 0.7),
        z([t.value**2 for t in last], second),
    )


@pytest.mark.parametrize("kernel", [single_site, suffix, prior])
def test_geweke(kernel):
    values = [t.value for t in geweke(normal_mean, kernel, runs=150, steps=3, n=5)]
    assert z(values, 0.0) < 4.5 and z([v * v for v in values], 4.0) < 4.5
    assert z_of_one_or_nine(kernel, runs=200, steps=3) < 4.5


def test_geweke_finds_a_missing_dimension_factor():
    def propose(trace, rng):
        new, log_ratio = single_site.propose(trace, rng)
        return new, log_ratio + math.log(len(new.choices) / len(trace.choices))

    assert z_of_one_or_nine(Metropolis(propose), runs=300, steps=8) > 4.5


def test_c5_has_its_known_posterior():
    """mean 1.2, sd .436; 5 standard errors by batch means."""
    values = np.array(normal_mean.run((1.2, 0.4, 2.1, 1.7, 0.9), engine=mcmc(4000, burn_in=100), seed=2).values)
    for x, expected in ((values, 1.2), (values**2, 1.2**2 + 0.190476190476)):
        batches = x.reshape(40, -1).mean(axis=1)
        assert abs(x.mean() - expected) < 5 * batches.std(ddof=1) / math.sqrt(40)
