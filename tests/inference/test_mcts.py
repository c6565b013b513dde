"""MCTS: visits and values against AlphaMath's own arithmetic, and batches that lose nothing."""

from __future__ import annotations

import math

import pytest

from inference import ab_mcts, astar, mcts
from inference.frontier import Estimate
from inference.mcts import Vertex
from ppl import AllDead, call, checkpoint, heuristic, limit, model, require, sample, score
from ppl.dist import bernoulli, categorical, normal, uniform, uniform_real
from ppl.errors import OptionError
from ppl.testing import check_replay_invariance, check_seed_determinism

STEPS = {
    "": {"a": 0.7, "b": 0.3},
    "a": {"aa": 0.6, "ab": 0.4},
    "b": {"ba": 0.5, "bb": 0.5},
    "ab": {"aba": 1.0},
    "bb": {"bba": 1.0},
}
VALUES = {"": 0.0, "a": 0.2, "b": 0.5, "ab": -0.2, "bb": 0.1}
REWARDS = {"aa": -1.0, "ba": 1.0, "aba": -1.0, "bba": 1.0}


@model
def alphamath():
    state = ""
    while state not in REWARDS:
        heuristic(VALUES[state])
        state = sample("step", categorical(STEPS[state]))
    score(REWARDS[state])
    return state


@pytest.fixture
def roots(monkeypatch):
    """The roots of the trees that are grown from now on."""
    seen: list[Vertex] = []
    grow = mcts.grow
    monkeypatch.setattr(mcts, "grow", lambda self, tree, root: seen.append(root) or grow(self, tree, root))
    return seen


def vertices(root):
    found = [root]
    for vertex in found:
        found += vertex.children
    return found


def table(root):
    """state -> (visits, mean value)"""
    name = {v: [n.value for n in v.execution.trace().nodes if n.kind == "sample"] for v in vertices(root)}
    return {(path[-1] if path else ""): (v.visits, round(v.q, 6)) for v, path in name.items()}


@pytest.mark.parametrize(
    ("simulations", "expected"),
    [
        (1, {"": (1, 0.0), "a": (0, 0.0)}),
        (2, {"": (3, -0.266667), "a": (2, -0.4), "aa": (1, -1.0), "ab": (0, 0.0)}),
        (3, {"": (5, 0.14), "b": (2, 0.75), "ba": (1, 1.0)}),
        (4, {"": (7, 0.257143), "b": (4, 0.65), "bb": (2, 0.55)}),
        (8, {"": (9, 0.066667), "a": (4, -0.5), "b": (4, 0.65)}),
    ],
)
def test_visits_and_values_are_those_of_alphamath(simulations, expected, roots):
    engine = mcts(simulations=simulations, expand=5, c=1.25, scale="log")
    alphamath.run(engine=engine)
    found = table(roots[0])
    assert {state: found[state] for state in expected} == expected


def test_finished_traces_come_back_best_first_and_the_search_ends_when_the_tree_is_exhausted(roots):
    result = alphamath.run(engine=mcts(simulations=1000, expand=5, scale="log"))
    assert set(result.values) == set(REWARDS)
    assert result.values[:2] == ["ba", "bba"]
    assert result.log_weights[0] == pytest.approx(math.log(0.3 * 0.5) + 1.0)
    assert result.cost.nodes == 9  # each node once, however many simulations are left
    assert roots[0].closed and result.warnings == []


def test_puct_by_hand():
    """N = 4 above: .5 + c .1 * 2 / 2 against c .2975 * 2; at c = 1 that is .6 against .595, at c = 2 .7 against 1.19."""
    above, seen, fresh = (Vertex(None, None, None, Estimate(), 0.0, p) for p in (1.0, 0.1, 0.2975))  # type: ignore[arg-type]
    above.children, above.visits = [seen, fresh], 4
    seen.visits, seen.total = 1, 0.5
    assert above.best_child(1.0) is seen
    assert above.best_child(2.0) is fresh
    seen.closed = True
    assert above.best_child(1.0) is fresh


def walk(paid):
    """Five drawn steps; every draw is written down."""

    def pay(x):
        paid.append(x)
        return x

    @model
    def program():
        total = 0.0
        for _ in range(5):
            total += call(pay, sample("x", normal(0, 1)))
            heuristic(-abs(total - 1.0))
        return total

    return program


