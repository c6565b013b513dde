"""Grammars: what belongs to them, what is told of bad ones, and that they hold models exactly (C9 by enumeration)."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from backends import TableLM, choices, json_schema, lark, regex
from backends.constraints import grammar_of
from inference import beam, exact, importance, mcmc, smc
from ppl import iid, model, observe, sample, score
from ppl.dist import categorical
from ppl.errors import BackendError, CapabilityError, SupportError, UsageError
from ppl.testing import check_distribution, enumerate_outcomes

ROWS = {
    "": {"a": 0.4, "b": 0.3, "c": 0.2, "$": 0.1},
    "a": {"a": 0.3, "b": 0.3, "c": 0.1, "$": 0.3},
    "b": {"a": 0.2, "b": 0.2, "c": 0.3, "$": 0.3},
    "c": {"a": 0.1, "b": 0.4, "c": 0.1, "$": 0.4},
}
C9 = lark("start: X\nX: /[ab]*c[ab]*/ & /[abc]{0,4}/ & ~/.*aa.*/\n")
Z = 0.24531


@pytest.fixture
def lm():
    return TableLM(ROWS)


def probability(text, cut=None):
    """Of a text of the bigram model, ended by the model, or cut at `cut` symbols."""
    p, after = 1.0, ""
    for symbol in text:
        p, after = p * ROWS[after][symbol], symbol
    return p if len(text) == cut else p * ROWS[after]["$"]


def strings(longest):
    return ["".join(s) for n in range(longest + 1) for s in itertools.product("abc", repeat=n)]


def in_c9(text):
    return len(text) <= 4 and text.count("c") == 1 and "aa" not in text


TRUTH = {s: probability(s) / Z for s in strings(4) if in_c9(s)}


def weighted_outcomes(program, engine):
    """Value -> the sum over all of the engine's randomness of probability times weight: Z times the posterior."""
    totals = {}
    for p, result in enumerate_outcomes(lambda s: program.run(engine=engine, seed=s)):
        for value, w in zip(result.values, result.log_weights, strict=True):
            totals[str(value)] = totals.get(str(value), 0.0) + p * math.exp(w)
    return totals


# -- what belongs to a grammar ------------------------------------------------------------------------------------------


def test_texts_belong_to_grammars():
    assert all((s in C9) == in_c9(s) for s in strings(5))
    assert "1969-07" in regex(r"(19|20)[0-9]{2}-[0-9]{2}") and "1969" not in regex(r"(19|20)[0-9]{2}-[0-9]{2}")
    odd = ["a\nb", "ü 'x' \"y\"", "-|(", ""]
    assert [t in choices(odd[:3]) for t in odd] == [True, True, True, False]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert '{"a": 12}' in json_schema(schema) and '{"a": "x"}' not in json_schema(json.dumps(schema))


def test_what_follows_a_text():
    rest = regex("ab*c").after("ab")
    assert "c" in rest and "bc" in rest and "abc" not in rest
    assert regex("ab*c").after("a").after("b") == rest


def test_other_spellings_are_read_as_grammars():
    assert grammar_of("[0-9]") == grammar_of(re.compile("[0-9]")) == regex("[0-9]")
    assert grammar_of(["yes", "no"]) == choices(["yes", "no"])
    assert grammar_of({"type": "integer"}) == json_schema({"type": "integer"})

    class FromElsewhere:  # as the .scale language has them
        kind, source = "json", '{"type": "integer"}'

    assert grammar_of(FromElsewhere()) == json_schema({"type": "integer"})


