"""Distributions over what a language model says next: a text, a token, one of given texts.

They say what to ask and what the answers mean; the model answers. Draws take their uniforms when they are asked for
and carry no key, so they are never merged; everything deterministic carries one and is served once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from backends.text import Context, Text, Tokens
from ppl.current import execution_here
from ppl.dist import Deferred
from ppl.errors import SupportError, UsageError
from ppl.finite import inverse_cdf
from ppl.population import log_sum_exp
from ppl.requests import Draw, Drawn, NextToken, Plan, ScoreText, perform

if TYPE_CHECKING:
    from backends.language_model import LanguageModel
    from backends.masks import Mask
    from backends.settings import Settings

NEG_INF = -math.inf
Path = tuple[Tokens, bool]  # tokens, and whether the end token follows


class _AfterContext(Deferred):
    """What the three have in common: a model, a context and how the model is warped."""

    def __init__(self, model: LanguageModel, context: Context, settings: Settings) -> None:
        self.model, self.context, self.settings = model, context, settings
        self.weighted = settings.weighted
        if settings.biased:
            self.caveat = (
                f"drawn under mode='mask' of {settings.constraint!r}, which is biased: texts that the mask had to force"
                " count as if the model had chosen them. mode='condition' weighs them."
            )

    def __eq__(self, other: object) -> bool:
        """They answer alike: a chain keeps a value, its log-prob and what a mask made of it, and asks nothing."""
        return isinstance(other, _AfterContext) and self.kind == other.kind and self.context == other.context

    def __hash__(self) -> int:
        return hash(self.kind)

    def sample(self, rng: Any) -> Any:
        """UsageError where a draw carries a weight, which only a program can; SupportError if nothing came of it."""
        if self.weighted and execution_here() is None:
            held = repr(self.settings.constraint or "guide=")
            raise UsageError(
                f"a draw under {held} carries a weight, which .sample outside a program would lose. Draw it in a"
                " program by sample(name, ...), or say mode='mask' for masked decoding."
            )
        drawn = perform(self.draw(rng))
        if drawn.log_prob == NEG_INF:
            raise SupportError(f"nothing was drawn: {drawn.reason}.")
        return drawn.value

    def _score(self, path: Path) -> ScoreText:
        self.model.need("score")
        key = ("score", self.context.key, path, self.settings.law)
        return ScoreText(backend=self.model, key=key, context=self.context, settings=self.settings, value=path)

    def _draw(self, max_tokens: int, rng: Any) -> Draw:
        self.model.need("draw")
        return Draw(
            backend=self.model, context=self.context, settings=self.settings, max_tokens=max_tokens,
            uniforms=rng.random(max_tokens),
        )  # fmt: skip

    def __repr__(self) -> str:
        held = f" under {self.settings.constraint!r}" if self.settings.constraint is not None else ""
        return f"{type(self).__name__} of {self.model.name}{held}"


class TextDistribution(_AfterContext):
    """`lm(context, ...)`: texts up to their end, their stop or max_tokens. Values are `Text`s; no finite support."""

    def __init__(
        self, model: LanguageModel, context: Context, settings: Settings, max_tokens: int | None, prefix: bool
    ) -> None:
        super().__init__(model, context, settings)
        self.max_tokens, self.prefix = max_tokens, prefix

    def draw(self, rng: Any) -> Plan[Drawn]:
        if self.prefix:
            raise UsageError("lm(..., prefix=True) scores the beginning of a text; draw from lm(...) without it.")
        return Plan("text", [self._draw(self._length(), rng)], lambda results: results[0])

    def assess(self, value: Any) -> Plan[float]:
        """The log density of a text: of its own path, or of the canonical paths that show a plain str."""
        if not isinstance(value, str):
            raise SupportError(f"a language model's text is a str, found {type(value).__name__}: {value!r}.")
        if isinstance(value, Text) and value.finish is not None:
            paths = self._drawn_path(value)
        else:
            paths = self._canonical_paths(value)
        return Plan("score text", [self._score(p) for p in paths], log_sum_exp)

    @property
    def kind(self) -> Hashable:
        return ("text", self.model, self.settings, self.max_tokens, self.prefix)

    def _length(self) -> int:
        room = self.model.room(self.context)
        lengths = [n for n in (self.max_tokens, room) if n is not None]
        if not lengths:
            raise UsageError(f"{self.model.name} has no known window: say how long the text may be, max_tokens=256.")
        return min(lengths)

    def _drawn_path(self, value: Text) -> list[Path]:
        tokens = value.tokens
        if value.model.vocabulary != self.model.vocabulary:
            text = value.model.decode(tokens)
            if value.model.encode(text) != tokens:
                return []  # only canonical paths of another tokenizer have a counterpart here
            tokens = self.model.encode(text)
        if value.finish == "stop" and not self.settings.stop and not self.prefix:
            raise UsageError(
                f"the text {value!r} ended at a stop, and this distribution has none, so it could not have ended there."
                " Give the same stop=, or prefix=True to score its tokens, or str(text) to score it with an end."
            )
        return [(tokens, value.finish == "end" and not self.prefix)] if self._fits(tokens, value.finish) else []

    def _canonical_paths(self, value: str) -> list[Path]:
        tokens, length = self.model.encode(value), self._length()
        if self.prefix:
            return [(tokens, False)] if self._fits(tokens, None) else []
        finish = "end" if len(tokens) < length else "length"
        if self.settings.include_stop and self.settings.stop_in(value) is not None:
            finish = "stop"
        paths = [(tokens, finish == "end")] if self._fits(tokens, finish) else []
        if not self.settings.include_stop:  # the end and a hidden stop show the same text
            for stop in self.settings.stop:
                path = self.model.encode(value + stop)
                if self.settings.shown(value + stop) == value and self._fits(path, "stop"):
                    paths.append((path, False))
        return paths

    def _fits(self, tokens: Tokens, finish: str | None) -> bool:
        """Whether a text of these tokens can finish so here; with prefix=True, whether one can begin so."""
        length = self._length()
        if len(tokens) > length or self._stops(tokens[:-1]) or finish == "stuck":
            return False
        if self.settings.constraint is not None and not self._holds(tokens, finish):
            return False
        if self.prefix:
            return True
        if finish == "stop" or self._stops(tokens):
            return finish == "stop" and self._stops(tokens)
        return len(tokens) == length if finish == "length" else len(tokens) < length

    def _holds(self, tokens: Tokens, finish: str | None) -> bool:
        constraint = self.settings.constraint
        assert constraint is not None
        return constraint.holds(self.model, self.settings, tokens, None if self.prefix else finish)

    def _stops(self, tokens: Tokens) -> bool:
        return bool(self.settings.stop) and self.settings.stop_in(self.model.decode(tokens)) is not None


class TokenDistribution(_AfterContext):
    """`lm.token(context)`: one token. Its values are `Text`s of one token; the end is one with finish "end"."""

    @property
    def finite(self) -> bool:
        return True

    @property
    def kind(self) -> Hashable:
        return ("token", self.model, self.settings)

    def draw(self, rng: Any) -> Plan[Drawn]:
        self.model.room(self.context)

        def finish(results: list[Any]) -> Drawn:
            drawn: Drawn = results[0]
            return dataclasses.replace(drawn, value=self._value(drawn.value))

        return Plan("token", [self._draw(1, rng)], finish)

    def _value(self, text: Text) -> Text:
        if text.finish == "end":
            return Text(self.model.end_text, (), "end", self.model)
        return Text(str(text), text.tokens, None, self.model)

    def assess(self, value: Any) -> Plan[float]:
        tokens, closed = path = self.path_of(value)
        mask = self._mask()
        if mask is not None and not (mask.ends if closed else mask.allows(tokens[0])):
            return Plan("score token", [], lambda _: NEG_INF)
        return Plan("score token", [self._score(path)], lambda results: float(results[0]))

    def _mask(self) -> Mask | None:
        constraint = self.settings.constraint
        return None if constraint is None else constraint.begin(self.model, self.settings)

    def path_of(self, value: Any) -> Path:
        if not isinstance(value, str):
            raise SupportError(f"a token is a str, found {type(value).__name__}: {value!r}.")
        if isinstance(value, Text) and value.finish == "end" and not value.tokens or value == self.model.end_text:
            return (), True
        tokens = self.model.tokens_of(value)
        if len(tokens) != 1:
            raise SupportError(f"{value!r} is {len(tokens)} tokens of {self.model.name}, not one.")
        return tokens, False

    def table(self) -> Plan[list[tuple[Any, float]]]:
        self.model.need("next_token")
        self.model.room(self.context)
        key = ("next", self.context.key, self.settings.law)
        request = NextToken(backend=self.model, key=key, context=self.context, settings=self.settings)
        mask = self._mask()
        return Plan("next token", [request], lambda results: self.model.token_values(results[0], mask))


class ChoiceDistribution(_AfterContext):
    """`lm.choice(context, choices)`: p(choice as the beginning of what follows), renormalised over the choices."""

    def __init__(self, model: LanguageModel, context: Context, settings: Settings, choices: Sequence[str]) -> None:
        super().__init__(model, context, settings)
        self.choices = _checked(choices)

    @property
    def finite(self) -> bool:
        return True

    @property
    def kind(self) -> Hashable:
        return ("choice", self.model, self.choices)

    def _plan(self, label: str, meaning: Callable[[list[float]], Any]) -> Plan[Any]:
        """Score every choice; `meaning` is given their normalised log-probs."""
        requests = [self._score((self.model.encode(choice), False)) for choice in self.choices]

        def finish(results: list[Any]) -> Any:
            total = log_sum_exp(results)
            if total == NEG_INF:
                raise SupportError(f"lm.choice: {self.model.name} can say none of {list(self.choices)!r} here.")
            return meaning([float(r) - total for r in results])

        return Plan(label, requests, finish)

    def draw(self, rng: Any) -> Plan[Drawn]:
        u = rng.random()

        def pick(log_probs: list[float]) -> Drawn:
            i = inverse_cdf([math.exp(lp) for lp in log_probs], u)
            return Drawn(self.choices[i], log_probs[i], log_probs[i])

        return self._plan("choice", pick)

    def assess(self, value: Any) -> Plan[float]:
        if value not in self.choices:
            raise SupportError(f"{value!r} is not among the choices {list(self.choices)!r}.")
        i = self.choices.index(value)
        return self._plan("score choice", lambda log_probs: log_probs[i])

    def table(self) -> Plan[list[tuple[Any, float]]]:
        return self._plan("choices", lambda log_probs: list(zip(self.choices, log_probs, strict=True)))


def _checked(choices: Sequence[str]) -> tuple[str, ...]:
    if isinstance(choices, str) or not choices or not all(isinstance(c, str) for c in choices):
        raise UsageError(
            f"lm.choice expects a list of texts, as in lm.choice(context, ['yes', 'no']); found {choices!r}."
        )
    for i, one in enumerate(choices):
        for j, other in enumerate(choices):
            if i != j and other.startswith(one):
                raise UsageError(
                    f"lm.choice: the choice {one!r} begins {other!r}, so the two do not exclude each other."
                )
    return tuple(choices)
