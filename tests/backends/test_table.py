"""TableLM against sums over all strings, written out here by hand."""

import itertools
import math

import numpy as np
import pytest

from backends import TableLM
from inference import exact, importance
from ppl import iid, limit, model, observe, require, sample, score
from ppl.errors import BackendError, SupportError, UsageError
from ppl.requests import serve
from tests.backends.enumerate_uniforms import branches

BIGRAM = {
    "": {"a": 0.4, "b": 0.3, "c": 0.2, "$": 0.1},
    "a": {"a": 0.3, "b": 0.3, "c": 0.1, "$": 0.3},
    "b": {"a": 0.2, "b": 0.2, "c": 0.3, "$": 0.3},
    "c": {"a": 0.1, "b": 0.4, "c": 0.1, "$": 0.4},
}


@pytest.fixture
def lm():
    return TableLM(BIGRAM)


def strings(longest, alphabet="abc"):
    return ["".join(s) for n in range(longest + 1) for s in itertools.product(alphabet, repeat=n)]


def path_probability(path, rows=BIGRAM, after=""):
    p = 1.0
    for symbol in path:
        p *= rows[after].get(symbol, 0.0)
        after = symbol
    return p


def text_probability(text, longest, rows=BIGRAM, after=""):
    return path_probability(text if len(text) == longest else text + "$", rows, after)


@pytest.mark.parametrize("after", ["", "ca"])
def test_densities_are_those_of_the_table_and_sum_to_one(lm, after):
    dist = lm(after, max_tokens=4)
    densities = {text: math.exp(dist.log_prob(text)) for text in strings(4)}
    for text, density in densities.items():
        assert density == pytest.approx(text_probability(text, 4, after=after[-1:]), abs=1e-15)
    assert math.fsum(densities.values()) == pytest.approx(1.0, abs=1e-12)
    assert dist.log_prob("aaaaa") == -math.inf
    assert dist.log_prob("ax") == -math.inf
    assert dist.log_prob("a$") == -math.inf


def test_draws_have_the_density_they_report(lm):
    total = {}
    for p, text in branches(lambda rng: lm("", max_tokens=3).sample(rng)):
        assert p == pytest.approx(math.exp(lm("", max_tokens=3).log_prob(text)), rel=1e-12)
        total[text] = total.get(text, 0.0) + p
    assert total == pytest.approx({t: text_probability(t, 3) for t in strings(3)})
    assert math.fsum(total.values()) == pytest.approx(1.0, abs=1e-12)


def test_draws_report_the_log_prob_of_their_path(lm):
    def drawn(rng):
        plan = lm("", max_tokens=3, stop="b", temperature=0.7).draw(rng)
        serve(plan.requests)
        return plan.conclude()

    for p, result in branches(drawn):
        assert math.exp(result.log_prob) == math.exp(result.log_q) == pytest.approx(p, rel=1e-12)


def test_draws_know_how_they_ended(lm):
    finishes = {str(t): t.finish for _, t in branches(lambda rng: lm("", max_tokens=2, stop="b").sample(rng))}
    assert finishes == {
        "": "end", "a": "end", "c": "end", "b": "stop", "ab": "stop", "cb": "stop",
        "aa": "length", "ac": "length", "ca": "length", "cc": "length",
    }  # fmt: skip