NESTED = {"type": "object", "required": ["age"], "properties": {
    "name": {"type": "string"}, "age": {"type": "integer", "minimum": 5, "maximum": 2}}}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regex("ab("), "regex('ab('): unclosed group, at column 3: '('."),
        (lambda: regex("é(?=a)"), "regex('é(?=a)'): look-around, including look-ahead and look-behind, is not supported,"
                                  " at column 2: '(?='."),
        (lambda: regex("x[z-a]"), "regex('x[z-a]'): invalid character class range, the start must be <= the end, at"
                                  " column 3: 'z-a'."),
        (lambda: regex(r"\bx"), r"regex('\\bx'): lookarounds not supported yet; WordUnicode in regex /\bx/."),
        (lambda: regex(3), "regex expects a pattern, as in regex(r'[0-9]+'); found 3."),
        (lambda: regex(r"[^\s\S]"), "regex('[^\\\\s\\\\S]') admits no text at all. Write a grammar that at least one text"
                                    " belongs to."),
        (lambda: json_schema({}), "json_schema({}) is empty: every JSON text fits it. Say what is wanted, or write True"
                                  " for any."),
        (lambda: json_schema({"enum": []}), "json_schema: Unsatisfiable schema: anyOf is empty."),
        (lambda: json_schema(NESTED), "json_schema: Unsatisfiable schema: minimum (5) is greater than maximum (2) at"
                                      " properties.age."),
        (lambda: json_schema({"type": "array", "items": {"not": {"type": "null"}}}), "json_schema: Unimplemented keys:"
                                                                                      ' ["not"] at items.'),
        (lambda: json_schema({"type": "foo"}), "json_schema: Invalid type: foo."),
        (lambda: json_schema("{"), "json_schema: this is not JSON (Expecting property name enclosed in double quotes: line"
                                   " 1 column 2 (char 1)): '{'."),
        (lambda: lark("start: foo"), "lark: the rules cannot be read in line 1, column 8: unknown name: \"foo\""
                                     " ('start: foo')."),
        (lambda: lark("start: a\na: a"), "lark('start: a\\na: a') admits no text at all. Write a grammar that at least one"
                                         " text belongs to."),
        (lambda: choices([]), "choices expects a list of texts, as in choices(['yes', 'no']); found []."),
        (lambda: choices("yes"), "choices expects a list of texts, as in choices(['yes', 'no']); found 'yes'."),
        (lambda: regex("ab*c").after("abx"), "regex('ab*c') admits nothing after 'abx': after 'ab' it allowed 'b'-'c'."),
        (lambda: grammar_of(3), "grammar=3: expected regex(...), json_schema(...), choices([...]) or lark(...) of backends;"
                                " a str is read as a regex, a dict as a JSON schema, a list as choices."),
    ],
)  # fmt: skip
def test_bad_grammars_say_where(make, message):
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grammar": "x+"}, "regex('x+') admits no token of table here: it allows 'x', and no token is spelled so."),
        ({"grammar": "a+", "mode": "masked"}, "mode='masked': expected 'condition' (weights make it exact) or 'mask' (biased)."),
        ({"grammar": "a+", "truncated": "cut"}, "truncated='cut': expected 'drop' or 'keep' for texts cut at max_tokens."),
        ({"guide": 3}, "guide= expects f(text, log_probs) -> log_weights, with weights to mend it; found 3."),
        ({"guide": lambda t, p: p, "mode": "mask"}, "guide= expects f(text, log_probs) -> log_weights, with weights to mend"
                                                    " it; found mode='mask', which draws without weights."),
    ],
)  # fmt: skip
def test_bad_options_are_told_before_any_model_call(lm, options, message):
    with pytest.raises(UsageError) as caught:
        lm("", **options)
    assert str(caught.value) == message


def test_models_that_cannot_keep_to_a_grammar_say_so():
    from backends import Scripted

    with pytest.raises(CapabilityError, match="scripted cannot keep to a grammar or a set of tokens"):
        Scripted("42")("", grammar="[0-9]+")


# -- C9: the posterior is that of require, whatever draws ---------------------------------------------------------------


def bound(lm, **options):
    @model
    def program():
        return sample("x", lm("", grammar=C9, max_tokens=5, **options))

    return program


def test_a_constrained_text_weighs_the_mass_kept(lm):
    """E[w 1[x]] = p(x) for each of the 37 texts, and the weight's variance is the published one."""
    assert weighted_outcomes(bound(lm), importance(1)) == pytest.approx({s: Z * p for s, p in TRUTH.items()}, abs=1e-15)
    moments = [0.0, 0.0]
    for p, result in enumerate_outcomes(lambda s: bound(lm).run(engine=importance(1), seed=s)):
        moments[0] += p * math.exp(result.log_evidence)
        moments[1] += p * math.exp(2 * result.log_evidence)
    assert moments[0] == pytest.approx(Z, rel=1e-13)
    assert moments[1] - moments[0] ** 2 == pytest.approx(0.0662829903, abs=1e-10)


