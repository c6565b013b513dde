"""What a distribution is held to: a grammar or a token set, checked against a model's vocabulary.

A `Constraint` makes a `Mask` for every text that is drawn or read. The density that it conditions is that of the warped
model: the mask comes after temperature, top-k and top-p. With mode="mask" it comes before them, as in other libraries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.constraints import Grammar, grammar_of
from backends.hidden_stops import StopMask
from backends.masks import GrammarMask, Mask, TokenSet
from backends.text import Text, Tokens
from ppl.errors import UsageError

if TYPE_CHECKING:
    from backends.language_model import LanguageModel
    from backends.settings import Settings

MODES = ("condition", "mask")
TRUNCATED = ("drop", "keep")
REGULAR = ("regex", "choice")  # with these a hidden stop is one more part of the pattern


@dataclass(frozen=True, slots=True)
class Constraint:
    """What texts or tokens are held to: a grammar, or a set of single tokens (None among them: the end).

    mode       "condition": p is the model's, on what is allowed, and draws weigh the mass that the mask kept.
               "mask": p is that of masked decoding itself, which favours whatever the mask had to force
    truncated  a text cut at max_tokens before its grammar was complete: "drop" gives it probability 0, "keep" takes it
    """

    grammar: Grammar | None = None
    among: frozenset[Any] | None = None
    mode: str = "condition"
    truncated: str = "drop"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"mode={self.mode!r}: expected 'condition' (weights make it exact) or 'mask' (biased).")
        if self.truncated not in TRUNCATED:
            raise UsageError(f"truncated={self.truncated!r}: expected 'drop' or 'keep' for texts cut at max_tokens.")

    @property
    def biased(self) -> bool:
        """Whether what it draws is left unweighed, as masked decoding does."""
        return self.mode == "mask"

    def begin(self, model: LanguageModel, settings: Settings) -> Mask:
        """The mask at the start of a text."""
        if self.grammar is None:
            assert self.among is not None
            return TokenSet(model.lexicon, self.among)
        hidden = () if settings.include_stop else settings.stop
        if hidden and self.grammar.kind not in REGULAR:
            return StopMask.begin(model.lexicon, self.grammar, hidden)
        return GrammarMask(model.lexicon, model.lexicon.matcher(self.grammar, hidden))

    def along(self, model: LanguageModel, settings: Settings, tokens: Tokens) -> Iterator[Mask]:
        """The mask before each of these tokens, and after the last. One that does not fit leaves nothing after it."""
        mask = self.begin(model, settings)
        yield mask
        for token in tokens:
            mask = mask.copy()
            mask.push(token)
            yield mask

    def holds(self, model: LanguageModel, settings: Settings, tokens: Tokens, finish: str | None) -> bool:
        """Whether a text of these tokens that ended so belongs to it. `finish=None`: whether one may begin so."""
        if finish == "stop" and self.grammar is not None:
            return settings.shown(model.decode(tokens)) in self.grammar
        mask = self.begin(model, settings)
        for token in tokens:
            if not mask.allows(token):
                return False
            mask.push(token)
        return finish is None or (finish == "length" and self.truncated == "keep") or mask.ends

    def possible(self, text: str) -> str:
        """What may follow a text, for messages."""
        return self.grammar.possible(text) if self.grammar is not None else "the tokens of among="

    def __repr__(self) -> str:
        return repr(self.grammar) if self.grammar is not None else "among=[...]"


def constraint_on(
    model: LanguageModel, grammar: Any, among: Iterable[str] | None, mode: str, truncated: str
) -> Constraint | None:
    """What is written as grammar= or among=, checked against the model's vocabulary; None for neither."""
    if grammar is None and among is None:
        Constraint(None, None, mode, truncated)  # its words are checked all the same
        return None
    model.need("grammar")
    if grammar is not None and among is not None:
        raise UsageError("lm.token takes grammar= or among=, not both.")
    if among is not None:
        return Constraint(None, frozenset(_one_token(model, name) for name in _names(among)), mode, truncated)
    constraint = Constraint(grammar_of(grammar), None, mode, truncated)
    model.lexicon.check(constraint.grammar, model.name)
    return constraint


def _names(among: Any) -> list[str]:
    names = [among] if isinstance(among, str) else list(among)
    if isinstance(among, str) or not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"among={among!r}: expected a list of tokens, as in among=['yes', 'no'].")
    return names


def _one_token(model: LanguageModel, name: str) -> Any:
    """A token by what it looks like, None for the end."""
    if name == model.end_text or (isinstance(name, Text) and name.finish == "end" and not name.tokens):
        return None
    tokens = model.tokens_of(name)
    if len(tokens) != 1:
        raise UsageError(f"among=: {name!r} is {len(tokens)} tokens of {model.name}, not one.")
    if model.lexicon.id_of(tokens[0]) < 0:
        raise UsageError(f"among=: {name!r} is no token of {model.name}.")
    return tokens[0]
