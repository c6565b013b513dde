"""Patterns and grammars as values: `re"..."`, `choice([...])`, `lark("...")`, `json(Type)`.

Patterns run on RE2, in time linear in the text. What a model is constrained by, its backend compiles: it is
handed the kind of grammar and its source.
"""

from __future__ import annotations

from typing import Any

from grammar.faults import Fault
from grammar.patterns import in_ascii
from grammar.vectors import List, Value


class Grammar(Value):
    """kind is "regex", "choice", "lark" or "json"; source the pattern, texts, rules or JSON schema."""

    __slots__ = ("kind", "source")

    def __init__(self, kind: str, source: Any) -> None:
        self.kind, self.source = kind, source
        self._weight, self._depth, self._hash = 1, 0, None

    def for_host(self) -> Any:
        """What `lm(..., grammar=)` of the host takes."""
        return self

    def _key(self) -> Any:
        return self.kind, str(self.source)


class Pattern(Grammar):
    """A regular expression, compiled when it is first used."""

    __slots__ = ("_compiled",)

    def __init__(self, source: str) -> None:
        super().__init__("regex", source)
        self._compiled: Any = None

    def for_host(self) -> Grammar:
        """As a grammar it is what it matches: \\d, \\w and \\s are those of ASCII, as in RE2."""
        return Grammar("regex", in_ascii(self.source))

    def _program(self) -> Any:
        if self._compiled is None:
            import re2

            options = re2.Options()
            options.log_errors = False
            self._compiled = re2.compile(self.source, options)
        return self._compiled

    def found_in(self, text: str) -> bool:
        return self._program().search(text) is not None

    def first_match(self, text: str) -> str | None:
        """The first part that matches, or what its first group holds (none if that took no part)."""
        found = self._program().search(text)
        if found is None:
            return None
        part = found.group(1 if self._program().groups else 0)
        return None if part is None else str(part)

    def matches(self, text: str) -> bool:
        return self._program().fullmatch(text) is not None


def choice(texts: List) -> Grammar:
    """`choice([..])`: one of these texts."""
    if not texts:
        raise Fault(
            "E556", name="choice", problem="the list of texts is empty", mend="give at least one text"
        )
    return Grammar("choice", tuple(texts))


def lark(rules: str) -> Grammar:
    """`lark("...")`: what the rules derive from `start`."""
    return Grammar("lark", rules)