def test_masked_decoding_is_another_distribution(lm):
    """mode="mask": total variation .44 from the truth, and the result says that it is biased."""
    masked = weighted_outcomes(bound(lm, mode="mask"), importance(1))
    assert masked["c"] == pytest.approx(0.0987654320988, abs=1e-12)
    assert masked["abac"] == pytest.approx(0.0952380952381, abs=1e-12)
    assert sum(p * len(s) for s, p in masked.items()) == pytest.approx(3.18241370622323, abs=1e-11)
    distance = 0.5 * sum(abs(masked[s] - TRUTH[s]) for s in TRUTH)
    assert distance == pytest.approx(0.4401477384670662, abs=1e-12)
    assert "mode='mask'" in importance(1)(bound(lm, mode="mask"))(seed=0).warnings[0]
    assert not importance(1)(bound(lm))(seed=0).warnings
    for text, p in masked.items():
        assert lm("", grammar=C9, max_tokens=5, mode="mask").log_prob(text) == pytest.approx(math.log(p), abs=1e-12)


def test_masked_decoding_obeys_the_laws_of_distributions(lm):
    check_distribution(lm("", grammar=C9, max_tokens=5, mode="mask"), draws=1000)
    check_distribution(lm.token("b", among=["a", "$"], mode="mask"), draws=1000)


def test_given_texts_are_scored_as_the_model_scores_them(lm):
    for text in strings(4):
        expected = math.log(probability(text)) if in_c9(text) else -math.inf
        assert lm("", grammar=C9, max_tokens=5).log_prob(text) == pytest.approx(expected, abs=1e-12)
    assert lm("", grammar=C9, max_tokens=5, prefix=True).log_prob("ab") == pytest.approx(math.log(0.4 * 0.3))
    assert lm("", grammar=C9, max_tokens=5, prefix=True).log_prob("aa") == -math.inf

    @exact()
    @model
    def observed():
        observe("x", lm("", grammar=C9, max_tokens=5), "bc")

    assert math.exp(observed().log_evidence) == pytest.approx(probability("bc"))


@pytest.mark.parametrize("tokens", [3, 4, 5, 9])
def test_a_text_that_is_cut(lm, tokens):
    """ "drop" is require(x in G); "keep" also takes what begins a text of G."""
    texts = strings(min(tokens, 5))
    begins = {s[:k] for s in strings(4) if in_c9(s) for k in range(len(s) + 1)}
    cut = [s for s in texts if len(s) == tokens]
    ended = {s: probability(s) for s in texts if len(s) < tokens and in_c9(s)}
    for choice, kept in (("drop", in_c9), ("keep", begins.__contains__)):
        expected = ended | {s: probability(s, cut=tokens) for s in cut if kept(s)}
        found = weighted_outcomes(
            bound(lm, truncated=choice) if tokens == 5 else _cut(lm, tokens, choice), importance(1)
        )
        assert found == pytest.approx(expected, abs=1e-14)


def _cut(lm, tokens, choice):
    @model
    def program():
        return sample("x", lm("", grammar=C9, max_tokens=tokens, truncated=choice))

    return program


def test_a_cut_text_dies_by_name(lm):
    result = importance(40)(_cut(lm, 2, "drop"))(seed=0)
    reasons = [r for r in result.reasons if "cut at max_tokens=2 before lark(" in r and "(truncated='drop')" in r]
    assert len(reasons) == 1


def test_smc_over_two_constrained_texts_is_unbiased(lm):
    """Enumerated: two short texts and a score after them, so that the mask's weights meet resampling."""
    short = regex("a?[bc]")

    @model
    def program():
        first = sample("first", lm("", grammar=short, max_tokens=3))
        second = sample("second", lm(first, grammar=short, max_tokens=3))
        score(0.7 * (first + second).count("b"))
        return first + "|" + second

    def p(text, after):
        mass = 1.0
        for symbol in text:
            mass, after = mass * ROWS[after][symbol], symbol
        return mass * ROWS[after]["$"]

    texts = ["b", "c", "ab", "ac"]
    expected = {f"{x}|{y}": p(x, "") * p(y, x[-1]) * math.exp(0.7 * (x + y).count("b")) for x in texts for y in texts}
    totals = weighted_outcomes(program, smc(2, ess_threshold=1.0))
    assert totals == pytest.approx(expected, rel=1e-9)


def test_smc_on_c9_by_the_central_limit(lm):
    """Importance with 4,000 draws: Var(w) = .0662829903, so 4.5 standard errors of the mean (P = 7e-6 that a right
    program fails) are .018; ignoring the weights gives an evidence of 1, taking masked decoding for the truth P(c) = .099."""
    result = importance(4_000)(bound(lm))(seed=1)
    error = math.sqrt(0.0662829903 / 4_000)
    assert abs(math.exp(result.log_evidence) - Z) < 4.5 * error
    assert result.p("c") == pytest.approx(0.326117973177, abs=0.05)
    assert result.ess / 4_000 == pytest.approx(0.475857999143, abs=0.04)


