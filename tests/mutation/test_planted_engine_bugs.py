"""Bugs of search and chain engines, published ones among them, planted one at a time: the law beside each catches it.

A law is a test of tests/inference, or a few of its lines; every law passes unplanted.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import sys

import numpy as np
import pytest

import inference.allocation
import inference.closure
import inference.particles
from inference import Metropolis, beam, prior, single_site, smc, suffix
from inference.ab_mcts import Branch, Gaussian
from inference.allocation import ets_selection
from inference.mcts import Vertex
from inference.tree import LevelSearch
from ppl.execution import Execution
from ppl.run import Run
from ppl.testing import check_unbiased
from ppl.trace import Trace
from tests.inference import (
    test_ab_mcts,
    test_allocation,
    test_astar,
    test_entropic,
    test_keys,
    test_mcts,
    test_metrics,
    test_parallel_tempering,
    test_rejuvenation,
    test_stochastic_beam,
    test_tree_search,
)
from tests.inference.chain_cases import check_keeps
from tests.inference.test_particle_gibbs import sweeping

particle_gibbs = importlib.import_module("inference.particle_gibbs")  # the names in the package are the engines'
stochastic_beam = importlib.import_module("inference.stochastic_beam")
tempering = importlib.import_module("inference.parallel_tempering")
BUGS = []


def caught_by(*laws):
    def register(plant):
        BUGS.append(pytest.param(plant, laws, id=plant.__name__))
        return plant

    return register


# -- chains ------------------------------------------------------------------------------------------------------------


def sweeps_keep_the_toy():
    check_keeps("odds_toy", sweeping(2, ess_threshold=1))


def sweeps_keep_unequal_lengths():
    check_keeps("stopper", sweeping(2, ess_threshold=1))


def ancestor_sampling_keeps_rounds():
    check_keeps("rounds", sweeping(2, ancestor_sampling=True, ess_threshold=0.6))


def kernels_keep_c13():
    for kernel in (single_site, suffix):
        check_keeps("c13", lambda trace, streams, k=kernel: k(trace, streams.rng()))


def swaps_keep_the_product():
    test_parallel_tempering.test_a_swap_keeps_the_product_of_targets("proposed", (1.0, 2.0))


def tempered_moves_keep_their_target():
    traces, pi = test_parallel_tempering.tempered("odds_toy", 2.0)
    by_value = {t.value: i for i, t in enumerate(traces)}
    matrix = np.zeros((len(traces), len(traces)))
    for i, trace in enumerate(traces):
        for p, moved in test_parallel_tempering.enumerate_outcomes(lambda s, t=trace: prior(t, s.rng(), 2.0)):
            matrix[i, by_value[moved.value]] += p
    assert np.abs(pi @ matrix - pi).max() < 1e-12


def moves_keep_the_target_at_a_barrier():
    test_rejuvenation.test_a_kernel_keeps_the_target_at_a_barrier("guided", 1, test_rejuvenation.guided_at(1), prior)


def moved_particles_are_unbiased():
    test_rejuvenation.test_two_moved_particles_are_unbiased("odds_toy", suffix, 0.75)


@caught_by(sweeps_keep_the_toy)
def the_reference_weighs_its_next_reward(patch):
    """The code of Puri et al. 2025 reads the retained path's rewards one step too late."""
    plain = particle_gibbs.standing_points
    patch.setattr(particle_gibbs, "standing_points", lambda trace: plain(trace)[1:])


@caught_by(sweeps_keep_the_toy)
def the_reference_weighs_its_last_reward_all_along(patch):
    """its_hub: a reference counts as stopped."""
    patch.setattr(particle_gibbs, "standing_points", lambda trace: [trace])


@caught_by(sweeps_keep_unequal_lengths)
def the_last_weight_selects_once_more(patch):
    """its_hub: resampled after the last step, then picked by the last weight again."""
    plain = inference.particles.pick
    patch.setattr(particle_gibbs, "pick", lambda log_weights, rng: plain([2 * w for w in log_weights], rng))


