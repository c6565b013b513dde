"""Rewards: functions, heads on hidden states, language models as judges; what they cost and how they fail."""

import json
import math
import re
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backends import Scripted, TableLM, load
from backends.hf import HFModel
from backends.judges import DigitsReward, JudgeReward
from backends.reward_functions import FunctionReward
from backends.shared import SharedModel
from inference import importance
from ppl import Reward, limit, model, record, sample, score
from ppl.dist import uniform
from ppl.errors import BackendError, UsageError, WeightError
from tests.backends.tiny_models import byte_tokenizer, tiny

GAME24 = Path(__file__).parents[2] / "examples" / "game24"
RNG = np.random.default_rng


class TestFunctions:
    def test_by_file_and_name(self, tmp_path):
        (tmp_path / "check.py").write_text(
            "def share(question, answer):\n    return answer.count(question) / len(answer)\n"
        )
        share = load(f"reward:fn:{tmp_path}/check.py:share")
        assert share("a", "ab") == Reward(0.5)
        assert share("a", ["aa", "ab", "b"]) == [Reward(1.0), Reward(0.5), Reward(0.0)]

    def test_it_judges_what_was_added_to_a_context(self):
        seen = []
        reward = FunctionReward(lambda q, a: seen.append((q, a)) or 1.0)
        lm = Scripted("well")
        reward("why?", lm.chat(system="s", user="why?") + "be" + "cause")
        reward("why?", lm.prompt("why?") + "because")
        assert seen == [("why?", "because")] * 2
        assert FunctionReward(lambda a: a == "x", "same")("x") == Reward(1.0)

    def test_equal_texts_are_judged_once_and_all_calls_are_counted(self):
        calls = []
        reward = FunctionReward(lambda a: calls.append(a) or 0.5)

        @importance(particles=50)
        @model
        def program():
            text = sample("t", TableLM({"": {"a": 1, "b": 1}, "a": {"$": 1}, "b": {"$": 1}})("", max_tokens=2))
            score(reward(text).log())
            return str(text)

        posterior = program(seed=0)
        assert sorted(calls) == ["a", "b"]
        assert posterior.cost.reward_calls == 2 and posterior.cost.model_calls == 50
        assert posterior.log_evidence == pytest.approx(math.log(0.5))
        stopped = program.run(seed=0, limit=limit(reward_calls=1))
        assert stopped.stopped == "reward_calls" and stopped.cost.reward_calls == 1

    @pytest.mark.parametrize("value", [1.5, -0.1, math.nan, "good", None])
    def test_values_that_are_no_rewards(self, value):
        number = isinstance(value, float)
        message = (
            f"a reward must lie in [0, 1], got {value!r}. Map the model's own number there; keep it in raw=."
            if number
            else f"expected a number in [0, 1], found {value!r}."
        )
        with pytest.raises(BackendError, match=f"^{re.escape('reward judge: ' + message)}$"):
            FunctionReward(lambda a: value, "judge")("x")

    def test_its_errors_are_raised(self):
        with pytest.raises(ZeroDivisionError):
            FunctionReward(lambda a: 1 / 0)("x")

    def test_errors_end_the_run_or_the_particle_as_chosen(self):
        def check(answer):
            if answer == "b":
                raise ValueError("cannot parse 'b'")
            return 0.5

        lm = TableLM({"": {"a": 1, "b": 1}, "a": {"$": 1}, "b": {"$": 1}})

        def program_with(reward):
            @importance(particles=20)
            @model
            def program():
                text = sample("t", lm("", max_tokens=2))
                score(reward(str(text)).log())
                return str(text)

            return program

        with pytest.raises(ValueError, match="cannot parse 'b'"):
            program_with(FunctionReward(check))(seed=0)
        posterior = program_with(FunctionReward(check, on_error="drop"))(seed=0)
        assert set(posterior.values) == {"a"}
        (reason,) = posterior.reasons
        assert re.fullmatch(r"reward check: ValueError: cannot parse 'b' \(test_rewards\.py:\d+\)", reason)
        dropped = program_with(FunctionReward(check)).run(seed=0, on_error="drop")
        assert dropped.values == posterior.values, "the run's own choice means the same"
        with pytest.raises(BackendError, match=r"^reward check: ValueError: cannot parse 'b'$"):
            FunctionReward(check, on_error="drop")("b")

    def test_what_takes_too_long(self):
        begun = []

        def check(answer):
            begun.append(answer)
            while answer == "slow":
                pass
            return 1.0

        reward = FunctionReward(check, timeout=0.2)
        with pytest.raises(BackendError, match=r"^reward check took longer than 0\.2 s\.$"):
            reward("slow")
        others = threading.active_count()
        assert reward("fast").p == 1.0

        @importance(particles=12)
        @model
        def program():
            text = sample("t", uniform(["fast", "slow"]))
            score(FunctionReward(check, "checker", timeout=0.2, on_error="drop")(text).log())
            return text

        start = time.monotonic()
        posterior = program(seed=0)
        assert set(posterior.values) == {"fast"} and 0.2 <= time.monotonic() - start < 5
        (reason,) = posterior.reasons
        assert re.fullmatch(r"reward checker took longer than 0\.2 s\. \(test_rewards\.py:\d+\)", reason)
        for _ in range(100):  # a loop in Python ends when it is told to
            if threading.active_count() <= others:
                break
            time.sleep(0.02)
        assert threading.active_count() <= others

    def test_batched_functions(self, tmp_path):
        (tmp_path / "check.py").write_text(
            "asked = []\n\ndef shares(pairs):\n    asked.append(list(pairs))\n"
            "    return [answer.count(question) / len(answer) for question, answer in pairs]\n\n"
            "def lengths(answers):\n    return [1 / len(a) for a in answers][:2]\n"
        )
        shares = load(f"reward:fn:{tmp_path}/check.py:shares", batched=True)
        assert shares("a", ["aa", "ab", "b"]) == [Reward(1.0), Reward(0.5), Reward(0.0)]
        assert shares.function.__globals__["asked"] == [[("a", "aa"), ("a", "ab"), ("a", "b")]]
        lengths = load(f"reward:fn:{tmp_path}/check.py:lengths", batched=True)
        assert lengths("ab") == Reward(0.5)
        with pytest.raises(BackendError, match=r"^reward lengths was given 3 texts and returned 2 numbers\.$"):
            lengths(["a", "b", "c"])
        slow = FunctionReward(lambda answers: [1.0 for _ in answers], batched=True, timeout=5.0)
        assert slow(["a", "b"]) == [Reward(1.0)] * 2

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"on_error": "skip"}, r"^on_error expects 'raise' or 'drop', found 'skip'\.$"),
            ({"timeout": 0}, r"^timeout expects a number of seconds > 0, or None, found 0\.$"),
        ],
    )
    def test_options_that_are_none(self, options, message):
        with pytest.raises(UsageError, match=message):
            FunctionReward(lambda a: 1.0, **options)

    def test_a_reward_is_no_weight(self):
        @importance(particles=1)
        @model
        def program():
            score(FunctionReward(lambda a: 0.5)("x"))

        with pytest.raises(WeightError, match=r"reward\.log\(\).*reward\.logit\(\).*float\(reward\)"):
            program(seed=0)

    def test_what_cannot_be_judged(self, tmp_path):
        reward = FunctionReward(lambda a: 0.5, "f")
        with pytest.raises(UsageError, match="f judges a text, a chat or a prompt; found int"):
            reward("q", 3)
        with pytest.raises(UsageError, match="the question is a text"):
            reward(3, "x")
        (tmp_path / "check.py").write_text("def right(a):\n    return 1.0\n")
        with pytest.raises(UsageError, match=r"has no function 'rigt'\. Did you mean 'right'"):
            load(f"reward:fn:{tmp_path}/check.py:rigt")
        with pytest.raises(UsageError, match=r"written reward:fn:FILE\.py:NAME"):
            load("reward:fn:check")


