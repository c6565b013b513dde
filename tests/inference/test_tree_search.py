"""Beam, DVTS, REBASE and ETS over whole programs: published tables, plain-Python beams, brute force, budgets."""

import math
import random
from collections import Counter

import pytest

from backends import TableLM
from inference import beam, best_of, dvts, ets, exact, importance, rebase
from inference.rebase import cosine_clusters
from ppl import AllDead, checkpoint, heuristic, limit, model, require, sample, score
from ppl.dist import Distribution, bernoulli, categorical, normal, uniform, uniform_real
from ppl.errors import OptionError
from tests.naming import named

ROWS = {
    "": (0.4, 0.3, 0.2, 0.1),
    "a": (0.32, 0.29, 0.12, 0.27),
    "b": (0.2, 0.22, 0.27, 0.31),
    "c": (0.1, 0.4, 0.15, 0.35),
}
ENGINES = [
    beam(4, 3),
    beam(4, 3, dedupe=False, lookahead=1),
    beam(3, 2, children="draw"),
    dvts(3, 2),
    rebase(8),
    ets(8),
    ets(8, coverage=1.5, cost="nodes"),
]


class Row(Distribution):
    """One row of the table, or just its end symbol at the row's own probability. Counts how often it is enumerated."""

    finite = True
    asked = 0

    def __init__(self, after, last):
        self.table = {"$": ROWS[after][3]} if last else dict(zip("abc$", ROWS[after], strict=True))

    def support(self):
        Row.asked += 1
        return list(self.table)

    def log_prob(self, value):
        return math.log(self.table[value])


@model
def text_of(bonus):
    """Strings of up to four symbols, then "$"; every b gains `bonus`."""
    text = ""
    while True:
        symbol = sample("symbol", Row(text[-1:], len(text) == 4))
        if symbol == "$":
            return text
        text += symbol
        if symbol == "b":
            score(bonus)


def plain_beam(width, bonus):
    """(best text, its log weight, expansions) by a beam search written on strings."""
    level, expansions = [("", 0.0)], 0
    while not all(text.endswith("$") for text, _ in level):
        following = []
        for text, weight in level:
            if text.endswith("$"):
                following.append((text, weight))
                continue
            expansions += 1
            row = dict(zip("abc$", ROWS[text[-1:]], strict=True))
            for symbol in "$" if len(text) == 4 else "abc$":
                following.append((text + symbol, weight + math.log(row[symbol]) + bonus * (symbol == "b")))
        level = sorted(following, key=lambda pair: -pair[1])[:width]
    return level[0][0][:-1], level[0][1], expansions


@pytest.mark.parametrize(
    ("width", "bonus", "text", "expansions"),
    [
        (1, 0.0, "aaaa", 5), (2, 0.0, "aaab", 9), (3, 0.0, "a", 10), (4, 0.0, "a", 10), (5, 0.0, "a", 10),
        (8, 0.0, "a", 12), (1, 1.5, "bbbb", 5), (2, 1.5, "bbbb", 9), (3, 1.5, "b", 10), (4, 1.5, "b", 13),
        (5, 1.5, "b", 14), (8, 1.5, "b", 21), (6, 0.0, None, None), (7, 0.0, None, None), (6, 1.5, None, None),
        (7, 1.5, None, None),
    ],
)  # fmt: skip
def test_beam_over_symbols(width, bonus, text, expansions):
    plain = plain_beam(width, bonus)
    assert text is None or (plain[0], plain[2]) == (text, expansions)
    Row.asked = 0
    result = text_of.run(bonus, engine=beam(width, expand=4), seed=0)
    assert (result.best.value, Row.asked) == (plain[0], plain[2])
    assert result.best.log_weight == pytest.approx(plain[1], abs=1e-12)
    assert len(result) == width
    assert list(result.log_weights) == sorted(result.log_weights, reverse=True)


