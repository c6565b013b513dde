"""Text -> syntax tree, with every mistake of writing found in one pass.

The parser drives the LALR tables of `scale.lark` itself, so that it can say at a mistake what would fit, mend the
obvious ones (`=` for `==`), and otherwise give up only the statement: it puts ERROR in its place and goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, cast

from lark import Tree
from lark.parse_tree_builder import ParseTreeBuilder

from grammar.builder import Builder
from grammar.diagnostics import Diagnostic, ScaleError, Source, diagnostic
from grammar.lexer import tokenize
from grammar.mistakes import explain_mistake
from grammar.place import DECLARATION_KEYWORDS
from grammar.syntax import MAX_DEPTH, Expr, Module, Node, Span, children
from grammar.tokens import Token, grammar
from grammar.vocabulary import CLOSERS

MAX_MISTAKES = 20
"""After so many the rest of a file is not parsed."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read from a file: all of it when `errors` is empty, otherwise without the statements that are wrong.
    `comments` are in order; `grouped` has the spans of expressions that stand in parentheses of their own."""

    source: Source
    module: Module
    comments: tuple[Token, ...]
    grouped: frozenset[Span]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.is_error)


def read(text: str, path: str = "<text>") -> Parsed:
    """Parse a file and report everything that is wrong with its writing, at most once a line. Never raises."""
    run = _Run(Source(text, path), "module")
    module = run.parse() or Module(run.source.span(0, len(run.source.text)), None, ())
    shallow = tuple(d for d in module.declarations if not run.too_deep(d))
    return Parsed(
        run.source,
        Module(module.span, module.version, shallow),
        tuple(run.lexed.comments),
        frozenset(run.builder.grouped),
        run.diagnostics(),
    )


def parse(text: str, path: str = "<text>") -> Module:
    """The syntax tree of a file. Raises `ScaleError` with all mistakes of writing."""
    parsed = read(text, path)
    if parsed.errors:
        raise ScaleError(parsed.errors)
    return parsed.module


def parse_expression(text: str, path: str = "<expression>") -> Expr:
    """The syntax tree of one expression, as a value on the command line is. Raises `ScaleError`."""
    run = _Run(Source(text, path), "expression")
    value = run.parse()
    if value is not None:
        run.too_deep(value)
    elif not run.lexed.tokens:
        message = "expected an expression, found nothing"
        run.mistakes.append(diagnostic("E029", run.source, run.source.span(0, 0), message=message, hint="write a value"))
    errors = [d for d in run.diagnostics() if d.is_error]
    if errors:
        raise ScaleError(errors)
    return cast(Expr, value)


class _Reduction(NamedTuple):
    """A rule to reduce by: how many symbols it takes, what it becomes, and its number. A `unit` rule
    (`?expr: or_expr`) passes its one value on."""

    size: int
    origin: str
    number: int
    unit: bool


class _Table(NamedTuple):
    """An LALR automaton. `actions[state][symbol]` is the state to go to, or a `_Reduction`; `rules` are Lark's;
    `shortcuts` remembers where chains of unit rules lead."""

    actions: dict[int, dict[str, Any]]
    rules: list[Any]
    first: int
    last: int
    shortcuts: dict[tuple[int, int, str], int]


@cache
def _table(start: str) -> _Table:
    conf = grammar().parse_interactive(start=start).parser_state.parse_conf
    reductions: dict[Any, _Reduction] = {}

    def action(target: Any) -> int | _Reduction:
        if isinstance(target, int):
            return target
        if target not in reductions:
            unit = len(target.expansion) == 1 and target.options.expand1 and not target.alias
            reductions[target] = _Reduction(len(target.expansion), target.origin.name, len(reductions), unit)
        return reductions[target]

    actions = {state: {symbol: action(each[1]) for symbol, each in row.items()} for state, row in conf.states.items()}
    return _Table(actions, list(reductions), conf.start_state, conf.end_state, {})


class _Inline:
    """A builder's methods as Lark wants them: of one list of parts."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def __getattr__(self, rule: str) -> Callable[[list[Any]], Any]:
        method = getattr(self._builder, rule)
        return lambda parts: method(*parts)