@pytest.mark.parametrize("batch", [1, 3, 8, 64])
def test_no_paid_generation_is_discarded_and_no_leaf_expanded_twice(batch, roots):
    paid = []
    result = walk(paid).run(engine=mcts(simulations=24, expand=4, batch=batch), seed=5)
    everything = vertices(roots[0])
    assert len(paid) == len(everything) - 1 == result.cost.nodes - 1
    assert all(len(v.children) in (0, 4) for v in everything)
    assert sum(bool(v.children) for v in everything) == 24
    assert roots[0].visits == 24 + sum(v.execution.finished for v in everything)
    assert not any(v.taken for v in everything)
    for vertex in everything:  # virtual losses are gone: N and Q are those of what was really backed up
        told = [v.value for v in everything if (v.children or v.execution.finished) and vertex in list(v.up())]
        assert vertex.visits == len(told)
        assert vertex.total == pytest.approx(math.fsum(told), abs=1e-9)


def test_virtual_loss_spreads_a_batch(roots):
    """PUCT of x = 1 against x = 0 is .7 to .26 before, then .508 to .3, .407 to .335, .343 to .367 by losses alone."""

    @model
    def program():
        heuristic(math.log(0.5))
        sample("x", categorical({1: 0.7, 0: 0.3}))
        for _ in range(9):
            heuristic(math.log(0.5))
            sample("y", uniform(range(4)))

    engine = mcts(simulations=3, expand=4, c=0.5)
    program.run(engine=engine)
    root, (likely, rare) = roots[0], roots[0].children
    assert (root.visits, likely.visits, rare.visits) == (3, 2, 0)
    leaves, _ = engine._walks(root, 4, 0.0)
    assert [likely in list(leaf.up()) for leaf in leaves] == [True, True, True, False]


def test_values_priors_and_inheritance(roots):
    """scores + heuristic where there is one; a parent's value without; at the end the scores."""

    @model
    def program():
        x = sample("x", categorical({"a": 0.75, "b": 0.25}))
        score(math.log(0.5))
        heuristic(math.log(0.4))
        y = sample("y", uniform(["c", "d"]))
        score(math.log(0.9))
        z = sample("z", normal(0, 1))
        score(math.log(0.8))
        return x, y, z

    program.run(engine=mcts(simulations=40, expand=2), seed=0)
    root = roots[0]
    first, second, third = root.children[0], root.children[0].children[0], root.children[0].children[0].children[0]
    assert root.value == 1.0
    assert first.value == pytest.approx(0.5 * 0.4) and first.prior == pytest.approx(0.75)
    assert second.value == first.value and second.prior == pytest.approx(0.5)
    assert third.value == pytest.approx(0.5 * 0.9 * 0.8) and third.prior == 1.0
    assert third.execution.finished


def test_a_finished_trace_that_scored_nothing_is_worth_what_its_last_heuristic_said(roots):
    @model
    def program():
        x = sample("x", categorical({1: 0.5, 3: 0.5}))
        heuristic(math.log(x / 4))
        return x

    result = program.run(engine=mcts(simulations=5, expand=2))
    assert sorted(child.value for child in roots[0].children) == pytest.approx([0.25, 0.75])
    assert result.values[0] == 3  # equal weights: the better value first


def test_dead_children_count_as_failures(roots):
    @model
    def program():
        x = sample("x", categorical({"dead": 0.9, "good": 0.1}))
        require(x == "good", "dead end")
        heuristic(math.log(0.8))
        y = sample("y", uniform([0, 1]))
        score(math.log(0.5 + 0.4 * y))
        return y

    result = program.run(engine=mcts(simulations=10, expand=2))
    assert set(result.values) == {0, 1}
    assert roots[0].visits == 5  # itself, a death, its child, and two ends
    assert roots[0].total == pytest.approx(1.0 + 0.0 + 0.8 + 0.5 + 0.9)


def test_all_dead_no_heuristic_nothing_finished():
    @model
    def doomed():
        require(sample("x", bernoulli(0.5)) and False, "never")

    with pytest.raises(AllDead, match="never"):
        doomed.run(engine=mcts(simulations=5, expand=2))

    @model
    def blind():
        for _ in range(4):
            sample("x", bernoulli(0.5))
            score(-0.1)

    result = blind.run(engine=mcts(simulations=2, expand=2))
    assert any("no heuristic" in w for w in result.warnings)
    assert any("no trace finished in 2 simulations" in w for w in result.warnings)
    assert result.values == [] and len(result.traces) == 3


