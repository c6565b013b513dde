"""The content of string literals: escapes, and the indentation of text blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from grammar.syntax import Node

ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|(.)|\Z)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "$": "$"}
LATEX = re.compile(
    r"\\(?:n(?:abla|eq?|eg|u|ot|otin|mid|earrow)|r(?:angle|floor|ceil|ho|ight|ightarrow|m)"
    r"|t(?:ext\w*|imes|au|heta|an|anh|o|op|frac|ilde|riangle\w*|herefore))(?![A-Za-z])"
)


class Piece(NamedTuple):
    """Text as it is written, and its offset in the file."""

    text: str
    offset: int


Line: TypeAlias = list[Piece | Node]


def unescape(piece: Piece, fault: Callable[[str, int, int], None], *, warn: bool) -> str:
    """The text that the escapes stand for. `fault(code, start, end)` is told of wrong ones (E024) and, if `warn`, of
    those that look like LaTeX (W001)."""
    raw, offset = piece
    if "\\" not in raw:
        return raw
    for word in LATEX.finditer(raw) if warn else ():
        if not raw[: word.start()].endswith("\\"):
            fault("W001", offset + word.start(), offset + word.end())

    def replace(match: re.Match[str]) -> str:
        code, letter = match.groups()
        if code and int(code, 16) <= 0x10FFFF and not 0xD800 <= int(code, 16) <= 0xDFFF:
            return chr(int(code, 16))
        if letter in ESCAPES:
            return ESCAPES[letter]
        fault("E024", offset + match.start(), offset + match.end())
        return ""

    return ESCAPE.sub(replace, raw)


def raw_content(token: str) -> str:
    """The text of `r"..."` or of a raw block."""
    if not token.startswith('r"""'):
        return token[2:-1]
    return "".join(piece.text for piece in unindent([Piece(token[4:-3], 0)]) if isinstance(piece, Piece))


def unindent(pieces: Sequence[Piece | Node]) -> list[Piece | Node]:
    """The content of a text block, pieces of text and holes, without the first line break, the break before the
    closing quotes, and the common indentation of the lines. Line ends become a line feed."""
    first, *rest = split_lines(pieces)
    if not rest:
        return first
    closing = rest[-1]
    measured = [line for line in rest if not blank(line)] + ([closing] if blank(closing) else [])
    width = min((len(leading(line)) for line in measured), default=0)
    kept = [] if blank(first) else [first]
    kept += [cut(line, width) for line in (rest[:-1] if blank(closing) else rest)]
    joined: list[Piece | Node] = []
    for number, line in enumerate(kept):
        joined += [Piece("\n", 0)] if number else []
        joined += line
    return joined


def split_lines(pieces: Sequence[Piece | Node]) -> list[Line]:
    """The pieces of a text by line, holes in the lines where they stand."""
    lines: list[Line] = [[]]
    for piece in pieces:
        if isinstance(piece, Node):
            lines[-1].append(piece)
            continue
        offset = piece.offset
        for number, part in enumerate(piece.text.split("\n")):
            if number:
                lines.append([])
            lines[-1].append(Piece(part.removesuffix("\r"), offset))
            offset += len(part) + 1
    return lines


def blank(line: Line) -> bool:
    """Whether a line has nothing but blanks."""
    return all(isinstance(piece, Piece) and not piece.text.strip(" \t") for piece in line)


def leading(line: Line) -> str:
    """The blanks that a line starts with."""
    first = line[0] if line else None
    return first.text[: len(first.text) - len(first.text.lstrip(" \t"))] if isinstance(first, Piece) else ""


def cut(line: Line, width: int) -> Line:
    """The line without its first `width` characters, as far as they are blanks."""
    if not line or not isinstance(line[0], Piece):
        return line
    text, offset = line[0]
    width = min(width, len(leading(line)))
    return [Piece(text[width:], offset + width), *line[1:]]