@pytest.mark.parametrize("stop", ["b", "ab", ["c", "ba"]])
@pytest.mark.parametrize("include_stop", [True, False])
def test_stops(lm, stop, include_stop):
    """By brute force over paths: run a path until a stop, the end or four symbols, and add up what it shows."""
    stops = [stop] if isinstance(stop, str) else stop
    expected = {}
    for path in ("".join(s) for n in range(1, 5) for s in itertools.product("abc$", repeat=n)):
        text = path.rstrip("$")
        begun = any(s in path[:-1] for s in stops) or "$" in path[:-1]
        completed = [text.find(s) for s in stops if s in text and not path.endswith("$")]
        if begun or not (completed or path.endswith("$") or len(path) == 4):
            continue
        shown = text if include_stop or not completed else text[: min(completed)]
        expected[shown] = expected.get(shown, 0.0) + path_probability(path)
    assert math.fsum(expected.values()) == pytest.approx(1.0)
    dist = lm("", stop=stop, include_stop=include_stop, max_tokens=4)
    drawn = {}
    for p, text in branches(dist.sample):
        drawn[str(text)] = drawn.get(str(text), 0.0) + p
        assert math.exp(dist.log_prob(text)) == pytest.approx(p)  # of a drawn text: its own path's
    assert drawn == pytest.approx(expected)
    found = {text: math.exp(dist.log_prob(text)) for text in strings(4)}  # of a plain str: all paths that show it
    assert {t: p for t, p in found.items() if p} == pytest.approx(expected)


def test_a_hidden_stop_goes_back_into_the_context(lm):
    dist = lm("", stop="b", include_stop=False, max_tokens=3)
    text = next(t for _, t in branches(dist.sample) if t == "a" and t.finish == "stop")
    assert "b" not in text and text.tokens == (*text, "b")
    assert (lm.prompt("c") + text).text == "c" + text + "b"


def test_prefix_scores_a_beginning(lm):
    assert math.exp(lm("", prefix=True).log_prob("ab")) == pytest.approx(0.4 * 0.3)
    assert math.exp(lm("", prefix=True).log_prob("")) == 1.0
    assert lm("", prefix=True, stop="a").log_prob("ab") == -math.inf
    with pytest.raises(UsageError, match="scores the beginning of a text"):
        lm("", prefix=True).sample(np.random.default_rng(0))


def test_drawn_texts_are_scored_by_their_own_path(lm):
    cut = next(t for _, t in branches(lambda rng: lm("", max_tokens=1).sample(rng)) if t == "a")
    assert math.exp(lm("", max_tokens=1).log_prob(cut)) == pytest.approx(0.4)
    assert lm("", max_tokens=2).log_prob(cut) == -math.inf  # a text of up to two symbols is not cut after one
    assert math.exp(lm("", max_tokens=2).log_prob("a")) == pytest.approx(0.4 * 0.3)
    assert math.exp(lm("", max_tokens=2, prefix=True).log_prob(cut)) == pytest.approx(0.4)
    stopped = lm("", stop=["a", "b", "c"]).sample(np.random.default_rng(0))
    assert stopped.finish == "stop"
    with pytest.raises(UsageError, match="ended at a stop, and this distribution has none"):
        lm("", max_tokens=2).log_prob(stopped)


@pytest.mark.parametrize(
    ("settings", "row_of_a"),
    [
        ({"temperature": 0.5}, {"a": 9 / 28, "b": 9 / 28, "c": 1 / 28, "$": 9 / 28}),
        ({"temperature": 0.0}, {"a": 1.0}),
        ({"top_k": 2}, {"a": 0.5, "b": 0.5}),
        ({"top_p": 0.6}, {"a": 0.5, "b": 0.5}),
        ({"top_p": 0.61}, {"a": 1 / 3, "b": 1 / 3, "$": 1 / 3}),
        ({"temperature": 0.5, "top_k": 3, "top_p": 0.65}, {"a": 0.5, "b": 0.5}),
    ],
)
def test_warped_tokens(lm, settings, row_of_a):
    table = lm.token("a", **settings)
    assert {str(v): math.exp(table.log_prob(v)) for v in table.support()} == pytest.approx(row_of_a)
    drawn = {}
    for p, value in branches(table.sample):
        drawn[str(value)] = p
    assert drawn == pytest.approx(row_of_a)
    assert table.log_prob("c") == (pytest.approx(math.log(row_of_a["c"])) if "c" in row_of_a else -math.inf)


def test_tokens(lm):
    token = lm.token("a")
    assert token.finite
    assert [str(v) for v in token.support()] == ["a", "b", "c", "$"]
    end = token.support()[-1]
    assert (end.finish, end.tokens) == ("end", ())
    assert token.log_prob("$") == token.log_prob(end) == pytest.approx(math.log(0.3))
    with pytest.raises(SupportError, match="is 2 tokens"):
        token.log_prob("ab")


