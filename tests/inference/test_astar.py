"""A*: MAP order against brute force, expansions against known counts, and what its warnings say."""

from __future__ import annotations

import math
import sys

import pytest

from inference import astar
from ppl import AllDead, call, checkpoint, heuristic, limit, model, require, sample, score
from ppl.dist import bernoulli, categorical, normal, uniform
from ppl.errors import OptionError, WeightError
from ppl.testing import check_replay_invariance, check_seed_determinism
from tests.inference.search_programs import Rewarded, bigram, bigram_traces

WIDE = {"expand": 100, "max_nodes": 10_000}


def remaining(tilt: float):
    """Each symbol to come gains at most `tilt`."""
    return lambda text: tilt * (4 - len(text))


@pytest.mark.parametrize("tilt", [0.0, 1.5])
def test_best_strings_of_a_bigram_model_in_order(tilt):
    result = bigram(tilt, remaining(tilt)).run(engine=astar(goals=4, **WIDE))
    expected = {
        0.0: [("a", -2.2256240519), ("", -2.3025850930), ("b", -2.3751557858), ("c", -2.6592600369)],
        1.5: [("b", -0.8751557858), ("bb", -0.8892835185), ("bbb", -0.9034112511), ("bbbb", -0.9175389837)],
    }[tilt]
    assert result.values == [text for text, _ in expected]
    assert result.log_weights == pytest.approx([w for _, w in expected], abs=1e-9)
    assert result.warnings == []


def test_all_traces_come_in_the_order_of_their_weight():
    brute = bigram_traces(1.5)
    result = bigram(1.5, remaining(1.5)).run(engine=astar(goals=len(brute), **WIDE))
    assert result.log_weights == pytest.approx([w for w, _ in brute], abs=1e-12)
    assert sorted(result.values) == sorted(text for _, text in brute)
    weight = {text: w for w, text in brute}
    assert [weight[v] for v in result.values] == pytest.approx(list(result.log_weights), abs=1e-12)


def expansions(result, symbols=3):
    """Every expansion makes `symbols` nodes, and the root is one."""
    assert (result.cost.nodes - 1) % symbols == 0
    return (result.cost.nodes - 1) // symbols


@pytest.mark.parametrize(
    ("seed", "optimum", "cost", "counts"),
    [(11, (1, 0, 1, 1), 4.820391, (10, 7, 4)), (8, (2, 2, 0, 0), 6.237444, (17, 15, 4))],
)
def test_known_optimum_and_number_of_expansions(seed, optimum, cost, counts):
    toy = Rewarded.of(seed)
    assert toy.ranked()[0] == (pytest.approx(cost, abs=1e-6), optimum)
    bounds = (lambda path: 0.0, toy.rest_by_depth(), toy.rest())
    for bound, count in zip(bounds, counts, strict=True):
        result = toy.program(lambda path, h=bound: -h(path)).run(engine=astar(**WIDE))
        assert result.values == [optimum]
        assert -result.log_weights[0] == pytest.approx(cost, abs=1e-6)
        assert expansions(result) == count
        assert result.warnings == []


def test_search_by_reward_alone_misses_the_optimum_as_known():
    result = Rewarded.of(11).program().run(engine=astar(edge=0.0, **WIDE))
    assert result.values == [(2, 2, 2, 1)]
    assert -result.log_weights[0] == pytest.approx(8.539973, abs=1e-6)
    assert any("need not be the best by weight" in w for w in result.warnings)


@pytest.mark.parametrize("seed", range(25))
def test_a_larger_consistent_heuristic_never_expands_more_and_costs_stay_those_of_brute_force(seed):
    toy = Rewarded.of(seed, symbols=2 + seed % 3, steps=4)
    rest, best = toy.rest(), toy.ranked()[0]
    counts = []
    for share in (0.0, 0.4, 0.8, 1.0):
        result = toy.program(lambda path, s=share: -s * rest(path)).run(engine=astar(**WIDE))
        assert (-result.log_weights[0], result.values[0]) == (pytest.approx(best[0], abs=1e-12), best[1])
        counts.append(expansions(result, toy.symbols))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == toy.steps


# -- what a node's rank is -----------------------------------------------------------------------------------------------


def test_a_block_without_heuristic_inherits_its_parents_rank():
    """By its weight alone the node y=0 (log .25 - 3) would come after x=1, which is finished at log .5 - 1."""

    @model
    def program():
        if sample("x", bernoulli(0.5)):
            score(-1.0)
            return "early"
        heuristic(math.log(0.5) - 3 + 8)
        y = sample("y", bernoulli(0.5))
        score(-3.0)
        sample("z", uniform(["only"]))
        score(-10.0 if y else 8.0)
        return "late", y

    result = program.run(engine=astar(goals=3, **WIDE))
    assert result.values == [("late", False), "early", ("late", True)]
    assert result.log_weights == pytest.approx([math.log(0.25) + 5, math.log(0.5) - 1, math.log(0.25) - 13])
    assert result.warnings == []


