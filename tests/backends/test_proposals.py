"""Proposals leave the posterior alone: other models, guides, other tokenizers; C10 and C12. All by enumeration."""

import itertools
import math

import pytest
import torch

from backends import TableLM, lark
from backends.hf import HFModel
from backends.shared import SharedModel
from inference import importance, smc
from ppl import model, require, sample, score
from ppl.dist import categorical
from ppl.errors import UsageError
from ppl.testing import enumerate_outcomes
from tests.backends.test_constraints import ROWS, probability, strings, weighted_outcomes
from tests.backends.tiny_models import byte_tokenizer, tiny

torch.set_num_threads(1)
DRAFT = {
    "": {"a": 0.2, "b": 0.2, "c": 0.2, "$": 0.4},
    "a": {"a": 0.1, "b": 0.5, "c": 0.2, "$": 0.2},
    "b": {"a": 0.3, "b": 0.3, "c": 0.2, "$": 0.2},
    "c": {"a": 0.25, "b": 0.25, "c": 0.25, "$": 0.25},
}


@pytest.fixture
def lm():
    return TableLM(ROWS)


def up_to(longest):
    """What lm("", max_tokens=longest) says of every text: ended by the model, or cut."""
    return {s: probability(s, cut=longest) for s in strings(longest)}


# -- two tables: one writes, the other reads ------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", [importance(1), smc(1, ess_threshold=1.0)])
@pytest.mark.parametrize("how", ["model", "tempered", "prompted"])
def test_a_draft_of_another_law_weighs_p_over_q(lm, engine, how):
    drafts = {
        "model": lambda: TableLM(DRAFT)("", max_tokens=3),
        "tempered": lambda: lm("", max_tokens=3, temperature=1.7),
        "prompted": lambda: lm("bab", max_tokens=3),
    }

    @model
    def program():
        return sample("x", lm("", max_tokens=3), proposal=drafts[how]())

    assert weighted_outcomes(program, engine) == pytest.approx(up_to(3), abs=1e-14)


def test_speculation_step_by_step_under_smc(lm):
    """Two particles, two drafted steps and a score: E[sum of weights 1[x]] is the unnormalised posterior."""
    draft = TableLM(DRAFT)

    @model
    def program():
        text = ""
        for _ in range(2):
            step = sample("step", lm(text, max_tokens=1), proposal=draft(text, max_tokens=1))
            text += step
            if step.finish == "end":
                break
            score(0.5 * (step == "b"))
        return text

    expected = {}
    for s in ("", *strings(2)[1:]):
        mass = probability(s, cut=2) if len(s) == 2 else probability(s)
        expected[s] = mass * math.exp(0.5 * s.count("b"))
    assert weighted_outcomes(program, smc(2, ess_threshold=1.0)) == pytest.approx(expected, rel=1e-9)


def test_a_constrained_draft_of_a_constrained_text(lm):
    """Both held to one grammar: the draft's mask is paid for by its own q."""
    grammar = lark("start: X\nX: /[ab]*c[ab]*/ & /[abc]{0,3}/\n")

    @model
    def program():
        target = lm("", grammar=grammar, max_tokens=4)
        return sample("x", target, proposal=TableLM(DRAFT)("", grammar=grammar, max_tokens=4))

    expected = {s: probability(s) for s in strings(3) if s.count("c") == 1}
    assert weighted_outcomes(program, importance(1)) == pytest.approx(expected, abs=1e-14)


# -- guides -----------------------------------------------------------------------------------------------------------------


def likes_b(text, log_p):
    return {symbol: lp + (1.5 if symbol == "b" else 0.0) + 0.1 * len(text) for symbol, lp in log_p.items()}


def test_a_guide_changes_what_draws_and_nothing_else(lm):
    """C10 with a guide: the tilted posterior is exact, and the weight varies less than from the prior."""

    def program(**options):
        @model
        def run():
            text = sample("x", lm("", max_tokens=5, **options))
            require(text.finish == "end")
            score(1.5 * text.count("b"))
            return text

        return run

    expected = {s: probability(s) * math.exp(1.5 * s.count("b")) for s in strings(4)}
    assert math.fsum(expected.values()) == pytest.approx(5.300606415706969, rel=1e-12)
    variances = []
    for options in ({}, {"guide": likes_b}):
        assert weighted_outcomes(program(**options), importance(1)) == pytest.approx(expected, rel=1e-9)
        runs = enumerate_outcomes(lambda s, o=options: program(**o).run(engine=importance(1), seed=s).log_evidence)
        variances.append(math.fsum(p * math.exp(2 * log_w) for p, log_w in runs) - 5.300606415706969**2)
    assert variances[0] == pytest.approx(252.88786219369206, rel=1e-9)
    assert variances[1] < 0.25 * variances[0]  # 55.9


def test_a_guide_within_a_grammar(lm):
    grammar = lark("start: X\nX: /[ab]*c[ab]*/ & /[abc]{0,3}/\n")

    @model
    def program():
        return sample("x", lm("", max_tokens=4, grammar=grammar, guide=likes_b))

    expected = {s: probability(s) for s in strings(3) if s.count("c") == 1}
    assert weighted_outcomes(program, importance(1)) == pytest.approx(expected, abs=1e-14)


