"""What a user is told about a mistake: a code, a place, a sentence, and what to write instead.

A `Diagnostic` is a value; `render` shows it the way good compilers do:

    steps.scale:5:12: error[E002]: statements end at the end of the line
      |
    5 |   let x = 1;
      |            ^
      = hint: remove ';'

Its sentences come from the table in `codes.py`, so that messages, `scale explain` and the documentation agree.
"""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from grammar.codes import CODES
from grammar.syntax import Span

LINE_SHOWN = 160
"""The most code points of a source line that a rendering shows."""


MAX_DIAGNOSTICS = 100
"""The most messages that one pass over a file collects."""


class Source:
    """The text of one file, without a leading byte-order mark, and the name it is shown by."""

    __slots__ = ("_starts", "path", "text")

    def __init__(self, text: str, path: str = "<text>") -> None:
        self.text = text.removeprefix("\ufeff")
        self.path = path
        self._starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            self._starts.append(position + 1)
            position = self.text.find("\n", position + 1)

    def span(self, start: int, end: int) -> Span:
        line = bisect.bisect_right(self._starts, start)
        return Span(start, end, line, start - self._starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """Line `number` (from 1) without its end."""
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].removesuffix("\r")


@dataclass(frozen=True, slots=True)
class Note:
    """A further remark, about another place if it has a span."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake or doubt: its code, what is said, where it stands, what to write instead, notes on other places."""

    code: str
    message: str
    source: Source
    span: Span
    hint: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def severity(self) -> str:
        return "warning" if self.code.startswith("W") else "error"

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def line(self) -> int:
        return self.span.line

    @property
    def column(self) -> int:
        return self.span.column

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}[{self.code}]: {self.message}"

    def render(self) -> str:
        """The message with its source line, a caret under the place, notes and hint; no newline at its end."""
        gutter = " " * len(str(self.line))
        shown, underline = _excerpt(self.source, self.span)
        lines = [str(self), f"{gutter} |", f"{self.line} | {shown}".rstrip(), f"{gutter} | {underline}"]
        for note in self.notes:
            where = f" (line {note.span.line}, column {note.span.column})" if note.span else ""
            lines.append(f"{gutter} = note: {note.message}{where}")
        if self.hint:
            lines.append(f"{gutter} = hint: {self.hint}")
        return "\n".join(lines)


class ScaleError(Exception):
    """A file that cannot be used. Its text is the rendering of every error found and starts with
    `file:line:column`; `path`, `line`, `column` and `code` are the first one's."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first = next((d for d in self.diagnostics if d.is_error), self.diagnostics[0])
        self.path, self.line, self.column, self.code = first.path, first.line, first.column, first.code
        ordered = [first, *(d for d in self.diagnostics if d is not first)]
        super().__init__("\n\n".join(d.render() for d in ordered))

    def __reduce__(self) -> tuple[type[ScaleError], tuple[tuple[Diagnostic, ...]]]:
        return ScaleError, (self.diagnostics,)


def diagnostic(
    code: str,
    source: Source,
    span: Span,
    *,
    message: str | None = None,
    hint: str | None = None,
    notes: Iterable[Note] = (),
    **words: object,
) -> Diagnostic:
    """The diagnostic `code` at a place. Message and hint are the table's, their `{fields}` filled from `words`,
    unless given."""
    entry = CODES[code]
    return Diagnostic(
        code,
        entry.title.format_map(words) if message is None else message,
        source,
        span,
        entry.hint.format_map(words) if hint is None else hint,
        tuple(notes),
    )


def _excerpt(source: Source, span: Span) -> tuple[str, str]:
    """The source line (or the part of a long one around the span) and the underline that fits below it."""
    line = source.line(span.line)
    first = span.column - 1
    cut = max(0, first - LINE_SHOWN // 2) if len(line) > LINE_SHOWN else 0
    line, first = line[cut : cut + LINE_SHOWN], first - cut
    width = max(1, min(span.end - span.start, len(line) - first))
    prefix = "".join("\t" if c == "\t" else " " * _cells(c) for c in line[:first])
    prefix += " " * (first - len(line))  # a place after the end of the line
    return _printable(line), prefix + "^" * max(1, sum(_cells(c) for c in line[first : first + width]))


def _printable(line: str) -> str:
    """Without control characters: an untrusted file must not drive the reader's terminal."""
    return "".join(c if c == "\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in line)


def _cells(character: str) -> int:
    """The terminal columns a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
