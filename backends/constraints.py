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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppl.errors import BackendError, UsageError, did_you_mean

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
        matcher = _read(self.kind, self.source).deep_copy()
        written = list((self.begun + text).encode(errors="surrogatepass"))
        return bool(matcher.try_consume_tokens(written) == len(written) and matcher.is_accepting())

    def possible(self, text: str = "") -> str:
        """What may come right after `text`, for messages: characters, or that the text may end."""
        matcher = _read(self.kind, self.source).deep_copy()
        matcher.try_consume_tokens(list((self.begun + text).encode(errors="replace")))
        return _listed(matcher)

    def _nothing_after(self, matcher: Any, taken: int) -> str:
        good = self.begun.encode()[:taken]
        return (
            f"{Grammar.__repr__(Grammar(self.kind, self.source))} admits nothing after {self.begun!r}:"
            f" after {good.decode(errors='replace')!r} it allowed {_listed(matcher)}."
        )

    def __repr__(self) -> str:
        shown = repr(list(self.source)) if isinstance(self.source, tuple) else repr(self.source)
        shown = shown if len(shown) <= 80 else f"{shown[:70]}...{shown[-6:]}"
        return f"{SPELLED[self.kind]}({shown})" + (f".after({self.begun!r})" if self.begun else "")


def regex(pattern: str | re.Pattern[str]) -> Grammar:
    """The texts that match a pattern as a whole, in Rust's notation: no look-around, no backreferences."""
    pattern = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    if not isinstance(pattern, str):
        raise UsageError(f"regex expects a pattern, as in regex(r'[0-9]+'); found {pattern!r}.")
    return Grammar("regex", pattern)


def json_schema(schema: Any) -> Grammar:
    """The JSON texts of a schema: a dict, its JSON text, or a Pydantic model. Properties come in the schema's order."""
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
    """The texts that rules in Lark's notation derive from `start`, in llguidance's dialect."""
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


# -- reading them ------------------------------------------------------------------------------------------------------


def llguidance() -> Any:
    """The engine that grammars run on."""
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


@functools.lru_cache(maxsize=256)
def _read(kind: str, source: str | tuple[str, ...]) -> Any:
    """A matcher at the start, byte by byte. Never advance it: `deep_copy` it."""
    matcher = llguidance().LLMatcher(by_bytes(), engine_source(kind, source), log_level=0)
    if matcher.is_error():
        raise UsageError(_mistake(kind, source, matcher.get_error()))
    return matcher


def possible(matcher: Any) -> list[int]:
    """The bytes that may come next."""
    if matcher.is_stopped():
        return []
    mask = matcher.compute_bitmask()
    return [i for i in range(256) if mask[i >> 3] >> (i & 7) & 1]


def _listed(matcher: Any) -> str:
    """What may come next, in words."""
    found = possible(matcher)
    runs: list[list[int]] = []
    for i in found:
        if runs and i == runs[-1][1] + 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    shown = [_char(a) if a == b else f"{_char(a)}-{_char(b)}" for a, b in runs[:12]]
    if len(runs) > 12:
        shown.append("...")
    if matcher.is_accepting():
        shown.append("the end")
    return ", ".join(shown) or "nothing"


def _char(byte: int) -> str:
    return repr(chr(byte)) if byte < 128 else f"byte {byte:#x}"


def _mistake(kind: str, source: str | tuple[str, ...], found: str) -> str:
    if kind == "regex":
        return _bad_pattern(str(source), found)
    if kind == "json":
        schema = json.loads(str(source))
        path, reason = _bad_place(schema, schema, "", found)
        return f"json_schema: {reason.strip().splitlines()[0]}{f' at {path}' if path else ''}."
    first, *_ = found.strip().splitlines()
    at = re.match(r"(?:at )?(\d+)\((\d+)\): (.*)", first)
    where = f" in line {at[1]}, column {at[2]}: {at[3]}" if at else f": {first}"
    line = (
        str(source).splitlines()[int(at[1]) - 1].strip() if at and int(at[1]) <= len(str(source).splitlines()) else ""
    )
    return f"lark: the rules cannot be read{where}{f' ({line!r})' if line else ''}."


def _bad_pattern(pattern: str, found: str) -> str:
    """The engine marks the place with carets under the pattern, four columns in."""
    reason = re.search(r"^error: (.*)", found, re.M)
    marks = re.search(r"^    ( *)(\^+)\s*$", found, re.M)
    if reason is None:
        told = found.strip().splitlines()[0].rpartition("(in regex): ")[2]
        return f"regex({pattern!r}): {told}."
    if marks is None or "\n" in pattern:
        return f"regex({pattern!r}): {reason[1]}."
    start = len(marks[1])
    return f"regex({pattern!r}): {reason[1]}, at column {start + 1}: {pattern[start : start + len(marks[2])]!r}."


def _bad_place(schema: Any, whole: Any, path: str, reason: str) -> tuple[str, str]:
    """The innermost part of a schema that has the mistake by itself, and what it is."""
    for step, part in _parts(schema):
        alone = {**part, "$defs": whole["$defs"]} if isinstance(part, dict) and "$defs" in whole else part
        source = llguidance().LLMatcher.grammar_from_json_schema(json.dumps(alone))
        found = llguidance().LLMatcher(by_bytes(), source, log_level=0).get_error()
        if found:
            return _bad_place(part, whole, f"{path}.{step}" if path else step, found)
    return path, reason


def _parts(schema: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(schema, dict):
        return
    for group in ("$defs", "properties"):
        for name, part in (schema.get(group) or {}).items():
            yield f"{group}.{name}", part
    for group in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for i, part in enumerate(schema.get(group) or []):
            yield f"{group}[{i}]", part
    if isinstance(schema.get("items"), dict):
        yield "items", schema["items"]