def test_p_and_q_of_every_token(lm):
    @model
    def program():
        return sample("x", lm("", max_tokens=3, guide=likes_b))

    result = importance(1)(program)(seed=2)
    text, row = result.values[0], ROWS[""]
    first = text[0] if text else "$"
    total = sum(p * math.exp(1.5 * (s == "b")) for s, p in row.items())
    assert text.log_p[0] == pytest.approx(math.log(row[first]))
    assert text.log_q[0] == pytest.approx(math.log(row[first] * math.exp(1.5 * (first == "b")) / total))
    assert sum(text.log_p) - sum(text.log_q) == pytest.approx(result.traces[0].log_total)


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        (lambda text, log_p: {"a": 0.0}, "guide= returned {'a': 0.0} after '': expected a dict with a finite log-weight for"
         " each of ['a', 'b', 'c', '$']. What should not be said at all is ruled out by grammar= or among=."),
        (lambda text, log_p: 3, "guide= returned 3 after '': expected a dict with a finite log-weight for each of"
         " ['a', 'b', 'c', '$']. What should not be said at all is ruled out by grammar= or among=."),
    ],
)  # fmt: skip
def test_a_guide_that_leaves_something_out(lm, guide, message):
    @model
    def program():
        return sample("x", lm("", max_tokens=3, guide=guide))

    with pytest.raises(UsageError) as caught:
        importance(1)(program)(seed=0)
    assert str(caught.value).startswith(message)


# -- another tokenizer ------------------------------------------------------------------------------------------------------


class Pairs(TableLM):
    """A table with another tokenizer: its symbol X spells "ab", and that is how it writes "ab"; a, b is not canonical."""

    vocabulary = "a, b and the pair ab"

    def encode(self, text):
        return tuple(text.replace("ab", "X"))

    def decode(self, tokens):
        return "".join(tokens).replace("X", "ab")


def test_a_draft_of_another_tokenizer_counts_where_its_path_is_canonical():
    """E[w 1[x]] = p(x) for every text that the draft can write in time; without the rule "ab" would count twice."""
    writer = Pairs({s: {"a": 0.2, "b": 0.3, "X": 0.1, "$": 0.4} for s in ("", "a", "b", "X")})
    reader = TableLM({s: {"a": 0.3, "b": 0.4, "$": 0.3} for s in ("", "a", "b")})

    @model
    def program():
        return sample("x", reader("", max_tokens=9), proposal=writer("", max_tokens=4))

    totals = weighted_outcomes(program, importance(1))
    texts = ["".join(s) for n in range(7) for s in itertools.product("ab", repeat=n)]
    fits = [s for s in texts if len(writer.encode(s)) <= 3]  # and an end
    cut = {s for s in texts if len(writer.encode(s)) == 4}  # a text that was cut did not end in the reader's eyes
    assert totals == pytest.approx({s: 0.3 ** (s.count("a") + 1) * 0.4 ** s.count("b") for s in fits}, rel=1e-12)
    assert "ab" in totals and not cut & set(totals)


# -- C12: auxiliary randomness in a proposal --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backward", "variance"),
    [("exact", 0.897142857143), ("uniform", 3.873333333333), ("skewed", 12.545333333333)],
)
def test_a_proposal_with_choices_of_its_own(backward, variance):
    """E[w] = 13/5 for any backward kernel r; which one it is changes the variance only. Forgetting r gives 26/5."""
    gamma = {0: 0.6, 1: 1.2, 2: 0.8}
    forward = [{0: 0.6, 1: 0.3, 2: 0.1}, {0: 0.1, 1: 0.3, 2: 0.6}]

    def r(x):
        if backward == "exact":
            return categorical({z: 0.5 * forward[z][x] for z in (0, 1)})
        return categorical({0: 0.5, 1: 0.5} if backward == "uniform" else {0: 0.9, 1: 0.1})

    @model
    def program(forget: bool):
        z = sample("z", categorical({0: 0.5, 1: 0.5}))
        x = sample("x", categorical({0: 1, 1: 1, 2: 1}), proposal=categorical(forward[z]))
        score(math.log(gamma[x] * 3.0))  # p(x) = 1/3 is divided out
        if not forget:
            score(r(x).log_prob(z) - math.log(0.5))
        else:
            score(-math.log(0.5))
        return x

    runs = enumerate_outcomes(lambda s: program.run(False, engine=importance(1), seed=s).log_evidence)
    mean = math.fsum(p * math.exp(w) for p, w in runs)
    square = math.fsum(p * math.exp(2 * w) for p, w in runs)
    assert mean == pytest.approx(13 / 5, rel=1e-12)
    assert square - mean**2 == pytest.approx(variance, abs=1e-10)
    forgot = enumerate_outcomes(lambda s: program.run(True, engine=importance(1), seed=s).log_evidence)
    assert math.fsum(p * math.exp(w) for p, w in forgot) == pytest.approx(26 / 5, rel=1e-12)