def test_the_four_best_texts():
    result = text_of.run(0.0, engine=beam(200, expand=4), seed=0)
    assert result.values[:4] == ["a", "", "b", "c"]
    expected = [-2.2256240519, -2.3025850930, -2.3751557858, -2.6592600369]
    assert list(result.log_weights[:4]) == pytest.approx(expected, abs=1e-10)


def random_program(seed):
    """A program of three to four choices whose number, tables, scores and dead ends depend on what was chosen."""
    rng = random.Random(seed)
    tables = {}

    def look(path, kind):
        if (path, kind) not in tables:
            tables[path, kind] = rng.random()
        return tables[path, kind]

    def table(path):
        return {v: 0.05 + look((*path, v), "p") for v in range(2 + int(2 * look(path, "size")))}

    def weight(path):
        return -3.0 * look(path, "weight") if look(path, "dead") > 0.15 or path == (0,) else -math.inf

    def length(path):
        return 3 if path[:1] == (0,) else 4

    @model
    def program():
        path = ()
        while len(path) < length(path):
            path += (sample("x", categorical(table(path))),)
            score(weight(path))
        return path

    def best(path=(), total=0.0):
        if path and len(path) == length(path):
            return total, path
        choices, norm = table(path), math.fsum(table(path).values())
        options = [
            best((*path, v), total + math.log(p / norm) + weight((*path, v)))
            for v, p in choices.items()
            if weight((*path, v)) > -math.inf
        ]
        return max(options, default=(-math.inf, ()))

    return program, best()


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_the_best_trace(seed):
    program, (total, path) = random_program(seed)
    result = program.run(engine=beam(500, expand=10), seed=0)
    assert result.best.value == path
    assert result.best.log_total == pytest.approx(total, abs=1e-12)


# -- how choices become children ---------------------------------------------------------------------------------------


class Coin(Distribution):
    """Heads or tails by draws alone: no support. Counts its draws."""

    drawn = 0

    def sample(self, rng):
        Coin.drawn += 1
        return "heads" if rng.random() < 0.5 else "tails"

    def log_prob(self, value):
        return math.log(0.5)


@model
def tosses(n):
    heads = 0
    for i in range(n):
        heads += sample("toss", Coin()) == "heads"
        score(math.log(0.9 if heads == i + 1 else 0.1))
    return heads


def test_every_level_draws_width_times_expand():
    Coin.drawn = 0
    result = tosses.run(5, engine=beam(3, 4, dedupe=False), seed=0)
    assert Coin.drawn == 5 * 12
    assert len(result) == 3


def test_one_child_each_is_best_of_n():
    result = tosses.run(5, engine=beam(6, 1, dedupe=False), seed=0)
    assert len(result) == 6
    assert "best_of(n=6)" in result.warnings[0]


def test_equal_draws_carry_the_log_of_their_number():
    result = tosses.run(1, engine=beam(5, 8), seed=0)
    counts = {t.value: math.exp(t.log_weight - t.log_total) for t in result.traces}
    assert sorted(result.values) == [0, 1]
    assert sum(counts.values()) == pytest.approx(40)
    assert all(abs(c - round(c)) < 1e-9 for c in counts.values())


@model
def dice():
    a = sample("a", categorical({1: 0.1, 2: 0.5, 3: 0.4}))
    score(0.0)
    return a, sample("b", categorical({"x": 0.3, "y": 0.7}))


def test_a_finite_choice_gives_its_most_probable_values():
    result = dice.run(engine=beam(9, expand=2), seed=0)
    assert result.values == [(2, "y"), (3, "y"), (2, "x"), (3, "x")]
    assert list(result.log_weights) == pytest.approx([math.log(p) for p in (0.35, 0.28, 0.15, 0.12)])


def test_a_finite_choice_is_drawn_on_request():
    result = dice.run(engine=beam(50, expand=4, children="draw"), seed=0)
    assert Counter(v[0] for v in result.values).keys() == {1, 2, 3}
    assert all(t.log_total == 0.0 for t in result.traces)


