"""Allocation rules against published tables, the published loop in high precision, and brute force over all subsets."""

import itertools
import math
import random
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest

from benchmarks.decisions import problems
from inference import allocation, closure
from inference.allocation import ets, ets_selection, rebase
from ppl.errors import CapabilityError, OptionError

# -- REBASE ------------------------------------------------------------------------------------------------------------


def published_rebase(scores, width, temperature):
    """The authors' loop, in 60 digits."""
    getcontext().prec = 60
    e = [(Decimal(s) / Decimal(str(temperature))).exp() for s in scores]
    counts, left, rest = [0] * len(scores), width, sum(e)
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        counts[i] = math.ceil((left * e[i] / rest).quantize(Decimal(10) ** -40)) if left else 0
        left, rest = left - counts[i], rest - e[i]
    return counts


def test_rebase_table():
    assert rebase([0.90, 0.85, 0.60, 0.30], 16, 0.2) == [8, 6, 2, 0]


def test_rebase_is_the_published_loop():
    rng = random.Random(0)
    for _ in range(300):
        scores = [rng.choice([0.25, 0.5, 0.5, rng.random()]) for _ in range(rng.randint(1, 9))]
        width, temperature = rng.choice([1, 4, 16, 64]), rng.choice([0.1, 0.2, 1.0])
        assert rebase(scores, width, temperature) == published_rebase(scores, width, temperature)


@pytest.mark.parametrize("n", [1, 3, 7, 10, 64])
def test_equal_scores_get_equal_shares_and_the_first_the_rest(n):
    assert rebase([0.1] * n, n, 0.2) == [1] * n
    assert rebase([0.1] * n, 3 * n, 0.2) == [3] * n
    assert rebase([0.1] * n, 1, 0.2) == [1] + [0] * (n - 1)


def test_rebase_extremes():
    assert rebase([-800.0, 0.0, 900.0], 5, 0.2) == [0, 0, 5]
    assert rebase([-math.inf, 0.5, 0.5], 4, 0.2) == [0, 2, 2]
    assert sum(rebase([1e-3 * i for i in range(256)], 256, 0.2)) == 256


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], 4), "the frontier is empty"),
        (([math.nan, 1.0], 4), "must be numbers"),
        (([-math.inf], 4), "every score is -inf"),
        (([1.0], 0), "width >= 1"),
        (([1.0], 4, 0.0), "temperature > 0"),
    ],
)
def test_rebase_refuses(arguments, says):
    with pytest.raises(OptionError, match=says):
        rebase(*arguments)


# -- beam and DVTS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "finished", "width", "expand", "counts"),
    [
        ([0.0], [False], 3, 4, [12]),  # the root fills the beam
        ([3.0, 1.0, 2.0], [False] * 3, 2, 4, [4, 0, 4]),
        ([3.0, 1.0, 2.0], [True, False, False], 2, 4, [1, 0, 4]),  # a finished node keeps its slot
        ([3.0, 1.0, 2.0], [False, True, True], 1, 4, [4, 0, 0]),  # and loses it to a better one
        ([1.0, 2.0], [False] * 2, 3, 3, [4, 5]),  # what a beam that is not full has left goes to the best
        ([1.0, 1.0, 1.0], [False] * 3, 2, 1, [1, 1, 0]),  # ties to the first
        ([1.0, 2.0], [True, True], 2, 4, [1, 1]),
    ],
)
def test_beam(scores, finished, width, expand, counts):
    assert allocation.beam(scores, finished, width, expand) == counts


@pytest.mark.parametrize(
    ("scores", "finished", "subtrees", "counts"),
    [
        ([3.0, 4.0, 1.0, 2.0], [False] * 4, [0, 0, 1, 1], [0, 4, 0, 4]),
        ([3.0, 4.0, 1.0, 2.0], [True, True, True, False], [0, 0, 1, 1], [1, 1, 0, 4]),
        ([3.0, 4.0, 5.0], [True, True, False], [0, 0, 0], [0, 0, 4]),
        ([1.0, 1.0], [False, False], [7, 7], [4, 0]),
    ],
)
def test_dvts(scores, finished, subtrees, counts):
    assert allocation.dvts(scores, finished, subtrees, 4) == counts


# -- ETS ---------------------------------------------------------------------------------------------------------------