def test_choices_are_weighed_as_beginnings_and_renormalised(lm):
    choice = lm.choice("", ["ab", "c", "ba"])
    weights = {"ab": 0.4 * 0.3, "c": 0.2, "ba": 0.3 * 0.2}
    total = sum(weights.values())
    for text, weight in weights.items():
        assert math.exp(choice.log_prob(text)) == pytest.approx(weight / total)
    drawn = {text: p for p, text in branches(choice.sample)}
    assert drawn == pytest.approx({text: w / total for text, w in weights.items()})
    assert choice.support() == list(weights)
    with pytest.raises(UsageError, match="'a' begins 'ab'"):
        lm.choice("", ["a", "ab"])
    with pytest.raises(UsageError, match="list of texts"):
        lm.choice("", "ab")
    with pytest.raises(SupportError, match="not among the choices"):
        choice.log_prob("bc")
    with pytest.raises(SupportError, match="can say none of"):
        lm.choice("", ["x", "y"]).log_prob("x")


def constrained(lm):
    """C9: strings of at most four symbols with exactly one c and no aa, drawn symbol by symbol."""

    @model
    def program():
        text = ""
        while True:
            symbol = sample("symbol", lm.token(text))
            if symbol.finish == "end":
                break
            text += symbol
            require(len(text) <= 4)
        require(text.count("c") == 1 and "aa" not in text)
        return text

    return program


def test_exact_posterior_of_a_constrained_text(lm):
    posterior = exact()(constrained(lm))()
    weights = {t: text_probability(t, 5) for t in strings(4) if t.count("c") == 1 and "aa" not in t}
    total = math.fsum(weights.values())
    assert posterior.log_evidence == pytest.approx(math.log(total), abs=1e-12)
    assert total == pytest.approx(0.24531)
    assert len(weights) == 37
    for text, weight in weights.items():
        assert posterior.p(text) == pytest.approx(weight / total, abs=1e-12)
    assert posterior.mean(len) == pytest.approx(2.1293057763645997)


def test_importance_sampling_of_a_constrained_text(lm):
    """Acceptance .24531 of 2000: fails with probability 7e-6 (4.5 standard deviations)."""
    posterior = importance(particles=2000)(constrained(lm))(seed=0)
    z, n = 0.24531, 2000
    assert abs(math.exp(posterior.log_evidence) - z) < 4.5 * math.sqrt(z * (1 - z) / n)


def test_a_tilted_text(lm):
    """C10 with the text drawn whole: p(s) exp(1.5 #b(s)) over ended strings of at most four symbols."""

    @exact()
    @model
    def by_symbol():
        text = ""
        while (symbol := sample("symbol", lm.token(text))).finish != "end":
            text += symbol
            require(len(text) <= 4)
            score(1.5 * (symbol == "b"))
        return text

    posterior = by_symbol()
    assert math.exp(posterior.log_evidence) == pytest.approx(5.300606415706969)
    assert posterior.mean(lambda s: s.count("b")) == pytest.approx(1.9496755377203292)

    @model
    def whole():
        text = sample("text", lm("", max_tokens=5))
        require(text.finish == "end")
        score(1.5 * text.count("b"))
        return text

    estimates = importance(particles=5_000)(whole)(seed=1)
    sd = math.sqrt(252.88786219369206 / 5_000)
    assert abs(math.exp(estimates.log_evidence) - 5.300606415706969) < 4.5 * sd


def test_observed_texts_weigh_their_density(lm):
    @exact()
    @model
    def program():
        first = sample("first", lm.token(""))
        require(first.finish != "end")
        observe("rest", lm(first, max_tokens=4), "ab")
        return str(first)

    posterior = program()
    expected = {s: BIGRAM[""][s] * text_probability("ab", 4, after=s) for s in "abc"}
    assert math.exp(posterior.log_evidence) == pytest.approx(math.fsum(expected.values()))
    assert posterior.marginal("first") == pytest.approx({s: p / sum(expected.values()) for s, p in expected.items()})


