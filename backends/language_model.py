"""The front that all language models share: `lm(context, ...)`, `lm.token`, `lm.choice`, `lm.chat`, `lm.prompt`.

A model makes tokens of text and answers rows (`step`); what the rows are for is said here and in
`backends.distributions`, once for every model. A text's density is that of its token path under the warped model
(temperature, top-k, top-p, in this order), the end token included where the model ended it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backends.constraints import Grammar, grammar_of
from backends.distributions import ChoiceDistribution, TextDistribution, TokenDistribution
from backends.masks import Constraint, Lexicon, Mask
from backends.text import Chat, Context, Text, Tokens, Turn, chat_of
from ppl.errors import BackendError, CapabilityError, UsageError
from ppl.requests import Backend, Draw, Drawn, Request

WITHOUT = {
    "draw": "draw text",
    "score": "score given text, so observe, log_prob and choice need another model",
    "next_token": "list next-token probabilities, so enumerating tokens needs another model",
    "hidden_states": "show hidden states, so reward heads need another model",
    "grammar": "keep to a grammar or a set of tokens, so grammar=, among= and guide= need another model",
}


Guide = Callable[[Text, Any], Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a text is drawn. `law` is what its density depends on; texts scored under equal laws are scored once.

    temperature  divides the logits; 0 is greedy: the most probable token has probability 1
    top_k        keep the k most probable tokens (None: all)
    top_p        then keep the smallest set of most probable tokens whose mass reaches p
    stop         the text ends with the token that completes one of these strings
    include_stop False hides the stop from `str(value)`; tokens, density and `context + value` keep it
    constraint   the grammar or token set it is held to
    guide        proposes each token: f(text so far, log-probs) -> log-weights
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    include_stop: bool = True
    constraint: Constraint | None = None
    guide: Guide | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise UsageError(
                f"temperature={self.temperature!r}: expected a number >= 0; 1 is the model's own, 0 greedy."
            )
        if not 0.0 < self.top_p <= 1.0:
            raise UsageError(f"top_p={self.top_p!r}: expected a number in (0, 1]; 1 keeps every token.")
        if self.top_k is not None and (not isinstance(self.top_k, int) or self.top_k < 1):
            raise UsageError(f"top_k={self.top_k!r}: expected an int >= 1, or None to keep every token.")
        for stop in self.stop:
            if not isinstance(stop, str) or not stop:
                raise UsageError(f"stop={self.stop!r}: expected a text or a list of texts, none of them empty.")

    @property
    def warp(self) -> tuple[float, float, int | None]:
        return (self.temperature, self.top_p, self.top_k)

    @property
    def biased(self) -> bool:
        """The density is that of masked decoding, not of the model."""
        return self.constraint is not None and self.constraint.biased

    @property
    def weighted(self) -> bool:
        """What draws a token is not what it is weighed by."""
        return self.guide is not None or (self.constraint is not None and not self.biased)

    @property
    def law(self) -> Hashable:
        hidden = () if self.include_stop else self.stop
        return (self.warp, self.constraint, hidden) if self.biased else self.warp

    def stop_in(self, text: str) -> int | None:
        """Where the earliest stop in `text` begins, or None."""
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return min(places) if places else None

    def shown(self, text: str) -> str:
        """A finished text as the program sees it."""
        return text if self.include_stop else text[: self.stop_in(text)]


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
        """
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
            raise UsageError(f"max_tokens={max_tokens!r}: expected an int >= 1.")
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        constraint = self._constraint(grammar, None, mode, truncated)
        settings = Settings(temperature, top_p, top_k, stops, include_stop, constraint, self._guided(guide, mode))
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
    ) -> TokenDistribution:
        """The distribution over the next token, the end included; finite, so that engines may enumerate it.

        `among` names single tokens, `grammar` texts that the token may begin (`grammar.after(text)`: go on with); the
        rest has probability 0 and, as under `lm(..., grammar=)`, a draw weighs the mass kept.
        """
        constraint = self._constraint(grammar, among, mode, "keep")
        settings = Settings(
            temperature, top_p, top_k, constraint=constraint, guide=self._guided(guide, mode)
        )
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
        """What `lm(...)` accepts as a context, as one of this model's."""
        if isinstance(given, Context):
            return given.on(self)
        if isinstance(given, str):
            return Context(self, given)
        if isinstance(given, (list, tuple)):
            return chat_of(self, given)
        raise UsageError(
            f"a model goes on from a text, lm.chat(...) or lm.prompt(...); found {type(given).__name__}: {given!r}."
        )

    def _constraint(
        self, grammar: Any, among: Iterable[str] | None, mode: str, truncated: str
    ) -> Constraint | None:
        """What is written as grammar= or among=, checked against this model's vocabulary."""
        if grammar is None and among is None:
            Constraint(None, None, mode, truncated)  # its words are checked all the same
            return None
        self.need("grammar")
        if grammar is not None and among is not None:
            raise UsageError("lm.token takes grammar= or among=, not both.")
        if grammar is not None:
            constraint = Constraint(grammar_of(grammar), None, mode, truncated)
            self._check_first(constraint)
            return constraint
        return Constraint(None, frozenset(map(self._one_token, self._named(among))), mode, truncated)

    def _named(self, among: Any) -> list[str]:
        names = [among] if isinstance(among, str) else list(among)
        if isinstance(among, str) or not names or not all(isinstance(name, str) for name in names):
            raise UsageError(f"among={among!r}: expected a list of tokens, as in among=['yes', 'no'].")
        return names

    def _one_token(self, name: str) -> Any:
        """A token by what it looks like, None for the end."""
        if name == self.end_text or (isinstance(name, Text) and name.finish == "end" and not name.tokens):
            return None
        tokens = self.tokens_of(name)
        if len(tokens) != 1:
            raise UsageError(f"among=: {name!r} is {len(tokens)} tokens of {self.name}, not one.")
        return tokens[0]

    def _check_first(self, constraint: Constraint) -> None:
        """UsageError if no token of this model can begin a text of the grammar."""
        grammar = constraint.grammar
        assert grammar is not None
        if grammar not in self._admitted:
            mask = constraint.begin(self, Settings())
            if not any(mask.bits) and not mask.ends:
                raise UsageError(
                    f"{grammar!r} admits no token of {self.name} here: it allows {grammar.possible()}, and no token"
                    " is spelled so."
                )
            self._admitted.add(grammar)

    def _guided(self, guide: Guide | None, mode: str) -> Guide | None:
        if guide is None:
            return None
        self.need("grammar")
        if not callable(guide) or mode == "mask":
            found = "mode='mask', which draws without weights" if callable(guide) else repr(guide)
            raise UsageError(f"guide= expects f(text, log_probs) -> log_weights, with weights to mend it; found {found}.")
        return guide

    @cached_property
    def _admitted(self) -> set[Grammar]:
        """Grammars that some token of this model can begin."""
        return set()

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
        raise NotImplementedError

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        """The tokens of a chat up to where the assistant's answer begins."""
        raise NotImplementedError

    def read(self, context: Context) -> str:
        """All that the model reads of a context."""
        return self.decode(context.tokens)

    def context_key(self, context: Context) -> Hashable:
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
        return 0 if row.column in ("model_calls", None) else len(row.context.tokens)  # type: ignore[attr-defined]

    def _charge_context(self, row: Any) -> None:
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
        """Nothing that is allowed has any probability here: no text begins so."""
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
        why = "" if settings.constraint is None or settings.biased else self._outside(settings.constraint, finish, shown)
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
        assert isinstance(self.row.backend, LanguageModel)
        return self.row.backend


def charge_once(rows: Sequence[Request], **amounts: int) -> None:
    """Charge what rows did together to each ledger that takes part, once."""
    for cost in {id(row.cost): row.cost for row in rows}.values():
        cost.charge(**amounts)