PATHS = [(0, 1), (0, 1), (0, 2), (0, 2)]
SCORES = [0.90, 0.85, 0.60, 0.30]


@pytest.mark.parametrize(
    ("kv_penalty", "coverage", "clusters", "kept", "objective", "counts"),
    [
        (1, 0, None, [0, 1], 0.303571, [9, 7, 0, 0]),
        (2, 0, None, [0, 1], -0.267857, [9, 7, 0, 0]),
        (1, 1.5, "AABC", [0, 1, 2, 3], 1.500000, [8, 6, 2, 0]),
        (1, 0.5, "AABB", [0, 1, 2], 0.642857, [8, 7, 1, 0]),
        (1, 1.5, "AABB", [0, 1, 2], 1.642857, [8, 7, 1, 0]),
    ],
)
@pytest.mark.parametrize("few", [closure.FEW, 0])
def test_ets_table(monkeypatch, few, kv_penalty, coverage, clusters, kept, objective, counts):
    monkeypatch.setattr(closure, "FEW", few)
    found = ets_selection(PATHS, SCORES, 16, 0.2, kv_penalty, coverage, clusters)
    assert found.kept == kept
    assert found.objective == pytest.approx(objective, abs=5e-7)
    assert ets(PATHS, SCORES, 16, 0.2, kv_penalty, coverage, clusters) == counts


def random_tree(rng, leaves, nodes):
    parent = {j: rng.randrange(j) for j in range(1, nodes)}

    def path(j):
        return (*path(parent[j]), j) if j in parent else (j,)

    return [path(rng.randrange(nodes)) if rng.random() < 0.95 else () for _ in range(leaves)]


def random_problem(rng, leaves=8, nodes=8):
    n = rng.randint(1, leaves)
    paths = random_tree(rng, n, rng.randint(1, nodes))
    costs = rng.choice([[1], [1, 2, 5], [0, 1, 3], [0.1, 0.25, 1.5]])
    return {
        "paths": paths,
        "scores": [rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()]) for _ in range(n)],
        "width": rng.choice([4, 8, 16]),
        "kv_penalty": rng.choice([0, 0.1, 0.5, 1.0, 2.0]),
        "coverage": rng.choice([0, 0.1, 0.5, 1.0, 1.5]),
        "clusters": [rng.randint(0, rng.choice([0, 3, 9])) for _ in range(n)],
        "node_cost": {a: rng.choice(costs) for path in paths for a in path},
        "leaf_cost": [rng.choice(costs) for _ in range(n)],
    }


def brute_force(paths, scores, width, kv_penalty, coverage, clusters, node_cost, leaf_cost):
    """The best set of leaves by (objective, size, lexicographic order), over all sets, in fractions."""
    n, counts = len(paths), rebase(scores, width, 0.2)
    exact = {a: Fraction(str(c)) for a, c in node_cost.items()}
    own = [Fraction(str(c)) for c in leaf_cost]
    total = sum(own) + sum(exact.values())
    best = None
    for size in range(1, n + 1):
        for kept in itertools.combinations(range(n), size):
            alive = {a for i in kept for a in paths[i]}
            objective = Fraction(sum(counts[i] for i in kept), sum(counts))
            if total:
                objective -= (
                    Fraction(str(kv_penalty)) * (sum(own[i] for i in kept) + sum(exact[a] for a in alive)) / total
                )
            if coverage:
                objective += Fraction(str(coverage)) * Fraction(len({clusters[i] for i in kept}), len(set(clusters)))
            if best is None or (objective, size) > best[:2]:  # combinations come in lexicographic order
                best = objective, size, list(kept)
    return best


@pytest.mark.parametrize("few", [closure.FEW, 0])
def test_ets_is_brute_force(monkeypatch, few):
    """300 random trees with many ties, unequal depths, zero costs; `few=0` sends every part to the integer program."""
    monkeypatch.setattr(closure, "FEW", few)
    rng = random.Random(1)
    for _ in range(300 if few else 100):
        problem = random_problem(rng)
        objective, _, kept = brute_force(**problem)
        found = ets_selection(**problem)
        assert found.kept == kept, problem
        assert found.objective == pytest.approx(float(objective), abs=1e-12)


