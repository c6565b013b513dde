"""Many problems, shared batches, hard limits: what the scheduler and the ledger promise."""

from __future__ import annotations

import math
import random

import pytest

from inference import best_of, exact, importance, mcmc, smc
from ppl import call, limit, model, observe, sample, score
from ppl.dist import bernoulli, iid, normal
from ppl.errors import OptionError, ResultError, UsageError
from ppl.requests import Evaluate, Plan, perform
from ppl.testing import (
    check_distribution,
    check_replay_invariance,
    check_seed_determinism,
    check_trace_laws,
    check_unbiased,
    fingerprint,
)
from tests.laws.spelling import LAW, Speller, Word, words


@pytest.fixture
def speller():
    return Speller()


def prefer_b(speller, masked=""):
    @model
    def program(times: int = 2):
        text = ""
        for _ in range(times):
            word = sample("word", Word(speller, 2, masked))
            text += word + "."
            score(-0.5 * word.count("a"))
        return text

    return program


# -- a model behind the scheduler --------------------------------------------------------------------------------------


def test_a_deferred_distribution_obeys_the_laws(speller):
    check_distribution(Word(speller, 3))
    check_distribution(Word(speller, 2, "$"))
    check_distribution(iid(Word(speller, 1), 2))


@pytest.mark.parametrize("masked", ["", "$", "a"])
def test_masked_draws_carry_their_weight(speller, masked):
    """sample under a mask weighs log p - log q and makes a barrier; E of the weights is the unmasked measure."""
    expected = {}
    for word, p in words(2).items():
        # what a mask rules out is never drawn: of a word of two symbols the end is not drawn, of a shorter one it is
        drawn = word if len(word) == 2 else word + "$"
        if not set(drawn) & set(masked):
            expected[word + "."] = p * math.exp(-0.5 * word.count("a"))
    for engine in (importance(1), importance(2), smc(2, ess_threshold=1.0), smc(1)):
        check_unbiased(engine, prefer_b(speller, masked), (1,), exact=expected)
    check_unbiased(smc(1, ess_threshold=1.0), prefer_b(speller, masked), (2,))
    if not masked:
        check_trace_laws(prefer_b(speller), (2,))


def test_rows_of_all_particles_and_problems_share_batches(speller):
    results = prefer_b(speller).map([3] * 4, engine=importance(5), seed=0)
    assert max(speller.batches) == 20
    assert len(speller.batches) <= 3 * 2
    assert sum(speller.batches) == sum(r.cost.generated_tokens for r in results)


def test_batches_and_windows_change_nothing(speller):
    for engine in (importance(3), smc(4, "multinomial", 1.0)):
        check_seed_determinism(engine, prefer_b(speller), [1, 2, 3, 1])
        check_replay_invariance(engine, prefer_b(speller), (3,))


class Mixture:
    """A user's own distribution made of a model's: it asks the model in the middle of sampling and of scoring."""

    def __init__(self, speller):
        self.words = [Word(speller, 1), Word(speller, 2)]

    def sample(self, rng):
        word = self.words[rng.random() < 0.25].sample(rng)
        return word + ("!" if rng.random() < 0.5 else "?")

    def log_prob(self, value):
        mass = 0.75 * math.exp(self.words[0].log_prob(value[:-1])) + 0.25 * math.exp(self.words[1].log_prob(value[:-1]))
        return math.log(0.5 * mass) if mass and value[-1:] in ("!", "?") else -math.inf


def test_a_users_distribution_may_ask_models(speller):
    """On replay what it asked is not expected again, and its stream is its own while others draw in between."""
    mixture = Mixture(speller)

    @model
    def program(n=1):
        for _ in range(n):
            x = sample("x", mixture)
            score(-0.3 * x.count("a"))
        observe("seen", mixture, "a!")
        y = sample("y", mixture, proposal=mixture)
        return x, y

    single = {w + end: 0.5 * (0.75 * words(1).get(w, 0.0) + 0.25 * p) for w, p in words(2).items() for end in "!?"}
    exactly = {
        (x, y): p * q * single["a!"] * math.exp(-0.3 * x.count("a"))
        for x, p in single.items()
        for y, q in single.items()
    }
    for engine in (importance(1), smc(1, ess_threshold=1.0)):
        check_unbiased(engine, program, exact=exactly)
    for engine in (importance(4), smc(6, ess_threshold=1.0), mcmc(samples=10)):
        check_replay_invariance(engine, program, (3,))
        check_seed_determinism(engine, program, [1, 3, 2])
    check_trace_laws(program, (2,))