# -- one token at a time --------------------------------------------------------------------------------------------------


def by_token(lm, **options):
    @model
    def program():
        text = ""
        while (symbol := sample("symbol", lm.token(text, grammar=C9.after(text), **options))) != "$":
            text += symbol
        return text

    return program


def test_engines_that_enumerate_see_constrained_tokens(lm):
    posterior = exact()(by_token(lm))()
    assert math.exp(posterior.log_evidence) == pytest.approx(Z, rel=1e-12)
    assert {str(v): posterior.p(v) for v in posterior.values} == pytest.approx(TRUTH, abs=1e-12)
    masked = exact()(by_token(lm, mode="mask"))()
    assert masked.log_evidence == pytest.approx(0.0, abs=1e-12)
    assert masked.p("c") == pytest.approx(0.0987654320988, abs=1e-12)
    best = beam(width=37, expand=4)(by_token(lm))().best
    assert best.value == "c" and best.log_total == pytest.approx(math.log(probability("c")))


def test_importance_over_constrained_tokens_is_unbiased(lm):
    expected = {s: Z * p for s, p in TRUTH.items()}
    assert weighted_outcomes(by_token(lm), importance(1)) == pytest.approx(expected, abs=1e-14)
    assert weighted_outcomes(by_token(lm), smc(1, ess_threshold=1.0)) == pytest.approx(expected, abs=1e-14)


def test_a_token_set(lm):
    @model
    def program():
        return sample("t", lm.token("b", among=["a", "$"]))

    posterior = exact()(program)()
    assert math.exp(posterior.log_evidence) == pytest.approx(0.5)
    assert posterior.p("$") == pytest.approx(0.6)
    assert weighted_outcomes(program, importance(1)) == pytest.approx({"a": 0.2, "$": 0.3})
    assert lm.token("b", among=["a"]).log_prob("c") == -math.inf
    assert lm.token("b", among=["a"]).log_prob("a") == pytest.approx(math.log(0.2))
    assert lm.token("b", among=["a", "$"], mode="mask").log_prob("a") == pytest.approx(math.log(0.4))
    for among, message in (
        (["ab"], "among=: 'ab' is 2 tokens of table, not one."),
        (["z"], "among=: 'z' is no token of table."),
        ("a", "among='a': expected a list of tokens, as in among=['yes', 'no']."),
    ):
        with pytest.raises(UsageError) as caught:
            lm.token("b", among=among)
        assert str(caught.value) == message


# -- stops, warps, batches ------------------------------------------------------------------------------------------------


def test_stops(lm):
    """A stop that is hidden is not part of the text that must belong; one that shows is."""

    def program(**options):
        @model
        def run():
            return sample("x", lm("", max_tokens=3, **options))

        return run

    p = {"a": 0.4, "b": 0.3, "ab": 0.12, "ac": 0.04}
    shown = weighted_outcomes(program(grammar="a?[bc]", stop="c"), importance(1))
    assert shown == pytest.approx({"b": 0.3 * 0.3, "ab": p["ab"] * 0.3, "c": 0.2, "ac": p["ac"]})
    early = weighted_outcomes(program(grammar="a?c?b", stop="c"), importance(1))
    assert early == pytest.approx({"b": 0.3 * 0.3, "ab": p["ab"] * 0.3})  # a stop before the grammar was complete
    hidden = weighted_outcomes(program(grammar="a?b?", stop="c", include_stop=False), importance(1))
    expected = {"": 0.1 + 0.2, "a": p["a"] * (0.3 + 0.1), "b": p["b"] * 0.6, "ab": p["ab"] * 0.6}
    assert hidden == pytest.approx(expected)
    for text, mass in expected.items():
        dist = lm("", max_tokens=3, grammar="a?b?", stop="c", include_stop=False)
        assert dist.log_prob(text) == pytest.approx(math.log(mass))


def test_the_condition_comes_after_the_warp_and_the_mask_mode_before(lm):
    kept = weighted_outcomes(_one(lm, grammar="[bc]", top_k=2, temperature=0.5), importance(1))
    b, a = 0.3**2, 0.4**2
    assert kept == pytest.approx({"b": b / (a + b)})
    masked = weighted_outcomes(_one(lm, grammar="[bc]", top_k=2, temperature=0.5, mode="mask"), importance(1))
    b, c = 0.3**2, 0.2**2
    assert masked == pytest.approx({"b": b / (b + c), "c": c / (b + c)})


