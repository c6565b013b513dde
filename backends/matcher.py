"""llguidance, on which grammars run: its tokenizer of a vocabulary, grammars in its own format, what may come next."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ppl.errors import BackendError


def llguidance() -> Any:
    """The package. BackendError that says how to install it where it is absent."""
    try:
        import llguidance as engine
    except ImportError:
        raise BackendError("grammars need the package 'llguidance'. Type: pip install 'scale-ppl[hf]'") from None
    return engine


def tokenizer_of(tokens: Sequence[bytes], ends: Sequence[int], encode: Callable[[bytes], Sequence[int]]) -> Any:
    """llguidance's tokenizer of a vocabulary whose tokens have these bytes."""

    class Vocabulary:
        eos_token_id, bos_token_id = ends[0], None

        def __init__(self) -> None:
            self.special_token_ids = list(ends)
            self.tokens = [b"<end>" if i in ends else token for i, token in enumerate(tokens)]

        def __call__(self, text: bytes) -> list[int]:
            return list(encode(text))

    engine = llguidance()
    return engine.LLTokenizer(engine.TokenizerWrapper(Vocabulary()), eos_token=list(ends), slices=[])


@functools.cache
def by_bytes() -> Any:
    """The tokenizer whose tokens are the 256 bytes, and an end: with it a grammar is read apart from any model."""
    return tokenizer_of([bytes([i]) for i in range(256)] + [b""], [256], list)


@functools.lru_cache(maxsize=256)
def engine_source(kind: str, source: str | tuple[str, ...]) -> str:
    """A grammar in llguidance's own format."""
    matcher = llguidance().LLMatcher
    made: str
    if kind == "json":
        made = matcher.grammar_from_json_schema(source)
    elif kind == "lark":
        made = matcher.grammar_from_lark(source)
    else:
        made = matcher.grammar_from_regex(source if kind == "regex" else "|".join(map(literal, source)))
    return made


def literal(text: str) -> str:
    """A regex for just this text."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def possible(matcher: Any) -> list[int]:
    """The bytes that may come next, of a matcher that reads byte by byte."""
    if matcher.is_stopped():
        return []
    mask = matcher.compute_bitmask()
    return [i for i in range(256) if mask[i >> 3] >> (i & 7) & 1]
