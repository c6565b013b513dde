"""Grammars: which texts a model is held to, as values. `regex`, `json_schema`, `choices`, `lark`.

    from backends import load, regex
    date = regex(r"(19|20)[0-9]{2}")
    lm("The year was ", grammar=date, max_tokens=8)
    "1969" in date

llguidance reads them; what it cannot read is told when the grammar is made, before any model is asked. A grammar knows
no tokens: `backends.masks` holds a model to one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.grammar_mistakes import listed, mistake
from backends.matcher import by_bytes, engine_source, llguidance, possible
from ppl.errors import UsageError, did_you_mean

KINDS = ("regex", "json", "choice", "lark")
SPELLED = {"regex": "regex", "json": "json_schema", "choice": "choices", "lark": "lark"}


@dataclass(frozen=True, repr=False)
class Grammar:
    """A set of texts. `text in grammar` asks for one; equal grammars are compiled once.

    kind    "regex", "json", "choice" or "lark"
    source  the pattern, the JSON schema as JSON, the texts, or the rules
    begun   what has been written already: the set is what may follow it (see `after`)

    UsageError if the source cannot be read, or if no text belongs to it.
    """

    kind: str
    source: str | tuple[str, ...]
    begun: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no grammar of kind {self.kind!r}.{did_you_mean(self.kind, KINDS)} {', '.join(KINDS)}.")
        matcher = _read(self.kind, self.source).deep_copy()
        taken = matcher.try_consume_tokens(list(self.begun.encode()))
        if taken < len(self.begun.encode()):
            raise UsageError(self._nothing_after(matcher, taken))
        if not self.begun and not possible(matcher) and not matcher.is_accepting():
            raise UsageError(f"{self!r} admits no text at all. Write a grammar that at least one text belongs to.")

    def after(self, text: str) -> Grammar:
        """What may still follow once `text` is written; UsageError if nothing that begins so belongs to it.

        `text` is read as characters: one whose bytes are split over two tokens cannot be followed token by token.
        """
        return Grammar(self.kind, self.source, self.begun + text)

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        matcher, written = self.walker(), list(text.encode(errors="surrogatepass"))
        return bool(matcher.try_consume_tokens(written) == len(written) and matcher.is_accepting())

    def possible(self, text: str = "") -> str:
        """What may come right after `text`, for messages: characters, or that the text may end."""
        matcher = self.walker()
        matcher.try_consume_tokens(list(text.encode(errors="replace")))
        return listed(matcher)

    def walker(self) -> Any:
        """llguidance's matcher of it, byte by byte, past what has begun: of one's own."""
        matcher = _read(self.kind, self.source).deep_copy()
        matcher.try_consume_tokens(list(self.begun.encode()))
        return matcher

    def _nothing_after(self, matcher: Any, taken: int) -> str:
        good = self.begun.encode()[:taken]
        return (
            f"{Grammar.__repr__(Grammar(self.kind, self.source))} admits nothing after {self.begun!r}:"
            f" after {good.decode(errors='replace')!r} it allowed {listed(matcher)}."
        )

    def __repr__(self) -> str:
        shown = repr(list(self.source)) if isinstance(self.source, tuple) else repr(self.source)
        shown = shown if len(shown) <= 80 else f"{shown[:70]}...{shown[-6:]}"
        return f"{SPELLED[self.kind]}({shown})" + (f".after({self.begun!r})" if self.begun else "")


def regex(pattern: str | re.Pattern[str]) -> Grammar:
    """The texts that match a pattern as a whole, in Rust's notation: no look-around, no backreferences.

    UsageError that marks the column for a pattern that cannot be read.
    """
    pattern = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    if not isinstance(pattern, str):
        raise UsageError(f"regex expects a pattern, as in regex(r'[0-9]+'); found {pattern!r}.")
    return Grammar("regex", pattern)


def json_schema(schema: Any) -> Grammar:
    """The JSON texts of a schema: a dict, its JSON text, or a Pydantic model. Properties come in the schema's order.

    UsageError that names the part for a schema that asks for what llguidance cannot hold a text to.
    """
    if hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError as error:
            raise UsageError(f"json_schema: this is not JSON ({error}): {schema[:60]!r}.") from None
    if schema == {}:
        raise UsageError(
            "json_schema({}) is empty: every JSON text fits it. Say what is wanted, or write True for any."
        )
    if not isinstance(schema, (Mapping, bool)):
        raise UsageError(f"json_schema expects a dict such as {{'type': 'object', ...}}; found {schema!r}.")
    try:
        return Grammar("json", json.dumps(schema))
    except TypeError as error:
        raise UsageError(f"json_schema: {error}; a schema holds what JSON can.") from None


def choices(texts: Iterable[str]) -> Grammar:
    """Just these texts. (`lm.choice` weighs given texts without drawing any token.)"""
    given = (texts,) if isinstance(texts, str) else tuple(texts)
    if isinstance(texts, str) or not given or not all(isinstance(t, str) for t in given):
        raise UsageError(f"choices expects a list of texts, as in choices(['yes', 'no']); found {texts!r}.")
    return Grammar("choice", given)


def lark(rules: str) -> Grammar:
    """The texts that rules in Lark's notation derive from `start`, in llguidance's dialect.

    UsageError that names line and column for rules that cannot be read.
    """
    if not isinstance(rules, str):
        raise UsageError(f'lark expects rules, as in lark(\'start: "a" | "b"\'); found {rules!r}.')
    return Grammar("lark", rules)


def grammar_of(given: Any) -> Grammar:
    """What `grammar=` takes: a grammar, a str or compiled pattern (regex), a dict or Pydantic model (JSON), a list.

    Any object with `kind` and `source` counts as a grammar, such as those of the .scale language.
    """
    if isinstance(given, Grammar):
        return given
    if hasattr(given, "kind") and hasattr(given, "source"):
        made = {"regex": regex, "json": json_schema, "choice": choices, "lark": lark}
        if given.kind in made:
            return made[given.kind](given.source)
    if isinstance(given, (str, re.Pattern)):
        return regex(given)
    if isinstance(given, Mapping) or hasattr(given, "model_json_schema"):
        return json_schema(given)
    if isinstance(given, Sequence):
        return choices(given)
    raise UsageError(
        f"grammar={given!r}: expected regex(...), json_schema(...), choices([...]) or lark(...) of backends;"
        " a str is read as a regex, a dict as a JSON schema, a list as choices."
    )


@functools.lru_cache(maxsize=256)
def _read(kind: str, source: str | tuple[str, ...]) -> Any:
    """A matcher at the start, byte by byte. Never advance it: `deep_copy` it."""
    matcher = llguidance().LLMatcher(by_bytes(), engine_source(kind, source), log_level=0)
    if matcher.is_error():
        raise UsageError(mistake(kind, source, matcher.get_error()))
    return matcher
