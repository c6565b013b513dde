"""Contexts, chats and drawn texts as values; the scripted model; loading by name."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from backends import Chat, Scripted, TableLM, Text, load
from inference import importance, smc
from ppl import model, observe, record, sample
from ppl.errors import BackendError, CapabilityError, UsageError

RNG = np.random.default_rng


@pytest.fixture
def lm():
    row = {"a": 0.5, "b": 0.25, "$": 0.25}
    return TableLM({"": row, "a": row, "b": row, "?": row})


def test_a_text_is_a_str_that_knows_its_path(lm):
    text = lm("", max_tokens=8).sample(RNG(0))
    assert isinstance(text, str) and type(text) is Text
    assert text.tokens == tuple(text)
    assert text.finish in ("end", "length")
    assert copy.deepcopy(text) is text
    assert type(pickle.loads(pickle.dumps(text))) is str
    assert {text: 1}[str(text)] == 1
    assert type(text + "x") is str and type(str(text)) is str


def test_an_option_that_does_not_exist_is_named(lm):
    with pytest.raises(UsageError, match=r"lm\(\.\.\.\) has no option 'max_token'\. Did you mean 'max_tokens'\? Its options: stop, max_tokens,"):
        lm("", max_token=4)
    with pytest.raises(UsageError, match=r"lm\.token\(\.\.\.\) has no option 'temprature'\. Did you mean 'temperature'\?"):
        lm.token("", temprature=0.5)


def test_contexts_grow_and_never_change(lm):
    prompt = lm.prompt("a?")
    longer = prompt + "ab"
    assert (prompt.text, longer.text) == ("a?", "a?ab")
    assert longer.tokens == ("a", "?", "a", "b")
    assert longer == lm.prompt("a?a") + "b" and hash(longer) == hash(lm.prompt("a?ab"))
    assert copy.deepcopy(longer) is longer
    assert lm("a?").log_prob("b") == lm(prompt).log_prob("b") == lm([("user", "a?")]).log_prob("b")
    with pytest.raises(UsageError, match="grows by text"):
        prompt + 3


def test_chats(lm):
    chat = lm.chat(system="b", user="a?")
    assert chat.turns == (("system", ("b",)), ("user", ("a?",)))
    assert chat.text == "ba?"
    answered = chat + "ab" + "a"
    assert answered.turns[-1] == ("assistant", ("ab", "a"))
    asked = answered.turn("user", "?")
    assert [role for role, _ in asked.turns] == ["system", "user", "assistant", "user"]
    assert asked.text == "ba?aba?"
    same = lm.chat(("system", "b"), {"role": "user", "content": "a?"}, ("assistant", "aba"))
    assert isinstance(same, Chat) and same == answered
    assert lm.chat(user="a?", assistant="ab").turns[-1] == ("assistant", ("ab",))


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        (lambda lm: lm.chat(), "at least one turn"),
        (lambda lm: lm.chat(user=3), r"chat\(user=...\): expected a text, found int"),
        (lambda lm: lm.chat(("usr", "x")), "no role 'usr' in a chat. Did you mean 'user'"),
        (lambda lm: lm.chat("x"), "a turn is a pair"),
        (lambda lm: lm.chat(("user", "x"), user="y"), "not both"),
        (lambda lm: lm.prompt(3), "expects a text"),
    ],
)
def test_bad_chats(lm, chat, message):
    with pytest.raises(UsageError, match=message):
        chat(lm)


def test_models_and_contexts_pass_through_programs_unchanged(lm):
    @smc(particles=8)
    @model
    def program(speaker, chat):
        assert speaker is lm
        for _ in range(3):
            chat += sample("piece", speaker(chat, max_tokens=2))
            observe("next", lm(chat, prefix=True), "a")
        record("said", chat.text)
        return chat.text

    posterior = program(lm, lm.chat(user="?"), seed=0)
    assert all(text.startswith("?") for text in posterior.values)
    again = program(lm, lm.chat(user="?"), seed=0)
    assert again.values == posterior.values and again.log_evidence == posterior.log_evidence


def test_a_context_moves_to_another_model(lm):
    other = TableLM({"": {"a": 1}, "a": {"b": 1}, "b": {"$": 1}, "?": {"a": 1}})
    text = lm("?", max_tokens=1, top_k=1).sample(RNG(0))
    chat = lm.chat(user="?") + text
    assert math.exp(other(chat, max_tokens=5).log_prob("b")) == 1.0
    assert other.context(chat).model is other


class TestScripted:
    def test_a_fixed_reply(self):
        lm = Scripted("yes, sir")
        text = lm(lm.chat(user="well?")).sample(RNG(0))
        assert (text, text.finish, text.tokens) == ("yes, sir", "end", ("yes,", " sir"))
        assert lm("x").log_prob("yes, sir") == 0.0
        assert lm("x").log_prob("yes") == -math.inf
        assert lm("x", prefix=True).log_prob("yes,") == 0.0

    def test_a_rule_reads_the_context(self):
        lm = Scripted(lambda text: "4" if "2+2" in text else "no idea")
        assert lm(lm.chat(user="2+2?")).sample(RNG(0)) == "4"
        assert lm(lm.chat(user="why?")).sample(RNG(0)) == "no idea"

    def test_replies_with_probabilities(self):
        lm = Scripted({"a b": 0.25, "a c": 0.5, "d": 0.25})
        assert math.exp(lm("").log_prob("a c")) == pytest.approx(0.5)
        assert math.exp(lm("", max_tokens=1).log_prob("a")) == pytest.approx(0.75)
        assert math.exp(lm.choice("", ["a", "d"]).log_prob("d")) == pytest.approx(0.25)
        draws = [lm("").sample(RNG(i)) for i in range(200)]
        assert set(draws) == {"a b", "a c", "d"}
        cut = lm("", max_tokens=1).sample(RNG(0))
        assert cut.finish == "length" or cut == "d"

    def test_stops(self):
        text = Scripted("one\ntwo\nthree")("", stop="\n").sample(RNG(0))
        assert (text, text.finish) == ("one\n", "stop")

    def test_it_cannot_list_tokens(self):
        with pytest.raises(CapabilityError, match="scripted cannot list next-token probabilities"):
            Scripted("x").token("").support()

    def test_an_error_in_the_rule_reaches_the_program(self):
        @importance(particles=2)
        @model
        def program():
            return sample("t", Scripted(lambda text: 1 / 0)("x"))

        with pytest.raises(ZeroDivisionError):
            program(seed=0)
        with pytest.raises(BackendError, match="the rule of a scripted model gives"):
            Scripted(lambda text: 3)("x").sample(RNG(0))


class TestLoad:
    def test_by_name(self, tmp_path):
        assert load("scripted:hello")("").sample(RNG(0)) == "hello"
        assert load("scripted:hello") is load("scripted:hello")
        (tmp_path / "rules.py").write_text("def shout(text):\n    return text.upper()\n")
        assert load(f"scripted:{tmp_path}/rules.py:shout")("hey").sample(RNG(0)) == "HEY"
        assert math.exp(load("table", rows={"": {"a": 1}, "a": {"$": 1}})("").log_prob("a")) == 1.0

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("smolm2", "there is no model 'smolm2'. Did you mean 'smollm2'"),
            ("hf", "cannot read the model 'hf': it is written hf:ID_OR_PATH"),
            ("smollm2:big", "it is written smollm2"),
            ("reward:jugde:smollm2", "Did you mean 'reward:judge'"),
            (3, "load expects a text"),
            ("scripted:nowhere.py:f", "there is no file 'nowhere.py'"),
            ("table", r"it is written table\(rows, end"),
        ],
    )
    def test_what_cannot_be_read(self, spec, message):
        with pytest.raises(UsageError, match=message):
            load(spec)

    def test_a_folder_without_a_scheme(self, tmp_path):
        with pytest.raises(UsageError, match="Did you mean 'hf:"):
            load(str(tmp_path))

    def test_importing_backends_imports_nothing_heavy(self):
        heavy = "{'torch', 'transformers', 'pyro', 'pandas', 'scipy'} & set(sys.modules)"
        code = f"import sys, backends; backends.load('scripted:x'); print({heavy})"
        assert (
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
        )
