"""The front that all language models share: `lm(context, ...)`, `lm.token`, `lm.choice`, `lm.chat`, `lm.prompt`.

A model makes tokens of text and answers rows (`step`); what the rows are for is said here and in
`backends.distributions`, once for every model. A text's density is that of its token path under the warped model
(temperature, top-k, top-p, in this order), the end token included where the model ended it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Never

from backends.conditions import constraint_on
from backends.distributions import ChoiceDistribution, TextDistribution, TokenDistribution
from backends.drafts import Draft, charge_once
from backends.masks import Lexicon, Mask
from backends.settings import Guide, Settings
from backends.text import Chat, Context, Text, Tokens, Turn, chat_of
from ppl.errors import BackendError, CapabilityError, UsageError, did_you_mean
from ppl.requests import Backend, Request

__all__ = ["Draft", "LanguageModel", "Settings", "charge_once"]  # what one writes a model with

WITHOUT = {
    "draw": "draw text",
    "score": "score given text, so observe, log_prob and choice need another model",
    "next_token": "list next-token probabilities, so enumerating tokens needs another model",
    "hidden_states": "show hidden states, so reward heads need another model",
    "grammar": "keep to a grammar or a set of tokens, so grammar=, among= and guide= need another model",
}


def refuse_unknown(written: str, unknown: Mapping[str, Any], method: Callable[..., Any]) -> None:
    """UsageError for an option that a method does not have, with those that it has."""
    known = [p.name for p in inspect.signature(method).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in unknown:
        raise UsageError(f"{written} has no option {name!r}.{did_you_mean(name, known)} Its options: {', '.join(known)}.")


class LanguageModel(Backend):
    """A model's front. Subclasses give the abstract methods below and `step`.

    vocabulary   equal for models whose tokens mean the same, so that drawn texts pass between them as paths
    beginning    the tokens that every prompt starts with
    end_text     what the end token looks like
    window       most tokens that context and text may have together
    has_chats    it has a chat template
    """

    vocabulary: Hashable
    beginning: Tokens = ()
    end_text: str
    window: int | None = None
    has_chats: bool = True

    def __call__(
        self,
        context: Any,
        *,
        stop: str | Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        include_stop: bool = True,
        prefix: bool = False,
        grammar: Any = None,
        mode: str = "condition",
        truncated: str = "drop",
        guide: Guide | None = None,
        **unknown: Never,
    ) -> TextDistribution:
        """The distribution over texts that follow `context`: a str, a chat or a prompt.

        A text ends where the model ends it, with the token that completes a stop string, or at `max_tokens` (default:
        what the window holds). Its values are `Text`s. A str given to `observe` or `log_prob` is tokenised apart from
        the context and scored with its end; with `prefix=True` it is scored as the beginning of a text.

        grammar    conditions on `str(text)` belonging to it: the density stays the model's, warped; elsewhere it is 0.
                   Tokens that lead nowhere are masked when a text is drawn, and its weight is the mass kept. Regex,
                   JSON schema, choices or Lark: see `backends.constraints`
        mode       "mask" instead makes masked decoding itself the distribution: what most libraries do, biased
        truncated  what a text is that max_tokens cut before the grammar was complete: "drop" or "keep"
        guide      f(text so far, log-probs) -> log-weights proposes each token, over the same tokens; log p - log q
                   goes into the weight. A table hands it a dict, other models a tensor over token ids

        Raises UsageError for a setting out of range, CapabilityError for a grammar or guide with a model that takes none.
        """
        refuse_unknown("lm(...)", unknown, LanguageModel.__call__)
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
            raise UsageError(f"max_tokens={max_tokens!r}: expected an int >= 1.")
        stops = (stop,) if isinstance(stop, str) else tuple(dict.fromkeys(stop))
        constraint = constraint_on(self, grammar, None, mode, truncated)
        settings = Settings(temperature, top_p, top_k, stops, include_stop, constraint, self._guide_of(guide, mode))
        return TextDistribution(self, self.context(context), settings, max_tokens, prefix)

    def token(
        self,
        context: Any,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        among: Iterable[str] | None = None,
        grammar: Any = None,
        mode: str = "condition",
        guide: Guide | None = None,
        **unknown: Never,
    ) -> TokenDistribution:
        """The distribution over the next token, the end included; finite, so that engines may enumerate it.

        `among` names single tokens, `grammar` texts that the token may begin (`grammar.after(text)`: go on with); the
        rest has probability 0 and, as under `lm(..., grammar=)`, a draw weighs the mass kept. Raises as `lm(...)` does,
        and UsageError for a name in `among` that is not one token.
        """
        refuse_unknown("lm.token(...)", unknown, LanguageModel.token)
        constraint = constraint_on(self, grammar, among, mode, "keep")
        settings = Settings(temperature, top_p, top_k, constraint=constraint, guide=self._guide_of(guide, mode))
        return TokenDistribution(self, self.context(context), settings)

    def choice(self, context: Any, choices: Sequence[str]) -> ChoiceDistribution:
        """A choice among given texts, each weighed by its probability as the beginning of what follows `context`.

        Finite. Raises UsageError if one choice begins another: they would not exclude each other.
        """
        return ChoiceDistribution(self, self.context(context), Settings(), choices)

    def chat(
        self, *turns: Any, system: str | None = None, user: str | None = None, assistant: str | None = None
    ) -> Chat:
        """A chat in the model's own template; `assistant` begins the answer that the model goes on with.

        Longer ones from (role, text) pairs: lm.chat(("user", "Hi"), ("assistant", "Hello!"), ("user", "...")).
        """
        named = (("system", system), ("user", user), ("assistant", assistant))
        given = [(role, text) for role, text in named if text is not None]
        if turns and given:
            raise UsageError("lm.chat takes turns as pairs or system=, user=, assistant=; not both.")
        return chat_of(self, turns or given)

    def prompt(self, text: str) -> Context:
        """A context of plain text, without a chat template."""
        if not isinstance(text, str):
            raise UsageError(f"lm.prompt expects a text, found {type(text).__name__}: {text!r}.")
        return Context(self, text)

    def context(self, given: Any) -> Context:
        """What `lm(...)` accepts as a context (a str, a chat, a prompt, or a list of turns), as one of this model's.

        Raises UsageError for anything else.
        """
        if isinstance(given, Context):
            return given.on(self)
        if isinstance(given, str):
            return Context(self, given)
        if isinstance(given, (list, tuple)):
            return chat_of(self, given)
        raise UsageError(
            f"a model goes on from a text, lm.chat(...) or lm.prompt(...); found {type(given).__name__}: {given!r}."
        )

    def _guide_of(self, guide: Guide | None, mode: str) -> Guide | None:
        if guide is None:
            return None
        self.need("grammar")
        if not callable(guide) or mode == "mask":
            found = "mode='mask', which draws without weights" if callable(guide) else repr(guide)
            raise UsageError(
                f"guide= expects f(text, log_probs) -> log_weights, with weights to mend it; found {found}."
            )
        return guide

    @cached_property
    def lexicon(self) -> Lexicon:
        """The vocabulary, as grammars need it."""
        return self.make_lexicon()

    @cached_property
    def _spelled(self) -> dict[Any, str]:
        """What single tokens look like, as far as they have been met."""
        return {}

    # -- what a model is --------------------------------------------------------------------------------------------

    def encode(self, text: str) -> Tokens:
        """The tokens of plain text. Control tokens never come out of it, whatever it spells."""
        raise NotImplementedError

    def decode(self, tokens: Sequence[Any]) -> str:
        """The text of a token path, as it stands inside a longer text."""
        raise NotImplementedError

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        """The tokens of a chat up to where the assistant's answer begins."""
        raise NotImplementedError

    def read(self, context: Context) -> str:
        """All that the model reads of a context."""
        return self.decode(context.tokens)

    def context_key(self, context: Context) -> Hashable:
        """Equal for contexts after which the model says the same."""
        return context.tokens

    def token_values(self, answer: Any, mask: Mask | None = None) -> list[tuple[Text, float]]:
        """The answer to a `NextToken` request as values with log-probs; those that a mask allows."""
        raise NotImplementedError

    def make_lexicon(self) -> Lexicon:
        """For models with the capability "grammar"."""
        raise NotImplementedError

    # -- what follows from it ---------------------------------------------------------------------------------------

    def tokens_of(self, piece: str) -> Tokens:
        """The path of a drawn text; the canonical tokens of any other."""
        if isinstance(piece, Text):
            if piece.model.vocabulary == self.vocabulary:
                return piece.tokens
            return self.encode(piece.model.decode(piece.tokens))
        return self.encode(piece)

    def may_complete(self, token: Any, stops: tuple[str, ...]) -> bool:
        """Whether a text can end at a stop with this token: it has a stop's last character, or part of a character."""
        if not stops:
            return False
        spelled = self._spelled.get(token)
        if spelled is None:
            spelled = self._spelled[token] = self.decode([token])
        return "\ufffd" in spelled or any(stop[-1] in spelled for stop in stops)

    def room(self, context: Context) -> int | None:
        """How many tokens may follow the context; BackendError if it is too long for any to."""
        if self.window is None:
            return None
        left = self.window - len(context.tokens)
        if left < 1:
            parts = ", ".join(f"{name} {n}" for name, n in context.parts())
            raise BackendError(
                f"the context has {len(context.tokens)} tokens ({parts}) and {self.name} reads at most {self.window},"
                " what it writes included. Shorten it."
            )
        return left

    def hold(self, context: Context) -> Any:
        """What keeps all that the model stores of this context, for as long as it exists itself; None if it stores none."""
        return None

    def reads(self, row: Request) -> int:
        """A reward that reads hidden states, or scores, is charged for the whole context."""
        return 0 if row.column in ("model_calls", None) else len(row.context.tokens)  # type: ignore[attr-defined]

    def charge_context(self, row: Any) -> None:
        """A row's context was handed to the model: by a program, or by a reward. A row of no column is part of another's."""
        if row.column is None:
            return
        column = "prompt_tokens" if row.column == "model_calls" else "reward_tokens"
        row.cost.charge(**{column: len(row.context.tokens)})

    def need(self, capability: str) -> None:
        """CapabilityError, before anything is asked, if the model cannot do this."""
        if capability not in self.capabilities:
            raise CapabilityError(f"{self.name} cannot {WITHOUT[capability]}.")

    def __deepcopy__(self, memo: Any) -> LanguageModel:
        return self  # a model is shared by all executions

    def __repr__(self) -> str:
        return f"<language model {self.name}>"
