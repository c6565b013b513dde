"""What can go wrong while a program runs: faults end the run, exhausted fuel ends one particle.

A `Fault` is raised where a value is made and does not know its place; whoever knows the expression turns it
into a `RunFault`, which is at once a `ScaleError` (it renders the line, with a caret) and a `PPLError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grammar.diagnostics import ScaleError, Source, diagnostic
from grammar.syntax import Span
from ppl.errors import PPLError

BIG = 1 << 4096
"""Integers stay below this, in absolute value."""


@dataclass(frozen=True, slots=True)
class Fuel:
    """What one run of a program may use up before it is ended with weight zero.

    max_steps  instructions, items of comprehensions, and work on long texts and lists (1 for 64 items)
    max_depth  calls that are open at once
    max_text   characters of one text, and of one chat
    max_list   items of one list or dict; ten times as many parts in all, those of its items included
    """

    max_steps: int = 1_000_000
    max_depth: int = 512
    max_text: int = 1 << 20
    max_list: int = 100_000


MAX_NESTING = 128
"""Values nest no deeper: lists of records of lists and so on."""


class Fault(Exception):
    """A mistake met in a run: a code of the table and what its message names."""

    def __init__(self, code: str, **words: Any) -> None:
        super().__init__(code, words)
        self.code, self.words = code, words


def refused(name: str, problem: str, mend: str) -> Fault:
    """The fault of a built-in that has no answer for its arguments."""
    return Fault("E556", name=name, problem=problem, mend=mend)


class Exhausted(Exception):
    """A particle used up its fuel; the text names the limit."""


class RunFault(ScaleError, PPLError):
    """A fault at its place in the file."""


def located(fault: Fault, source: Source, span: Span) -> RunFault:
    """A fault at its place, as the error that a host sees."""
    return RunFault([diagnostic(fault.code, source, span, **fault.words)])


def located_error(error: PPLError, source: Source, span: Span) -> Exception:
    """An error of a distribution, model or primitive, at the place that asked; still of its own kind."""
    if isinstance(error, ScaleError):
        return error
    kind = type(error)
    if kind not in _LOCATED:
        _LOCATED[kind] = type(kind.__name__, (RunFault, kind), {"__doc__": kind.__doc__})
    return _LOCATED[kind]([diagnostic("E559", source, span, message=str(error), hint="")])


_LOCATED: dict[type[PPLError], type[ScaleError]] = {}
