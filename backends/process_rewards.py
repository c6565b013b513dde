"""Published process reward models: `reward:FAMILY:PATH`, PATH a folder or a hub id in the local cache.

A family is a format (how question and steps are written, and where each step is read) and a readout (what the states
there mean). An answer is a list of steps (`prm.steps`), a text that is split where the family splits it, or a context,
whose pieces are its steps. Every step has a reward; `raw` is the number that the family's authors publish, `p` the
same number, mapped to [0, 1] where it lies elsewhere:

    qwen      Qwen2.5-Math-PRM         softmax over 2 labels at <extra_0>
    shepherd  Math-Shepherd            softmax over + and - at ки
    rlhflow   RLHFlow Llama3.1 PRM     softmax over + and - where the assistant's + is predicted
    skywork   Skywork-o1-Open-PRM      sigmoid of the value head at the line's end
    eurus     EurusPRM (implicit)      beta x sum of log p - log p of the reference so far; p is its sigmoid
    versa     VersaPRM, Llama-PRM800K  softmax over - and + at four line ends
    math-psa  Math-PSA (OpenR)         softmax over + and - at five line ends
    pure      PURE-PRM                 p(right) - p(wrong) at the line's end; p is p(right)
    trl       TRL PRMTrainer           softmax over 2 labels at the separator
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends import step_formats as formats
from backends.hf import HFModel
from backends.hf_load import folder_of, from_folder
from backends.language_model import Settings
from backends.loading import load
from backends.readouts import Head, Pair, Spelled, label_head, sigmoid, step_token, token_pair, value_head
from backends.rewards import Asked, RewardModel, check_window
from backends.text import Chat, Context, Tokens
from ppl.errors import BackendError, UsageError
from ppl.requests import HiddenStates, ScoreText
from ppl.reward import Reward, StepRewards


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of published models is asked and read.

    write      puts a question and its steps before the model
    separator  what lies between the steps of an answer that is given as one text
    readout    the tokens or layers that give each step's log-odds
    step       the token that ends a step, where the format has one
    signed     the published number is p(right) - p(wrong)
    entries    size of the published tokenizer: one at least as large must have the published ids
    """

    write: Callable[[HFModel, Tokens, str, Sequence[str]], formats.Written]
    separator: str
    readout: Pair | Head
    step: Spelled | None = None
    signed: bool = False
    entries: int = 0


LLAMA, QWEN, MISTRAL = 128_000, 151_643, 32_000
FAMILIES = {
    "qwen": Family(
        formats.qwen, "\n\n", Head(("score.0", "score.2"), 2), Spelled("<extra_0>", 151651, control=True), entries=QWEN
    ),
    "shepherd": Family(
        formats.shepherd, "\n", Pair(Spelled(" +", 648), Spelled(" -", 387)), Spelled(" ки", 12902), entries=MISTRAL
    ),
    "rlhflow": Family(formats.rlhflow, "\n\n", Pair(Spelled("+", 10), Spelled("-", 12)), entries=LLAMA),
    "skywork": Family(formats.skywork, "\n", Head(("v_head.summary",), 1), Spelled("\n")),
    "versa": Family(
        formats.versa, "\n\n", Pair(Spelled("+", 10), Spelled("-", 12)), Spelled(" \n\n\n\n", 23535), entries=LLAMA
    ),
    "math-psa": Family(
        formats.math_psa, "\n", Pair(Spelled(" +", 488), Spelled(" -", 481)), Spelled(" \n\n\n\n\n", 76325), entries=QWEN
    ),
    "pure": Family(formats.separated, "\n\n", Head(("score",), 2), Spelled("\n"), signed=True),
    "trl": Family(formats.separated, "\n", Head(("score",), 2), Spelled("\n")),
}  # fmt: skip


class StepStates(HiddenStates):
    """The hidden states at the ends of steps, read by a reward."""

    column = "reward_calls"


class ByStep(RewardModel):
    """What the families share: an answer is its steps, and has a reward for each."""

    by_steps = True
    separator: str

    def judge(self, question: str | None, answer: str | Context) -> Asked[StepRewards]:
        if question is None and isinstance(answer, Context):
            question = _asked(answer)
        pieces = answer.pieces if isinstance(answer, Context) else answer.split(self.separator)
        steps = [piece for piece in pieces if piece.strip()]
        if not steps:
            raise UsageError(f"{self.name} judges steps, and the answer has none: {answer!r}.")
        return self.judge_steps(question, steps)

    def judge_steps(self, question: str | None, steps: list[str]) -> Asked[StepRewards]:
        if question is None:
            raise UsageError(f"{self.name} judges the answer to a question: write {self.name}(question, answer).")
        return self.judge_written(question, [step.strip() for step in steps])

    def judge_written(self, question: str, steps: list[str]) -> Asked[StepRewards]:
        """What to ask about steps that have no space around them."""
        raise NotImplementedError

    def _reward(self, p: float, raw: float, step: int, text: str) -> Reward:
        if not 0.0 <= p <= 1.0:
            raise BackendError(f"step {step + 1}, {text[-40:]!r}, has the reward {raw!r}; expected a number.")
        return Reward(p, raw)


