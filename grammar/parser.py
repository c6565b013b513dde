"""Text -> syntax tree, with every mistake of writing found in one pass.

The parser drives the LALR tables of `scale.lark` itself, so that it can say at a mistake what would fit, mend the
obvious ones (`=` for `==`), and otherwise give up only the statement: it puts ERROR in its place and goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from lark import Token, Tree
from lark.parse_tree_builder import ParseTreeBuilder

from grammar.builder import Builder
from grammar.diagnostics import Diagnostic, ScaleError, Source, diagnostic
from grammar.lexer import CLOSERS, tokenize
from grammar.mistakes import DECLARATION_KEYWORDS, explain_mistake
from grammar.syntax import MAX_DEPTH, Expr, Module, Node, Span, children
from grammar.tokens import grammar

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
    run = _Run(Source(text, path))
    module = run.parse("module") or Module(run.source.span(0, len(run.source.text)), None, ())
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
    run = _Run(Source(text, path))
    value = run.parse("expression")
    if value is not None:
        run.too_deep(value)
    errors = [d for d in run.diagnostics() if d.is_error]
    if errors:
        raise ScaleError(errors)
    return cast(Expr, value)


@cache
def _tables(start: str) -> tuple[dict[Any, dict[str, tuple[Any, Any]]], Any, Any]:
    """The action tables (state -> symbol -> action, target), the first state and the last one."""
    conf = grammar().parse_interactive(start=start).parser_state.parse_conf
    return conf.states, conf.start_state, conf.end_state


class _Run:
    """One parse: the stacks of an LALR automaton over a list of tokens."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lexed = tokenize(source)
        self.builder = Builder(source)
        self.mistakes: list[Diagnostic] = []
        self.mended = -1
        self.callbacks = ParseTreeBuilder(grammar().rules, self.build, maybe_placeholders=True).create_callback()

    def build(self, rule: str, parts: list[Any]) -> Any:
        # Lark's own helper rules, for repetitions, are trees that it unpacks itself.
        return Tree(rule, parts) if rule.startswith("_") else self.builder.build(rule, parts)

    def parse(self, start: str) -> Any:
        """The root's node, or None after too many mistakes."""
        self.table, first, self.last = _tables(start)
        self.states, self.values = [first], []
        self.recovers = start == "module"
        index = 0
        while 0 <= index < len(self.lexed.tokens):
            if self.feed(self.lexed.tokens[index]):
                index += 1
            else:
                index = self.mend_or_skip(index)
        if index < 0 or not self.feed(Token("$END", "")):
            return None
        return self.values[-1]

    # ------------------------------------------------------------------------------------------- the automaton

    def feed(self, token: Token) -> bool:
        """Reduce as far as possible, then shift `token`; False, with the stacks reduced, if it does not fit."""
        while True:
            action, target = self.table[self.states[-1]].get(token.type, (None, None))
            if action is None:
                return False
            if not hasattr(target, "expansion"):  # a shift
                self.states.append(target)
                self.values.append(token)
                return True
            size = len(target.expansion)
            parts = self.values[len(self.values) - size :]
            del self.values[len(self.values) - size :], self.states[len(self.states) - size :]
            self.values.append(self.callbacks[target](parts))
            self.states.append(self.table[self.states[-1]][target.origin.name][1])
            if self.states[-1] == self.last and token.type == "$END":
                return True

    def fits(self, kind: str) -> bool:
        """Whether a token of this kind could come next."""
        below, pushed = len(self.states), []
        while True:
            state = pushed[-1] if pushed else self.states[below - 1]
            action, target = self.table[state].get(kind, (None, None))
            if action is None or not hasattr(target, "expansion"):
                return action is not None
            size = len(target.expansion)
            below -= max(0, size - len(pushed))
            del pushed[max(0, len(pushed) - size) :]
            state = pushed[-1] if pushed else self.states[below - 1]
            pushed.append(self.table[state][target.origin.name][1])

    def accepts(self) -> set[str]:
        return {kind for kind in self.table[self.states[-1]] if kind.isupper() and self.fits(kind)}

    # -------------------------------------------------------------------------------------------------- mistakes

    def mend_or_skip(self, index: int) -> int:
        """Report token `index`, which does not fit. Returns the index to go on with, -1 to give up."""
        mistake = explain_mistake(self.source, self.lexed, index, self.accepts())
        if index not in self.lexed.supplied:
            self.mistakes.append(mistake.diagnostic)
        if not self.recovers or len(self.mistakes) >= MAX_MISTAKES:
            return -1
        first_time, self.mended = index != self.mended, index
        if first_time and mistake.instead is not None and all(self.feed(token) for token in mistake.instead):
            return index + mistake.drops
        return self.skip(index)

    def skip(self, index: int) -> int:
        """Give up the statement: pop back to where one may start, put ERROR there, and go to its end."""
        while "ERROR" not in self.table[self.states[-1]]:
            self.states.pop()
            self.values.pop()
        self.feed(Token("ERROR", ""))
        depth = sum(1 for value in self.values if isinstance(value, Token) and value.type in CLOSERS)
        tokens, depths = self.lexed.tokens, self.lexed.depths
        while index < len(tokens) and not (depths[index] == depth and self.ends(index, depth)):
            index += 1
        return index

    def ends(self, index: int, depth: int) -> bool:
        """Whether a statement at this depth ends here; at the top level whether a declaration comes next."""
        tokens = self.lexed.tokens
        if depth or tokens[index].type != "NEWLINE":
            return tokens[index].type in ("NEWLINE", "RBRACE")
        return index + 1 == len(tokens) or tokens[index + 1].type in DECLARATION_KEYWORDS

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
        """What was found, in the order of the text: of the errors on one line the first found, as the others are
        mostly its echoes."""
        found = [*self.lexed.diagnostics, *self.mistakes, *self.builder.diagnostics]
        errors: dict[int, Diagnostic] = {}
        for each in found:
            if each.is_error:
                errors.setdefault(each.line, each)
        kept = [*errors.values(), *(each for each in found if not each.is_error)]
        return tuple(sorted(kept, key=lambda each: each.span))
