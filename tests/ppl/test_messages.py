"""Every mistake meets one clear message at the user's own line: what was found, what was expected, what to write."""

import math
import sys
import traceback
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from inference import beam, exact, importance, mcmc, smc
from ppl import (
    AllDead,
    Reward,
    call,
    checkpoint,
    heuristic,
    limit,
    model,
    observe,
    operations,
    record,
    require,
    sample,
    score,
    unfold,
)
from ppl.dist import bernoulli, categorical, iid, normal, poisson
from ppl.errors import (
    CapabilityError,
    ConstraintError,
    OptionError,
    PPLError,
    ReplayError,
    ResultError,
    SeedError,
    UsageError,
    WeightError,
)


def run(body, engine=None, **options):
    @model
    def program():
        return body()

    return program.run(engine=engine or importance(particles=2), seed=0, **options)


def weighted(value, name="w"):
    return lambda: score(value, name)


CASES = [
    (weighted(math.nan), WeightError, "score('w'): the log weight is NaN. Weights must be finite, or -inf for weight zero."),
    (weighted(math.inf), WeightError, "score('w'): the log weight is +inf. Weights must be finite, or -inf for weight zero."),
    (weighted(np.zeros(3)), WeightError, "score('w'): expected one number, found an array of shape (3,). Sum it or pick one."),
    (weighted("0.5"), WeightError, "score('w'): expected a log weight (a number), found str: '0.5'."),
    (weighted(True), WeightError, "score('w'): expected a log weight (a number), found bool: True."),
    (
        weighted(Reward(0.5)),
        WeightError,
        "score('w'): a Reward is not a log weight. Write reward.log() to weight by p, reward.logit() to weight by the odds"
        " p / (1 - p), or float(reward) to weight by exp(p): three different posteriors.",
    ),
    (
        lambda: heuristic(-math.inf),
        WeightError,
        "heuristic: the estimate is -inf, which would cut off traces that may have weight. Use require(...) to"
        " rule them out, or reward.log(floor=1e-6) for a finite estimate.",
    ),
    (
        lambda: observe("y", categorical({"a": 1.0, "b": 3.0}), "c"),
        PPLError,
        "observe('y'): 'c' is outside the support of categorical({'a': 0.25, 'b': 0.75}). Observe one of its values, or list it"
        " with probability 0 if it is possible but ruled out.",
    ),
    (
        lambda: sample("x", 0.5),
        UsageError,
        "sample('x', ...): expected a distribution (an object with sample(rng) and log_prob(value)), found float: 0.5. Write"
        " delta(value) for a certain value.",
    ),
    (
        lambda: observe("ys", iid(bernoulli(0.5), 3), [True, False]),
        PPLError,
        "observe('ys'): [True, False] is outside the support of iid(bernoulli({False: 0.5, True: 0.5}), 3). Observe one of its"
        " values.",
    ),
    (
        lambda: observe("y", normal(0, 1), math.nan),
        WeightError,
        "observe('y'): the log weight is NaN. Weights must be finite, or -inf for weight zero.",
    ),
    (
        lambda: (score(1e308, "big"), score(1e308, "big")),
        WeightError,
        "score('big'): the log weights of this run add up to +inf. Weights must be finite.",
    ),
    (
        lambda: sample("x[1]", bernoulli(0.5)),
        UsageError,
        "sample('x[1]', ...): the next use of 'x' is 'x'. Uses of a name number themselves: write 'x', or a name that does not"
        " end in a number in brackets.",
    ),
    (lambda: call(1, 2), UsageError, "call: expected a function first, as in call(check, text); found 1."),
    (
        lambda: limit(token=5),
        OptionError,
        "limit has no bound 'token'. Did you mean 'tokens'? Bounds: tokens, calls, reward_calls, reward_tokens, nodes, seconds.",
    ),
    (lambda: bernoulli(1.5), UsageError, "bernoulli: p must lie in [0, 1], found 1.5"),
    (lambda: normal(0, -1), UsageError, "normal: sd must be positive and finite, found -1"),
    (lambda: categorical({"a": 0.0}), UsageError, "categorical: no value of {'a': 0.0} has a positive weight"),
    (lambda: categorical({"a": -1, "b": 2}), UsageError, "categorical: the weight of 'a' is -1.0; weights must be finite and >= 0"),
]  # fmt: skip