def _one(lm, **options):
    @model
    def program():
        return sample("x", lm("", max_tokens=1, **options))

    return program


def test_a_grammar_the_model_cannot_follow(lm):
    """Greedy decoding says a, which is not allowed: weight zero by name; masked decoding has nothing to divide by."""
    result = importance(2)(_one(lm, grammar="[bc]", temperature=0.0))(seed=0)
    assert result.log_evidence == -math.inf
    assert "regex('[bc]') admits nothing that table can say after ''; it allowed 'b'-'c'" in next(iter(result.reasons))
    only_a = TableLM({"": {"a": 1.0, "c": 0.0}, "a": {"$": 1.0}, "c": {"$": 1.0}})
    with pytest.raises(BackendError, match="admits nothing that table can say after ''; it allowed 'c', all of prob"):
        only_a("", grammar="c", mode="mask", max_tokens=2).sample(np.random.default_rng(0))


def test_a_weighted_draw_needs_a_program(lm):
    with pytest.raises(UsageError, match=r"carries a weight, which \.sample outside a program would lose"):
        lm("", grammar=C9).sample(None)


def test_several_constrained_texts_at_once(lm):
    @model
    def program():
        return "".join(sample("x", iid(lm("", grammar="a?b", max_tokens=3), 2)))

    b, ab = 0.3 * 0.3, 0.4 * 0.3 * 0.3
    expected = {"bb": b * b, "bab": b * ab, "abb": ab * b, "abab": ab * ab}
    assert weighted_outcomes(program, importance(1)) == pytest.approx(expected)


def test_the_record_of_every_token(lm):
    result = importance(1)(bound(lm))(seed=3)
    text, trace = result.values[0], result.traces[0]
    assert len(text.log_p) == len(text.tokens) + 1
    assert math.exp(sum(text.log_p)) == pytest.approx(probability(text))
    assert sum(text.log_p) - sum(text.log_q) == pytest.approx(trace.log_total)


def test_support_of_a_dead_draw(lm):
    with pytest.raises(SupportError, match="nothing was drawn: cut at max_tokens=1"):
        lm("", grammar="ab", mode="mask", max_tokens=1).sample(np.random.default_rng(0))


def test_smc_over_constrained_tokens_by_the_central_limit(lm):
    """Mean of 150 evidence estimates of 16 particles, resampled at every token. Fails with probability 7e-6 if right;
    their standard deviation is .07, so dropping the kept mass of one token (an error of 30% and more) is 12 errors off."""
    estimates = [math.exp(smc(16, ess_threshold=1.0)(by_token(lm))(seed=s).log_evidence) for s in range(150)]
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert error < 0.0075
    assert abs(np.mean(estimates) - Z) < 4.5 * error


def test_chains_over_a_constrained_text(lm):
    """A kept text keeps its weight and a redrawn one pays p/q: 3,000 steps find P(b | score) to 4.5 errors."""
    short = regex("a?[bc]")

    @model
    def program():
        text = sample("x", lm("", grammar=short, max_tokens=3))
        other = sample("other", categorical({0: 0.5, 1: 0.5}))
        score(1.0 * (text == "b") * other)
        return str(text)

    mass = {"b": 0.09 * (1 + math.e) / 2, "c": 0.08, "ab": 0.036, "ac": 0.016}
    truth = {s: m / sum(mass.values()) for s, m in mass.items()}
    posterior = mcmc(samples=3000, burn_in=50)(program)(seed=0)
    assert posterior.cost.model_calls < 2000  # a text that is kept is not asked for again
    for text, p in truth.items():
        assert posterior.p(text) == pytest.approx(p, abs=4.5 * math.sqrt(6 * p * (1 - p) / 3000))


PATTERNS = [r"\d+", r"[\w-]*", r"[^\D]", r"[ab&&b]", r"[[:alpha:]x]", r"[]a]", r"[^]\s]", r"\[\d\]", r"\\d", r"\S\W", r"[a[b]~~]", r"[[:a]", r"[[:]", r"[[:d]*"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_the_language_is_one_set_of_texts(pattern):
    """As RE2 matches it, so llguidance holds to it: on all texts of up to three of these characters."""
    from grammar.grammars import Pattern

    here = Pattern(pattern)
    there = grammar_of(here.for_host())
    for length in range(4):
        for text in map("".join, itertools.product("a1é٣ []&~\\d\u00a0", repeat=length)):
            assert (text in there) == here.matches(text), text
