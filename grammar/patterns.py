"""Regular expressions and grammars in Lark's notation: checked when a file is, by the engines that run them.

Patterns run on RE2, in time linear in the text, so untrusted files may hold them. RE2 does not say where a pattern is
wrong; Python's own compiler often does, and what RE2 leaves out (look-around, backreferences) is found by its spelling.
"""

from __future__ import annotations

import re
from typing import NamedTuple

try:
    import re2
except ImportError:  # checked by Python's compiler instead
    re2 = None


class BadPattern(NamedTuple):
    """What is wrong with a pattern, and the characters of it that are."""

    message: str
    at: int
    length: int


_NOT_LINEAR = re.compile(r"(?<!\\)(?:\\\\)*(\(\?<?[=!]|\(\?P=\w+\)|\\[1-9]|\(\?\(|[*+?}]\+|\(\?>)")
_NAMES = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?>": "atomic groups",
    "(?(": "conditions",
}


def bad_pattern(pattern: str) -> BadPattern | None:
    """What is wrong with a pattern, or None."""
    foreign = _NOT_LINEAR.search(pattern)
    problem = _compile(pattern)
    if problem is None and (foreign is None or re2 is not None):
        return None
    if foreign is not None:
        text = foreign.group(1)
        name = _NAMES.get(text) or ("possessive repeats" if text.endswith("+") else "backreferences")
        return BadPattern(f"patterns run in linear time and have no {name}", foreign.start(1), len(text))
    try:
        re.compile(pattern)
    except re.error as error:
        return BadPattern(error.msg, error.pos or 0, 1)
    except (RecursionError, OverflowError):
        return BadPattern("it is nested or repeated too much", 0, len(pattern))
    return BadPattern(problem or "", 0, len(pattern))


_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}


def in_ascii(pattern: str) -> str:
    """The same set of texts, for an engine to which \\d, \\w and \\s are all of Unicode's, and which calculates with
    classes: brackets inside of brackets and && mean nothing but themselves here."""
    made, inside, i = "", False, 0
    while i < len(pattern):
        c, pair = pattern[i], pattern[i : i + 2]
        i += 1
        if c == "\\" and len(pair) == 2:
            body = _CLASSES.get(pair[1].lower())
            made += pair if body is None else f"[^{body}]" if pair[1].isupper() else body if inside else f"[{body}]"
            i += 1
        elif inside and pair == "[:" and (end := pattern.find(":]", i + 1)) > 0:
            made, i = made + pattern[i - 1 : end + 2], end + 2
        elif inside and (c == "[" or pair in ("&&", "~~")):
            made += "\\" + c
        elif not inside and c == "[":
            opening = re.match(r"\[\^?\]?", pattern[i - 1 :])
            assert opening is not None
            made, inside, i = made + opening[0], True, i - 1 + len(opening[0])
        else:
            inside = inside and c != "]"
            made += c
    return made


def _compile(pattern: str) -> str | None:
    if re2 is None:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return str(error)
        return None
    settings = re2.Options()
    settings.log_errors = False
    try:
        re2.compile(pattern, settings)
    except re2.error as error:
        return error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
    return None


_MARKED = re.compile(r"(?:at )?(\d+)\((\d+)\): (.*)")


def bad_rules(rules: str) -> BadPattern | None:
    """What is wrong with rules in Lark's notation, or None; None too where llguidance is not installed to read them."""
    try:
        from llguidance import LLMatcher
    except ImportError:
        return None
    found = LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(rules))
    if not found:
        return None
    first, *more = found.splitlines()
    marked = _MARKED.match(first)
    if marked is None:
        return BadPattern(first[:1].lower() + first[1:], 0, len(rules))
    line, column, message = int(marked[1]), int(marked[2]), marked[3]
    reason = next((m.removeprefix("error: ") for m in more if m.startswith("error: ")), "")
    message = message.split(" (in regex)")[0] + (f": {reason}" if reason else "")
    before = rules.splitlines(keepends=True)[: line - 1]
    return BadPattern(message, min(sum(map(len, before)) + column - 1, len(rules)), 1)