@pytest.mark.parametrize("body, kind, message", CASES, ids=[m[:40] for _, _, m in CASES])
def test_a_mistake_in_a_program_is_named_at_its_line(body, kind, message):
    with pytest.raises(kind) as caught:
        run(body)
    assert str(caught.value) == message
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename == __file__


def test_exact_over_an_infinite_site_is_refused_by_name():
    with pytest.raises(CapabilityError) as caught:
        run(lambda: [sample("k", d) for d in (bernoulli(0.5), poisson(2))], exact())
    assert str(caught.value) == (
        "exact cannot enumerate site 'k[1]': poisson(rate=2) has no finite support. Use importance(particles=...) or"
        " smc(particles=...), or a finite choice such as lm.choice(context, [...])."
    )


def test_an_endless_path_is_refused_by_name():
    def endless():
        while sample("again", bernoulli(0.5)):
            pass

    with pytest.raises(CapabilityError) as caught:
        run(endless, exact(max_effects=50))
    assert str(caught.value) == (
        "exact: a path of program is longer than max_effects=50 effects (at site 'again[51]'). Bound the loop, or raise"
        " max_effects."
    )


def test_every_particle_dead_says_where_and_why_with_counts():
    posterior = run(lambda: require(sample("x", bernoulli(1.0)) == 2, "x is never 2"), importance(particles=7))
    assert posterior.log_evidence == -math.inf and posterior.values == []
    ((reason, count),) = posterior.reasons.items()
    assert count == 7 and reason.startswith("require: x is never 2 (test_messages.py:")
    with pytest.raises(ResultError) as caught:
        _ = posterior.best
    assert str(caught.value) == f"there is no best trace: every execution died: 7 x {reason}"
    for engine in (mcmc(samples=2), beam(width=2, expand=2)):
        with pytest.raises(AllDead, match="x is never 2"):
            run(lambda: require(sample("x", bernoulli(1.0)) == 2, "x is never 2"), engine)


def test_a_program_that_takes_another_path_on_replay_is_named():
    turn = iter(range(1000))

    def fickle():
        sample(f"site{next(turn)}", bernoulli(0.5))
        score(-1.0)
        sample("last", bernoulli(0.5))

    with pytest.raises(ReplayError) as caught:
        run(fickle, smc(particles=1, ess_threshold=1.0), live=0)
    assert str(caught.value) == (
        "the program took another path when it was replayed: expected sample 'site0', came sample 'site1'. Between two"
        " runs only recorded values may differ: draw randomness with sample(...), and read clocks, files and changing"
        " globals through call(fn)."
    )
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "fickle"


def test_weights_that_differ_on_replay_are_named():
    """Unseeded randomness that leaves the path as it is: scores and requirements are compared with the record."""
    rolls = iter([-1.0, 0.0, -2.0] * 100)
    holds = iter([True, False] * 100)

    def body(weigh):
        weigh()
        sample("x", bernoulli(0.5))
        score(-1.0)
        sample("last", bernoulli(0.5))

    for weigh, message in (
        (lambda: score(next(rolls)), "expected score 'score' of -1.0, came one of 0.0. Between two runs only recorded"),
        (lambda: require(next(holds)), "expected a requirement that holds, came require(False). Between two runs"),
    ):
        with pytest.raises(ReplayError) as caught:
            run(lambda weigh=weigh: body(weigh), smc(particles=1, ess_threshold=1.0), live=0)
        assert message in str(caught.value)