# -- transformers models: both forms agree with each other and with the table's semantics ---------------------------------


@pytest.fixture(scope="module")
def pair():
    made = tiny(vocabulary=330), tiny(vocabulary=330)
    return HFModel(made[0], byte_tokenizer(), "tiny"), SharedModel(made[1], byte_tokenizer(), "tiny", fast=False)


WORDS = "(the|an?|th[a-z]) (answer|one|two)"
CASES = [
    {"grammar": WORDS},
    {"grammar": WORDS, "stop": "e"},
    {"grammar": WORDS, "stop": ["w", "\n"], "include_stop": False},
    {"grammar": WORDS, "temperature": 2.0, "top_p": 0.9999},
    {"grammar": WORDS, "mode": "mask"},
    {"grammar": WORDS, "mode": "mask", "top_k": 5, "temperature": 0.5},
    {"grammar": WORDS, "mode": "mask", "temperature": 0.0},
    {"grammar": WORDS, "guide": lambda text, log_q: 0.5 * log_q},
    {"guide": lambda text, log_q: 0.9 * log_q, "max_tokens": 5},
    {"grammar": WORDS, "truncated": "keep", "max_tokens": 2},
    {"grammar": {"type": "object", "properties": {"a": {"enum": ["x", "the answer"]}}, "required": ["a"]}},
]


@pytest.mark.parametrize("options", CASES)
def test_constrained_draws_agree_in_both_forms(pair, options):
    @model
    def program(lm):
        return sample("x", lm("question: ", **{"max_tokens": 14, **options}))

    plain, shared = (importance(5)(program)(lm, seed=4) for lm in pair)
    assert [str(v) for v in plain.values] == [str(v) for v in shared.values]
    assert plain.log_weights == pytest.approx(shared.log_weights, abs=1e-4)
    dists = [lm("question: ", **{"max_tokens": 14, **options}) for lm in pair]
    for value in plain.values:
        for dist in dists:  # the drawn path scores what it was drawn with
            assert dist.log_prob(value) == pytest.approx(math.fsum(value.log_p), abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"grammar": WORDS}])
def test_a_guide_that_fails_raises_where_it_was_asked_for(pair, options):
    def broken(text, log_q):
        raise KeyError("no such token")

    for lm in (*pair, TableLM({s: {"a": 0.5, "n": 0.4, "$": 0.1} for s in ("", "a", "n")})):
        held = {"grammar": "an"} if options and isinstance(lm, TableLM) else options

        @model
        def program(lm=lm, held=held):
            try:
                return sample("x", lm("", guide=broken, max_tokens=3, **held))
            except KeyError as error:
                return repr(error)

        assert set(importance(2)(program)(seed=0).values) == {"KeyError('no such token')"}
    wrong = {"guide": lambda text, log_q: log_q[:5], "max_tokens": 3}

    @model
    def short(lm):
        return sample("x", lm("", **wrong))

    for lm in pair:
        with pytest.raises(UsageError, match=r"guide= returned shape \(5,\) after '': expected a finite log-weight"):
            importance(2)(short)(lm, seed=0)


def test_rows_of_different_grammars_in_one_batch(pair):
    @model
    def program(lm):
        i = sample("i", categorical({0: 1, 1: 1, 2: 1}))
        kind = [{"grammar": "[0-9]{3}"}, {}, {"grammar": "(an|the)", "temperature": 0.7}][i]
        return sample("x", lm("n: ", max_tokens=6, **kind))

    plain, shared = (importance(12)(program)(lm, seed=1) for lm in pair)
    assert list(plain.values) == list(shared.values)
    assert plain.log_weights == pytest.approx(shared.log_weights, abs=1e-4)


def test_every_tokenisation_of_what_is_forced_counts(pair):
    """The grammar allows one text, which has several token paths: together they have all of its probability."""
    lm = pair[0]

    @model
    def program():
        text = sample("x", lm("question: ", grammar="an", max_tokens=3))
        return text.tokens

    posterior = importance(400)(program)(seed=0)
    assert len(set(posterior.values)) == 2  # an, and a n
    canonical = lm("question: ", max_tokens=3).log_prob("an")
    assert posterior.log_evidence > canonical + 1e-6


def test_constrained_tokens_of_transformers_models(pair):
    for lm in pair:
        values = lm.token("question: ", grammar="an|(the)").support()
        assert sorted(map(str, values)) == ["a", "an", "t", "the"]
        some = lm.token("question: ", among=["a", "an", lm.end_text])
        table = dict(zip(map(str, some.support()), map(some.log_prob, some.support()), strict=True))
        assert table["an"] == pytest.approx(lm.token("question: ").log_prob("an"), abs=1e-5)
        assert set(table) == {"a", "an", lm.end_text}
        masked = lm.token("question: ", among=["a", "an"], mode="mask")
        assert math.fsum(math.exp(masked.log_prob(v)) for v in masked.support()) == pytest.approx(1.0, abs=1e-6)