@pytest.mark.parametrize("batch", [1, 8])
def test_limits_are_hard_and_return_the_best_so_far(batch):
    result = alphamath.run(engine=mcts(simulations=100, expand=2, scale="log", batch=batch), limit=limit(nodes=7))
    assert result.cost.nodes == 7 and result.stopped == "nodes"
    assert len(result.values) > 0
    assert any(t.status == "running" for t in result.traces)


@pytest.mark.parametrize("options", [{"children": "draw"}, {"batch": 4}, {}])
def test_the_cache_of_continuations_and_the_order_of_problems_change_nothing(options):
    @model
    def program(bias):
        total = 0
        for _ in range(4):
            total += sample("x", bernoulli(bias))
            heuristic(math.log((total + 1) / 6))
        score(math.log((total + 1) / 6))
        return total

    engine = mcts(simulations=15, expand=2, **options)
    check_replay_invariance(engine, program, (0.4,), seed=1)
    check_seed_determinism(engine, program, [0.2, 0.5, 0.9], seed=2)


def test_bad_options():
    for options in ({"simulations": 0, "expand": 2}, {"simulations": 5}, {"simulations": 5, "expand": 2, "c": -1.0}):
        with pytest.raises(OptionError):
            mcts(**options)


@pytest.mark.parametrize(
    "engine", [mcts(simulations=1, expand=6), ab_mcts(nodes=6), astar(expand=6, max_nodes=20, edge="loss")]
)
def test_a_requirement_that_holds_is_no_reward(engine):
    """It weighs nothing, so a run that only requires is still worth what its heuristic said."""

    @model
    def program(required):
        x = sample("x", uniform_real(0.0, 1.0))
        heuristic(math.log(x))
        if required:
            require(x < 2)
        return x

    plain, required = (program.run(flag, engine=engine, seed=1) for flag in (False, True))
    assert required.best.value == plain.best.value and required.warnings == plain.warnings
    assert required.best.value == max(required.values)


def test_a_death_behind_a_checkpoint_is_a_failure_of_its_leaf(monkeypatch):
    @model
    def program(moves_on):
        kind = sample("kind", categorical({"bad": 0.9, "good": 0.1}))
        heuristic(math.log(0.8))
        checkpoint() if moves_on else sample("other", categorical({0: 1.0}))
        require(kind == "good")
        heuristic(math.log(0.8))
        y = sample("y", uniform([0, 1]))
        score(math.log(0.5 + 0.4 * y))
        return y

    grown = []
    grow = mcts.grow

    def kept(self, tree, root):
        grow(self, tree, root)
        grown.append([(v.visits, v.total) for v in (root, *root.children)])

    monkeypatch.setattr(mcts, "grow", kept)
    for moves_on in (False, True):
        program.run(moves_on, engine=mcts(simulations=20, expand=2), seed=0)
    assert grown[0] == grown[1]
    assert grown[0][1] == (2, pytest.approx(0.8))  # "bad": once for itself, and 0 for the death below it


def test_the_prior_is_the_geometric_mean_over_a_block(monkeypatch):
    """Two finite choices of 1/2 and 1/4: their geometric mean. A choice that is not finite counts with 1."""

    @model
    def program():
        sample("a", uniform([0, 1]))
        sample("b", uniform([0, 1, 2, 3]))
        score(-1.0)
        sample("x", uniform_real(0.0, 1.0))
        sample("c", uniform([0, 1, 2, 3]))
        score(-1.0)
        sample("end", uniform([0]))

    priors = []
    grow = mcts.grow

    def kept(self, tree, root):
        grow(self, tree, root)
        child = root.children[0]
        priors.extend([child.prior, child.children[0].prior])

    monkeypatch.setattr(mcts, "grow", kept)
    program.run(engine=mcts(simulations=3, expand=1, children="draw"), seed=0)
    assert priors == [pytest.approx(math.sqrt(0.5 * 0.25)), pytest.approx(math.sqrt(0.25))]