class _Run:
    """One parse: the stacks of an LALR automaton over a list of tokens."""

    def __init__(self, source: Source, start: str) -> None:
        self.source, self.start = source, start
        self.lexed = tokenize(source, expression=start == "expression")
        self.builder = Builder(source)
        self.mistakes: list[Diagnostic] = []
        self.mended = -1
    def parse(self) -> Any:
        """The root's node, or None after too many mistakes."""
        self.actions, rules, first, self.last, self.shortcuts = _table(self.start)
        callbacks = ParseTreeBuilder(rules, Tree, maybe_placeholders=True).create_callback(_Inline(self.builder))  # type: ignore[no-untyped-call]
        self.callbacks = [callbacks[rule] for rule in rules]
        self.states: list[int] = [first]
        self.values: list[Any] = []
        index = 0
        while 0 <= index < len(self.lexed.tokens):
            if self.feed(self.lexed.tokens[index]):
                index += 1
            else:
                index = self.mend_or_skip(index)
        if index < 0 or not self.feed(Token("", "$END")):
            return None
        return self.values[-1]

    # ------------------------------------------------------------------------------------------- the automaton

    def feed(self, token: Token) -> bool:
        """Reduce as far as possible, then shift `token`. False, with nothing changed, if it does not fit."""
        states, values, actions, kind = self.states, self.values, self.actions, token.type
        action = actions[states[-1]].get(kind)
        if action is None or not (isinstance(action, int) or self.fits(kind)):
            return False
        while not isinstance(action, int):
            if action.unit:
                states[-1] = self.pass_on(states[-2], states[-1], kind)
            else:
                keep = len(values) - action.size
                value = self.callbacks[action.number](values[keep:])
                del values[keep:], states[keep + 1 :]
                values.append(value)
                states.append(actions[states[-1]][action.origin])
            if states[-1] == self.last and kind == "$END":
                return True
            action = actions[states[-1]][kind]
        states.append(action)
        values.append(token)
        return True

    def fits(self, kind: str) -> bool:
        """Whether a token of this kind could come next."""
        top, below, pushed = self.states[-1], len(self.states) - 1, list[int]()
        while True:
            action = self.actions[top].get(kind)
            if action is None or isinstance(action, int):
                return action is not None
            if action.unit:
                top = self.pass_on(pushed[-1] if pushed else self.states[below - 1], top, kind)
            else:
                if action.size == 0:
                    pushed.append(top)
                elif action.size - 1 <= len(pushed):
                    del pushed[len(pushed) - action.size + 1 :]
                else:
                    below -= action.size - 1 - len(pushed)
                    pushed.clear()
                top = self.actions[pushed[-1] if pushed else self.states[below - 1]][action.origin]
            if top == self.last and kind == "$END":
                return True

    def pass_on(self, below: int, top: int, kind: str) -> int:
        """The state that follows `below` when the value of `top` has been passed on by all unit rules."""
        found = self.shortcuts.get((below, top, kind))
        if found is None:
            action = self.actions[top].get(kind)
            found = top
            while isinstance(action, _Reduction) and action.unit:
                found = self.actions[below][action.origin]
                action = self.actions[found].get(kind)
            self.shortcuts[below, top, kind] = found
        return found

    def accepts(self) -> set[str]:
        return {kind for kind in self.actions[self.states[-1]] if kind.isupper() and self.fits(kind)}

    # -------------------------------------------------------------------------------------------------- mistakes

    def mend_or_skip(self, index: int) -> int:
        """Report token `index`, which does not fit. Returns the index to go on with, -1 to give up."""
        mistake = explain_mistake(self.source, self.lexed, index, self.accepts())
        if index not in self.lexed.supplied:
            self.mistakes.append(mistake.diagnostic)
        if self.start == "expression" or len(self.mistakes) >= MAX_MISTAKES:
            return -1
        first_time, self.mended = index != self.mended, index
        if first_time and mistake.instead is not None and all(self.feed(token) for token in mistake.instead):
            return index + mistake.drops
        return self.skip(index if first_time else index + 1)

    def skip(self, index: int) -> int:
        """Give up the statement: pop back to where one may start, put ERROR there, and go to its end."""
        while "ERROR" not in self.actions[self.states[-1]]:
            self.states.pop()
            self.values.pop()
        self.feed(Token("", "ERROR"))
        depth = sum(1 for value in self.values if isinstance(value, Token) and value.type in CLOSERS)
        tokens, depths = self.lexed.tokens, self.lexed.depths
        while index < len(tokens) and not (depths[index] == depth and self.ends(index, depth)):
            index += 1
        return index

    def ends(self, index: int, depth: int) -> bool:
        """Whether a statement at this depth ends here; at the top level whether a declaration comes next."""
        tokens = self.lexed.tokens
        if depth:
            return tokens[index].type in ("NEWLINE", "RBRACE")
        last = index + 1 == len(tokens)
        return tokens[index].type == "NEWLINE" and (last or tokens[index + 1].type in DECLARATION_KEYWORDS)

    def too_deep(self, root: Node) -> bool:
        """Whether `root` nests deeper than a walk may recurse; reports it."""
        pending = [(root, 1)]
        while pending:
            node, depth = pending.pop()
            if depth > MAX_DEPTH:
                self.mistakes.append(diagnostic("E007", self.source, node.span))
                return True
            pending.extend((child, depth + 1) for child in children(node))
        return False

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What was found, in the order of the text, without echoes: of the errors on one line the first found, and
        after an error no complaint that a block ended too early."""
        found = [*self.lexed.diagnostics, *self.mistakes, *self.builder.diagnostics]
        errors: dict[int, Diagnostic] = {}
        for each in found:
            if each.is_error:
                errors.setdefault(each.line, each)
        ordered = sorted(errors.values(), key=lambda each: each.span)
        kept = [each for each in ordered if each is ordered[0] or not self.is_echo(each)]
        return tuple(sorted([*kept, *(each for each in found if not each.is_error)], key=lambda each: each.span))

    def is_echo(self, each: Diagnostic) -> bool:
        closes_block = each.code == "E023" and self.source.text[each.span.start] == "}"
        return closes_block or (each.code == "E025" and each.column > 1)
