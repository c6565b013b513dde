"""Reward models: `prm(question, answer)` gives a `ppl.Reward`, a list of answers a list of them, in one batch.

Inside a program a reward is a recorded effect: batched with every other particle's, charged as reward calls and reward
tokens, and asked once for equal texts. An answer is a text, or the context it grew in, `chat + step + ...`: that is
read as it is, question included, so that a reward on the model's own weights shares what the model has computed.

`prm.steps(question, [step, ...])` gives `ppl.StepRewards`, the reward of every step. A process reward model (one of the
published families) gives them for an answer too; the program says which one number they come to, as in `.min()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backends.language_model import LanguageModel
from backends.text import Context
from ppl.errors import BackendError, UsageError
from ppl.requests import Plan, Request, perform
from ppl.reward import StepRewards

T = TypeVar("T")
Asked = tuple[Sequence[Request], Callable[[list[Any]], T]]  # requests, and what their answers mean


class RewardModel:
    """What all rewards share. A family says in `judge` what to ask about one answer and what the replies mean.

    by_steps  it judges step by step: an answer has `StepRewards`, not one `Reward`
    """

    name: str
    by_steps = False

    def __call__(self, question: Any, answer: Any = None) -> Any:
        """The reward of an answer to a question; with one argument, of a text or context by itself."""
        if answer is None:
            question, answer = None, question
        if question is not None and not isinstance(question, str):
            raise UsageError(f"{self.name}(question, answer): the question is a text, found {question!r}.")
        if not isinstance(answer, (list, tuple)):
            return perform(self._plan(self._judged(question, answer)))
        return perform(self._plan(together([self._judged(question, one) for one in answer])))

    def steps(self, question: str | None, steps: Sequence[str]) -> StepRewards:
        """The reward of each step of an answer, given as a list of texts; step t is judged as if it were the last.

        UsageError for an empty list: no step, no reward.
        """
        if isinstance(steps, str) or not steps or not all(isinstance(step, str) for step in steps):
            raise UsageError(
                f"{self.name}.steps(question, steps): expected a list of one or more texts, found {steps!r}."
            )
        return perform(self._plan(self.judge_steps(question, list(steps))))

    def judge(self, question: str | None, answer: str | Context) -> Asked[Any]:
        """What to ask about one answer, and what the replies come to: a `Reward` (`StepRewards` of one that goes by steps)."""
        raise NotImplementedError

    def judge_steps(self, question: str | None, steps: list[str]) -> Asked[StepRewards]:
        """What to ask about every step: unless a family knows better, the answer as far as that step."""
        requests, meaning = together([self.judge(question, answer) for answer in so_far(steps)])
        return requests, lambda results: StepRewards(tuple(meaning(results)))

    def _judged(self, question: str | None, answer: Any) -> Asked[Any]:
        if not isinstance(answer, (str, Context)):
            raise UsageError(
                f"{self.name} judges a text, a chat or a prompt; found {type(answer).__name__}: {answer!r}."
            )
        return self.judge(question, answer)

    def _plan(self, asked: Asked[T]) -> Plan[T]:
        requests, meaning = asked

        def finish(results: list[Any]) -> T:
            try:
                return meaning(results)
            except BackendError as error:
                raise BackendError(f"reward {self.name}: {error}") from None

        return Plan(f"reward {self.name}", requests, finish)

    def __deepcopy__(self, memo: Any) -> RewardModel:
        return self

    def __repr__(self) -> str:
        return f"<reward {self.name}>"


def together(asked: Sequence[Asked[T]]) -> Asked[list[T]]:
    """Several judgements as one batch of requests."""

    def finish(results: list[Any]) -> list[T]:
        rest = iter(results)
        return [meaning([next(rest) for _ in requests]) for requests, meaning in asked]

    return [request for requests, _ in asked for request in requests], finish


def so_far(steps: Sequence[str]) -> list[str]:
    """The text up to each step; a step that does not end its line gets a line end when another follows."""
    texts, text = [], ""
    for step in steps:
        text += ("\n" if text and not text.endswith("\n") else "") + step
        texts.append(text)
    return texts


def in_context(model: LanguageModel, question: str | None, answer: str | Context) -> Context:
    """An answer as a context of the model: as it grew, or as the answer to a question."""
    if isinstance(answer, Context):
        return answer.on(model)
    if question is None:
        return model.prompt(answer)
    if model.has_chats:
        return model.chat(user=question) + answer
    return model.prompt(question) + answer


def check_window(model: LanguageModel, context: Context) -> None:
    """BackendError if a context that is only read is longer than the model can read."""
    if model.window is not None and len(context.tokens) > model.window:
        model.room(context)
