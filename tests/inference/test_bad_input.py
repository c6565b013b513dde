"""What a user can get wrong with an engine, and the words with which it is met."""

from __future__ import annotations

import math

import pytest

from inference import (
    ab_mcts,
    allocation,
    astar,
    beam,
    best_of,
    dvts,
    ets,
    mcmc,
    mcts,
    parallel_tempering,
    particle_gibbs,
    rebase,
    stochastic_beam,
)
from inference.metrics import pass_at_k
from ppl import model, sample, score
from ppl.dist import Distribution, bernoulli, normal, uniform
from ppl.errors import CapabilityError, OptionError, ResultError, WeightError


@model
def aimless():
    """Nothing to search by."""
    return sample("x", normal(0, 1)), sample("y", normal(0, 1))


@model
def flips():
    total = 0
    for _ in range(3):
        total += sample("x", bernoulli(0.5))
        score(-0.1 * total)
    return total


@model
def lists():
    return sample("x", uniform([[1], [2]]))


PLAIN = "no score, heuristic or enumerated choice ever told two nodes apart, so this was plain sampling; best_of(n) does it at less cost"


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        *((e, f"{e!r}: {PLAIN}") for e in (beam(4), beam(4, lookahead=2), dvts(2), rebase(4), ets(4))),
        (
            astar(expand=2, max_nodes=20),
            "the program called no heuristic: astar is uniform-cost search here, right as long as no score is positive",
        ),
        (
            astar(expand=2, max_nodes=20, edge="loss"),
            "the program gave no reward, by heuristic(r.log()) or score(r.log()): to astar(edge=...) every node is worth the"
            " same, and it follows the first child of each to its end",
        ),
        (
            mcts(5, 2),
            "the program called no heuristic: an unfinished node is worth its scores so far, so mcts searches greedily",
        ),
        (
            ab_mcts(9),
            "the program called no heuristic and scored nothing: to ab_mcts every node is worth the same",
        ),
    ],
    ids=lambda e: repr(e)[:12],
)
def test_an_engine_that_finds_no_heuristic_says_what_the_search_becomes(engine, says):
    assert says in aimless.run(engine=engine, seed=0).warnings


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (beam(4, expand=1), "beam(expand=1) has nothing to prune: it is best_of(n=4) where choices are drawn, and greedy decoding where they are enumerated"),
        (dvts(3, expand=1), "dvts(expand=1) has nothing to choose from: it is best_of(n=3)"),
        (rebase(1), f"{rebase(1)!r} has one child a level: it is a single run"),
        (ets(1), f"{ets(1)!r} has one child a level: it is a single run"),
        (ets(4, coverage=1.0), "ets(coverage=...) without clusters= or embed=: only steps of equal text share a cluster"),
        (dvts(3), "dvts(trees=3): the first choice left fewer living branches than trees"),
        (astar(expand=4, max_nodes=3), "max_nodes=3 were made and 0 of 1 goals found"),
        (mcts(1, 2), "no trace finished in 1 simulations: the unfinished ones are in .traces"),
        (ab_mcts(1), "no trace finished among 1 nodes: the unfinished ones are in .traces"),
        (particle_gibbs(1, 3), "particle_gibbs(particles=1) never leaves its first trace: there is nothing to choose from"),
    ],
    ids=lambda e: repr(e)[:24],
)  # fmt: skip
def test_widths_that_make_a_search_something_simpler_are_named(engine, says):
    assert says in flips.run(engine=engine, seed=0).warnings