def test_equal_scorings_are_served_once_and_equal_draws_are_not(lm):
    @model
    def program():
        observe("x", lm("ca", max_tokens=4), "ab")
        observe("y", lm("a", max_tokens=4), "ab")
        return sample("t", lm("", max_tokens=3))

    posterior = importance(particles=50)(program)(seed=0)
    assert posterior.cost.model_calls == 50 + 2
    assert posterior.cost.scored_tokens == 2 * 3
    assert posterior.cost.prompt_tokens == 2 + 1
    assert len(set(posterior.values)) > 5
    drawn = sum(len(t.tokens) + (t.finish == "end") for t in posterior.values)
    assert posterior.cost.generated_tokens == drawn
    assert posterior.cost.forwarded_tokens == drawn - 50 + (2 + 2) + (1 + 2)


def test_iid_draws_are_one_batch(lm):
    @importance(particles=1)
    @model
    def program():
        return tuple(sample("texts", iid(lm("", max_tokens=4), 30)))

    posterior = program(seed=0)
    (texts,) = posterior.values
    assert len(texts) == 30 and len(set(texts)) > 5
    assert posterior.cost.forwards == 4
    dist = iid(lm("", max_tokens=4), 2)
    assert math.exp(dist.log_prob(["a", "b"])) == pytest.approx(0.4 * 0.3 * 0.3 * 0.3)


@pytest.mark.parametrize("bound", [0, 1, 7, 20])
def test_a_token_limit_is_never_overshot(lm, bound):
    @model
    def program():
        return sample("t", lm("", max_tokens=4))

    posterior = importance(particles=10)(program)(seed=0, limit=limit(tokens=bound))
    assert posterior.cost.generated_tokens <= bound
    assert posterior.stopped == "tokens"


def test_bad_tables():
    with pytest.raises(UsageError, match="'ab', which is not one symbol"):
        TableLM({"": {"ab": 1.0}})
    with pytest.raises(UsageError, match="gives 'a' the weight -1"):
        TableLM({"": {"a": -1}})
    with pytest.raises(UsageError, match="no symbol of positive weight"):
        TableLM({"": {"a": 0}})
    with pytest.raises(UsageError, match="end='end' must be one symbol"):
        TableLM(BIGRAM, end="end")


def test_a_reachable_symbol_without_a_row_is_named():
    lm = TableLM({"": {"a": 0.999, "$": 0.001}, "a": {"b": 1e-9, "$": 1.0}})
    with pytest.raises(BackendError, match=r"'b' has no row and can be reached from here. Add rows\['b'\]"):
        lm("", max_tokens=4).sample(np.random.default_rng(0))
    assert lm("", max_tokens=2).sample(np.random.default_rng(0)) == "a"  # b may be drawn, its row is not needed
    assert lm("", max_tokens=4, stop="b").sample(np.random.default_rng(0)) == "a"
    with pytest.raises(BackendError, match="'b' has no row"):
        lm.token("ab").support()
    with pytest.raises(BackendError, match="closed by '\\$' already"):
        lm.token("a$").support()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1}, "temperature=-1: expected a number >= 0"),
        ({"top_p": 0}, r"top_p=0: expected a number in \(0, 1\]"),
        ({"top_k": 0}, "top_k=0: expected an int >= 1"),
        ({"max_tokens": 0}, "max_tokens=0: expected an int >= 1"),
        ({"stop": ["a", ""]}, "none of them empty"),
    ],
)
def test_bad_settings(lm, settings, message):
    with pytest.raises(UsageError, match=message):
        lm("", **settings)


def test_bad_values_and_contexts(lm):
    with pytest.raises(SupportError, match="is a str, found int: 4"):
        lm("").log_prob(4)
    with pytest.raises(UsageError, match="goes on from a text"):
        lm(3)
    with pytest.raises(BackendError, match=r"the context has 5000 tokens \(prompt 5000, added 0\)"):
        lm("a" * 5000).sample(np.random.default_rng(0))
