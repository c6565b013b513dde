"""What the checks of one file share: its tables, the names in scope, what is known about them here, and reporting.

A function body is walked once, in order. `narrow` records what a condition or an assignment tells about a variable;
`undo(mark())` takes it back at the end of a branch. Both cost only as much as changed, so checking stays linear.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from grammar import syntax as s
from grammar.builtins import FUNCTIONS
from grammar.constants import Scalar
from grammar.diagnostics import Note, diagnostic
from grammar.symbols import CheckedModule, Facts, Local, ModuleSymbol, Symbol
from grammar.type_names import show
from grammar.types import NEVER, STR, UNKNOWN, DistOf, Literal, Type, options

SHOWN = 32
"""The longest piece of source that a message quotes."""

MAX_REPORTS = 100
"""A file with more mistakes than these is not checked any further."""

MAX_WORD, MAX_HINT = 160, 400
"""The longest word and hint of a message, in characters."""

MAX_COMPARED = 64
"""So many names at most, the nearest in length, are compared with a misspelt one."""


FOREIGN_NAMES = {
    "print": "write `record x = value` to keep a value in the result",
    "map": "write `[f(x) for x in xs]`",
    "filter": "write `[x for x in xs if condition]`",
    "inf": "write `require false` for a weight of minus infinity",
    "isinstance": "write `x is int`",
    "type": "write `x is int`",
    "input": "what a program is told are its parameters",
    "open": "a .scale file reads no files; the host passes text as an argument",
    "prompt": "write `lm.prompt(text)`, of a declared model",
    "random": "write `sample uniform_real(0.0, 1.0)`",
    "randint": "write `sample uniform(range(1, 7))`",
    "sqrt": "write `x ** 0.5`",
    "dict": "write `{key: value}`",
    "list": "write `[a, b]`",
    "tuple": "write `(a, b)`",
    "self": "functions stand at the top level; there are no classes",
    "posterior": "`posterior` stands in the `expect` lines of a test",
}
"""Names that other languages know, or other places."""


Rule: TypeAlias = Callable[["Checker", Any, Type | None], Type]
"""The type of one form of expression, given the type that its place asks for."""


class TooManyMistakes(Exception):
    """Ends the check of a file."""


@dataclass(slots=True)
class Body:
    """The function being checked. `result` is the type it declares (None if it declares none), `loops` the open
    loops, `missing` the undefined names that were reported; a test is no function and draws nothing."""

    name: str
    result: Type | None
    facts: Facts = field(default_factory=Facts)
    loops: int = 0
    draws: bool = True
    missing: set[str] = field(default_factory=set)


class Checker:
    """The state of checking one file. `rules` say how each form of expression is typed; `constants` are the plain values
    of its constants; `fixed` says, while it is not empty, where we are that only constant expressions may stand ("a
    const")."""

    def __init__(self, module: CheckedModule, rules: Mapping[type[s.Node], Rule]) -> None:
        self.module = module
        self.rules = rules
        self.source = module.source
        self.locals: dict[str, Local] = {}
        self.constants: dict[str, Scalar] = {}
        self.body = Body("", None)
        self.fixed = ""
        self._opened: list[list[tuple[str, Local | None]]] = []
        self._narrowed: dict[Local, Type] = {}
        self._trail: list[tuple[Local, Type]] = []
        self._reports = {"error": 0, "warning": 0}

    # --------------------------------------------------------------------------------------------- reporting

    def report(
        self,
        code: str,
        at: s.Node | s.Span,
        /,
        *,
        hint: str | None = None,
        notes: Iterable[Note] = (),
        **words: Any,
    ) -> None:
        """Add a diagnostic, with the hint of the table unless another is given."""
        span = at.span if isinstance(at, s.Node) else at
        words = {name: plain(str(word)) for name, word in words.items()}
        found = diagnostic(code, self.source, span, hint=hint and plain(hint, MAX_HINT), notes=notes, **words)
        self._reports[found.severity] += 1
        if self._reports[found.severity] <= MAX_REPORTS:
            self.module.diagnostics.append(found)
        elif found.is_error:
            raise TooManyMistakes

    def quoted(self, expr: s.Node) -> str:
        """The expression as a message names it: as written where it is short, else without its arguments."""
        text = self.source.text[expr.span.start : expr.span.end]
        while not isinstance(expr, s.TupleExpr) and text[:1] == "(" and _closes(text) == len(text) - 1:
            text = text[1:-1]
        if len(text) <= SHOWN and "\n" not in text:
            return text
        match expr:
            case s.Call():
                return f"{self.quoted(expr.callee)}({'...' if expr.args else ''})"
            case s.Member():
                return f"{self.quoted(expr.value)}.{expr.name.name}"
        return text.split("\n")[0][:SHOWN].rstrip() + "..."

    # ------------------------------------------------------------------------------------------------- names

    def lookup(self, name: str) -> Symbol | None:
        """The innermost meaning of a name: a local, a declaration of the file, a built-in."""
        return self.locals.get(name) or self.module.symbols.get(name) or FUNCTIONS.get(name)

    def known_names(self) -> Iterable[str]:
        return [*self.locals, *self.module.symbols, *FUNCTIONS]

    def use(self, name: s.Name | s.Identifier) -> Symbol | None:
        """Look up a name where it is used; reports E102, once for each name of a function."""
        symbol = self.lookup(name.name)
        if symbol is None and name.name in self.body.missing:
            return None
        if symbol is None:
            self.body.missing.add(name.name)
            hint = FOREIGN_NAMES.get(name.name) or closest_hint(name.name, self.known_names())
            self.report("E102", name, name=name.name, hint=hint)
            return None
        if isinstance(symbol, (Local, ModuleSymbol)):
            symbol.used = True
        self.module.names[name] = symbol
        return symbol

    def open_block(self) -> None:
        self._opened.append([])

    def close_block(self) -> None:
        for name, hidden in reversed(self._opened.pop()):
            local = self.locals.pop(name)
            if hidden is not None:
                self.locals[name] = hidden
            if local.kind == "let" and not local.used and not name.startswith("_"):
                self.report("W403", local.span, name=name)

    def declare(self, target: s.Identifier, local: Local) -> None:
        """Bring a local into scope; `_` takes a value and forgets it."""
        if target.name == "_":
            return
        earlier = self.locals.get(target.name)
        if earlier is not None:
            hint = None if local.kind == "let" else "choose another name"
            self.report("E104", target, name=target.name, line=earlier.span.line, hint=hint)
            earlier.used = local.used = True
            local.type = UNKNOWN
        elif local.kind == "let" and (target.name in self.module.symbols or target.name in FUNCTIONS):
            meaning = (
                "a declaration of this file"
                if target.name in self.module.symbols
                else "the built-in function"
            )
            self.report("W406", target, name=target.name, meaning=meaning)
        self._opened[-1].append((target.name, earlier))
        self.locals[target.name] = local
        self.module.names[target] = local

    # --------------------------------------------------------------------------------------- what is known here

    def type_of(self, local: Local) -> Type:
        return local.type if local.type == UNKNOWN else self._narrowed.get(local, local.type)

    def value_type(self, local: Local) -> Type:
        """The type of a variable where it is read: anything goes where no value is left, as that is never reached."""
        kind = self.type_of(local)
        return UNKNOWN if kind == NEVER else kind

    def narrow(self, local: Local, kind: Type) -> None:
        before = self.type_of(local)
        if kind != before:
            self._trail.append((local, before))
            self._narrowed[local] = kind

    def mark(self) -> int:
        return len(self._trail)

    def known_since(self, mark: int) -> dict[Local, Type]:
        """What was learnt since `mark`."""
        return {local: self.type_of(local) for local, _ in self._trail[mark:]}

    def undo(self, mark: int) -> None:
        """Forget what was learnt since `mark`."""
        while len(self._trail) > mark:
            local, before = self._trail.pop()
            self._narrowed[local] = before

    # ---------------------------------------------------------------------------------------- distributions

    def drawn_by_mistake(self, expr: s.Node, kind: DistOf) -> None:
        """Report a distribution that stands where one of its values is wanted. If a `let` forgot its `sample`, the
        message stands there, once."""
        local = self.module.names.get(expr)
        values = _values(kind)
        if not isinstance(local, Local) or local.value is None:
            mend = f"sample {self.quoted(expr)}"
            self.report("E302", expr, what=f"'{self.quoted(expr)}' is", values=values, mend=mend)
            return
        mend = f"let {local.name} = sample {self.quoted(local.value)}"
        note = Note(f"'{local.name}' is used as a value here", expr.span)
        self.report(
            "E302", local.value, notes=[note], what=f"'{local.name}' would be", values=values, mend=mend
        )
        local.type = UNKNOWN


def _closes(text: str) -> int:
    """Where the bracket that `text` starts with is closed; strings are not looked into."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index
    return -1


def _values(kind: DistOf) -> str:
    if all(isinstance(option, Literal) or option == STR for option in options(kind.value)):
        return "texts, not a text"
    return f"{show(kind.value)}, not a value"


def plain(text: str, longest: int = MAX_WORD) -> str:
    """The text shortened, and without characters that would drive the reader's terminal."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def closest(found: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant."""
    if len(found) > SHOWN:
        return None
    alike = sorted(known, key=lambda name: abs(len(name) - len(found)))[:MAX_COMPARED]
    near = difflib.get_close_matches(found, alike, n=1, cutoff=0.6)
    return near[0] if near else None


def closest_hint(found: str, known: Iterable[str]) -> str | None:
    """"did you mean" the closest of the known names, if one is close."""
    near = closest(found, known)
    return f"did you mean '{near}'?" if near else None
