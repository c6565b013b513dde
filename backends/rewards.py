"""Reward models: `prm(question, answer)` gives a `ppl.Reward`, a list of answers a list of them, in one batch.

Inside a program a reward is a recorded effect: batched with every other particle's, charged as reward calls and reward
tokens, and asked once for equal texts. An answer is a text, or the context it grew in, `chat + step + ...`: that is
read as it is, question included, so that a reward on the model's own weights shares what the model has computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backends.language_model import LanguageModel, Settings
from backends.loading import function_in, load
from backends.text import Chat, Context
from ppl.errors import BackendError, UsageError
from ppl.population import log_sum_exp
from ppl.requests import Backend, Evaluate, Plan, Request, ScoreText, perform
from ppl.reward import Reward


class RewardModel:
    """What all rewards share. A family says in `judge` what to ask about one answer and what the replies mean."""

    name: str

    def __call__(self, question: Any, answer: Any = None) -> Any:
        """The reward of an answer to a question; with one argument, of a text or context by itself."""
        if answer is None:
            question, answer = None, question
        if question is not None and not isinstance(question, str):
            raise UsageError(f"{self.name}(question, answer): the question is a text, found {question!r}.")
        if not isinstance(answer, (list, tuple)):
            return perform(self._plan(question, answer))
        plans = [self._plan(question, one) for one in answer]
        requests = [request for plan in plans for request in plan.requests]

        def finish(results: list[Any]) -> list[Reward]:
            rest = iter(results)
            return [plan.finish([next(rest) for _ in plan.requests]) for plan in plans]

        return perform(Plan(f"reward {self.name}", requests, finish))

    def judge(self, question: str | None, answer: str | Context) -> tuple[list[Request], Callable[[list[Any]], Reward]]:
        raise NotImplementedError

    def _plan(self, question: str | None, answer: Any) -> Plan[Reward]:
        if not isinstance(answer, (str, Context)):
            raise UsageError(
                f"{self.name} judges a text, a chat or a prompt; found {type(answer).__name__}: {answer!r}."
            )
        requests, meaning = self.judge(question, answer)

        def finish(results: list[Any]) -> Reward:
            try:
                return meaning(results)
            except BackendError as error:
                raise BackendError(f"reward {self.name}: {error}") from None

        return Plan(f"reward {self.name}", requests, finish)

    def __deepcopy__(self, memo: Any) -> RewardModel:
        return self

    def __repr__(self) -> str:
        return f"<reward {self.name}>"


# -- a Python function ----------------------------------------------------------------------------------------------


class Call(Evaluate):
    """One evaluation of a function; counted as a reward call."""

    column = "reward_calls"


class _Functions(Backend):
    name = "reward function"
    capabilities = frozenset({"evaluate"})

    def step(self, rows: Sequence[Request]) -> None:
        for row in rows:
            assert isinstance(row, Call)
            fn, *arguments = row.arguments
            try:
                row.complete(fn(*arguments))
            except Exception as error:
                row.fail(error)


_FUNCTIONS = _Functions()


class FunctionReward(RewardModel):
    """A function of (question, answer), or of the answer alone, that gives a number in [0, 1], a bool or a Reward.

    Of a context it is given the text that was added to its opening. It must be deterministic: it is called once for
    equal texts. Its exceptions are raised at the call that asked.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", "function"))

    def judge(self, question: str | None, answer: str | Context) -> tuple[list[Request], Callable[[list[Any]], Reward]]:
        text = "".join(answer.pieces) if isinstance(answer, Context) else str(answer)
        arguments = (text,) if question is None else (str(question), text)
        call = Call(backend=_FUNCTIONS, key=(self, arguments), arguments=(self.function, *arguments))
        return [call], lambda results: _as_reward(results[0])


def _as_reward(value: Any) -> Reward:
    if isinstance(value, Reward):
        return value
    try:
        return Reward(float(value))
    except (TypeError, ValueError):
        raise BackendError(f"expected a number in [0, 1], found {value!r}.") from None


def function(argument: str) -> FunctionReward:
    """`reward:fn:FILE.py:NAME`."""
    file, dot_py, name = argument.partition(".py:")
    if not dot_py:
        raise UsageError(f"cannot read 'reward:fn:{argument}': it is written reward:fn:FILE.py:NAME.")
    return FunctionReward(function_in(f"{file}.py", name), name)


# -- a language model as judge --------------------------------------------------------------------------------------

QUESTION = "Is the answer right so far? Reply Yes or No."


class Verdict(ScoreText):
    """The log-prob of one verdict, read by a reward."""

    column = "reward_calls"


class OtherVerdict(ScoreText):
    """The verdict that the first one is weighed against: part of the same reward call."""

    column = None


class JudgeReward(RewardModel):
    """P(yes) of a language model that is asked about the answer: p(Yes) / (p(Yes) + p(No)).

    A chat gets one more turn, so that it shares the model's tree; a prompt, or a model without chats, one more line.
    """

    def __init__(self, model: LanguageModel, question: str = QUESTION) -> None:
        self.model, self.question, self.name = model, question, f"judge:{model.name}"
        model.need("score")

    def judge(self, question: str | None, answer: str | Context) -> tuple[list[Request], Callable[[list[Any]], Reward]]:
        context = in_context(self.model, question, answer)
        if isinstance(context, Chat):
            context = context.turn("user", self.question)
        else:
            context += f"\n{self.question}\n"
        return [self._verdict(Verdict, context, "Yes"), self._verdict(OtherVerdict, context, "No")], _share_of_yes

    def _verdict(self, kind: type[ScoreText], context: Context, verdict: str) -> Request:
        path = (self.model.encode(verdict), False)
        key = ("verdict", context.key, path)
        return kind(backend=self.model, key=key, context=context, settings=Settings(), value=path)


def _share_of_yes(results: list[float]) -> Reward:
    total = log_sum_exp(results)
    if total == -math.inf:
        raise BackendError("the judge can say neither Yes nor No.")
    return Reward(math.exp(results[0] - total))


def judge(argument: str, **options: Any) -> JudgeReward:
    """`reward:judge:MODEL`, with MODEL as `load` takes it."""
    return JudgeReward(load(argument), **options)


def in_context(model: LanguageModel, question: str | None, answer: str | Context) -> Context:
    """An answer as a context of the model: as it grew, or as the answer to a question."""
    if isinstance(answer, Context):
        return answer.on(model)
    if question is None:
        return model.prompt(answer)
    if model.has_chats:
        return model.chat(user=question) + answer
    return model.prompt(question) + answer


def head(argument: str) -> RewardModel:
    """`reward:head:DIR`: a head on the hidden states of a model, described by DIR/head.json."""
    from backends.reward_head import HeadReward

    return HeadReward(Path(argument).expanduser())