@caught_by(sweeps_keep_unequal_lengths)
def finished_particles_are_weighed_again(patch):
    plain = inference.particles.offspring

    def offspring(run, particles, parents, log_weights):
        again = [w + particles[i].leaf.log_total * particles[i].finished for i, w in zip(parents, log_weights)]
        return plain(run, particles, parents, again)

    patch.setattr(particle_gibbs, "offspring", offspring)


@caught_by(sweeps_keep_the_toy)
def the_reference_is_never_picked(patch):
    """A sweep returns one of the new particles, always."""
    plain = inference.particles.pick
    patch.setattr(particle_gibbs, "pick", lambda log_weights, rng: plain([-math.inf, *log_weights[1:]], rng))


@caught_by(sweeps_keep_the_toy)
def the_reference_has_no_children(patch):
    plain = particle_gibbs.normalise
    patch.setattr(particle_gibbs, "normalise", lambda ranks: plain([-math.inf, *ranks[1:]]))


@caught_by(ancestor_sampling_keeps_rounds)
def ancestors_are_drawn_by_weight_alone(patch):
    patch.setattr(particle_gibbs, "log_density", lambda nodes: 0.0)


@caught_by(kernels_keep_c13)
def the_dimension_factor_is_upside_down(patch):
    """log |t'| / |t| where it should be log |t| / |t'|."""
    plain = Metropolis.__call__

    def call(self, trace, rng, temperature=1.0):
        def propose(trace, rng):
            new, log_ratio = self.propose(trace, rng)
            return new, log_ratio + 2 * math.log(len(new.choices) / len(trace.choices))

        return plain(Metropolis(propose), trace, rng, temperature)

    patch.setattr(Metropolis, "__call__", call)


@caught_by(kernels_keep_c13)
def rejected_moves_are_kept(patch):
    patch.setattr(Metropolis, "__call__", lambda self, trace, rng, temperature=1.0: self.propose(trace, rng)[0])


@caught_by(swaps_keep_the_product)
def swaps_compare_whole_densities(patch):
    """The prior and log p - log q are tempered with the scores."""
    patch.setattr(Trace, "log_score", property(lambda self: self.log_joint))


@caught_by(swaps_keep_the_product)
def swaps_go_the_wrong_way(patch):
    plain = tempering.exchange
    patch.setattr(tempering, "exchange", lambda states, t, first, rng: plain(states, [1 / x for x in t], first, rng))


@caught_by(tempered_moves_keep_their_target)
def temperature_tempers_the_whole_ratio(patch):
    def call(self, trace, rng, temperature=1.0):
        new, log_ratio = self.propose(trace, rng)
        return new if new.status != "dead" and rng.random() < math.exp(min(0.0, log_ratio / temperature**2)) else trace

    patch.setattr(Metropolis, "__call__", call)


@caught_by(moves_keep_the_target_at_a_barrier)
def moves_forget_the_heuristic(patch):
    plain = Execution.trace
    patch.setattr(
        Execution, "trace", lambda self, horizon=None: dataclasses.replace(plain(self, horizon), heuristic=0.0)
    )


@caught_by(moved_particles_are_unbiased)
def a_moved_particle_takes_its_new_weight(patch):
    """A move leaves the target invariant: the particle keeps the weight it had."""

    def retrace(self, execution, trace):
        moved = execution.fork()
        moved.move_to(trace)
        return moved

    patch.setattr(Run, "retrace", retrace)


# -- trees -------------------------------------------------------------------------------------------------------------


def ets_is_brute_force():
    rng = test_allocation.random.Random(1)
    for _ in range(60):
        problem = test_allocation.random_problem(rng)
        assert ets_selection(**problem).kept == test_allocation.brute_force(**problem)[2]


def rebase_is_the_published_loop():
    test_allocation.test_rebase_table()
    test_allocation.test_rebase_is_the_published_loop()


def beams_keep_finished_traces():
    result = test_tree_search.text_of.run(0.0, engine=beam(3, expand=4), seed=0)
    assert result.values[0] == "a"