@model
def sketch_then_verdict():
    x = sample("x", normal(0, 1))
    verdict = sample("verdict", bernoulli(0.3))
    score(-abs(x) + (2.0 if verdict else 0.0))
    return x, verdict


def test_a_finite_choice_between_barriers_is_enumerated_and_nobody_is_pruned_there():
    result = sketch_then_verdict.run(engine=beam(12, expand=3), seed=0)
    assert len(result) == 12  # root: 36 draws, each with both verdicts, the best 12 of 72
    assert all(verdict for _, verdict in result.values)
    assert len({x for x, _ in result.values}) == 12
    assert result.cost.nodes == 1 + 36 + 72


def test_checkpoints_are_levels():
    @model
    def program():
        checkpoint()
        x = sample("x", categorical({1: 0.5, 2: 0.3, 3: 0.2}))
        checkpoint()
        y = sample("y", categorical({1: 0.6, 2: 0.4}))
        score(float(x == 3 and y == 2) * 9)
        return x, y

    assert program.run(engine=beam(3, 3), seed=0).best.value == (3, 2)
    assert program.run(engine=beam(2, 3), seed=0).best.value == (1, 1)
    assert program.run(engine=dvts(3, 2), seed=0).best.value == (3, 2)


def test_lookahead():
    """r(x) = .6 > r(y) = .5, but what follows y is better: a beam of one finds that only by looking ahead."""

    @model
    def program():
        first = sample("first", uniform("xy"))
        heuristic(math.log({"x": 0.6, "y": 0.5}[first]))
        second = sample("second", categorical({"a": 0.9, "b": 0.1} if first == "x" else {"a": 0.1, "b": 0.9}))
        score(math.log({"xa": 0.2, "yb": 0.9}.get(first + second, 0.1)))
        return first + second

    assert program.run(engine=beam(1, 2), seed=0).best.value == "xa"
    assert program.run(engine=beam(1, 2, lookahead=1), seed=0).best.value == "yb"


def test_lookahead_past_the_end_and_into_death():
    program, (_, path) = random_program(3)
    result = program.run(engine=beam(500, expand=10, lookahead=3), seed=0)
    assert result.best.value == path


# -- DVTS --------------------------------------------------------------------------------------------------------------


@model
def branches():
    """Both continuations of "a" beat both of "b"."""
    first = sample("first", categorical({"a": 0.5, "b": 0.4, "c": 0.1}))
    score({"a": 0.0, "b": -2.0, "c": -9.0}[first])
    second = sample("second", categorical({1: 0.6, 2: 0.4}))
    score(0.0)
    return f"{first}{second}"


def test_trees_do_not_compete():
    assert branches.run(engine=beam(2, 4), seed=0).values == ["a1", "a2"]
    assert branches.run(engine=dvts(2, 4), seed=0).values == ["a1", "a2", "b1", "b2"]


def test_trees_share_the_first_choice_out():
    result = branches.run(engine=dvts(5, 1), seed=0)
    assert result.values == ["a1", "b1", "c1"]
    assert any("fewer living branches than trees" in w for w in result.warnings)


def test_dvts_over_draws():
    Coin.drawn = 0
    result = tosses.run(4, engine=dvts(3, 5), seed=1)
    assert Coin.drawn == 4 * 15
    assert len(result) == 15  # what finished in a finished tree stays for the vote


# -- REBASE and ETS ----------------------------------------------------------------------------------------------------

REWARDS = {"A3": 0.90, "A4": 0.85, "B5": 0.60, "B6": 0.30}


def reward(r, p):
    """A heuristic that makes exp(rank) = r where a branch of probability p was enumerated."""
    heuristic(math.log(r / p))


@model
def seven_nodes():
    """The tree of the published table, then one draw from each of its leaves."""
    first = sample("first", uniform("AB"))
    reward(0.5, 1 / 2)
    second = sample("second", uniform("34" if first == "A" else "56"))
    reward(REWARDS[first + second], 1 / 4)
    sample("rest", uniform_real(0, 1))
    score(0.0)
    return first + second