def test_an_enumerated_choice_alone_does_not_use_up_the_heuristic():
    """The bound given before x holds for x and y together; x=1 has spent nothing of it but log p."""

    @model
    def program():
        heuristic(math.log(0.1))
        x = sample("x", categorical({"likely": 0.9, "rare": 0.1}))
        y = sample("y", uniform(["only"]))
        score(-5.0 if x == "likely" else 0.0)
        return x, y

    result = program.run(engine=astar(**WIDE))
    assert result.values == [("rare", "only")]
    assert result.warnings == []


def test_a_heuristic_never_stands_in_a_result():
    plain, guided = (bigram(1.5, h).run(engine=astar(goals=3, **WIDE)) for h in (lambda text: 9.0, remaining(1.5)))
    assert plain.values == guided.values
    assert list(plain.log_weights) == list(guided.log_weights)


def test_ties_go_to_the_finished_then_the_deeper_then_the_older():
    @model
    def program():
        x = sample("x", categorical({"a": 0.25, "b": 0.25, "c": 0.25, "end": 0.25}))
        if x != "end":
            sample("y", uniform(["only"]))
            sample("z", uniform(["only"]))
        return x

    result = program.run(engine=astar(goals=4, **WIDE))
    assert result.values == ["end", "a", "b", "c"]
    for goals, nodes in ((1, 5), (2, 7), (3, 9), (4, 11)):  # each is followed to its end before the next is touched
        assert program.run(engine=astar(goals=goals, **WIDE)).cost.nodes == nodes


def test_a_narrow_search_branches_on_the_most_probable_values():
    result = bigram(0.0, remaining(0.0)).run(engine=astar(expand=2, max_nodes=1000, goals=100))
    assert set("".join(result.values)) == {"a", "b", "c"}  # c follows b more often than a does
    greedy = bigram(0.0, remaining(0.0)).run(engine=astar(expand=1, max_nodes=1000))
    assert greedy.values == ["aaaa"]


# -- A*-decoding ---------------------------------------------------------------------------------------------------------

PRM = {"a": 0.8, "b": 0.7, "aa": 0.3, "ab": 0.35, "ba": 0.75, "bb": 0.6, "baa": 0.9, "bab": 0.5, "bba": 0.4, "bbb": 0.4}
PRM |= {"aaa": 0.1, "aab": 0.1, "aba": 0.2, "abb": 0.3}


def reasoner(read, asked, expanded):
    def prm(text):
        asked.append(text)
        return PRM[text]

    @model
    def solve():
        text = ""
        while len(text) < 3:
            step = sample("step", uniform("ab"))
            if text not in expanded:
                expanded.append(text)
            text += step
            read(math.log(call(prm, text)))
        return text

    return solve


@pytest.mark.parametrize("read", [score, heuristic])
@pytest.mark.parametrize(
    ("edge", "final"), [(0.0, 0.1), ("loss", 0.75), ("drop", 0.4), (0.1, 0.4), (lambda before, r: 1.0 - r, 0.75)]
)
def test_decoding_by_reward_goes_back_to_an_abandoned_step(edge, final, read, monkeypatch):
    ranks = {}
    frontier = sys.modules["inference.astar"]._Frontier
    push = frontier.push

    def spy(self, execution, standing):
        ranks["".join(n.value for n in execution.trace().nodes if n.kind == "sample")] = standing.rank
        push(self, execution, standing)

    monkeypatch.setattr(frontier, "push", spy)
    asked, expanded = [], []
    result = reasoner(read, asked, expanded).run(engine=astar(edge=edge, **WIDE))
    assert result.values == ["baa"]
    assert expanded == ["", "a", "b", "ba"]
    assert len(asked) == 8
    assert -ranks["baa"] == pytest.approx(final, abs=1e-12)


def test_decoding_draws_steps_where_it_cannot_enumerate_them():
    @model
    def walk():
        x = 0.0
        for _ in range(3):
            x += sample("x", normal(0, 1))
            heuristic(-abs(x - 2))
        return x

    result = walk.run(engine=astar(expand=6, max_nodes=300, edge="drop", goals=2), seed=0)
    assert len(result) == 2
    assert abs(result.values[0] - 2) < 0.5


def test_rewards_above_one_are_refused():
    @model
    def program():
        sample("x", bernoulli(0.5))
        score(0.5)

    with pytest.raises(WeightError, match=r"rewards in \[0, 1\]"):
        program.run(engine=astar(edge="loss", **WIDE))


# -- draws ---------------------------------------------------------------------------------------------------------------


def test_equal_draws_are_one_child_that_carries_the_log_of_their_number():
    @model
    def program():
        x = sample("x", categorical({"a": 0.5, "b": 0.5}))
        score(-1.0)
        return x

    result = program.run(engine=astar(expand=12, max_nodes=100, goals=2, children="draw"), seed=3)
    assert sorted(result.values) == ["a", "b"]
    counts = [math.exp(w + 1.0) for w in result.log_weights]
    assert sum(counts) == pytest.approx(12.0)
    assert counts == pytest.approx([round(c) for c in counts])