def a_wide_beam_is_exhaustive():
    test_tree_search.test_a_wide_beam_finds_the_best_trace(3)


def duplicates_carry_their_number():
    test_tree_search.test_equal_draws_carry_the_log_of_their_number()


def heuristics_guide_and_look_ahead():
    test_tree_search.test_lookahead()


def heuristics_share_the_width_out():
    test_tree_search.test_rebase_table_in_a_program()


def trees_do_not_compete():
    test_tree_search.test_trees_do_not_compete()


@caught_by(ets_is_brute_force)
def ancestors_cost_nothing(patch):
    """The closure without what makes it one."""
    plain = inference.closure.closure
    patch.setattr(
        inference.closure, "closure",
        lambda c, *args, **kwargs: plain(dataclasses.replace(c, costs=[0] * len(c.costs)), *args, **kwargs),
    )  # fmt: skip


@caught_by(ets_is_brute_force)
def coverage_counts_leaves(patch):
    """The bonus goes to every leaf of a cluster, not to the cluster."""
    plain = inference.closure.select

    def select(paths, counts, kv_penalty, coverage, clusters, *costs):
        return plain(paths, counts, kv_penalty, coverage, list(range(len(paths))) if coverage else clusters, *costs)

    patch.setattr(inference.allocation, "select", select)


@caught_by(ets_is_brute_force)
def ties_keep_the_fewest_leaves(patch):
    plain = inference.closure.closure
    patch.setattr(
        inference.closure, "closure",
        lambda c, leaves, gains, least=False: [i for i in plain(c, leaves, gains, least) if gains[i] > 0] or plain(c, leaves, gains, least),
    )  # fmt: skip


@caught_by(rebase_is_the_published_loop)
def shares_are_rounded_down(patch):
    patch.setattr(inference.allocation, "_ceil", math.floor)


@caught_by(duplicates_carry_their_number)
def merged_duplicates_count_once(patch):
    frontier = sys.modules["inference.frontier"]
    patch.setattr(frontier, "_merge", lambda children, start: list({frontier._drawn_since(c, start): c for c in children}.values()))  # fmt: skip


@caught_by(beams_keep_finished_traces)
def finished_traces_leave_the_beam(patch):
    plain = inference.allocation.beam

    def rule(scores, finished, width, expand):
        if all(finished):
            return [1] * len(scores)
        return plain([s - 100 * f for s, f in zip(scores, finished)], finished, width, expand)

    patch.setattr(inference.allocation, "beam", rule)


@caught_by(heuristics_guide_and_look_ahead)
def the_text_ahead_is_not_scored(patch):
    """search-and-learn: the look-ahead is generated, and the present text ranks."""
    patch.setattr(LevelSearch, "_look_ahead", lambda self, nodes: None)


@caught_by(heuristics_share_the_width_out)
def ranks_leave_the_heuristic_out(patch):
    patch.setattr(Execution, "rank", property(lambda self: self.log_weight))


@caught_by(trees_do_not_compete)
def subtrees_compete(patch):
    plain = inference.allocation.dvts

    def rule(scores, finished, subtrees, expand):
        return plain(scores, finished, [0] * len(scores), expand)

    patch.setattr(inference.allocation, "dvts", rule)


@caught_by(a_wide_beam_is_exhaustive)
def branches_forget_log_p(patch):
    plain = Execution.branch
    patch.setattr(Execution, "branch", lambda self, value, log_prob: plain(self, value, 0.0))


# -- without replacement -----------------------------------------------------------------------------------------------


def draws_without_replacement_are_unbiased():
    test_stochastic_beam.test_dropping_nodes_early_changes_nothing(1, runs=300)


@caught_by(draws_without_replacement_are_unbiased)
def the_roots_noise_is_fixed(patch):
    plain = Run.rng
    zero = type("Zero", (), {"gumbel": staticmethod(lambda: 0.0)})
    patch.setattr(Run, "rng", lambda self, purpose, i=0: zero if purpose == "gumbel" else plain(self, purpose, i))


