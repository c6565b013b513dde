"""What the primitives do: barriers, unfold, call, record, nesting; executions that do not touch each other."""

from __future__ import annotations

import gc
import math
import weakref
from contextvars import ContextVar

import numpy as np
import pytest

from inference import exact, importance, smc
from ppl import (
    Done,
    call,
    checkpoint,
    heuristic,
    iid,
    model,
    observe,
    record,
    require,
    sample,
    score,
    unfold,
)
from ppl.dist import bernoulli, beta, categorical, delta, gamma, uniform
from ppl.execution import Execution
from ppl.operations import generate, simulate
from ppl.testing import check_replay_invariance, check_trace_laws, enumerate_outcomes, fingerprint

FORKING = smc(6, "multinomial", 1.0)


def barriers(program, *args, rng=0) -> list[str]:
    """The effects of a run, each barrier as a bar."""
    nodes = simulate(program, *args, rng=rng).nodes[1:]
    return ["|" if n.kind == "barrier" else n.name or n.kind for n in nodes if n.kind != "checkpoint"]


# -- where barriers lie ------------------------------------------------------------------------------------------------


def test_a_barrier_lies_before_the_next_choice_once_a_weight_was_met():
    @model
    def program():
        sample("a", bernoulli(0.5))
        sample("b", bernoulli(0.5))
        score(0.0)  # the kind of statement decides, not its value
        observe("o", bernoulli(0.5), True)
        record("r", 1)
        sample("c", bernoulli(0.5))
        require(True)
        sample("d", bernoulli(0.5), proposal=bernoulli(0.5))
        sample("e", bernoulli(0.5))
        heuristic(1.0, name="h")
        sample("f", bernoulli(0.5))
        checkpoint()
        sample("g", bernoulli(0.5))
        score(-1.0, name="last")

    assert barriers(program) == (
        ["a", "b", "score", "o", "r", "|", "c", "require", "|", "d", "|", "e", "h", "|", "f", "|", "g", "last", "|"]
    )


def test_the_last_heuristic_of_a_block_holds():
    @model
    def program():
        heuristic(5.0)
        score(-1.0)
        heuristic(3.0)
        score(-1.0)
        sample("a", bernoulli(0.5))
        score(-1.0)
        sample("b", bernoulli(0.5))
        heuristic(2.0)
        checkpoint()
        score(-0.5)

    marks = [n.value for n in simulate(program, rng=0).nodes if n.kind == "barrier"]
    assert marks == [3.0, None, 2.0, None]


def test_engines_without_heuristics_do_not_compute_them():
    asked = []

    @model
    def program():
        sample("a", bernoulli(0.5))
        heuristic(lambda: asked.append(1) or 0.0)
        sample("b", bernoulli(0.5))

    program.run(engine=importance(3), seed=0)
    assert asked == []
    program.run(engine=smc(3), seed=0)
    assert len(asked) == 3


# -- unfold ------------------------------------------------------------------------------------------------------------


def test_unfold_replays_its_last_step_only():
    """A fork that is rebuilt runs one step again, not the loop; a finished loop is skipped."""
    entered = []

    @model
    def program():
        def step(state):
            entered.append(state)
            if state == 5:
                return Done(state * 10)
            sample("x", bernoulli(0.5))
            score(-0.1)
            sample("y", bernoulli(0.5))
            return state + 1

        ten_times = unfold(step, 0)
        score(-1.0)
        sample("after", bernoulli(0.5))
        return ten_times

    program.run(engine=smc(1, ess_threshold=1.0), seed=0)
    assert entered == [0, 1, 2, 3, 4, 5]
    entered.clear()
    program.run(engine=smc(1, ess_threshold=1.0), seed=0, live=0)
    # the barrier inside each step is replayed from that step's start; the one at "after" enters no step
    assert entered == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]


@model
def nested_loops():
    """unfold in unfold, with records, early and late draws, and state that is a list."""

    def outer(state):
        rows, total = state
        if rows == 2 or total > 3:
            return Done(total)
        record("row", rows)

        def inner(cells):
            if len(cells) == 2:
                return Done(sum(cells))
            cells.append(int(sample("cell", bernoulli(0.5))))
            score(-0.3 * cells[-1])
            return cells

        total += unfold(inner, [])
        heuristic(-0.1 * total)
        return rows + 1, total

    total = unfold(outer, (0, 0))
    last = sample("last", uniform(range(2)))
    score(-float(last))
    return total, last


