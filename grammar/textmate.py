"""The TextMate grammar of `.scale`, for editors, made from the terminals of `scale.lark`.

It is checked in as `scale.tmLanguage.json`; `python -m grammar.textmate` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grammar.builder import ROLES
from grammar.tokens import keywords, patterns
from grammar.vocabulary import DECLARATIONS, TEST_WORDS

FILE = Path(__file__).with_name("scale.tmLanguage.json")

CONSTANTS = {"true", "false", "none"}
OPERATOR_WORDS = {"and", "or", "not", "in", "is"}
EFFECTS = {"sample", "using", "score", "observe", "from", "heuristic", "require", "checkpoint", "record"}
TYPES = ["str", "int", "float", "bool", "prob", "logp", "list", "dict", "dist"]
OPERATORS = ["ARROW", "FATARROW", "AUGMENT", "COMPARE", "POWER", "TIMES", "SIGN", "EQUAL", "BAR", "QUESTION"]


def textmate() -> dict[str, Any]:
    """The grammar as its JSON object."""
    return {
        "name": "Scale",
        "scopeName": "source.scale",
        "fileTypes": ["scale"],
        "patterns": [{"include": "#code"}],
        "repository": {"code": {"patterns": code()}, "text": {"patterns": text()}, "escape": escape()},
    }


def code() -> list[dict[str, Any]]:
    """What stands outside of strings; the first that matches wins."""
    at_start = DECLARATIONS | TEST_WORDS
    anywhere = set(keywords()) - at_start - CONSTANTS - OPERATOR_WORDS - EFFECTS
    operators = "|".join(patterns()[name] for name in OPERATORS)
    return [
        match("comment.line.number-sign.scale", patterns()["COMMENT"]),
        match("string.regexp.scale", patterns()["REGEX"]),
        region("string.quoted.raw.block.scale", r'\br"""', '"""', []),
        region("string.quoted.raw.scale", r'\br"', r'"|$', []),
        {"include": "#text"},
        {
            "match": rf"\b(fn|program)\s+({patterns()['NAME']})",
            "captures": {"1": {"name": "keyword.other.scale"}, "2": {"name": "entity.name.function.scale"}},
        },
        match("keyword.other.declaration.scale", rf"^\s*{words(at_start)}(?!\s*[=.(\[])"),
        match("keyword.control.effect.scale", words(EFFECTS)),
        match("constant.language.scale", words(CONSTANTS)),
        match("keyword.operator.word.scale", words(OPERATOR_WORDS)),
        match("support.type.scale", words(TYPES)),
        match("entity.name.tag.role.scale", rf"(?:^\s*|(?<=\{{)\s*){words(ROLES)}(?=\s+[^\s=])"),
        match("keyword.control.scale", rf"{words(anywhere)}(?!\s*\()"),
        match("constant.numeric.scale", rf"\b{patterns()['NUMBER']}\b"),
        match("entity.name.function.call.scale", rf"\b{patterns()['NAME']}(?=\()"),
        match("keyword.operator.scale", operators),
    ]


def text() -> list[dict[str, Any]]:
    """Strings with escapes and holes."""
    hole: dict[str, Any] = {
        "name": "meta.interpolation.scale",
        "begin": patterns()["HOLE"],
        "end": r"\}",
        "beginCaptures": {"0": {"name": "punctuation.section.interpolation.begin.scale"}},
        "endCaptures": {"0": {"name": "punctuation.section.interpolation.end.scale"}},
        "patterns": [{"include": "#code"}],
    }
    inside: list[dict[str, Any]] = [{"include": "#escape"}, hole]
    return [
        region("string.quoted.triple.scale", '"""', '"""', inside),
        region("string.quoted.double.scale", '"', r'"|$', inside),
    ]


def escape() -> dict[str, Any]:
    """What stands behind a backslash."""
    known = match("constant.character.escape.scale", r'\\(?:[ntr\\"$]|u\{[0-9A-Fa-f]{1,6}\})')
    return {"patterns": [known, match("invalid.illegal.escape.scale", r"\\.")]}


def match(name: str, pattern: str) -> dict[str, Any]:
    """A pattern and its scope."""
    return {"name": name, "match": pattern}


def region(name: str, begin: str, end: str, inside: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything between two patterns."""
    return {"name": name, "begin": begin, "end": end, "patterns": inside}


def words(which: Any) -> str:
    """A pattern for any of these words."""
    return rf"\b(?:{'|'.join(sorted(which))})\b"


def dump() -> str:
    """The text of the checked-in file."""
    return json.dumps(textmate(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(dump(), encoding="utf-8")