@caught_by(draws_without_replacement_are_unbiased)
def noise_is_not_conditioned_on_the_parents(patch):
    """Every node draws a Gumbel of its own."""
    plain = stochastic_beam._children

    def children(run, node, table, most):
        made = plain(run, node, table, most)
        noise = run.streams.at(node.execution.key, "engine:free", 0).gumbel(size=len(made))
        return [dataclasses.replace(c, perturbed=c.log_prob + g) for c, g in zip(made, noise, strict=True)]

    patch.setattr(stochastic_beam, "_children", children)


@caught_by(draws_without_replacement_are_unbiased)
def weights_forget_the_chance_of_inclusion(patch):
    patch.setattr(Execution, "set_rank", lambda self, rank: None)


# -- best first --------------------------------------------------------------------------------------------------------


def astar_finds_the_optimum_at_known_cost():
    test_astar.test_known_optimum_and_number_of_expansions(11, (1, 0, 1, 1), 4.820391, (10, 7, 4))
    test_astar.test_all_traces_come_in_the_order_of_their_weight()


def astar_ranks_inherit():
    test_astar.test_a_block_without_heuristic_inherits_its_parents_rank()


def visits_are_those_of_alphamath():
    with pytest.MonkeyPatch.context() as patch:
        seen, grow = [], test_mcts.mcts.grow
        patch.setattr(test_mcts.mcts, "grow", lambda self, tree, root: seen.append(root) or grow(self, tree, root))
        for simulations, expected in ((2, (3, -0.266667)), (4, (7, 0.257143)), (8, (9, 0.066667))):
            test_mcts.alphamath.run(engine=test_mcts.mcts(simulations, expand=5, c=1.25, scale="log"))
            assert test_mcts.table(seen[-1])[""] == expected


def a_batch_leaves_nothing_behind():
    with pytest.MonkeyPatch.context() as patch:
        seen, grow = [], test_mcts.mcts.grow
        patch.setattr(test_mcts.mcts, "grow", lambda self, tree, root: seen.append(root) or grow(self, tree, root))
        test_mcts.test_no_paid_generation_is_discarded_and_no_leaf_expanded_twice(8, seen)


def puct_is_the_formula():
    test_mcts.test_puct_by_hand()


def rewards_go_where_they_belong():
    test_ab_mcts.test_a_reward_goes_to_gen_of_the_parent_and_to_cont_and_child_above()


def posteriors_are_the_textbooks():
    for rewards in ([0.9, 0.2, 0.5], [-1.0, 4.0]):
        test_ab_mcts.test_the_gaussian_posterior_is_the_textbooks(rewards)


@caught_by(astar_finds_the_optimum_at_known_cost)
def the_first_finished_trace_made_wins(patch):
    """It stops when a goal is made, not when it is the best of all that is open."""
    frontier = sys.modules["inference.astar"]._Frontier
    plain = frontier.push
    patch.setattr(
        frontier, "push",
        lambda self, e, s: plain(self, e, dataclasses.replace(s, rank=math.inf) if e.finished else s),
    )  # fmt: skip


@caught_by(astar_finds_the_optimum_at_known_cost)
def the_frontier_forgets_the_heuristic(patch):
    patch.setattr(Execution, "rank", property(lambda self: self.log_weight))


@caught_by(astar_ranks_inherit)
def a_block_without_heuristic_ranks_by_weight_alone(patch):
    module = sys.modules["inference.astar"]
    plain = module._by_weight
    patch.setattr(
        module, "_by_weight", lambda child, parent: dataclasses.replace(plain(child, parent), rank=child.rank)
    )


@caught_by(puct_is_the_formula, visits_are_those_of_alphamath)
def puct_drops_the_prior(patch):
    def best_child(self, c):
        explore = c * math.sqrt(self.visits)
        return max(
            (v for v in self.children if not (v.closed or v.taken)), key=lambda v: v.q + explore / (1 + v.visits)
        )

    patch.setattr(Vertex, "best_child", best_child)