def test_nested_unfold_through_forks_and_replay():
    expected = {}
    for cells in [(a, b, c, d) for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1)]:
        for last in (0, 1):
            key = sum(cells), last
            expected[key] = expected.get(key, 0.0) + math.exp(-0.3 * sum(cells) - last) / 32
    posterior = nested_loops.run(engine=exact())
    total = math.fsum(expected.values())
    assert {v: posterior.p(v) * total for v in expected} == pytest.approx(expected)
    for seed in range(5):
        check_replay_invariance(FORKING, nested_loops, seed=seed)
    trace = nested_loops.run(engine=FORKING, seed=1).traces[0]
    assert trace.records == {"row": 0, "row[1]": 1}
    assert list(trace.choices) == ["cell", "cell[1]", "cell[2]", "cell[3]", "last"]


def test_unfold_without_a_choice_and_at_once():
    @model
    def program():
        return unfold(lambda n: Done(n) if n == 100 else n + 1, 0), unfold(lambda n: Done("at once"), None)

    assert program.run(engine=importance(2), seed=0).values == [(100, "at once")] * 2


# -- call, record ------------------------------------------------------------------------------------------------------


def test_call_happens_once_per_execution_and_never_on_replay():
    calls = []

    def verify(x):
        calls.append(x)
        return [x]

    @model
    def program():
        a = sample("a", uniform(range(100)))
        found = call(verify, a)
        found.append("mine")  # its own copy
        score(-0.1)
        sample("b", bernoulli(0.5))
        score(-0.1)
        sample("c", bernoulli(0.5))
        return tuple(found)

    values = program.run(engine=smc(4, ess_threshold=1.0), seed=0, live=0).values
    assert len(calls) == 4
    assert all(v[1] == "mine" and len(v) == 2 for v in values)


def test_what_call_raises_is_raised_at_its_line():
    @model
    def program():
        sample("a", bernoulli(0.5))
        try:
            call(lambda: 1 / 0)
        except ZeroDivisionError:
            return "caught"

    assert program.run(engine=importance(3), seed=0).values == ["caught"] * 3


# -- executions are apart ----------------------------------------------------------------------------------------------


def test_arguments_and_drawn_values_are_each_executions_own():
    shared = ["seed"]

    @model
    def program(words):
        words.append("mine")
        letters = sample("letters", delta(["x"]))
        score(-0.1)
        if sample("grow", bernoulli(0.5)):
            letters.append("y")
        score(-0.1)
        sample("end", bernoulli(0.5))
        letters.append("z")
        return words, letters

    for live in (None, 0):
        for words, letters in program.run(shared, engine=FORKING, seed=0, live=live).values:
            assert words == ["seed", "mine"]
            assert letters in (["x", "z"], ["x", "y", "z"])
    assert shared == ["seed"]


def test_iid_is_one_choice():
    @model
    def program():
        return sample("xs", iid(categorical({"a": 0.25, "b": 0.75}), 2))

    outcomes = enumerate_outcomes(lambda s: program.run(engine=importance(1), seed=s).values[0])
    assert {"".join(v): p for p, v in outcomes} == pytest.approx(
        {"aa": 1 / 16, "ab": 3 / 16, "ba": 3 / 16, "bb": 9 / 16}
    )
    trace = program.run(engine=importance(1), seed=0).traces[0]
    assert trace.log_prob == pytest.approx(sum(math.log(0.25 if x == "a" else 0.75) for x in trace["xs"]))


def test_any_python_around_the_primitives():
    """Helpers, lambdas, comprehensions, recursion and generators at any depth."""

    def tree(depth):
        if depth == 0 or not sample("branch", bernoulli(0.5)):
            return 1
        return sum(tree(depth - 1) for _ in range(2))

    @model
    def program():
        words = [sample("w", uniform("ab")) for _ in range(2)]
        key = sorted(words, key=lambda w: (score(-0.1), w)[1])
        return "".join(key), tree(2)

    for seed in range(4):
        check_replay_invariance(FORKING, program, seed=seed)
    assert simulate(program, rng=0).value[1] >= 1


def test_finally_blocks_of_dropped_programs_have_no_effect():
    """A continuation that leaves the cache unwinds; what its cleanup says must not enter the trace."""
    cleaned = []

    @model
    def program():
        try:
            a = sample("a", bernoulli(0.5))
            score(-0.5 * a)
            b = sample("b", bernoulli(0.5))
            score(-0.5 * b)
            sample("c", bernoulli(0.5))
        finally:
            cleaned.append(1)
            score(-1.0, name="at the end")
            record("done", True)
        return a + b

    for seed in range(3):
        check_replay_invariance(FORKING, program, seed=seed)
    for trace in program.run(engine=FORKING, seed=0, live=0).traces:
        assert [n.name for n in trace.nodes if n.kind == "score"] == ["score", "score", "at the end"]
    assert cleaned


