"""The compiled `scale.lark`, and its terminals as the lexer and the editors' grammars need them."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path

from lark import Lark


class Token(str):
    """A piece of the text: its terminal, its offsets `start <= i < end`, and line and column of its start."""

    __slots__ = ("column", "end", "line", "start", "type")

    type: str
    start: int
    end: int
    line: int
    column: int

    def __new__(cls, text: str, kind: str, start: int = 0, end: int = 0, line: int = 1, column: int = 1) -> Token:
        self = str.__new__(cls, text)
        self.type = kind
        self.start = start
        self.end = end
        self.line = line
        self.column = column
        return self


GRAMMAR = Path(__file__).with_name("scale.lark")


def compile_grammar(*, strict: bool = False, cache: str | bool = False) -> Lark:
    """Build the LALR(1) tables. `strict` refuses any conflict between rules or terminals (needs `interegular`)."""
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        start=["module", "expression"],
        keep_all_tokens=True,
        maybe_placeholders=True,
        strict=strict,
        cache=cache,
    )


@cache
def grammar() -> Lark:
    """The compiled grammar; its tables are built once per version of the file and kept in the user's cache folder."""
    return compile_grammar(cache=_cache_file())


def _cache_file() -> str | bool:
    """A file in a folder of the user's own: the tables are a pickle and must not lie where others can write."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scale"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return str(root / f"grammar-{sys.version_info.major}.{sys.version_info.minor}.lark")


@cache
def keywords() -> dict[str, str]:
    """Every word that has a terminal of its own: `{"let": "LET", ...}`."""
    return {t.pattern.value: t.name for t in grammar().terminals if t.pattern.value.isalpha()}


@cache
def patterns() -> dict[str, str]:
    """The regular expressions of the other terminals, in the order of the grammar file."""
    return {t.name: t.pattern.to_regexp() for t in grammar().terminals if not t.pattern.value.isalpha()}


@cache
def scanner() -> re.Pattern[str]:
    """One regular expression for the next token outside of text; `lastgroup` is its terminal, or one of the
    lexer's own: NEWLINE, and what is not of the language but is recognised in order to say what to write."""
    known = {name: pattern for name, pattern in patterns().items() if name not in ("HOLE", "BLANK")}
    alternatives = {**known, **_FOREIGN, "OTHER": r"(?s:.)"}
    first = ["NEWLINE", "FOREIGN_OPERATOR", "REGEX", "RAW", "NAME"]  # NAME early: it is the most frequent
    order = [*first, *(name for name in alternatives if name not in first)]
    choices = "|".join(f"(?P<{name}>{alternatives[name]})" for name in order)
    return re.compile(f"(?:{patterns()['BLANK']})?(?:{choices}|$)")


_FOREIGN = {
    "NEWLINE": r"\n",
    "FOREIGN_OPERATOR": r"===|!==|<>|:=|&&?|\|\||!(?!=)|\^|~",
    "FOREIGN_STRING": r"'''(?s:.*?)'''|'(?:[^'\\\n]|\\[^\n])*'",
    "FOREIGN_WORD": r"[^\x00-\x7f\W]\w*",
}
