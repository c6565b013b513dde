"""Documents with possible line breaks, and their layout within a width (Wadler, "A prettier printer", 2003; Oppen's
greedy variant: a group is printed on one line if it fits, else all of its own breaks are taken).

A document is a str without newlines, a tuple of documents, or one of the classes below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Line:
    """A break that is `flat` when its group fits on the line. A `hard` one is always taken."""

    flat: str = " "
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Suffix:
    """Text for the end of the line, whatever else is still printed on it: a trailing comment."""

    text: str


@dataclass(frozen=True, slots=True)
class Nest:
    content: Doc


@dataclass(frozen=True, slots=True)
class IfBroken:
    """One document if the group around it is broken, another if it is flat."""

    broken: Doc
    flat: Doc


@dataclass(frozen=True, slots=True)
class Group:
    content: Doc
    broken: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "broken", must_break(self.content))


Doc: TypeAlias = "str | tuple[Doc, ...] | Line | Suffix | Nest | IfBroken | Group"

LINE, SOFT, HARD = Line(), Line(flat=""), Line(hard=True)
INDENT = 2


def must_break(doc: Doc) -> bool:
    """Whether the document holds a break that must be taken."""
    match doc:
        case str():
            return False
        case tuple():
            return any(must_break(part) for part in doc)
        case Line():
            return doc.hard
        case Nest():
            return must_break(doc.content)
        case IfBroken():
            return must_break(doc.flat)
        case Group():
            return doc.broken
    return True  # a Suffix ends its line


def layout(doc: Doc, width: int) -> str:
    """The text of a document, with at most `width` columns where its breaks allow it."""
    out: list[str] = []
    suffixes: list[str] = []
    column, indentation_due = 0, True
    pending: list[tuple[int, bool, Doc]] = [(0, False, doc)]  # indentation, flat, document; the next one last
    while pending:
        indent, flat, current = pending.pop()
        match current:
            case str():
                if current and indentation_due:
                    out.append(" " * indent)
                    column, indentation_due = indent, False
                out.append(current)
                column += len(current)
            case tuple():
                pending.extend((indent, flat, part) for part in reversed(current))
            case Nest():
                pending.append((indent + INDENT, flat, current.content))
            case IfBroken():
                pending.append((indent, flat, current.flat if flat else current.broken))
            case Suffix():
                suffixes.append(current.text)
            case Line() if flat and not current.hard:
                pending.append((indent, flat, current.flat))
            case Line():
                out.extend(("  " + text if column else text) for text in suffixes)
                suffixes.clear()
                out.append("\n")
                column, indentation_due = 0, True
            case Group():
                start = indent if indentation_due else column
                one_line = flat or (not current.broken and fits(current, width - start, pending))
                pending.append((indent, one_line, current.content))
    out.extend("  " + text for text in suffixes)
    return "".join(out)


def fits(group: Group, room: int, after: list[tuple[int, bool, Doc]]) -> bool:
    """Whether the group, flat, and what follows it up to the next possible break, take at most `room` columns."""
    pending: list[tuple[bool, Doc]] = [(True, group.content)]
    following = len(after)
    while room >= 0:
        if not pending:
            if following == 0:
                return True
            following -= 1
            pending.append((after[following][1], after[following][2]))
        flat, current = pending.pop()
        match current:
            case str():
                room -= len(current)
            case tuple():
                pending.extend((flat, part) for part in reversed(current))
            case Nest():
                pending.append((flat, current.content))
            case Group():
                pending.append((flat and not current.broken, current.content))
            case IfBroken():
                pending.append((flat, current.flat if flat else current.broken))
            case Line():
                if not flat or current.hard:
                    return True
                room -= len(current.flat)
    return False