class TestJudges:
    def test_the_share_of_yes(self):
        judge = JudgeReward(
            Scripted(lambda text: {"Yes": 0.6, "No": 0.2, "Hm": 0.2} if "right so far" in text else "?")
        )
        assert judge("2+2?", "4").p == pytest.approx(0.75)
        table = JudgeReward(load_letters())
        assert table("?").p == pytest.approx(0.3 / (0.3 + 0.1))

    def test_a_chat_is_asked_in_one_more_turn(self):
        seen = []
        judge = JudgeReward(Scripted(lambda text: seen.append(text) or "Yes"), "Good?")
        lm = Scripted("four")
        assert judge("2+2?", lm.chat(user="2+2?") + "four").p == 1.0
        judge("2+2?", "four")
        assert seen[0] == seen[-1] == "user: 2+2?\nassistant: four\nuser: Good?\n"
        judge("2+2?", lm.prompt("2+2?\n") + "four")
        assert seen[-1] == "2+2?\nfour\nGood?\n"

    def test_on_a_transformers_model(self):
        lm = HFModel(tiny(), byte_tokenizer(), "tiny")
        judge = JudgeReward(lm, "ok?")
        context = (lm.chat(user="one?") + "two").turn("user", "ok?")
        weights = [math.exp(lm(context, prefix=True).log_prob(v)) for v in ("Yes", "No")]
        assert judge("one?", "two").p == pytest.approx(weights[0] / sum(weights), rel=1e-4)

    def test_what_it_costs(self):
        judge = JudgeReward(Scripted({"Yes": 0.5, "No": 0.5}))

        @importance(particles=3)
        @model
        def program():
            score(judge("q", "a").log())

        cost = program(seed=0).cost
        assert (cost.reward_calls, cost.model_calls, cost.prompt_tokens) == (1, 0, 0)
        assert cost.reward_tokens > 0
        few = program.run(seed=0, limit=limit(reward_tokens=3))
        assert few.stopped == "reward_tokens" and few.cost.reward_tokens <= 3

    def test_a_grade_in_digits(self):
        grader = load("reward:digits:scripted:7")
        assert grader("q", "a") == Reward(7 / 9, 7.0)
        grader = DigitsReward(Scripted({"3": 0.2, "9": 0.6, "no": 0.2}))
        reward = grader("2+2?", "4")
        assert reward.raw == pytest.approx(0.25 * 3 + 0.75 * 9) and reward.p == pytest.approx(reward.raw / 9)
        with pytest.raises(BackendError, match="reward digits:scripted: the judge can say neither 0 nor 1 nor 2"):
            DigitsReward(Scripted("good"))("q", "a")

    def test_digits_on_a_transformers_model_share_its_tree(self):
        lm = SharedModel(tiny(), byte_tokenizer(), "tiny")
        grader = DigitsReward(lm, "ok?")
        chat = lm.chat(user="one?") + "two"
        asked = chat.turn("user", "ok?")
        weights = [math.exp(lm(asked, prefix=True).log_prob(str(d))) for d in range(10)]
        mean = sum(d * w for d, w in enumerate(weights)) / sum(weights)
        assert grader("one?", chat).raw == pytest.approx(mean, rel=1e-4)

        @importance(particles=4)
        @model
        def program():
            score(grader("one?", lm.chat(user="one?") + "three").log())

        del chat, asked
        lm.forget()
        cost = program(seed=0).cost
        tokens = len((lm.chat(user="one?") + "three").turn("user", "ok?").tokens)
        assert cost.forwarded_tokens == tokens and cost.forwards == 1, "ten verdicts after one context"
        assert cost.reward_tokens == tokens and cost.reward_calls == 1, "read once, though it is asked ten times"

    def test_by_name(self):
        assert load("reward:judge:scripted:Yes")("q", "a").p == 1.0
        with pytest.raises(BackendError, match="can say neither Yes nor No"):
            load("reward:judge:scripted:Perhaps")("q", "a")