def test_context_variables_are_each_executions_own():
    """Greenlets serve several programs one after another; what one sets, the next does not see."""
    mine = ContextVar("mine", default="unset")

    @model
    def program():
        before = mine.get()
        name = sample("name", uniform(range(1000)))
        mine.set(name)
        score(-0.1)
        sample("a", bernoulli(0.5))
        score(-0.5 if mine.get() % 2 else -0.1)
        sample("b", bernoulli(0.5))
        return before, mine.get() == name

    for live in (None, 0):
        values = program.run(engine=FORKING, seed=0, live=live).values
        assert values == [("unset", True)] * 6
    assert program.run(engine=importance(50), seed=0).values == [("unset", True)] * 50
    assert mine.get() == "unset"


def test_nothing_outlives_a_run():
    """Suspended programs hold their locals; dropped, stopped or failed, they let them go."""
    from ppl import limit

    class Local: ...

    alive = []

    @model
    def program(fail):
        mine = Local()
        alive.append(weakref.ref(mine))
        for i in range(4):
            sample("b", bernoulli(0.5))
            score(-0.1)
            call(abs, -1)
            if fail and i == 2:
                raise ValueError("boom")

    program.run(False, engine=FORKING, seed=0)
    program.run(False, engine=smc(3), seed=0, live=0)
    program.run(False, engine=FORKING, seed=0, limit=limit(nodes=8))
    program.run(False, engine=exact(), limit=limit(nodes=5))
    with pytest.raises(ValueError):
        program.run(True, engine=FORKING, seed=0)
    with pytest.raises(ValueError):
        program.map([False, True, False], engine=FORKING, seed=0)
    gc.collect()
    assert len(alive) > 30
    assert [ref for ref in alive if ref() is not None] == []


# -- programs inside programs ------------------------------------------------------------------------------------------


@model
def part(p):
    a = sample("a", bernoulli(p))
    score(-1.0 if a else -2.0)
    return a


def test_an_unbound_program_is_inlined():
    @model
    def whole():
        return part(0.5), part(p=0.25)

    trace = whole.run(engine=importance(1), seed=0).traces[0]
    assert list(trace.choices) == ["a", "a[1]"]


def test_a_bound_program_is_a_query_that_is_paid_once():
    started = []

    @importance(3)
    @model
    def inner(p):
        started.append(p)
        return part(p)

    @model
    def outer():
        x = sample("x", uniform([0.2, 0.8]))
        posterior = inner(x)
        score(posterior.log_evidence)
        sample("y", bernoulli(0.5))
        score(-0.1)
        sample("z", bernoulli(0.5))
        return x, posterior.log_evidence

    kept = outer.run(engine=smc(4, ess_threshold=1.0), seed=0)
    assert len(started) == 12
    again = outer.run(engine=smc(4, ess_threshold=1.0), seed=0, live=0)
    assert len(started) == 24
    assert fingerprint(again) == fingerprint(kept)
    assert kept.cost.nodes >= 12 + 4
    assert len({e for _, e in kept.values}) > 1  # queries have streams of their own


def test_reading_an_inexact_inner_result_is_warned_about():
    @model
    def outer(inner):
        posterior = inner(0.5)
        score(math.log(0.5 + posterior.p(True)))
        return sample("y", bernoulli(0.5))

    inexact = outer.run(smc(2)(part), engine=importance(2), seed=0)
    assert inexact.warnings == [
        "the program reads weights of an inexact nested query (part under smc(particles=2, resampling='systematic',"
        " ess_threshold=0.5, rejuvenate=None, annealing=None, horizon=None, compat=None)): only"
        " score(inner.log_evidence) keeps the outer engine exact"
    ]
    assert outer.run(exact()(part), engine=importance(2), seed=0).warnings == []
    best = model(lambda: smc(2)(part)(0.5).best.value).run(engine=importance(2), seed=0)
    assert best.warnings[0].startswith("the program reads best of an inexact nested query (part under smc(particles=2")


def test_an_inner_result_is_not_copied():
    """Results are immutable: neither the program's reading nor replay walks their traces."""

    @importance(1)
    @model
    def long():
        for _ in range(3000):
            sample("x", bernoulli(0.5))

    @model
    def outer():
        inner = long()
        score(inner.log_evidence)
        sample("y", bernoulli(0.5))
        score(0.0)
        return len(inner.traces[0].choices)

    assert outer.run(engine=smc(2, ess_threshold=1.0), seed=0, live=0).values == [3000, 3000]


def test_an_engine_said_at_the_call_inside_a_program():
    @model
    def outer():
        return part.run(0.5, engine="exact()").log_evidence

    value = outer.run(engine=importance(1), seed=0).values[0]
    assert value == pytest.approx(math.log(0.5 * (math.exp(-1) + math.exp(-2))))