def leaves(engine):
    values = Counter(seven_nodes.run(engine=engine, seed=0).values)
    return [values[leaf] for leaf in REWARDS]


LABELS = {"3": "A", "4": "A", "5": "B", "6": "C"}
PAIRS = {"3": "A", "4": "A", "5": "B", "6": "B"}


def labels(table):
    return lambda texts: [table.get(text, text) for text in texts]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"kv_penalty": 1.0}, [9, 7, 0, 0]),
        ({"kv_penalty": 2.0}, [16, 0, 0, 0]),  # of A and B only A is kept, and then of 3 and 4 only 3
        ({"coverage": 1.5, "clusters": labels(LABELS)}, [8, 6, 2, 0]),
        ({"coverage": 0.5, "clusters": labels(PAIRS)}, [8, 7, 1, 0]),
        ({"coverage": 1.5, "clusters": labels(PAIRS)}, [8, 7, 1, 0]),
        ({"kv_penalty": 0.0}, [8, 6, 2, 0]),
    ],
)
def test_ets_table_in_a_program(options, counts):
    assert leaves(ets(16, 0.2, cost="nodes", **options)) == counts


def test_rebase_table_in_a_program():
    assert leaves(rebase(16, 0.2)) == [8, 6, 2, 0]


@model
def walk(stop=0.3):
    """Steps of a random number and size; the reward of a step is its heuristic."""
    total = 0.0
    for _ in range(8):
        step = sample("step", uniform_real(0, 1))
        total += step
        if step < stop:
            break
        heuristic(math.log(0.05 + 0.9 * step))
    score(math.log(0.05 + 0.1 * total))
    return total


@pytest.mark.parametrize("width", [1, 5, 16])
def test_rebase_returns_width_traces(width):
    """A finished trace takes one from the width, and nothing dies here."""
    result = walk.run(engine=rebase(width), seed=3)
    assert len(result) == width
    assert not result.traces[width:]


@pytest.mark.parametrize("seed", range(5))
def test_ets_without_penalty_is_rebase(seed):
    one, two = (walk.run(engine=e, seed=seed) for e in (rebase(12), ets(12, kv_penalty=0.0)))
    assert one.values == two.values
    assert list(one.log_weights) == list(two.log_weights)


def test_scale():
    """Ranks 3 and 2.9: as rewards e^3 and e^2.9 they are far apart, as logs nearly equal."""

    @model
    def program():
        x = sample("x", uniform("ab"))
        score(math.log(2))
        heuristic(3.0 if x == "a" else 2.9)
        sample("y", uniform_real(0, 1))
        score(0.0)
        return x

    shares = [Counter(program.run(engine=rebase(20, 1.0, scale=s), seed=0).values) for s in ("reward", "log")]
    assert shares == [{"a": 18, "b": 2}, {"a": 11, "b": 9}]


class Words(str):
    tokens: tuple[int, ...]

    def __new__(cls, text, n):
        value = str.__new__(cls, text)
        value.tokens = tuple(range(n))
        return value

    def __deepcopy__(self, memo):
        return self


def test_a_node_costs_its_tokens():
    """Equal rewards, one cheap branch: it is kept where cost counts tokens, its twin where nodes count."""

    @model
    def program():
        first = sample("first", uniform([Words("long", 90), Words("short", 2)]))
        reward(0.5, 1 / 2)
        sample("rest", uniform_real(0, 1))
        score(0.0)
        return str(first)

    kept = {
        cost: set(program.run(engine=ets(4, kv_penalty=3.0, cost=cost), seed=0).values) for cost in ("tokens", "nodes")
    }
    assert kept == {"tokens": {"short"}, "nodes": {"long"}}


def test_clusters_of_vectors():
    vectors = [[1, 0, 0], [0.99, 0.05, 0], [0, 1, 0], [0, 2.0, 0.1], [0, 0, 1]]
    assert len(set(cosine_clusters(vectors))) == 3
    found = cosine_clusters(vectors)
    assert found[0] == found[1] and found[2] == found[3]
    assert len(set(cosine_clusters(vectors, distance=2.0))) == 1