def load_letters():
    """After a line break: Yes with .3, No with .1."""
    following = {"Y": {"e": 1}, "e": {"s": 1}, "s": {"$": 1}, "N": {"o": 1}, "o": {"$": 1}}
    return TableLM({"\n": {"Y": 0.3, "N": 0.1, "$": 0.6}, **following})


def head_folder(folder, sizes=(32, 5, 1), **changes):
    """A random head on a saved tiny model; its layers' weights."""
    torch.manual_seed(7)
    net, tokenizer = tiny(), byte_tokenizer()
    net.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    weights = {}
    for i, (before, after) in enumerate(pairwise(sizes)):
        weights[f"{2 * i}.weight"] = torch.randn(after, before).half()
        weights[f"{2 * i}.bias"] = torch.randn(after).half()
    (folder / "prm").mkdir()
    save_file(weights, folder / "prm" / "head.safetensors")
    description = {
        "base": "../model", "step_token": "\n", "readout": "mlp_sigmoid", "activation": "relu",
        "layers": [str(2 * i) for i in range(len(sizes) - 1)],
    }  # fmt: skip
    (folder / "prm" / "head.json").write_text(json.dumps(description | changes))
    return net, weights


class TestHeads:
    def test_against_the_formula(self, tmp_path):
        net, weights = head_folder(tmp_path)
        w = {name: tensor.double().numpy() for name, tensor in weights.items()}
        prm = load(f"reward:head:{tmp_path}/prm")
        lm = load(f"hf:{tmp_path}/model")
        assert prm.model is lm
        text = "one\ntwo\nthree"
        with torch.inference_mode():
            states = net.model(torch.tensor([lm.encode(text)])).last_hidden_state[0].double().numpy()
        place = max(i for i, t in enumerate(lm.encode(text)) if t == lm.encode("\n")[0])
        logit = w["2.weight"] @ np.maximum(w["0.weight"] @ states[place] + w["0.bias"], 0.0) + w["2.bias"]
        reward = prm(text)
        assert reward.raw == pytest.approx(float(logit[0]), abs=1e-3)
        assert reward.p == pytest.approx(1 / (1 + math.exp(-logit[0])), abs=1e-4)
        grown = lm.prompt("one\n") + "two\n" + "three"
        assert prm("one\n", grown).raw == pytest.approx(reward.raw, abs=1e-4)
        chat = lm.chat(user="one") + "two\n"
        assert prm("one", chat).raw == pytest.approx(prm("one", "two\n").raw, abs=1e-4)
        assert [r.raw for r in prm("q", ["a\n", "b\n"])] == pytest.approx(
            [prm("q", t).raw for t in ("a\n", "b\n")], abs=1e-4
        )

    def test_each_step_is_read_at_its_own_end(self, tmp_path):
        """Whether or not the steps bring their line ends; and a question's line end is not the answer's."""
        head_folder(tmp_path)
        prm = load(f"reward:head:{tmp_path}/prm")
        steps = ["two", "three", "four"]
        found = [r.raw for r in prm.steps("one\n", steps).rewards]
        assert found == pytest.approx([r.raw for r in prm.steps("one\n", [s + "\n" for s in steps]).rewards], abs=1e-4)
        assert found == pytest.approx([prm("one\n", t).raw for t in ("two\n", "two\nthree\n", "two\nthree\nfour\n")], abs=1e-4)
        with pytest.raises(BackendError, match="the answer has no step token"):
            prm("one\n", "two")

    def test_what_it_costs(self, tmp_path):
        head_folder(tmp_path)
        prm, lm = load(f"reward:head:{tmp_path}/prm"), load(f"hf:{tmp_path}/model")

        @importance(particles=4)
        @model
        def program():
            step = sample("step", lm("one\n", max_tokens=3))
            record("reward", prm("one\n", lm.prompt("one\n") + step).p)

        cost = program(seed=0).cost
        assert 1 <= cost.reward_calls <= 4 and cost.model_calls == 4
        assert cost.reward_tokens >= cost.reward_calls * 2

    def test_mistakes(self, tmp_path):
        head_folder(tmp_path)
        prm = load(f"reward:head:{tmp_path}/prm")
        with pytest.raises(BackendError, match=r"no step token '\\n', so there is nowhere to read: 'one two'"):
            prm("one two")
        with pytest.raises(BackendError, match=r"cannot read .*nowhere/head\.json"):
            load(f"reward:head:{tmp_path}/nowhere")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"readout": "linear"}, "readout is 'linear'; expected one of mlp_sigmoid"),
            ({"activation": "swish"}, "activation is 'swish'; expected one of relu"),
            ({"layers": ["0", "1"]}, r"has no '1\.weight'"),
            ({"layers": ["2", "0"]}, r"shapes \[\(1, 5\), \(5, 32\)\]"),
            ({"layers": ["0"]}, "the last give one number"),
            ({"base": "../narrow"}, r"the first layer reads 32 numbers, and the hidden states of narrow have 16\."),
            ({"step_token": "one two three"}, "is 3 tokens"),
            ({"base": "../other"}, "there is no model '../other'"),
        ],
    )
    def test_folders_that_do_not_fit(self, tmp_path, changes, message):
        head_folder(tmp_path, **changes)
        narrow = tiny(hidden_size=16, num_attention_heads=2)
        narrow.save_pretrained(tmp_path / "narrow")
        byte_tokenizer().save_pretrained(tmp_path / "narrow")
        with pytest.raises((BackendError, UsageError), match=message):
            load(f"reward:head:{tmp_path}/prm")


class TestGame24:
    def test_the_model_its_reward_and_the_checker(self):
        lm, prm = load(f"hf:{GAME24}/model"), load(f"reward:head:{GAME24}/prm")
        legal = load(f"reward:fn:{GAME24}/checker.py:legal")
        assert prm.model is lm
        puzzle = "4 5 6 10 -> 24\n"
        good, hopeless = "10 - 4 = 6 left: 5 6 6\n", "4 + 5 = 9 left: 6 9 10\n"
        assert legal(puzzle, lm.prompt(puzzle) + good).p == 1.0
        assert legal(puzzle, good.replace("= 6", "= 7")).p == 0.0
        assert prm(puzzle, lm.prompt(puzzle) + good).p > prm(puzzle, lm.prompt(puzzle) + hopeless).p
        step = lm(lm.prompt(puzzle), stop="\n", max_tokens=16).sample(RNG(0))
        assert step.finish == "stop" and step.endswith("\n")