# -- warnings ------------------------------------------------------------------------------------------------------------


def warned(result, words):
    return any(words in w for w in result.warnings)


def test_it_says_when_the_order_need_not_be_the_true_one():
    guided = bigram(1.5, remaining(1.5))
    assert warned(guided.run(engine=astar(expand=2, max_nodes=1000)), "'symbol' has more values than got a branch")
    assert warned(guided.run(engine=astar(expand=2, max_nodes=1000, children="draw"), seed=0), "'symbol' was drawn")
    assert warned(bigram(0.0).run(engine=astar(**WIDE)), "uniform-cost search")
    assert not warned(bigram(0.0).run(engine=astar(**WIDE)), "rose")
    assert warned(bigram(1.5).run(engine=astar(goals=30, **WIDE)), "a rank rose")
    assert warned(bigram(1.5, lambda text: -5.0).run(engine=astar(**WIDE)), "a rank rose")


def test_an_inadmissible_heuristic_returns_a_worse_trace_and_says_so():
    toy = Rewarded.of(11)
    rest = toy.rest()
    result = toy.program(lambda path: -3.0 * rest(path)).run(engine=astar(**WIDE))
    assert -result.log_weights[0] > toy.ranked()[0][0]
    assert warned(result, "a rank rose")


# -- bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [1, 2, 5, 17, 30])
def test_max_nodes_and_the_limit_on_nodes_are_hard(bound):
    program = bigram(1.5, remaining(1.5))
    result = program.run(engine=astar(expand=4, max_nodes=bound, goals=50))
    assert result.cost.nodes <= bound
    assert result.stopped is None and warned(result, f"max_nodes={bound}")
    limited = program.run(engine=astar(goals=50, **WIDE), limit=limit(nodes=bound))
    assert limited.cost.nodes <= bound
    assert limited.stopped == "nodes"
    assert len(limited.traces) > 0


def test_a_limit_returns_the_best_so_far_and_the_open_traces():
    program = bigram(0.0, remaining(0.0))
    brute = [text for _, text in bigram_traces()]
    result = program.run(engine=astar(goals=50, **WIDE), limit=limit(nodes=40))
    assert result.values[:4] == brute[:4]
    assert any(t.status == "running" for t in result.traces)


def test_a_program_with_fewer_traces_than_goals_gives_them_all():
    @model
    def coin():
        return sample("x", categorical({"h": 0.6, "t": 0.4}))

    result = coin.run(engine=astar(goals=5, **WIDE))
    assert result.values == ["h", "t"]
    assert result.stopped is None


def test_checkpoints_and_dead_ends_are_no_obstacle():
    @model
    def program():
        checkpoint()
        x = sample("x", categorical({1: 0.5, 2: 0.3, 3: 0.2}))
        checkpoint()
        require(x != 1, "not one")
        checkpoint()
        y = sample("y", bernoulli(0.5))
        require(y, "yes")
        checkpoint()
        return x

    result = program.run(engine=astar(goals=5, **WIDE))
    assert result.values == [2, 3]
    assert result.log_weights == pytest.approx([math.log(0.15), math.log(0.1)])
    assert sum(result.reasons.values()) == 3


def test_every_trace_dead_is_an_error_with_the_reasons():
    @model
    def program():
        x = sample("x", bernoulli(0.5))
        require(x and False, "never")

    with pytest.raises(AllDead, match="never"):
        program.run(engine=astar(**WIDE))


def test_a_program_without_choices():
    @model
    def program():
        score(-2.0)
        return "done"

    result = program.run(engine=astar(**WIDE))
    assert result.values == ["done"] and list(result.log_weights) == [-2.0]


@pytest.mark.parametrize(
    "options",
    [
        {"expand": 0, "max_nodes": 9},
        {"expand": 2},
        {"expand": 2, "max_nodes": 0},
        {"expand": 2, "max_nodes": 9, "goals": 0},
    ],
)
def test_bad_options(options):
    with pytest.raises(OptionError):
        astar(**options)
    with pytest.raises(OptionError):
        astar(expand=2, max_nodes=9, edge="steep")
    with pytest.raises(OptionError):
        astar(expand=2, max_nodes=9, children="all")


# -- laws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"children": "draw"}, {"edge": "drop"}])
def test_the_cache_of_continuations_and_the_order_of_problems_change_nothing(options):
    engine = astar(expand=3, max_nodes=60, goals=3, **options)

    @model
    def tilted(tilt):
        return bigram(-tilt, lambda text: 0.0)()

    check_replay_invariance(engine, tilted, (0.5,), seed=1)
    check_seed_determinism(engine, tilted, [0.1, 0.5, 1.0], seed=2)
