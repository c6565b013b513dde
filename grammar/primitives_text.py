"""The built-in functions of texts, and JSON."""

from __future__ import annotations

import json
from typing import Any

from grammar.faults import refused
from grammar.values import Dict, Record
from grammar.vectors import List


def show(value: Any) -> str:
    """A value as `${...}` writes it."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return repr(value)
    return str(value)


def marked(name: str, mark: str) -> str:
    """The mark that a text is split at; a fault if it is empty."""
    if not mark:
        raise refused(name, "the mark is empty", "give a mark of at least one character")
    return mark


def after(s: str, mark: str) -> str | None:
    """What stands behind the last mark; none without one."""
    _, found, rest = s.rpartition(marked("after", mark))
    return rest if found else None


def before(s: str, mark: str) -> str | None:
    """What stands before the first mark; none without one."""
    rest, found, _ = s.partition(marked("before", mark))
    return rest if found else None


def split(s: str, separator: str | None = None) -> List:
    """The parts between separators, or between blanks."""
    if separator is not None:
        marked("split", separator)
    return List(s.split(separator))


def find(s: str, part: str) -> int | None:
    """Where a part begins first; none if nowhere."""
    place = s.find(part)
    return None if place < 0 else place


def lines(s: str) -> List:
    """The lines of a text without their ends."""
    found = s.replace("\r\n", "\n").split("\n")
    return List(found[:-1] if found[-1] == "" else found)


def letters(s: str) -> List:
    """Its letters, one by one."""
    return List(c for c in s if c.isalpha())


def to_json(value: Any) -> str:
    """As JSON on one line."""
    try:
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise refused("json", "JSON has no infinite numbers", "write finite numbers") from None


def plain(value: Any) -> Any:
    """A value as Python's lists, dicts and scalars."""
    if isinstance(value, Record):
        return {name: plain(value[name]) for name in value}
    if isinstance(value, Dict):
        return {_json_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (List, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _json_key(key: Any) -> Any:
    return show(key) if isinstance(key, (bool, int)) else key
