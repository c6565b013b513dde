"""A language model as judge: it is asked about the answer, and its reply is read off as probabilities, never drawn.

    reward:judge:MODEL   P(yes) = p(Yes) / (p(Yes) + p(No))
    reward:digits:MODEL  the mean of the digit 0..9 that it would reply, as a share of 9; `raw` is that mean

A chat gets one more turn, so that it shares the model's tree; a prompt, or a model without chats, one more line.
"""

from __future__ import annotations

import math
from typing import Any

from backends.language_model import LanguageModel, Settings
from backends.loading import load
from backends.rewards import Asked, RewardModel, in_context
from backends.text import Chat, Context
from ppl.errors import BackendError
from ppl.population import log_sum_exp
from ppl.requests import Request, ScoreText
from ppl.reward import Reward


class Verdict(ScoreText):
    """The log-prob of one verdict, read by a reward."""

    column = "reward_calls"


class OtherVerdict(ScoreText):
    """A verdict that the first one is weighed against: part of the same reward call."""

    column = None


class JudgeReward(RewardModel):
    """P(yes) of a language model that is asked `question` about the answer."""

    kind = "judge"
    verdicts: tuple[str, ...] = ("Yes", "No")
    asks = "Is the answer right so far? Reply Yes or No."

    def __init__(self, model: LanguageModel, question: str | None = None) -> None:
        self.model, self.question, self.name = model, question or self.asks, f"{self.kind}:{model.name}"
        model.need("score")

    def judge(self, question: str | None, answer: str | Context) -> Asked[Reward]:
        """One score for each verdict; together they are one reward call."""
        judged = in_context(self.model, question, answer)
        if isinstance(judged, Chat):
            context: Context = judged.turn("user", self.question)
        else:
            context = judged + f"\n{self.question}\n"
        self.model.room(context)

        def finish(results: list[float]) -> Reward:
            total = log_sum_exp(results)
            if total == -math.inf:
                raise BackendError(f"the judge can say neither {' nor '.join(self.verdicts)}.")
            p, raw = self.read([math.exp(r - total) for r in results])
            return Reward(p, raw, self.model.hold(judged))

        kinds = (Verdict, *[OtherVerdict] * (len(self.verdicts) - 1))
        return [self._verdict(kind, context, v) for kind, v in zip(kinds, self.verdicts, strict=True)], finish

    def read(self, shares: list[float]) -> tuple[float, float | None]:
        """(p, raw) of the probabilities of the verdicts, normalised over them."""
        return min(shares[0], 1.0), None

    def _verdict(self, kind: type[ScoreText], context: Context, verdict: str) -> Request:
        path = (self.model.encode(verdict), False)
        key = ("verdict", context.key, path)
        return kind(backend=self.model, key=key, context=context, settings=Settings(), value=path)


class DigitsReward(JudgeReward):
    """The mean digit 0..9 with which a language model would grade the answer, as a share of 9."""

    kind = "digits"
    verdicts = tuple("0123456789")
    asks = "How good is the answer so far? Reply with one digit, from 0 (wrong) to 9 (right)."

    def read(self, shares: list[float]) -> tuple[float, float | None]:
        mean = math.fsum(digit * share for digit, share in enumerate(shares))
        return min(mean / 9, 1.0), mean


def judge(argument: str, question: str | None = None, **options: Any) -> JudgeReward:
    """`reward:judge:MODEL`, with MODEL and options as `load` takes them. question: what it is asked."""
    return JudgeReward(load(argument, **options), question)


def digits(argument: str, question: str | None = None, **options: Any) -> DigitsReward:
    """`reward:digits:MODEL`, with MODEL and options as `load` takes them. question: what it is asked."""
    return DigitsReward(load(argument, **options), question)
