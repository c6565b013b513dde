"""AB-MCTS-A: posteriors against textbook formulas, bookkeeping by hand, and trees that widen or deepen as they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from inference import ab_mcts
from inference.ab_mcts import Beta, Branch, Gaussian, walk
from ppl import AllDead, call, heuristic, limit, model, require, sample, score
from ppl.dist import bernoulli, categorical, uniform_real
from ppl.errors import OptionError, WeightError
from ppl.testing import check_replay_invariance, check_seed_determinism


@pytest.fixture
def roots(monkeypatch):
    seen: list[Branch] = []
    grow = ab_mcts.grow
    monkeypatch.setattr(ab_mcts, "grow", lambda self, run, tree, root: seen.append(root) or grow(self, run, tree, root))
    return seen


def width(root):
    return len(root.children) + len(root.ends)


def depth(branch):
    return 0 if branch.parent is None else 1 + depth(branch.parent)


# -- arms ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rewards", [[], [0.3], [0.9, 0.2, 0.5], [0.7] * 12, [-1.0, 4.0]])
def test_the_gaussian_posterior_is_the_textbooks(rewards):
    """Murphy 2023, section 3.4.3.3: m = 0, kappa = 1, nu = 1, tau^2 = .1 updated by n rewards."""
    arm = Gaussian()
    for reward in rewards:
        arm.tell(reward)
    n, mean = len(rewards), np.mean(rewards) if rewards else 0.0
    squares = n * np.var(rewards) if rewards else 0.0
    kappa = nu = 1 + n
    tau2 = (0.1 + squares + n * mean**2 / (1 + n)) / nu
    assert (arm.freedom, arm.mean) == (nu, pytest.approx(n * mean / kappa))
    assert arm.scale == pytest.approx(math.sqrt(tau2 / kappa))


def test_draws_follow_the_posterior():
    """Kolmogorov-Smirnov at fixed seeds; a right sampler would fail one seed in a million."""
    gaussian, beta = Gaussian(), Beta()
    for reward in (0.9, 0.2, 0.5, 0.6):
        gaussian.tell(reward)
        beta.tell(reward)
    rng = np.random.default_rng(0)
    drawn = Gaussian.draw([gaussian] * 4000, rng)
    assert stats.kstest(drawn, stats.t(5, gaussian.mean, gaussian.scale).cdf).pvalue > 1e-6
    assert stats.kstest(Beta.draw([beta] * 4000, rng), stats.beta(0.5 + 2.2, 0.5 + 1.8).cdf).pvalue > 1e-6


def test_a_decision_takes_the_larger_draw():
    """P(GEN) at a node with GEN (.8, .8, .8) and CONT (.5, .5), from the difference of two t variables."""
    root = _hand_made()
    rng = np.random.default_rng(1)
    wide = np.mean([walk(root, rng) is root for _ in range(20_000)])
    grid = np.linspace(-6, 6, 200_001)
    gen, cont = (stats.t(a.freedom, a.mean, a.scale) for a in (root.gen, root.cont))
    exact = float(np.trapezoid(gen.pdf(grid) * cont.cdf(grid), grid))
    assert abs(wide - exact) < 5 * math.sqrt(0.25 / 20_000)  # fails with probability below 1e-6


def _hand_made():
    root = Branch(None, None, None, None, Gaussian(), Gaussian(), Gaussian())  # type: ignore[arg-type]
    child = Branch(None, None, root, None, Gaussian(), Gaussian(), Gaussian())  # type: ignore[arg-type]
    root.children.append(child)
    for _ in range(3):
        root.tell(0.8)
    for _ in range(2):
        child.tell(0.5)
    return root


def test_a_reward_goes_to_gen_of_the_parent_and_to_cont_and_child_above():
    root = _hand_made()
    child = root.children[0]
    assert (root.gen.freedom, root.cont.freedom) == (4, 3)
    assert (child.gen.freedom, child.cont.freedom, child.arm.freedom) == (3, 1, 3)
    assert root.arm.freedom == 1
    assert (root.gen.total, root.cont.total, child.arm.total, child.gen.total) == pytest.approx((2.4, 1.0, 1.0, 1.0))


def test_going_on_is_from_the_better_child():
    root = _hand_made()
    for reward in (9.0, 9.0, 9.0):
        root.cont.tell(reward)
    better = Branch(None, None, root, None, Gaussian(), Gaussian(), Gaussian())  # type: ignore[arg-type]
    root.children.append(better)
    for _ in range(50):
        root.children[0].arm.tell(0.1)
        better.arm.tell(8.0)
    rng = np.random.default_rng(2)
    reached = [walk(root, rng) for _ in range(100)]
    assert better in reached and root.children[0] not in reached


# -- trees ---------------------------------------------------------------------------------------------------------------


@model
def noise():
    """Rewards that depend on nothing, at any depth."""
    for _ in range(200):
        heuristic(math.log(1e-9 + sample("x", uniform_real(0, 1))))


@pytest.mark.parametrize("batch", [1, 16, 48])
def test_width_and_depth_on_noise_are_those_of_the_published_algorithm_for_any_batch(batch, roots):
    """The reference implementation has a mean root width of 52 at 96 nodes one by one, and of 86 in batches of 48."""
    for seed in range(24):
        noise.run(engine=ab_mcts(nodes=96, batch=batch), seed=seed)
    assert 45 < np.mean([width(root) for root in roots]) < 60
    assert 2.6 < np.mean([max(map(depth, root.below())) for root in roots]) < 4.0


def drafts(gain, spread):
    """A first draft of random quality; each revision gains `gain`."""

    @model
    def program():
        quality = 0.3 + spread * sample("draft", uniform_real(0, 1))
        heuristic(math.log(quality))
        for _ in range(8):
            quality = min(0.99, max(0.01, quality + gain + 0.02 * sample("revision", uniform_real(0, 1))))
            heuristic(math.log(quality))
        return quality

    return program


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
def test_it_deepens_where_revision_pays_and_widens_where_drafts_differ(prior, roots):
    engine = ab_mcts(nodes=60, prior=prior)
    for seed in range(10):
        drafts(gain=0.1, spread=0.0).run(engine=engine, seed=seed)
        drafts(gain=-0.2, spread=0.6).run(engine=engine, seed=seed)
    deep, wide = (np.mean([width(root) for root in roots[k::2]]) for k in (0, 1))
    assert deep < 0.6 * wide


def test_the_result_holds_the_finished_traces_best_first_and_every_generation_is_a_node(roots):
    paid = []

    @model
    def program():
        total = 0
        for _ in range(2):
            total += call(lambda x: paid.append(x) or x, sample("x", categorical({0: 0.5, 1: 0.3, 2: 0.2})))
            heuristic(math.log((total + 1) / 6))
        score(math.log((total + 1) / 6))
        return total

    result = program.run(engine=ab_mcts(nodes=60, batch=8), seed=0)
    everything = list(roots[0].below())
    assert len(everything) == 61 == result.cost.nodes
    assert len(paid) == 60
    assert len(result) == sum(b.execution.finished for b in everything)
    assert result.values == sorted(result.values, reverse=True)
    assert result.log_weights == pytest.approx([math.log((v + 1) / 6) for v in result.values])
    assert result.best.value == result.values[0]
    assert result.warnings == []


def test_dead_children_teach_gen_and_nothing_else(roots):
    @model
    def program():
        ok = sample("ok", bernoulli(0.5))
        require(ok, "wrong")
        score(math.log(0.7))
        return "fine"

    result = program.run(engine=ab_mcts(nodes=20), seed=0)
    deaths = sum(result.reasons.values())
    assert deaths + len(result) == 20 and 0 < deaths < 20
    assert roots[0].gen.freedom == 21 and roots[0].gen.total == pytest.approx(0.7 * len(result))

    @model
    def doomed():
        require(sample("x", bernoulli(0.5)) and False, "never")

    with pytest.raises(AllDead, match="never"):
        doomed.run(engine=ab_mcts(nodes=5))


def test_warnings_errors_and_limits():
    @model
    def blind():
        return [sample("x", bernoulli(0.5)) for _ in range(3)]

    assert any("every node is worth the same" in w for w in blind.run(engine=ab_mcts(nodes=4)).warnings)
    unfinished = noise.run(engine=ab_mcts(nodes=10))
    assert any("no trace finished among 10 nodes" in w for w in unfinished.warnings)
    assert len(unfinished.traces) > 0 and unfinished.values == []
    stopped = noise.run(engine=ab_mcts(nodes=1000, batch=8), limit=limit(nodes=33))
    assert stopped.cost.nodes == 33 and stopped.stopped == "nodes" and len(stopped.traces) > 0

    @model
    def odds():
        sample("x", bernoulli(0.5))
        score(1.0)

    with pytest.raises(WeightError, match=r"needs rewards in \[0, 1\]"):
        odds.run(engine=ab_mcts(nodes=4, prior="beta"))
    assert len(odds.run(engine=ab_mcts(nodes=4))) == 4
    for options in ({"nodes": 0}, {"nodes": 5, "prior": "cauchy"}, {"nodes": 5, "batch": 0}, {}):
        with pytest.raises(OptionError):
            ab_mcts(**options)


@pytest.mark.parametrize("options", [{}, {"prior": "beta", "batch": 4}])
def test_the_cache_of_continuations_and_the_order_of_problems_change_nothing(options):
    @model
    def program(gain):
        return drafts(gain, 0.3)()

    engine = ab_mcts(nodes=25, **options)
    check_replay_invariance(engine, program, (0.05,), seed=1)
    check_seed_determinism(engine, program, [0.0, 0.05, 0.1], seed=2)