@pytest.mark.parametrize("few", [closure.FEW, 0])
def test_of_equal_optima_the_largest_stays(monkeypatch, few):
    """{0} and {1, 2} are worth -0.85 both, all three -1.7."""
    monkeypatch.setattr(closure, "FEW", few)
    found = ets_selection(
        [(), (0,), (0,)],
        [0.5] * 3,
        3,
        0.2,
        kv_penalty=3,
        coverage=0.3,
        clusters="ABB",
        node_cost={0: 3},
        leaf_cost=[4, 1, 1],
    )
    assert found.kept == [1, 2]
    assert found.objective == pytest.approx(-0.85)


def test_closure_without_coverage_is_brute_force():
    rng = random.Random(2)
    for _ in range(200):
        problem = {**random_problem(rng, 9, 12), "coverage": 0, "clusters": None}
        assert ets_selection(**problem).kept == brute_force(**problem)[2]


def test_reduction_loses_nothing(monkeypatch):
    """At 24 leaves: reduced, split and tried one by one, or all of it in one integer program."""
    rng = random.Random(3)
    problems = []
    while len(problems) < 25:
        problem = random_problem(rng, 24, 16)
        if problem["coverage"]:
            problem["clusters"] = [rng.randrange(8) for _ in problem["paths"]]
            problems.append((problem, ets_selection(**problem)))
    monkeypatch.setattr(closure, "FEW", 0)
    monkeypatch.setattr(closure, "_reduce", lambda c: ([], list(range(len(c.gains)))))
    for problem, found in problems:
        assert ets_selection(**problem) == found


def test_without_penalty_and_coverage_it_is_rebase():
    rng = random.Random(4)
    for _ in range(100):
        problem = random_problem(rng)
        counts = rebase(problem["scores"], problem["width"])
        assert ets(problem["paths"], problem["scores"], problem["width"], kv_penalty=0, coverage=0) == counts


def test_costs_count():
    """Equal rewards: of two branches the one with fewer tokens stays."""
    paths, scores = [(0, 1), (0, 2)], [0.5, 0.5]
    assert ets(paths, scores, 4, kv_penalty=3, node_cost={0: 9, 1: 20, 2: 5}, leaf_cost=[5, 5]) == [0, 4]
    assert ets(paths, scores, 4, kv_penalty=3, node_cost={0: 9, 1: 5, 2: 5}, leaf_cost=[5, 20]) == [4, 0]
    assert ets(paths, scores, 4, kv_penalty=3) == [4, 0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clusters": "AAB"}, "clusters has 3 entries, expected one for each of the 4 leaves"),
        ({"coverage": 1.0}, "coverage needs clusters"),
        ({"leaf_cost": [1, 1]}, "leaf_cost has 2 entries"),
        ({"scores": [0.5]}, "1 scores for 4 leaves"),
        ({"paths": [(0, 1), (0, 1), (0, 2), (0, 1, 2)]}, "node 2 two parents, 0 and 1"),
        ({"node_cost": {0: 1, 1: 1}}, "no entry for ancestor 2"),
        ({"leaf_cost": [1, 1, -1, 1]}, "leaf_cost must be finite and not negative"),
        ({"kv_penalty": -1.0}, "kv_penalty must be finite and not negative"),
        ({"paths": [], "scores": []}, "the frontier is empty"),
        ({"scores": [0.5, 0.5, 0.5, -math.inf]}, "leave dead leaves out"),
    ],
)
def test_ets_refuses(changes, says):
    with pytest.raises(OptionError, match=says):
        ets(**{"paths": PATHS, "scores": SCORES, "width": 16, **changes})


def test_a_selection_among_256_leaves_gives_all_of_the_width_to_what_it_keeps():
    """Trees of many shapes, of the size of published searches. `benchmarks/decisions.py` times the same."""
    for problem in problems(trials=4, seed=5):
        kept, counts = ets_selection(**problem).kept, ets(**problem)
        assert sum(counts) == problem["width"] and kept
        assert all(count == 0 for i, count in enumerate(counts) if i not in set(kept))


def test_without_scipy(monkeypatch):
    monkeypatch.setattr(closure, "FEW", 0)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert ets(PATHS, SCORES, 16, coverage=1.5, clusters="AAAA") == [9, 7, 0, 0]  # needs no program
    with pytest.raises(CapabilityError, match="pip install scipy"):
        ets(PATHS, SCORES, 16, kv_penalty=3.0, coverage=0.5, clusters="ABAB")