class ProcessReward(ByStep):
    """A family's model that reads hidden states at the end of each step."""

    def __init__(self, family: str, model: HFModel, folder: Path | None) -> None:
        entry = FAMILIES[family]
        self.name, self.model = f"{family}:{model.name}", model
        self.family, self.separator = entry, entry.separator
        try:
            self.mark = () if entry.step is None else step_token(model, entry.step, entry.entries)
            if isinstance(entry.readout, Pair):
                self.readout = token_pair(model, entry.readout, entry.entries)
            else:
                assert folder is not None
                make = label_head if entry.readout.outputs == 2 else value_head
                self.readout = make(model, entry.readout, folder)
        except BackendError as error:
            raise BackendError(f"reward {self.name}: {error}") from None

    def judge_written(self, question: str, steps: list[str]) -> Asked[StepRewards]:
        context, places = self.family.write(self.model, self.mark, question, steps)
        check_window(self.model, context)
        key = ("step states", context.key, tuple(places), self.readout)
        row = StepStates(backend=self.model, key=key, context=context, positions=tuple(places), readout=self.readout)

        def finish(results: list[Any]) -> StepRewards:
            rewards = []
            for i, log_odds in enumerate(results[0][:, 0].tolist()):
                p = sigmoid(log_odds)
                raw = p - sigmoid(-log_odds) if self.family.signed else p
                rewards.append(self._reward(p, raw, i, steps[i]))
            return StepRewards(tuple(rewards), self.model.hold(context))

        return [row], finish


class StepScore(ScoreText):
    """The log-prob of an answer's last step, read by a reward."""

    column = "reward_calls"


class OtherStepScore(ScoreText):
    """That of a step before, which is usually known, or under the reference: part of the same judgement."""

    column = None


class ImplicitReward(ByStep):
    """EurusPRM (Yuan et al. 2024): beta times the log-ratio of the answer so far under a model and its reference.

    The sum runs over the tokens of the answer up to the end of the step, the blank line after it included.
    """

    separator = "\n\n"

    def __init__(self, model: HFModel, reference: HFModel, beta: float = 0.001) -> None:
        self.name, self.model, self.reference, self.beta = f"eurus:{model.name}", model, reference, beta
        if model.vocabulary != reference.vocabulary:
            raise BackendError(f"reward {self.name}: its reference {reference.name} has another tokenizer.")

    def judge_written(self, question: str, steps: list[str]) -> Asked[StepRewards]:
        written = [formats.eurus(model, (), question, steps) for model in (self.model, self.reference)]
        for context, _ in written:
            check_window(context.model, context)
        rows = [self._score(c, places, i) for c, places in written for i in range(len(steps))]

        def finish(results: list[float]) -> StepRewards:
            rewards, total = [], 0.0
            for i, (log_p, log_reference) in enumerate(zip(results[: len(steps)], results[len(steps) :], strict=True)):
                total += log_p - log_reference
                rewards.append(self._reward(sigmoid(self.beta * total), self.beta * total, i, steps[i]))
            return StepRewards(tuple(rewards), [c.model.hold(c) for c, _ in written])

        return rows, finish

    def _score(self, context: Context, places: list[int], i: int) -> ScoreText:
        """The log-prob of step i under the context's model."""
        begins = len(context.tokens) - sum(len(context.model.tokens_of(piece)) for piece in context.pieces[i:])
        before = type(context)(context.model, context.opening, context.pieces[:i])
        before.tokens = context.tokens[:begins]
        path = (context.tokens[begins : places[i] + 1], False)
        counts = i == len(places) - 1 and context.model is self.model
        kind = StepScore if counts else OtherStepScore
        key = ("step score", before.tokens, path)
        return kind(backend=context.model, key=key, context=before, settings=Settings(), value=path)


def _asked(context: Context) -> str:
    """The question that a context answers: a chat's last user turn, a prompt's own text."""
    if not isinstance(context, Chat):
        return str(context.opening)
    turns = ["".join(pieces) for role, pieces in context.opening if role == "user"]
    if not turns:
        raise UsageError(f"no user turn asks for the answer in {context!r}: give the question, prm(question, answer).")
    return turns[-1]


def _loader(family: str) -> Callable[..., ProcessReward]:
    def of_folder(where: str, **options: Any) -> ProcessReward:
        if isinstance(FAMILIES[family].readout, Pair):  # the language model's own head: the tree is the model's
            return ProcessReward(family, load(f"hf:{where}", **options), None)
        folder = folder_of(where)
        return ProcessReward(family, from_folder(str(folder), Path(where).name, states_only=True, **options), folder)

    return of_folder


qwen, shepherd, rlhflow = _loader("qwen"), _loader("shepherd"), _loader("rlhflow")
skywork, versa, math_psa = _loader("skywork"), _loader("versa"), _loader("math-psa")
pure, trl = _loader("pure"), _loader("trl")


def eurus(where: str, *, beta: float = 0.001, **options: Any) -> ImplicitReward:
    """`reward:eurus:PATH,REFERENCE`: the reward model and the model that it was trained from."""
    path, comma, reference = where.partition(",")
    if not comma:
        raise UsageError(
            f"cannot read 'reward:eurus:{where}': it is written reward:eurus:PATH,REFERENCE. EurusPRM is measured against"
            " the model it was trained from, Qwen2.5-Math-7B-Instruct."
        )
    return ImplicitReward(load(f"hf:{path}", **options), load(f"hf:{reference}", **options), beta)