@pytest.mark.parametrize("seed", [None, 7])
def test_map_inside_a_program_is_one_recorded_effect(seed):
    """Queries side by side, each with its own stream, not run again on replay; their cost is the outer run's."""

    @importance(2)
    @model
    def inner(k):
        return k, sample("z", uniform(range(1000)))

    @model
    def outer():
        found = inner.map([1, 2, 3]) if seed is None else inner.map([1, 2, 3], seed=seed)
        score(-0.1)
        sample("x", bernoulli(0.5))
        score(-0.1)
        sample("y", bernoulli(0.5))
        return tuple(tuple(r.values) for r in found)

    check_replay_invariance(FORKING, outer)
    posterior = outer.run(engine=importance(3), seed=0)
    assert posterior.cost.nodes == 3 + 3 * 3 * 2
    assert len(set(posterior.values)) == (3 if seed is None else 1)
    for value in posterior.values:
        assert [k for (k, _), _ in value] == [1, 2, 3] and len({draw for pair in value for _, draw in pair}) > 3
        if seed is not None:
            assert value == tuple(tuple(inner.run(k, seed=(seed, i)).values) for i, k in enumerate([1, 2, 3]))


def test_map_of_an_unbound_program_inside_another_is_inlined():
    @model
    def outer():
        return tuple(part.map([0.5, 0.25]))

    trace = outer.run(engine=importance(1), seed=0).traces[0]
    assert list(trace.choices) == ["a", "a[1]"] and trace.value == tuple(trace.choices.values())


def test_programs_may_be_methods():
    class Coins:
        bias = 1.0

        @importance(2)
        @model
        def flip(self, name):
            return name, sample("x", bernoulli(self.bias))

    assert Coins().flip("a", seed=0).values == Coins().flip.run("a").values == [("a", True)] * 2
    assert [r.values[0] for r in Coins().flip.map("ab")] == [("a", True), ("b", True)]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "x[{}]"])
def test_a_name_may_say_its_number(name):
    """f"x[{i}]" in a loop means what "x" does: the same sites, records, marginals and constraints."""

    @model
    def program():
        for i in range(3):
            x = sample(name.format(i), bernoulli(0.25))
            record(name.format(i).replace("x", "note"), i)
            score(-0.1 * x, name="x")
            observe("x", bernoulli(0.5), True)
        return x

    trace = simulate(program, rng=0)
    assert list(trace.choices) == ["x", "x[1]", "x[2]"] and list(trace.records) == ["note", "note[1]", "note[2]"]
    check_trace_laws(program)
    for seed in range(3):
        check_replay_invariance(FORKING, program, seed=seed)
    posterior = program.run(engine=exact())
    assert posterior.marginal("x[0]") == posterior.marginal("x") == pytest.approx(posterior.marginal("x[2]"))
    assert generate(program, {"x[0]": True, "x[2]": True}, rng=0)[0]["x"] is True


def test_a_plain_call_is_one_forward_run():
    assert {part(0.5, seed=s) for s in range(20)} == {True, False}
    assert part(0.5, seed=3) == part(0.5, seed=3)


def test_execution_knows_its_lineage():
    """Children of one parent draw apart; the parent goes on with its own stream."""
    keys = []

    @model
    def program():
        sample("a", bernoulli(0.5))
        score(-0.1)
        return sample("b", uniform(range(1000)))

    class Forker:
        uses_heuristic = False

        def search(self, run):
            (first,) = run.start()
            run.advance_all([first])
            children: list[Execution] = [first, first.fork(), first.fork()]
            keys.extend(e.key for e in children)
            run.advance_all(children)
            return run.posterior(children)

    posterior = program.run(engine=Forker(), seed=0)
    assert len(set(keys)) == 3
    assert len(set(posterior.values)) == 3


def test_a_proposal_that_misses_a_value_is_told():
    @model
    def program(values):
        return sample("x", uniform([1, 2, 3]), proposal=uniform(values))

    (warning,) = program.run([1, 2], engine=importance(4), seed=0).warnings
    assert "never draws 3, which uniform(" in warning
    assert program.run([1, 2, 3, 4], engine=importance(40), seed=0).warnings == []
    assert program.run([1, 2], engine=exact(), seed=0).warnings == []  # enumerates, and proposes nothing


@pytest.mark.parametrize("family", [beta(0.01, 0.01), beta(0.001, 1.0), gamma(0.001)])
def test_draws_lie_inside_their_support(family):
    """Rounding would put some of them on its border, where the density is none."""
    rng = np.random.default_rng(0)
    draws = [family.sample(rng) for _ in range(2000)]
    assert all(not family.outside(x) and math.isfinite(family.log_prob(x)) for x in draws)