def test_pyro_must_be_there_before_its_sites_are(monkeypatch):
    monkeypatch.delitem(sys.modules, "pyro", raising=False)

    def late():
        monkeypatch.setitem(sys.modules, "pyro", ModuleType("pyro"))  # what `import pyro` does

    with pytest.raises(UsageError) as caught:
        model(late).run(engine=importance(2), seed=0)
    assert str(caught.value) == (
        "pyro was imported while late ran, so its first pyro.sample sites went unseen. Import it before the run, at the"
        " top of the file."
    )


def test_a_program_is_a_plain_function():
    async def waits():
        return 1

    def yields():
        yield 1

    for fn in (waits, yields):
        with pytest.raises(UsageError) as caught:
            model(fn)
        assert str(caught.value) == f"@model {fn.__name__}: a program is a plain function, without async and yield."


def test_a_part_of_a_program_takes_no_options_of_a_run():
    part = model(lambda: sample("x", bernoulli(0.5)))
    with pytest.raises(UsageError) as caught:
        run(lambda: part(seed=1))
    assert str(caught.value) == (
        "<lambda> has no engine, so inside a program it is a part of it and takes no seed=. Bind an engine to make it a"
        " query, as in smc(particles=16)(<lambda>)."
    )


def test_the_arguments_of_a_query_are_checked_too():
    query = importance(particles=1)(model(lambda k: k))
    with pytest.raises(UsageError, match=r"<lambda>\(k\): missing a required argument: 'k'"):
        run(lambda: query())


def test_a_mean_of_texts_asks_for_a_function():
    with pytest.raises(ResultError) as caught:
        run(lambda: "text").mean()
    assert str(caught.value) == (
        "mean: a value is no number (could not convert string to float: 'text'). Give f, as in mean(lambda value:"
        " len(value))."
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_resampling_function_gives_weights(bad):
    with pytest.raises(OptionError) as caught:
        run(
            lambda: (score(-1.0), sample("x", bernoulli(0.5))),
            smc(particles=2, resampling=lambda log_weights, n, rng: ([0, 1], [bad, 0.0]), ess_threshold=1.0),
        )
    assert str(caught.value) == (
        f"smc(resampling=f): the log weights that f returns must be finite, or -inf; found [{bad}, 0.0]."
    )


def test_constraints_that_name_no_site_are_met_with_a_suggestion():
    @model
    def program():
        return sample("colour", bernoulli(0.5))

    trace = operations.simulate(program, rng=0)
    for use in (lambda: operations.generate(program, {"color": True}), lambda: operations.update(trace, {"color": True})):
        with pytest.raises(ConstraintError) as caught:
            use()
        assert str(caught.value) == "no site 'color' in this run of program. Did you mean 'colour'? It visited colour."
    with pytest.raises(ConstraintError) as caught:
        operations.assess(program, {"color": True})
    assert str(caught.value) == "assess: site 'colour' has no value. Did you mean 'color'? Given: color."
    with pytest.raises(ConstraintError) as caught:
        operations.regenerate(trace, ["color"], rng=0)
    assert str(caught.value) == (
        "regenerate: no site 'color' in this trace. Did you mean 'colour'? It has colour. To select a site only where there"
        " is one, give a function, as in regenerate(trace, lambda site: site == 'color', rng)."
    )


OPTIONS = (
    " Its options: particles, resampling='systematic', ess_threshold=0.5, rejuvenate=None, annealing=None, horizon=None,"
    " compat=None."
)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: smc(particle=3), "smc has no option 'particle'. Did you mean 'particles'?"),
        (lambda: smc(particles=0), "smc(particles=0): expected at least 1."),
        (lambda: smc(particles=2.5), "smc(particles=2.5): expected int."),
        (lambda: smc(), "smc needs particles, as in smc(particles=16)."),
        (
            lambda: smc(particles=4, resampling="sytematic"),
            "smc(resampling='sytematic'): expected one of 'systematic', 'stratified', 'residual', 'multinomial'.",
        ),
        (lambda: smc(particles=4, ess_threshold=1.5), "smc(ess_threshold=1.5): expected at most 1."),
        (lambda: smc(particles=4, ess_threshold=math.nan), "smc(ess_threshold=nan): expected a number."),
    ],
)
def test_an_engine_option_that_does_not_fit_is_met_with_the_list(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message + OPTIONS


def test_an_engine_below_the_model_or_without_options_is_named():
    def plain():
        return 1

    with pytest.raises(OptionError, match="expects a program: put @model between the engine and the function"):
        smc(particles=2)(plain)
    with pytest.raises(OptionError, match=r"@smc needs its options before the program, as in @smc\(particles=16\)"):
        smc(model(plain))
    with pytest.raises(
        OptionError, match=r"expected an engine, found <class .*smc.*Give its options, as in smc\(particles=16\)"
    ):
        model(plain).run(engine=smc)


@pytest.mark.parametrize("name", ["seed", "limit", "engine", "live", "on_error"])
def test_a_reserved_parameter_name_is_an_error_at_the_model(name):
    scope = {}
    exec(f"def program({name}):\n    return 1", scope)
    with pytest.raises(UsageError) as caught:
        model(scope["program"])
    assert str(caught.value) == (
        f"@model program (<string>:1): the parameter name {name!r} is reserved for the run's option. Rename it, e.g. to"
        f" '{name}_'."
    )


@pytest.mark.parametrize(
    "primitive, use",
    [
        ("sample", lambda: sample("x", bernoulli(0.5))),
        ("observe", lambda: observe("x", bernoulli(0.5), True)),
        ("score", lambda: score(0.0)),
        ("require", lambda: require(True)),
        ("heuristic", lambda: heuristic(0.0)),
        ("record", lambda: record("x", 1)),
        ("call", lambda: call(len, "x")),
        ("checkpoint", lambda: checkpoint()),
        ("unfold", lambda: unfold(lambda n: n, 0)),
    ],
)
def test_a_primitive_outside_any_program_is_named(primitive, use):
    with pytest.raises(UsageError) as caught:
        use()
    assert str(caught.value) == (
        f"{primitive} was called outside any program. Put it in a function decorated with @model and call that function."
    )


def divides():
    return 1 / sample("x", categorical({0: 0.5, 1: 0.5}))


def test_an_exception_of_the_user_ends_at_their_line():
    with pytest.raises(ZeroDivisionError) as caught:
        run(divides, importance(particles=20))
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].filename == __file__ and frames[-1].name == "divides"
    root = Path(__file__).parents[2]
    ours = [f.name for f in frames if Path(f.filename).parent in (root / "ppl", root / "inference")]
    assert ours == ["run", "__call__", "_launch"]  # nothing of scheduler, engine and greenlets


