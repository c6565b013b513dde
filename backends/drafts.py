"""Texts under way: what backends tell of each token, and what becomes of a text when it ends."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from backends.conditions import Constraint
from backends.masks import Mask
from backends.text import Text
from ppl.errors import BackendError
from ppl.requests import Draw, Drawn, Request

if TYPE_CHECKING:
    from backends.language_model import LanguageModel
    from backends.settings import Settings


@dataclass(eq=False, slots=True)
class Draft:
    """A text being drawn for one row, token by token. It completes the row when the text ends.

    log_p, log_q  of every token: under the distribution, and under what drew it (a mask, a guide)
    mask          what may come next, if the row is held to something
    """

    row: Draw
    tokens: list[Any] = dataclasses.field(default_factory=list)
    log_p: list[float] = dataclasses.field(default_factory=list)
    log_q: list[float] = dataclasses.field(default_factory=list)
    mask: Mask | None = None

    def __post_init__(self) -> None:
        settings: Settings = self.row.settings
        if settings.constraint is not None:
            self.mask = settings.constraint.begin(self._model, settings)

    @property
    def uniform(self) -> Any:
        """The uniform that decides the next token."""
        return self.row.uniforms[len(self.tokens)]

    @property
    def text(self) -> Text:
        """What stands so far, as a guide reads it."""
        return Text(self._model.decode(self.tokens), tuple(self.tokens), None, self._model)

    def push(self, token: Any, log_p: float, log_q: float | None = None) -> None:
        """The next token, with its log-prob under the distribution and, where it differs, under what drew it."""
        self._count(log_p, log_q)
        self.tokens.append(token)
        if self.mask is not None:
            self.mask.push(token)
        stopped = self._model.may_complete(token, self.row.settings.stop) and (
            self.row.settings.stop_in(self._model.decode(self.tokens)) is not None
        )
        if stopped or len(self.tokens) >= self.row.max_tokens:
            self._complete("stop" if stopped else "length")

    def end(self, log_p: float, log_q: float | None = None) -> None:
        """The model drew its end token."""
        self._count(log_p, log_q)
        self._complete("end")

    def stick(self) -> None:
        """Nothing that is allowed has any probability here: no text begins so. (Or the row's guide failed: no text.)"""
        if self.row.done:
            return
        text, constraint = self._model.decode(self.tokens), self.row.settings.constraint
        what = (
            f"{constraint!r} admits nothing that {self._model.name} can say after {text[-40:]!r};"
            f" it allowed {constraint.possible(text)}"
        )
        if constraint.biased:
            self.row.fail(BackendError(f"{what}, all of probability 0 under this model."))
        else:
            value = Text(text, tuple(self.tokens), "stuck", self._model)
            self.row.complete(Drawn(value, -math.inf, math.fsum(self.log_q), what))

    def _count(self, log_p: float, log_q: float | None) -> None:
        self.row.cost.charge(generated_tokens=1)
        self.log_p.append(log_p)
        self.log_q.append(log_p if log_q is None else log_q)

    def _complete(self, finish: str) -> None:
        settings: Settings = self.row.settings
        shown = settings.shown(self._model.decode(self.tokens))
        value = Text(shown, tuple(self.tokens), finish, self._model)
        value.log_p, value.log_q = tuple(self.log_p), tuple(self.log_q)
        log_p, log_q = math.fsum(self.log_p), math.fsum(self.log_q)
        why = "" if settings.constraint is None else self._outside(settings.constraint, finish, shown)
        self.row.complete(Drawn(value, -math.inf if why else log_p, log_q, why))

    def _outside(self, constraint: Constraint, finish: str, shown: str) -> str:
        """Why a finished text does not belong to its grammar, or ''."""
        assert self.mask is not None
        if constraint.grammar is None or finish == "end" or (finish == "length" and constraint.truncated == "keep"):
            return ""
        if finish == "stop":
            return "" if shown in constraint.grammar else f"the stop came before {constraint!r} was complete"
        if self.mask.ends:
            return ""
        return f"cut at max_tokens={self.row.max_tokens} before {constraint!r} was complete (truncated='drop')"

    @property
    def _model(self) -> LanguageModel:
        return cast("LanguageModel", self.row.backend)


def charge_once(rows: Sequence[Request], **amounts: int) -> None:
    """Charge what rows did together to each ledger that takes part, once."""
    for cost in {id(row.cost): row.cost for row in rows}.values():
        cost.charge(**amounts)