BEAM = "Its options: width, expand=4, children='auto', dedupe=True, lookahead=0."


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: beam(0), f"beam(width=0): expected at least 1. {BEAM}"),
        (lambda: beam(2, expand=0), f"beam(expand=0): expected at least 1. {BEAM}"),
        (lambda: beam(4, expand=2.5), f"beam(expand=2.5): expected int. {BEAM}"),
        (lambda: beam(2, lookahead=-1), f"beam(lookahead=-1): expected at least 0. {BEAM}"),
        (lambda: beam(), f"beam needs width, as in beam(width=16). {BEAM}"),
        (lambda: beam(4, widht=2), f"beam has no option 'widht'. Did you mean 'width'? {BEAM}"),
        (lambda: stochastic_beam(0), "stochastic_beam(width=0): expected at least 1. Its options: width."),
        (lambda: dvts(0), "dvts(trees=0): expected at least 1. Its options: trees, expand=4, children='auto'."),
        (lambda: best_of(0), "best_of(n=0): expected at least 1. Its options: n."),
        (lambda: parallel_tempering([2, 4], 10), "parallel_tempering(temperatures=[2, 4]): expected positive numbers, the first of them 1 (the chain that is reported), as in temperatures=[1, 2, 4]."),
        (lambda: pass_at_k(5, 2, 6), "pass_at_k: expected 1 <= k <= n, found k=6 of n=5 attempts. Make at least k attempts."),
        (lambda: allocation.rebase([], 4), "rebase: there are no scores: the frontier is empty."),
        (lambda: allocation.ets([], [], 4), "ets: there are no scores: the frontier is empty."),
        (lambda: allocation.ets([(0,)] * 2, [0.5] * 2, 4, coverage=1.0, clusters="A"), "ets: clusters has 1 entries, expected one for each of the 2 leaves."),
    ],
)  # fmt: skip
def test_what_is_wrong_before_anything_runs(make, says):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"clusters": lambda texts: ["A"]}, "ets: clusters has 1 entries, expected one for each of the 2 leaves."),
        ({"clusters": lambda texts: [[1]] * len(texts)}, "ets: the label of a cluster must be hashable, as a text or a number is; found [1]."),
        ({"clusters": lambda texts: None}, "ets: coverage needs clusters, a label for each leaf."),
        ({"embed": lambda texts: [[1.0]]}, "ets(embed=f): f returned 1 vectors for 2 texts."),
        ({"embed": lambda texts: [[math.nan]] * 2}, "ets(embed=f): f must return a vector of finite numbers for each text; found [[nan], [nan]]."),
    ],
)  # fmt: skip
def test_clusters_that_do_not_fit_the_leaves(options, says):
    with pytest.raises(OptionError) as caught:
        flips.run(engine=ets(4, coverage=1.0, **options), seed=0)
    assert str(caught.value) == says


def test_a_vote_over_unhashable_values():
    with pytest.raises(ResultError) as caught:
        lists.run(engine=best_of(8), seed=0).vote()
    assert str(caught.value) == (
        "cannot group values of type list: they are not hashable. Give key=, a function from a value to something hashable,"
        " such as key=str."
    )


class DrawsOnly(Distribution):
    rescorable = False

    def sample(self, rng):
        raise AssertionError("drawn, although it could be known before")

    def __repr__(self):
        return "draws_only"


@pytest.mark.parametrize(
    "engine", [mcmc(5), parallel_tempering([1, 2], 5), particle_gibbs(3, 4, ancestor_sampling=True)]
)
def test_a_chain_over_a_site_that_cannot_be_scored_again(engine):
    @model
    def program():
        return sample("z", DrawsOnly())

    with pytest.raises(CapabilityError) as caught:
        program.run(engine=engine, seed=0)
    assert str(caught.value) == (
        "site 'z' cannot be scored again: draws_only gives no log-prob of a given value (its model only draws), which"
        ' single-site and block moves and ancestor sampling need. Use kernel="suffix" or kernel="prior", or'
        " particle_gibbs(...), smc(...) or importance(...)."
    )


def test_an_infinite_choice_without_replacement():
    with pytest.raises(CapabilityError) as caught:
        aimless.run(engine=stochastic_beam(2), seed=0)
    assert str(caught.value) == (
        "stochastic_beam cannot enumerate site 'x': normal(mu=0, sd=1) has no finite support. Use"
        " importance(particles=...) or smc(particles=...), or a finite choice such as lm.choice(context, [...])."
    )


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (astar(expand=2, max_nodes=50, edge=lambda before, r: math.nan), "astar(edge=f): f(1, 0.904837) is nan; expected a finite cost."),
        (ab_mcts(9, prior="beta"), "ab_mcts(prior='beta') needs rewards in [0, 1], as from heuristic(r.log()); found 1.2214. Write prior='gaussian' for others."),
    ],
    ids=lambda e: repr(e)[:7],
)  # fmt: skip
def test_rewards_and_costs_that_are_none(engine, says):
    @model
    def rewarded():
        x = sample("x", bernoulli(0.5))
        score(-0.1 if engine.__class__ is astar else 0.2)
        sample("y", bernoulli(0.5))
        score(-0.1)
        return x

    with pytest.raises(WeightError) as caught:
        rewarded.run(engine=engine, seed=0)
    assert str(caught.value) == says
