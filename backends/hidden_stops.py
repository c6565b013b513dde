"""A grammar of rules or a JSON schema whose texts may be followed by a hidden stop.

llguidance cuts what it reads into lexemes, each as long as it can be, so a lexeme may swallow the beginning of a stop, and
a text that could have ended there would be ruled out. Text and stop are therefore followed apart: the tokens of the
grammar by its own matcher; and, byte by byte, the places where a text of the grammar ends and a stop begins, which may
lie inside a token. (With a pattern the stop is one more part of it.)
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from backends.constraints import Grammar
from backends.masks import GrammarMask, Lexicon, Mask


class StopMask(Mask):
    """What may come next in a text of the grammar that ends at its end or at a stop.

    inside  the mask of the grammar alone
    walker  the grammar byte by byte, past what is written; None once no text of it begins so
    begun   what is written of a stop, for each place so far at which a text of the grammar ended and one may begin
    """

    def __init__(
        self, lexicon: Lexicon, stops: tuple[bytes, ...], inside: GrammarMask, walker: Any, begun: frozenset[bytes]
    ) -> None:
        self.lexicon, self.stops, self.inside, self.walker, self.begun = lexicon, stops, inside, walker, begun
        self._bits: bytes | None = None

    @classmethod
    def begin(cls, lexicon: Lexicon, grammar: Grammar, stops: Iterable[str]) -> StopMask:
        """At the start of a text."""
        walker = grammar.walker()
        begun = frozenset([b""] if walker.is_accepting() else [])
        inside = GrammarMask(lexicon, lexicon.matcher(grammar, ()))
        return cls(lexicon, tuple(stop.encode() for stop in stops), inside, walker, begun)

    @property
    def ends(self) -> bool:  # type: ignore[override]
        return self.walker is not None and bool(self.walker.is_accepting())

    @property
    def bits(self) -> bytes:  # type: ignore[override]
        if self._bits is None:
            bits = np.frombuffer(self.inside.bits, np.uint8).copy()
            for written in self.begun:
                bits |= _going_on(self.lexicon, self.stops, written)
            if self.walker is not None:
                for text, tokens in _crossing(self.lexicon, self.stops).items():
                    walker = self.walker.deep_copy()
                    if walker.try_consume_tokens(list(text)) == len(text) and walker.is_accepting():
                        bits |= tokens
            self._bits = bits.tobytes()
        return self._bits

    def push(self, token: Any) -> None:
        spelled = self.lexicon.spelled[self.lexicon.id_of(token)]
        begun = {written + spelled for written in self.begun}
        for i, byte in enumerate(spelled, 1):
            if self.walker is None or not self.walker.try_consume_tokens([byte]):
                self.walker = None
                break
            if self.walker.is_accepting():
                begun.add(spelled[i:])
        self.begun = frozenset(b for b in begun if any(stop.startswith(b) for stop in self.stops))
        self.inside.push(token)
        self._bits = None

    def copy(self) -> StopMask:
        walker = None if self.walker is None else self.walker.deep_copy()
        return StopMask(self.lexicon, self.stops, self.inside.copy(), walker, self.begun)


def _fits(written: bytes, stops: tuple[bytes, ...]) -> bool:
    """Whether this is the beginning of a stop, or a stop and more."""
    return any(written.startswith(stop) or stop.startswith(written) for stop in stops)


@lru_cache(maxsize=256)
def _going_on(lexicon: Lexicon, stops: tuple[bytes, ...], written: bytes) -> np.ndarray:
    """The tokens with which a stop of which this is written goes on, as the bits of a mask."""
    return _bits(lexicon, [i for i, token in enumerate(lexicon.spelled) if token and _fits(written + token, stops)])


@lru_cache(maxsize=64)
def _crossing(lexicon: Lexicon, stops: tuple[bytes, ...]) -> dict[bytes, np.ndarray]:
    """The tokens inside which a stop may begin: by what stands before it there, as the bits of a mask."""
    firsts = {stop[0] for stop in stops}
    found: dict[bytes, list[int]] = {}
    for i, token in enumerate(lexicon.spelled):
        for at in range(1, len(token)):
            if token[at] in firsts and _fits(token[at:], stops):
                found.setdefault(token[:at], []).append(i)
    return {text: _bits(lexicon, ids) for text, ids in found.items()}


def _bits(lexicon: Lexicon, ids: list[int]) -> np.ndarray:
    flags = np.zeros(lexicon.bytes * 8, np.uint8)
    flags[ids] = 1
    return np.packbits(flags, bitorder="little")