@caught_by(visits_are_those_of_alphamath)
def finished_children_are_not_backed_up(patch):
    module = sys.modules["inference.mcts"]

    def settle(leaf, failures):
        for value in (*failures, leaf.value):
            leaf.back_up(value)
        leaf.close()

    patch.setattr(module, "_settle", settle)


@caught_by(a_batch_leaves_nothing_behind)
def virtual_losses_stay(patch):
    plain = Vertex.back_up
    patch.setattr(Vertex, "back_up", lambda self, value, visits=1: plain(self, value, visits) if visits > 0 else None)


@caught_by(a_batch_leaves_nothing_behind)
def leaves_are_expanded_twice(patch):
    """Walks of a batch do not see each other, as in treequest, which throws the second expansion away."""
    patch.setattr(Vertex, "take", lambda self: [])


@caught_by(rewards_go_where_they_belong)
def every_ancestor_learns_that_widening_pays(patch):
    def tell(self, reward):
        branch = self
        while branch is not None:
            branch.gen.tell(reward)
            branch = branch.parent

    patch.setattr(Branch, "tell", tell)


@caught_by(posteriors_are_the_textbooks)
def the_prior_mean_is_forgotten(patch):
    """The mean of the rewards, as if the prior counted for nothing."""
    plain = Gaussian.tell

    def tell(self, reward):
        plain(self, reward)
        self.mean = self.total / (self.freedom - 1)

    patch.setattr(Gaussian, "tell", tell)


# -- repeated sampling, annealing --------------------------------------------------------------------------------------


def annealing_is_unbiased():
    exact = {value: float(mass) for value, mass in test_entropic.UNEVEN.items()}
    engine = smc(particles=3, resampling="systematic", ess_threshold=1.0, annealing="ess", horizon=5)
    check_unbiased(engine, test_entropic.uneven, exact=exact)


def pass_at_k_is_a_share_of_subsets():
    test_metrics.test_pass_at_k_is_the_share_of_subsets_with_a_right_one(6, 2)


def best_of_majority_is_the_published_table():
    test_keys.test_best_of_majority_keeps_the_frequent_and_takes_the_best_of_them()


def the_published_filter_is_as_published():
    test_entropic.test_the_share_of_early_finishers_grows_with_the_length_of_the_others()


@caught_by(annealing_is_unbiased)
def flattened_shares_with_plain_weights(patch):
    """Entropic particle filtering as published: the average weight, whatever the shares were."""
    plain = inference.particles.offspring

    def offspring(run, particles, parents, log_weights):
        ranks = [p.rank for p in particles]
        mean = math.log(math.fsum(map(math.exp, ranks)) / len(ranks))
        return plain(run, particles, parents, [mean] * len(parents))

    patch.setattr(sys.modules["inference.smc"], "offspring", offspring)


@caught_by(pass_at_k_is_a_share_of_subsets)
def pass_at_k_plugs_the_frequency_in(patch):
    patch.setattr(test_metrics, "pass_at_k", lambda n, correct, k: 1 - (1 - correct / n) ** k)


@caught_by(best_of_majority_is_the_published_table)
def best_of_majority_ignores_frequency(patch):
    votes = sys.modules["ppl.votes"]
    plain = votes.vote
    patch.setattr(sys.modules["ppl.readings"], "vote", lambda t, w, kind, key, threshold: plain(t, w, kind, key, 0.0))


@caught_by(the_published_filter_is_as_published)
def the_published_filter_counts_finished_particles_once(patch):
    """What is right elsewhere is a bug where the published numbers are asked for."""
    module = sys.modules["inference.smc"]
    patch.setattr(module, "published", lambda run, n: smc(n).search(run))


@functools.cache
def passes(law):
    """A law holds while nothing is planted."""
    law()


@pytest.mark.parametrize(("plant", "laws"), BUGS)
def test_a_planted_bug_is_caught(plant, laws, monkeypatch):
    for law in laws:
        passes(law)
    plant(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017  (an assertion of a law, or an error of the run itself)
        for law in laws:
            law()
