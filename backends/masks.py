"""Token masks: which tokens may come next under a grammar or a token set, for one model's vocabulary.

A `Mask` is the state of a condition while one text is drawn or read. Compiled grammars are kept by the model's
`Lexicon`, so that starting a text copies a pointer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from backends.constraints import Grammar
from backends.matcher import literal, llguidance
from ppl.errors import UsageError


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

    @cached_property
    def spelled(self) -> list[bytes]:
        """The bytes of every token id; of the ends none."""
        ends = set(self.ends)
        return [b"" if i in ends else self.tokenizer.decode_bytes([i]) for i in range(self.tokenizer.vocab_size)]

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
    """A grammar for llguidance; a pattern with `stops` alone, or with a stop and whatever its last token brings."""
    if kind == "json":
        part: dict[str, Any] = {"json_schema": json.loads(str(source))}
    elif kind == "lark":
        part = {"lark_grammar": source}
    else:
        pattern = str(source) if kind == "regex" else "|".join(map(literal, source))
        tail = f"(?:(?:{'|'.join(map(literal, stops))})(?s:.*))?" if stops else ""
        rule = llguidance().regex_to_lark(f"(?:{pattern}){tail}", "")
        return json.dumps({"grammars": [{"lark_grammar": f"{UNFORCED}start: /{rule}/"}]})
    whole = {"name": "whole", "lark_grammar": f"{UNFORCED}start: @text"}
    return json.dumps({"grammars": [whole, {"name": "text", **part}]})


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
