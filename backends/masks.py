"""Token masks: which tokens may come next under a grammar or a token set, for one model's vocabulary.

A `Constraint` says what a distribution is held to; a `Mask` is its state while one text is drawn or read. Compiled
grammars are kept by the model's `Lexicon`, so that starting a text copies a pointer. The density that a constraint
conditions is that of the warped model: the mask comes after temperature, top-k and top-p. With mode="mask" it comes
before them, as in other libraries.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.constraints import Grammar, grammar_of
from backends.matcher import literal, llguidance
from backends.text import Text, Tokens
from ppl.errors import UsageError

if TYPE_CHECKING:
    from backends.language_model import LanguageModel
    from backends.settings import Settings

MODES = ("condition", "mask")
TRUNCATED = ("drop", "keep")


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


class Lexicon:
    """A vocabulary in llguidance's terms: token ids, their bytes, and the grammars compiled for them.

    encode  text to ids
    id_of   a token's id, -1 for one that it does not have
    ends    the ids that end a text
    """

    def __init__(
        self, tokenizer: Any, encode: Callable[[str], Sequence[int]], id_of: Callable[[Any], int], ends: Sequence[int]
    ) -> None:
        self.tokenizer, self.encode, self.id_of, self.ends = tokenizer, encode, id_of, ends
        self.bytes = -(-tokenizer.vocab_size // 8)  # of a mask
        self._compiled = lru_cache(maxsize=256)(self._compile)
        self._known: set[Grammar] = set()

    def check(self, grammar: Grammar | None, name: str) -> None:
        """UsageError if no token can begin a text of the grammar."""
        if grammar is None or grammar.begun or grammar in self._known:
            return
        mask = GrammarMask(self, self.matcher(grammar, ()))
        if not any(mask.bits) and not mask.ends:
            raise UsageError(
                f"{grammar!r} admits no token of {name} here: it allows {grammar.possible()}, and no token is spelled so."
            )
        self._known.add(grammar)

    def matcher(self, grammar: Grammar, stops: tuple[str, ...]) -> Any:
        """A matcher of one's own, at the start of a text: what the grammar has `begun` is read."""
        matcher = self._compiled(grammar.kind, grammar.source, stops).deep_copy()
        if grammar.begun and not matcher.consume_tokens(list(self.encode(grammar.begun))):
            raise UsageError(f"{grammar!r}: the model's tokens do not spell {grammar.begun!r}.")
        return matcher

    def _compile(self, kind: str, source: str | tuple[str, ...], stops: tuple[str, ...]) -> Any:
        return llguidance().LLMatcher(self.tokenizer, _source(kind, source, stops), log_level=0)


UNFORCED = '%llguidance {"no_forcing": true}\n'
"""Otherwise llguidance allows one tokenisation only of whatever is forced, and the others' probability is lost."""


@lru_cache(maxsize=256)
def _source(kind: str, source: str | tuple[str, ...], stops: tuple[str, ...]) -> str:
    """A grammar for llguidance; with `stops`, of its texts alone or with a stop and whatever its last token brings."""
    if kind == "json":
        part: dict[str, Any] = {"json_schema": json.loads(str(source))}
    elif kind == "lark":
        part = {"lark_grammar": source}
    else:
        pattern = str(source) if kind == "regex" else "|".join(map(literal, source))
        tail = f"(?:(?:{'|'.join(map(literal, stops))})(?s:.*))?" if stops else ""
        rule = llguidance().regex_to_lark(f"(?:{pattern}){tail}", "")
        return json.dumps({"grammars": [{"lark_grammar": f"{UNFORCED}start: /{rule}/"}]})
    tail = f"start: @text STOP?\nSTOP: /(?:{'|'.join(map(literal, stops))})(?s:.*)/" if stops else "start: @text"
    return json.dumps({"grammars": [{"name": "whole", "lark_grammar": UNFORCED + tail}, {"name": "text", **part}]})


class Mask:
    """What may come next. `bits`: a bit per token id, least first, ends left out; `ends`: whether the text may end."""

    lexicon: Lexicon
    bits: bytes
    ends: bool

    def allows(self, token: Any) -> bool:
        """Whether this token may come next."""
        i = self.lexicon.id_of(token)
        return 0 <= i < 8 * len(self.bits) and bool(self.bits[i >> 3] >> (i & 7) & 1)

    def push(self, token: Any) -> None:
        """The text goes on with this token. After one that is not allowed nothing is."""
        raise NotImplementedError

    def copy(self) -> Mask:
        """One that goes its own way from here."""
        raise NotImplementedError


class TokenSet(Mask):
    """A set of single tokens."""

    def __init__(self, lexicon: Lexicon, among: frozenset[Hashable]) -> None:
        self.lexicon, self.ends = lexicon, None in among
        bits = np.zeros(lexicon.bytes * 8, np.uint8)
        bits[[lexicon.id_of(token) for token in among if token is not None]] = 1
        self.bits = np.packbits(bits, bitorder="little").tobytes()

    def push(self, token: Any) -> None:
        self.bits, self.ends = bytes(len(self.bits)), self.allows(token)  # one token is a whole text

    def copy(self) -> TokenSet:
        return copy.copy(self)


class GrammarMask(Mask):
    """A grammar, part of the way through a text. Its bits are worked out when they are asked for."""

    def __init__(self, lexicon: Lexicon, matcher: Any) -> None:
        self.lexicon, self._matcher = lexicon, matcher
        self._bits: bytes | None = None

    @property
    def ends(self) -> bool:  # type: ignore[override]
        return bool(self._matcher.is_accepting())

    @property
    def bits(self) -> bytes:  # type: ignore[override]
        if self._bits is None:
            bits = bytearray(b"" if self._matcher.is_stopped() else self._matcher.compute_bitmask())
            for i in self.lexicon.ends if bits else ():
                bits[i >> 3] &= ~(1 << (i & 7))
            self._bits = bytes(bits[: self.lexicon.bytes].ljust(self.lexicon.bytes, b"\0"))
        return self._bits

    def push(self, token: Any) -> None:
        self._matcher.consume_token(self.lexicon.id_of(token))
        self._bits = None

    def copy(self) -> GrammarMask:
        return GrammarMask(self.lexicon, self._matcher.deep_copy())