def test_ets_embeds_the_last_steps():
    seen = []

    def embed(texts):
        seen.append(texts)
        return [[1.0, 0.0] if t in "34" else [0.0, 1.0] for t in texts]

    assert leaves(ets(16, coverage=0.5, embed=embed, cost="nodes")) == [8, 7, 1, 0]
    assert seen[1] == ["3", "4", "5", "6"]


# -- what holds for all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_replaying_always_changes_nothing(engine):
    for program in (walk, sketch_then_verdict, branches):
        one, two = program.run(engine=engine, seed=5), program.run(engine=engine, seed=5, live=0)
        assert one.values == two.values
        assert list(one.log_weights) == list(two.log_weights)
        assert one.cost.nodes == two.cost.nodes


@pytest.mark.parametrize("engine", ENGINES, ids=named)
@pytest.mark.parametrize("nodes", [1, 2, 7, 20, 33])
def test_node_limits_hold_and_the_best_so_far_comes_back(engine, nodes):
    whole = walk.run(engine=engine, seed=5)
    result = walk.run(engine=engine, seed=5, limit=limit(nodes=nodes))
    assert result.cost.nodes == min(nodes, whole.cost.nodes)
    if whole.cost.nodes > nodes:
        assert result.stopped == "nodes"
        assert result.traces
    else:
        assert result.stopped is None
        assert result.values == whole.values


TABLE = TableLM({after: dict(zip("abc$", row, strict=True)) for after, row in ROWS.items()})


@model
def steps():
    text = ""
    for _ in range(4):
        text += str(sample("step", TABLE(text, max_tokens=2)))
        heuristic(math.log(0.1 + 0.8 * text.count("b") / (1 + len(text))))
    score(math.log(0.1 + 0.8 * text.count("b") / (1 + len(text))))
    return text


@pytest.mark.parametrize("engine", ENGINES, ids=named)
@pytest.mark.parametrize("bounds", [{"tokens": 25}, {"calls": 9}, {"tokens": 10_000}])
def test_model_limits_hold(engine, bounds):
    result = steps.run(engine=engine, seed=1, limit=limit(**bounds))
    assert result.cost.generated_tokens <= bounds.get("tokens", math.inf)
    assert result.cost.model_calls <= bounds.get("calls", math.inf)
    assert result.stopped in (*bounds, None)
    assert result.stopped or len(result)


def test_tokens_of_a_model_are_a_finite_choice():
    @model
    def program():
        text = ""
        while len(text) < 4:
            symbol = sample("symbol", TABLE.token(text))
            if symbol == "$":
                break
            text += str(symbol)
            score(1.5 * (symbol == "b"))
        return text

    result = program.run(engine=beam(200, expand=4), seed=0)
    weights = dict(zip(result.values, result.log_weights, strict=True))
    assert result.best.value == "bbbb"
    assert weights["bbbb"] == pytest.approx(-0.9175389837 - math.log(0.31))  # four symbols end without paying for "$"
    assert weights["b"] == pytest.approx(-0.8751557858)


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_all_dead_says_why(engine):
    @model
    def doomed():
        x = sample("x", normal(0, 1))
        score(-abs(x))
        y = sample("y", bernoulli(0.5))
        require(False, "no way out")
        return y

    with pytest.raises(AllDead, match="no way out"):
        doomed.run(engine=engine, seed=0)


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_some_dead_is_no_matter(engine):
    @model
    def survivors():
        x = sample("x", uniform_real(0, 1))
        require(x < 0.8, "too large")
        y = sample("y", uniform_real(0, 1))
        score(-y)
        return x + y

    result = survivors.run(engine=engine, seed=0)
    assert result.values
    assert all("too large" in reason for reason in result.reasons)


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_a_program_without_guidance_is_met_with_a_warning(engine):
    @model
    def aimless():
        return sample("x", normal(0, 1)), sample("y", normal(0, 1))

    result = aimless.run(engine=engine, seed=0)
    assert any("plain sampling" in w for w in result.warnings)
    assert not any("plain sampling" in w for w in walk.run(engine=engine, seed=0).warnings)


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_a_program_without_choices(engine):
    @model
    def constant():
        score(-1.0)
        return "done"

    assert constant.run(engine=engine, seed=0).values == ["done"]


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (dvts(3, 1), "best_of(n=3)"),
        (rebase(1), "single run"),
        (ets(1), "single run"),
        (ets(4, coverage=1.0), "equal text"),
    ],
    ids=named,
)
def test_options_that_do_not_fit_are_met_with_a_warning(engine, says):
    assert any(says in w for w in walk.run(engine=engine, seed=0).warnings)