def test_an_exception_may_drop_its_particle_and_is_kept():
    posterior = run(divides, importance(particles=400), on_error="drop")
    assert posterior.log_evidence == pytest.approx(math.log(0.5), abs=0.25)  # 5 standard errors
    ((reason, count),) = posterior.reasons.items()
    assert reason.startswith("ZeroDivisionError: division by zero (test_messages.py:") and count == 400 - len(posterior)


@pytest.mark.parametrize("seed", [1.5, "x", (), (1, "a"), True])
def test_a_seed_is_an_int_or_a_tuple_of_ints(seed):
    @model
    def program():
        return 1

    with pytest.raises(SeedError, match="seed must be an int or a tuple of ints"):
        program.run(engine=exact(), seed=seed)


def test_arguments_that_do_not_fit_are_named_with_the_signature():
    @model
    def program(question: str, n: int = 2):
        return n

    with pytest.raises(
        UsageError, match=r"program\(question: str, n: int = 2\): missing a required argument: 'question'"
    ):
        program.run(engine=exact())
    with pytest.raises(UsageError, match="got an unexpected keyword argument 'm'"):
        program("q", m=3)


def test_a_search_result_says_why_it_has_no_evidence():
    result = run(lambda: sample("x", bernoulli(0.5)), beam(width=2, expand=2))
    with pytest.raises(
        ResultError, match=r"beam\(.*\) is a search: its traces are ranked, not sampled, so it has no log_evidence"
    ):
        _ = result.log_evidence
    assert not hasattr(result, "ess")