class Moody(Speller):
    """Answers a few of the waiting rows each step, the last first: what a slow or crowded server might do."""

    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)

    def step(self, rows):
        super().step([row for row in reversed(rows) if self.rng.random() < 0.4] or rows[:1])


@pytest.mark.parametrize("engine", [importance(4), smc(4), smc(5, "multinomial", 1.0), best_of(3)], ids=repr)
def test_the_order_of_answers_changes_nothing(engine):
    def results(speller):
        return [fingerprint(r, cost=False) for r in prefer_b(speller).map([3, 1, 2], engine=engine, seed=4)]

    expected = results(Speller())
    for seed in range(5):
        assert results(Moody(seed)) == expected


def test_equal_deterministic_requests_are_served_once_and_draws_never(speller):
    @model
    def program():
        observe("known", Word(speller, 2), "ab")
        perform(Plan("judge", [Evaluate(backend=speller, arguments=("aab",), key="aab")], lambda r: r[0]))
        return sample("word", Word(speller, 2))

    result = program.run(engine=importance(6), seed=0)
    assert result.cost.model_calls == 1 + 6  # one scoring for all, six draws
    assert result.cost.scored_tokens == 3 and result.cost.reward_calls == 1
    assert result.log_evidence == pytest.approx(math.log(LAW["a"] * LAW["b"]))


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", [importance(4), smc(4, ess_threshold=1.0), best_of(4)], ids=repr)
@pytest.mark.parametrize("bound", [0, 1, 7, 12])
def test_no_limit_is_overshot(speller, engine, bound):
    columns = {"tokens": "generated_tokens", "calls": "model_calls", "nodes": "nodes"}
    for name, column in columns.items():
        needed = getattr(prefer_b(speller).run(4, engine=engine, seed=1).cost, column)
        result = prefer_b(speller).run(4, engine=engine, seed=1, limit=limit(**{name: bound}))
        assert getattr(result.cost, column) == min(bound, needed), name  # all of it is used
        if bound >= needed:
            assert result.stopped is None
            continue
        assert result.stopped == name
        assert result.warnings
        assert len(result.traces) >= len(result.values)
        if engine != best_of(4):
            with pytest.raises(ResultError, match=f"no log_evidence: the run was stopped by its limit on {name}"):
                _ = result.log_evidence


def test_a_limit_that_suffices_changes_nothing(speller):
    free = prefer_b(speller).run(2, engine=smc(3), seed=1)
    bound = limit(tokens=free.cost.generated_tokens, calls=free.cost.model_calls, nodes=free.cost.nodes, seconds=1e6)
    bounded = prefer_b(speller).run(2, engine=smc(3), seed=1, limit=bound)
    assert bounded.stopped is None
    assert fingerprint(bounded) == fingerprint(free)


def test_no_time_at_all(speller):
    result = prefer_b(speller).run(2, engine=smc(3), limit=limit(seconds=0))
    assert result.stopped == "seconds" and result.cost.nodes == 0


def test_time_ends_a_program_that_asks_no_model():
    """Between two barriers too, and inside a query."""

    @model
    def endless():
        while True:
            sample("x", bernoulli(0.5))

    around = model(lambda: importance(1)(endless)().values)
    for program, engine in ((endless, importance(2)), (endless, smc(2)), (around, importance(1))):
        result = program.run(engine=engine, seed=0, limit=limit(seconds=0.05))
        assert result.stopped == "seconds" and result.values == [] and result.cost.seconds < 2


def test_each_problem_has_its_own_limit(speller):
    results = prefer_b(speller).map([1, 6, 1], engine=importance(2), seed=0, limit=limit(nodes=2, tokens=9))
    assert [r.stopped for r in results] == [None, "tokens", None]
    assert results[1].cost.generated_tokens == 9


