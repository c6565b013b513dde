"""`Scripted`: a language model that replies by rule, for tests of programs.

Its tokens are words and line breaks. A rule maps all the text of a context to a reply, or to a dict of replies with
their probabilities, so that draws and scores are known exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.drafts import Draft
from backends.language_model import LanguageModel
from backends.text import Tokens, Turn
from ppl.errors import BackendError
from ppl.finite import inverse_cdf
from ppl.requests import Draw, Request, ScoreText

Reply = str | Mapping[str, float]
_WORDS = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")


class Scripted(LanguageModel):
    """`Scripted("42")` always says 42; `Scripted(rule)` says `rule(text of the context)`, a str or {reply: probability}.

    A reply is ended by the model, so a text has finish "end" unless a stop or max_tokens cuts it. A str has log-prob
    0. An exception in the rule is raised at the call that asked.
    """

    name = "scripted"
    capabilities = frozenset({"draw", "score"})
    vocabulary = "words"
    end_text = ""
    window = 4096

    def __init__(self, rule: Reply | Callable[[str], Reply]) -> None:
        self.rule = rule

    def encode(self, text: str) -> Tokens:
        return tuple(_WORDS.findall(text))

    def decode(self, tokens: Sequence[Any]) -> str:
        return "".join(tokens)

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        return tuple(token for role, pieces in turns for token in self.encode(f"{role}: {''.join(pieces)}\n"))

    def step(self, rows: Sequence[Request]) -> None:
        for row in rows:
            try:
                self._answer(row)
            except Exception as error:
                row.fail(error)

    def _answer(self, row: Request) -> None:
        if isinstance(row, Draw):
            self._draw_token(row)
        elif isinstance(row, ScoreText):
            replies = self._begin(row)
            row.cost.charge(scored_tokens=len(row.value[0]) + row.value[1])
            row.complete(_log_mass(replies, *row.value))
        else:
            raise BackendError(f"a scripted model cannot answer {type(row).__name__}.")

    def _draw_token(self, row: Draw) -> None:
        """One token a step, so that a limit on tokens can end a reply anywhere."""
        if row.state is None:
            replies = self._begin(row)
            row.state = Draft(row), list(replies)[inverse_cdf(list(replies.values()), row.uniforms[0])], replies
        draft, path, replies = row.state
        i = len(draft.tokens)
        if i < len(path):
            before, now = (_log_mass(replies, path[:k], False) for k in (i, i + 1))
            draft.push(path[i], now - before)
        else:
            draft.end(_log_mass(replies, path, True) - _log_mass(replies, path, False))

    def _begin(self, row: Draw | ScoreText) -> dict[Tokens, float]:
        replies = self._replies(row.context.text)
        self.charge_context(row)
        row.cost.charge(forwards=1)
        return replies

    def _replies(self, text: str) -> dict[Tokens, float]:
        reply = self.rule(text) if callable(self.rule) else self.rule
        table = {reply: 1.0} if isinstance(reply, str) else reply
        if not isinstance(table, Mapping) or not any(p > 0.0 for p in table.values()):
            raise BackendError(f"the rule of a scripted model gives a str or {{reply: probability}}; found {reply!r}.")
        total = math.fsum(table.values())
        return {self.encode(answer): p / total for answer, p in table.items()}


def _log_mass(replies: Mapping[Tokens, float], tokens: Tokens, closed: bool) -> float:
    """The log-prob that the reply begins with these tokens, or that it is just these."""
    n = len(tokens)
    mass = math.fsum(p for reply, p in replies.items() if reply[:n] == tokens and not (closed and len(reply) > n))
    return math.log(mass) if mass > 0.0 else -math.inf


def from_spec(argument: str) -> Scripted:
    """`scripted:TEXT` always says TEXT; `scripted:FILE.py:NAME` follows the function NAME in FILE.py."""
    file, dot_py, name = argument.partition(".py:")
    if not dot_py:
        return Scripted(argument)
    from backends.loading import function_in

    return Scripted(function_in(f"{file}.py", name))