def test_a_cluster_list_of_the_wrong_length():
    with pytest.raises(OptionError, match="clusters has 1 entries, expected one for each of the 2 leaves"):
        seven_nodes.run(engine=ets(16, coverage=1.0, clusters=lambda texts: ["A"]), seed=0)


@pytest.mark.parametrize(
    "text", ["beam(width=0)", "beam(expand=2)", "dvts(trees=2, width=3)", "ets(4, kv_penalty=-1)", "rebase(4, 0)"]
)
def test_bad_options(text):
    with pytest.raises(OptionError):
        walk.run(engine=text, seed=0)


def test_searches_rank_and_do_not_sample():
    result = walk.run(engine=beam(4), seed=0)
    assert not hasattr(result, "log_evidence")
    assert len(walk.run(engine=best_of(4), seed=0)) == 4


def test_a_checkpoint_before_a_finite_choice_changes_no_width():
    @model
    def program(first):
        if first:
            checkpoint()
        x = sample("x", uniform(range(10)))
        score(float(x))
        return x

    for first in (False, True):
        assert sorted(program.run(first, engine=beam(8, 2), seed=0).values) == [0, 1]


@pytest.mark.parametrize("engine", [rebase(50), ets(50)])
def test_a_finite_choice_inside_a_step_is_drawn(engine):
    """The likeliest value alone would never say "yes". P(none of 50 does) = .51^50 < 1e-14."""

    @model
    def program():
        sample("x", normal(0, 1))
        said = sample("said", categorical({"no": 0.51, "yes": 0.49}))
        score(5.0 if said == "yes" else 0.0)
        return said

    result = program.run(engine=engine, seed=0)
    assert set(result.values) == {"no", "yes"} and result.best.value == "yes" and result.warnings == []


def test_draws_whose_nested_queries_differ_are_not_equal():
    """An importance estimate of one particle is e^-2 or e^2: copies of both weights must stay apart."""

    @model
    def inner():
        x = sample("x", bernoulli(0.3))
        score(2.0 if x else -2.0)

    @model
    def program(query):
        x = sample("x", bernoulli(0.5))
        score(query().log_evidence)
        return x

    estimated = program.run(importance(1)(inner), engine=beam(16, 16, children="draw"), seed=0)
    assert max(t.log_total for t in estimated.traces) == 2.0 and estimated.best.log_total == 2.0
    assert len(estimated.traces) == 16  # none is equal to another
    assert len(program.run(exact()(inner), engine=beam(16, 16, children="draw"), seed=0).traces) == 2


def test_a_tree_that_dies_later_is_no_want_of_branches():
    @model
    def program():
        a = sample("a", categorical({"a": 0.6, "b": 0.4}))
        score(0.0)
        sample("b", bernoulli(0.5))
        require(a == "a")
        score(0.0)
        sample("c", bernoulli(0.5))

    assert not any("branches than trees" in w for w in program.run(engine=dvts(2, 2), seed=0).warnings)
    assert any("branches than trees" in w for w in program.run(engine=dvts(3, 2), seed=0).warnings)