def test_a_nested_query_is_paid_by_the_run_around_it(speller):
    inner = importance(3)(prefer_b(speller))

    @model
    def outer(times):
        total = 0.0
        for _ in range(times):
            total += inner(1).log_evidence
            score(total)
            sample("x", bernoulli(0.5))
        return total

    free = outer.run(2, engine=importance(2), seed=0)
    assert free.cost.model_calls == 2 * 2 * 3
    stopped = outer.run(2, engine=importance(2), seed=0, limit=limit(calls=7))
    assert stopped.stopped == "calls" and stopped.cost.model_calls == 7

    @model
    def frugal():
        posterior = inner(4, limit=limit(tokens=5))
        return posterior.stopped, posterior.cost.generated_tokens

    assert frugal.run(engine=importance(2), seed=0).values == [("tokens", 5)] * 2


def test_a_stopped_run_keeps_what_it_has(speller):
    result = smc(4, ess_threshold=1.0)(prefer_b(speller))(5, seed=3, limit=limit(nodes=10))
    assert result.values == [] and {t.status for t in result.traces} == {"running"}
    assert all(t.choices for t in result.traces)
    with pytest.raises(ResultError, match="no trace finished before the limit on nodes"):
        _ = result.best


# -- many problems -----------------------------------------------------------------------------------------------------


@model
def coin(p: float):
    return sample("x", bernoulli(p)), sample("y", normal(0.0, 1.0))


def test_map_is_run_on_each():
    together = coin.map([0.1, 0.5, 0.9], engine=importance(3), seed=5)
    for i, p in enumerate([0.1, 0.5, 0.9]):
        assert fingerprint(together[i]) == fingerprint(coin.run(p, engine=importance(3), seed=(5, i)))
    assert [r.seed for r in together] == [(5, 0), (5, 1), (5, 2)]
    assert coin.map([], engine=importance(1)) == []
    assert coin.map([0.5], seed=(1, 2))[0] == coin(0.5, seed=(1, 2, 0))
    named = coin.run_many([{"p": 0.1}, {"p": 0.5}], engine=importance(3), seed=5)
    assert fingerprint(named[1]) == fingerprint(together[1])


def test_one_failing_problem_fails_the_map():
    @model
    def fragile(k):
        call(abs, k)
        return 1 / k

    with pytest.raises(ZeroDivisionError):
        fragile.map([1, 0, 2], engine=importance(2))
    dropped = fragile.map([1, 0, 2], engine=importance(2), on_error="drop")
    assert [len(r) for r in dropped] == [2, 0, 2]
    assert list(dropped[1].reasons.values()) == [2]


@pytest.mark.parametrize("window", [0, -1, 2.5, "all"])
def test_a_window_is_a_count(window):
    with pytest.raises(OptionError, match="window expects a number of problems >= 1, found"):
        coin.map([0.5], engine=importance(1), window=window)


@pytest.mark.parametrize("bound", [-1, math.nan, "many", True])
def test_a_bound_is_a_number(bound):
    with pytest.raises(OptionError, match=r"limit\(tokens=.*\): expected a number >= 0, as in limit\(tokens=1000\)"):
        limit(tokens=bound)


def test_threads_change_nothing():
    """Runs in several threads are those of one; what Python's cycle collector is told meanwhile is taken back."""
    import gc
    from concurrent.futures import ThreadPoolExecutor

    def job(i: int):
        return fingerprint(smc(8)(coin).map([0.1 * (k % 10) for k in range(30)], seed=i)[i])

    usual = gc.get_threshold()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(job, range(8))) == [job(i) for i in range(8)]
    assert gc.get_threshold() == usual


# -- which engine ------------------------------------------------------------------------------------------------------


def test_the_strongest_word_on_the_engine_wins():
    bound = smc(3)(coin)
    assert bound.run(0.5, seed=0).engine.startswith("smc(particles=3")
    assert bound.run(0.5, seed=0).engine_source == "decorator"
    assert bound(0.5, engine="importance(particles=2)", seed=0).engine == "importance(particles=2)"
    assert bound(0.5, engine=importance(2), seed=0).engine_source == "call"
    assert coin.engine is None and bound.engine == smc(3)
    assert len(bound.run(0.5, engine="importance(5)", seed=0)) == 5
    with pytest.raises(UsageError, match="is a program already"):
        model(bound)


def test_programs_keep_their_functions_name_and_words():
    @exact()
    @model
    def documented(a: int, b: int = 2) -> int:
        """What it is for."""
        return a + b

    assert documented.__name__ == documented.name == "documented"
    assert documented.__doc__ == "What it is for."
    assert documented(1).values == [3]
    assert repr(documented) == "<program documented under exact(max_traces=100000, max_effects=10000)>"
