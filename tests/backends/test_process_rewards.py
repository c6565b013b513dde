"""Families of process reward models: against their authors' formulas, step by step against one pass, and their cost."""

import dataclasses
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from backends import load
from backends import step_formats as formats
from backends.kv_tree import FLOOR
from inference import importance, smc
from ppl import Reward, StepRewards, call, heuristic, limit, model, record, sample, score
from ppl.dist import uniform
from ppl.errors import BackendError, UsageError, WeightError
from tests.backends.reward_folders import FOLDERS, QUESTION, STEPS, metaspace_tokenizer, save, tokenizer
from tests.backends.tiny_models import tiny


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Family -> (its folder, the spec of its path)."""
    root = tmp_path_factory.mktemp("families")
    made = {}

    def of(family):
        if family not in made:
            folder = root / family
            made[family] = (folder, FOLDERS[family][0](folder))
        return made[family]

    return of


@pytest.mark.parametrize("family", FOLDERS)
class TestFamilies:
    def test_against_the_authors_formula(self, folders, family):
        folder, path = folders(family)
        prm = load(f"reward:{family}:{path}")
        with torch.inference_mode():
            expected = FOLDERS[family][1](folder, QUESTION, STEPS).tolist()
        rewards = prm.steps(QUESTION, STEPS)
        assert [r.raw for r in rewards] == pytest.approx(expected, abs=2e-5)
        assert max(expected) - min(expected) > 1e-4, "the steps differ, so that positions matter"
        assert prm.model.net.dtype == torch.float32

    def test_step_by_step_is_one_pass(self, folders, family):
        prm = load(f"reward:{family}:{folders(family)[1]}")
        plain = load(f"reward:{family}:{folders(family)[1]}", shared=False)
        whole = prm.steps(QUESTION, STEPS)
        for n in range(1, len(STEPS) + 1):
            for one in (prm, plain):
                rewards = one.steps(QUESTION, STEPS[:n])
                assert [r.raw for r in rewards] == pytest.approx([r.raw for r in whole][:n], abs=2e-5)
                assert [r.p for r in rewards] == pytest.approx([r.p for r in whole][:n], abs=2e-5)


def test_steps_have_the_tokens_that_the_whole_text_gives_them(tmp_path):
    """A tokenizer that puts a space before every text would put one before every step, if steps were read apart."""
    save(tmp_path / "model", tiny("mistral"), metaspace_tokenizer())
    with torch.inference_mode():
        expected = FOLDERS["shepherd"][1](tmp_path / "model", QUESTION, STEPS).tolist()
    found = load(f"reward:shepherd:{tmp_path}/model").steps(QUESTION, STEPS)
    assert [r.raw for r in found] == pytest.approx(expected, abs=2e-5)


class TestOneInterface:
    def test_an_answer_is_its_steps(self, folders):
        prm = load(f"reward:qwen:{folders('qwen')[1]}")
        rewards = prm.steps(QUESTION, STEPS)
        assert isinstance(rewards, StepRewards) and len(rewards) == 3
        assert prm(QUESTION, "\n\n".join(STEPS)) == rewards
        short, long = prm(QUESTION, [STEPS[0], "\n\n".join(STEPS)])
        assert short[0].p == pytest.approx(rewards[0].p, abs=1e-5) and len(short) == 1
        assert [r.p for r in long] == pytest.approx([r.p for r in rewards], abs=1e-5)
        lm = load(f"hf:{folders('shepherd')[1]}")
        chat = lm.chat(system="Be brief.", user=QUESTION)
        for step in STEPS:
            chat += step + "\n"
        assert prm(chat) == prm(QUESTION, chat) == rewards
        assert prm(lm.prompt(QUESTION) + STEPS[0] + "\n\n" + STEPS[1]) == StepRewards(rewards.rewards[:2])

    def test_the_program_says_which_number_the_steps_come_to(self):
        rewards = StepRewards((Reward(0.5, -1.0), Reward(0.2, -2.0), Reward(0.8, 3.0)))
        assert (rewards.last(), rewards.min()) == (Reward(0.8, 3.0), Reward(0.2, -2.0))
        assert rewards.product().p == pytest.approx(0.08) and rewards.mean().p == pytest.approx(0.5)
        assert [r.p for r in rewards] == [0.5, 0.2, 0.8] and rewards[-1] == rewards.last()
        message = (
            r"of the rewards of 3 steps: which one number do they come to\? Write rewards\.last\(\), rewards\.min\(\),"
            r" rewards\.product\(\) or rewards\.mean\(\) first: four different posteriors\."
        )
        for asked in (rewards.log, rewards.logit, lambda: float(rewards)):
            with pytest.raises(WeightError, match=message):
                asked()

        @importance(particles=1)
        @model
        def program():
            score(rewards)

        with pytest.raises(WeightError, match=rf"score: a log weight {message}"):
            program(seed=0)

    def test_every_reward_has_steps(self):
        from backends.reward_functions import FunctionReward

        seen = []
        reward = FunctionReward(lambda q, a: seen.append(a) or 0.5, "half")
        assert reward.steps("q", ["one\n", "two", "three"]).product() == Reward(0.125)
        assert seen == ["one\n", "one\ntwo", "one\ntwo\nthree"]
        with pytest.raises(UsageError, match=r"half\.steps\(question, steps\): expected a list of one or more texts"):
            reward.steps("q", [])


def test_in_a_scale_program(folders, tmp_path):
    """The reward of a list, a chat or a text is that of its last step; `steps` gives them all."""
    import grammar

    (tmp_path / "model").symlink_to(folders("trl")[1])
    prm = load(f"reward:trl:{tmp_path / 'model'}")
    (tmp_path / "judged.scale").write_text(
        """scale 1
        reward prm = reward("trl:model")
        program judged(question: str, trail: list[str]) -> (list[prob], prob, prob) {
          let asked = chat { user question }
          return (prm.steps(question, trail), prm(question, trail), prm(asked, trail))
        }
        """
    )
    module = grammar.load(tmp_path / "judged.scale")
    steps, last, of_chat = module.judged(QUESTION, STEPS)
    expected = [float(r) for r in prm.steps(QUESTION, STEPS)]
    assert list(steps) == pytest.approx(expected, abs=1e-5)
    assert (last, of_chat) == pytest.approx((expected[-1], expected[-1]), abs=1e-5)


def reading(prm, monkeypatch):
    """The prefixes that a fresh reward is asked to read from here on, as a set of token paths."""
    prm.model.forget()
    read, write = set(), prm.family.write

    def watched(*asked):
        context, places = write(*asked)
        read.update(context.tokens[: i + 1] for i in range(len(context.tokens)))
        return context, places

    monkeypatch.setattr(prm, "family", dataclasses.replace(prm.family, write=watched))
    return read


def searched(prm, texts, levels):
    """A run whose particles write `levels` random steps and ask for the reward of all steps after each."""

    @model
    def program():
        steps = []
        for _ in range(levels):
            steps.append(sample("step", uniform(texts)))
            rewards = prm.steps(QUESTION, steps)
            heuristic(lambda r=rewards: r.last().log())
            record("read", tuple(steps))
        score(rewards.product().log())

    return program


class TestCost:
    """Only what is new is computed, once, and whatever is pending together."""

    @pytest.mark.parametrize("family", ["qwen", "shepherd", "rlhflow", "skywork", "versa", "trl"])
    def test_new_suffixes_only_in_one_forward_a_step(self, folders, family, monkeypatch):
        prm = load(f"reward:{family}:{folders(family)[1]}")
        read = reading(prm, monkeypatch)
        texts, levels, particles = ["3 + 4 is 7", "7 - 2 is 5.", "so it is", "hm"], 4, 12
        cost = searched(prm, texts, levels).run(engine=importance(particles=particles), seed=1).cost
        assert cost.forwarded_tokens == len(read), "every token of the prefix tree once"
        assert cost.forwards == levels, "all particles of a step in one forward"
        assert cost.reward_tokens > 2.5 * cost.forwarded_tokens, "what reading everything again would cost"
        assert cost.reward_calls < particles * levels, "equal texts are judged once"

    def test_the_implicit_reward_too(self, folders, monkeypatch):
        """Two models; the last token of an answer is scored but never forwarded."""
        prm = load(f"reward:eurus:{folders('eurus')[1]}")
        for lm in (prm.model, prm.reference):
            lm.forget()
        read = set()
        judge = prm.judge_written

        def watched(question, steps):
            for end in range(1, len(steps) + 1):
                context, _ = formats.eurus(prm.model, (), question, steps[:end])
                read.update(context.tokens[:i] for i in range(1, len(context.tokens)))
            return judge(question, steps)

        monkeypatch.setattr(prm, "judge_written", watched)
        cost = searched(prm, ["3 + 4 is 7", "7 - 2 is 5.", "so it is"], 3).run(engine=importance(8), seed=1).cost
        assert cost.forwarded_tokens == 2 * len(read) and cost.forwards == 2 * 3
        assert cost.reward_calls <= 8 * 3

    def test_equal_prefixes_of_several_problems_are_one_batch(self, folders):
        prm = load(f"reward:shepherd:{folders('shepherd')[1]}")
        prm.model.forget()

        @importance(particles=3)
        @model
        def program(question):
            rewards = prm.steps(question, [sample("step", uniform(["one", "two"]))])
            record("rewards", rewards)
            score(rewards.last().log())

        results = program.map([QUESTION, "What is 2?", "What is 3?"], seed=0)
        assert sum(r.cost.forwards for r in results) == 3 and all(r.cost.forwards == 1 for r in results)

    def test_rewards_keep_what_was_computed_for_as_long_as_a_trace_holds_them(self, folders, monkeypatch):
        """Particles ask at different times, with more live tokens than the pool's floor: what one has read is not
        given up while others are served."""
        prm = load(f"reward:trl:{folders('trl')[1]}")
        read = reading(prm, monkeypatch)
        texts = [f"{a} plus {b} is what the answer is" for a in "abcdefgh" for b in "stuvwxyz"]

        @importance(particles=48)
        @model
        def program():
            steps = []
            for _ in range(3):
                for _ in range(sample("wait", uniform(range(8)))):
                    call(int)
                steps.append(sample("step", uniform(texts)))
                prm.steps(QUESTION, steps)

        cost = program(seed=0).cost
        assert cost.peak_kv_tokens > FLOOR
        assert cost.forwarded_tokens == len(read)

    def test_what_no_trace_holds_is_given_back(self, folders):
        """SMC drops particles: what they asked may be remembered, but what was computed for it is not kept."""
        prm = load(f"reward:trl:{folders('trl')[1]}")
        prm.model.forget()
        texts, levels = [f"{letter} is the answer" for letter in "abcdefghijklmnop"], 8

        @smc(particles=32, ess_threshold=1.0)
        @model
        def program():
            steps = []
            for _ in range(levels):
                steps.append(sample("step", uniform(texts)))
                prm.steps(QUESTION, steps)
                score(0.0 if steps[-1].startswith("a") else -20.0)

        step = len(prm.model.encode(texts[0])) + 1
        path, siblings = len(prm.model.encode(QUESTION)) + 1 + levels * step, len(texts) * step
        assert program(seed=0).cost.peak_kv_tokens < path + 2 * siblings

    def test_a_head_on_the_language_models_own_weights_forwards_nothing_but_its_marks(self, folders):
        path = folders("shepherd")[1]
        lm, prm = load(f"hf:{path}"), load(f"reward:shepherd:{path}")
        assert prm.model is lm
        lm.forget()
        question, step = QUESTION, " the answer is 5"
        prompt = lm.prompt(f"{question}")
        lm(prompt + step, prefix=True).log_prob(" x")  # the language model has read question and step

        @importance(particles=1)
        @model
        def program():
            score(prm.steps(question, [step]).last().log())

        cost = program(seed=0).cost
        assert cost.forwarded_tokens == 1, "the mark"
        assert (cost.reward_calls, cost.model_calls, cost.forwards) == (1, 0, 1)

    def test_pending_rewards_are_read_out_in_one_product(self, folders, monkeypatch):
        prm = load(f"reward:pure:{folders('pure')[1]}")
        sizes, readout = [], prm.readout
        monkeypatch.setattr(prm, "readout", lambda states: sizes.append(len(states)) or readout(states))
        prm(QUESTION, ["one\n\ntwo", "three", "four\n\nfive\n\nsix"])
        assert sizes == [6]

    def test_limits_hold(self, folders):
        prm = load(f"reward:trl:{folders('trl')[1]}")
        run = searched(prm, ["one", "two", "three", "four", "five"], 3)
        stopped = run.run(engine=importance(particles=8), seed=0, limit=limit(reward_calls=3))
        assert stopped.stopped == "reward_calls" and stopped.cost.reward_calls <= 3


class TestMistakes:
    def test_a_missing_step_token(self, tmp_path):
        save(tmp_path / "model", tiny("mistral"), tokenizer(without=("x ки",)))
        with pytest.raises(
            BackendError,
            match=r"reward shepherd:model: ' ки', which a step ends with, is \d tokens of model's tokenizer; expected one\."
            r" Take the tokenizer that was published with the weights, or another family\.",
        ):
            load(f"reward:shepherd:{tmp_path}/model")
        with pytest.raises(
            BackendError, match=r"'<extra_0>', which a step ends with, is no token of model's tokenizer; expected one\."
        ):
            FOLDERS["qwen"][0](tmp_path / "qwen" / "model")
            tokenizer(without=("<extra_0>",)).save_pretrained(tmp_path / "qwen" / "model")
            load(f"reward:qwen:{tmp_path}/qwen/model")

    @pytest.mark.parametrize(
        ("plus", "message"), [(648, None), (649, "is token 649 of model's tokenizer, and 648 of the")]
    )
    def test_the_ids_of_a_tokenizer_as_large_as_the_published_one(self, tmp_path, plus, message):
        ids = {" ки": 12902, " +": plus, " -": 387, "x": 7, "<s>": 0}
        taken = set(ids.values())
        words = ids | {f"w{i}": i for i in range(32_000) if i not in taken}
        inner = Tokenizer(models.WordLevel(words, unk_token="<s>"))
        inner.pre_tokenizer = pre_tokenizers.Split(Regex(" ки| [+-]|x|w\\d+"), "isolated")
        tokens = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<s>")
        save(tmp_path / "model", tiny("mistral", 32_000), tokens)
        if message is None:
            assert load(f"reward:shepherd:{tmp_path}/model").mark == (12902,)
            return
        with pytest.raises(BackendError, match=f"' \\+', which says that a step is right, {message}"):
            load(f"reward:shepherd:{tmp_path}/model")

    def test_a_head_that_does_not_fit(self, tmp_path):
        path = FOLDERS["trl"][0](tmp_path / "model")
        weights = load_file(tmp_path / "model" / "model.safetensors")
        for changed, message in (
            ({"score.weight": torch.zeros(3, 32)}, r"has the shapes \(3, 32\) \(out x in\); expected 32 in, 2 out"),
            ({"score.weight": torch.zeros(2, 16)}, r"has the shapes \(2, 16\) \(out x in\); expected 32 in, 2 out"),
            (
                {"model.norm.weight": torch.zeros(7)},
                r"do not fit its config\.json: norm\.weight has the shape \(7,\), expected \(32,\)\.",
            ),
        ):
            save_file(weights | changed, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
            with pytest.raises(BackendError, match=message):
                load(f"reward:trl:{path}")
        for gone, message in (
            (
                "score.weight",
                r"has no score\.weight, which this family's head consists of\. Is it a folder of this family\?",
            ),
            ("model.norm.weight", r"lacks weights that its config\.json asks for: norm\.weight\."),
        ):
            save_file(
                {k: v for k, v in weights.items() if k != gone},
                tmp_path / "model" / "model.safetensors",
                {"format": "pt"},
            )
            with pytest.raises(BackendError, match=message):
                load(f"reward:trl:{path}")

    def test_an_adapter_is_no_model(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
        with pytest.raises(BackendError, match=r"holds an adapter, not a model\. Merge it into its base first"):
            load(f"reward:math-psa:{tmp_path}")

    def test_no_such_folder_and_no_reference(self, folders):
        with pytest.raises(BackendError, match="the model 'nowhere' cannot be had here"):
            load("reward:qwen:nowhere")
        with pytest.raises(UsageError, match=r"it is written reward:eurus:PATH,REFERENCE\."):
            load(f"reward:eurus:{folders('shepherd')[1]}")
        with pytest.raises(UsageError, match=r"there is no model 'reward:qwn:x'\. Did you mean 'reward:qwen'\?"):
            load("reward:qwn:x")

    def test_a_reward_that_is_no_number(self, tmp_path):
        path = FOLDERS["trl"][0](tmp_path / "model")
        weights = load_file(tmp_path / "model" / "model.safetensors")
        weights["score.bias"][0] = math.nan
        save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
        prm = load(f"reward:trl:{path}")
        with pytest.raises(
            BackendError, match=r"^reward trl:model: step 1, '3 \+ 4 is 7\.', has the reward nan; expected a number\.$"
        ):
            prm.steps(QUESTION, STEPS)

    def test_what_cannot_be_judged(self, folders):
        prm = load(f"reward:shepherd:{folders('shepherd')[1]}")
        with pytest.raises(UsageError, match="judges the answer to a question: write shepherd:shepherd"):
            prm("3 + 4 is 7.")
        with pytest.raises(UsageError, match=r"judges steps, and the answer has none: ' \\n'"):
            prm(QUESTION, " \n")
        with pytest.raises(BackendError, match=r"the context has \d+ tokens .* and shepherd reads at most 512"):
            prm(QUESTION, "3 + 4 is 7.\n" * 60)

    def test_what_a_step_spells_is_no_control_token(self, folders):
        prm = load(f"reward:qwen:{folders('qwen')[1]}")
        assert len(prm.steps(QUESTION, ["right<extra_0>", "wrong <|im_end|>"])) == 2
        assert prm.steps(QUESTION, ["right<extra_0>"]) != prm.steps(QUESTION, ["right"])
