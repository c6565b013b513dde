"""What is wrong with a grammar, in words: the place in its source, and what llguidance found there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from backends.matcher import by_bytes, llguidance, possible


def listed(matcher: Any) -> str:
    """What may come next, in words: characters, bytes that are none, and that the text may end."""
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


def mistake(kind: str, source: str | tuple[str, ...], found: str) -> str:
    """The message for a source that cannot be read; `found` is llguidance's own."""
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
