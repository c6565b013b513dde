"""A token that does not fit, what stands around it, and how to say so: what the rules of `mistakes.py` work with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from grammar.diagnostics import Diagnostic, Source, diagnostic
from grammar.lexer import Lexed
from grammar.syntax import Span
from grammar.tokens import Token
from grammar.vocabulary import ENDS_OPERAND, SPELLED

DECLARATION_KEYWORDS = {
    "SCALE", "IMPORT", "MODEL", "REWARD", "PURE", "IMPURE", "EXTERN", "TYPE", "CONST", "FN", "PROGRAM", "INFER", "LIMIT", "TEST",
}  # fmt: skip
STATEMENT_KEYWORDS = {
    "LET", "SCORE", "OBSERVE", "REQUIRE", "HEURISTIC", "CHECKPOINT", "RECORD", "RETURN", "IF", "FOR", "WHILE", "BREAK",
    "CONTINUE", "PASS",
}  # fmt: skip
STARTS_OPERAND = {
    "NAME", "NUMBER", "REGEX", "RAW", "QUOTE", "LPAR", "LSQB", "LBRACE", "TRUE", "FALSE", "NONE", "CHAT", "NOT", "FN",
}  # fmt: skip
COMPARISONS = {"COMPARE", "IN", "IS", "NOT"}
CLOSING = {"NEWLINE", "RPAR", "RSQB", "RBRACE", "HOLE_END"}
BLOCK_HEADS = {"IF", "FOR", "WHILE", "FN", "PROGRAM", "TEST"}

@dataclass(frozen=True, slots=True)
class Mistake:
    """`instead` (if not None) is read in place of the next `drops` tokens."""

    diagnostic: Diagnostic
    instead: tuple[Token, ...] | None = None
    drops: int = 0


class Place:
    """A token that does not fit, and what stands around it."""

    def __init__(self, source: Source, lexed: Lexed, index: int, accepts: set[str]) -> None:
        self.source, self.lexed, self.index, self.accepts = source, lexed, index, accepts
        self.token = lexed.tokens[index]
        self.before = lexed.tokens[index - 1] if index else None
        self.after = lexed.tokens[index + 1] if index + 1 < len(lexed.tokens) else None
        inside = lexed.inside[index]
        self.bracket = self.kind_of(inside)
        while inside >= 0 and self.kind_of(inside) not in ("block", "type", "test", "chat"):
            inside = lexed.inside[inside]
        self.lines = self.kind_of(inside)  # the kind of block whose lines these are, "" at the top level
        self.at_line_level = lexed.inside[index] == inside
        self.start = self.statement_start(inside)
        self.head = lexed.tokens[self.start]

    def kind_of(self, opener: int) -> str:
        """What a bracket is for: call, params, group, list, index, hole, text, or a brace's kind; "" for none."""
        if opener < 0:
            return ""
        if opener in self.lexed.brace_kinds:
            return self.lexed.brace_kinds[opener]
        previous = [self.lexed.tokens[i].type for i in (opener - 1, opener - 2) if i >= 0]
        match self.lexed.tokens[opener].type:
            case "LPAR" if previous and (previous[0] == "FN" or previous[1:] in (["FN"], ["PROGRAM"])):
                return "params"
            case "LPAR":
                return "call" if previous and previous[0] in ENDS_OPERAND else "group"
            case "LSQB":
                return "index" if previous and previous[0] in ENDS_OPERAND else "list"
            case "HOLE":
                return "hole"
        return "text"

    def statement_start(self, inside: int) -> int:
        start = self.index
        while start - 1 > inside and not (
            self.lexed.tokens[start - 1].type == "NEWLINE" and self.lexed.inside[start - 1] == inside
        ):
            start -= 1
        return start

    @property
    def wants_expression(self) -> bool:
        return {"NUMBER", "LSQB", "QUOTE"} <= self.accepts

    @property
    def wants_type(self) -> bool:
        return {"CHAT", "QUOTE", "NONE"} <= self.accepts and not self.wants_expression

    @property
    def wants_name(self) -> bool:
        return "NAME" in self.accepts and not self.wants_expression and not self.wants_type

    @property
    def wants_operator(self) -> bool:
        """Whether an expression is complete before the token."""
        return "SIGN" in self.accepts and not self.wants_expression

    @property
    def is_first(self) -> bool:
        return self.index == self.start

    def later(self, kind: str) -> bool:
        """Whether the rest of the line has a token of this kind."""
        for token in self.lexed.tokens[self.index :]:
            if token.type in ("NEWLINE", kind):
                return token.type == kind
        return False

    def mistake(
        self, code: str, *, at: Token | None = None, instead: Iterable[tuple[str, str]] | None = None, drops: int = 0, **words: Any
    ) -> Mistake:
        """A mistake at this token, or at another one. `{found}`, `{before}` and `{expected}` are filled in."""
        token = at or self.token
        defaults = {"found": self.describe(self.token), "before": self.describe(self.before), "expected": self.expected()}
        span: Span = self.source.span(token.start, token.end)
        found = diagnostic(code, self.source, span, **{**defaults, **words})
        tokens = None if instead is None else tuple(self.stand_in(*each) for each in instead)
        return Mistake(found, tokens, drops)

    def stand_in(self, kind: str, text: str) -> Token:
        return Token(text, kind, self.token.start, self.token.start, self.token.line, self.token.column)

    def describe(self, token: Token | None) -> str:
        if token is None:
            return "the start of the file"
        if token.type == "NEWLINE":
            return "the end of the line" if token is self.token else "the line before"
        if token.type in ("QUOTE", "QUOTE_END", "CHARS", "RAW"):
            return "a string"
        text = token if len(token) <= 30 else token[:30] + "..."
        return f"'{text}'" if text else f"'{SPELLED.get(token.type, token.type.lower())}'"

    def expected(self) -> str:
        """What would fit, in words."""
        if self.wants_expression:
            return "an expression"
        if self.wants_type:
            return "a type"
        if self.wants_operator:
            ends = [f"'{closing}'" for kind, closing in SPELLED.items() if kind in self.accepts]
            return " or ".join((["','"] if "COMMA" in self.accepts else []) + ends) or "the end of the line"
        names = {kind: f"'{word}'" for kind, word in TERMINALS.items()} | {"NAME": "a name", "QUOTE": "a string", "NEWLINE": "the end of the line"}  # fmt: skip
        return " or ".join(sorted({names[kind] for kind in self.accepts if kind in names})[:4]) or "something else"


TERMINALS = {
    "EQUAL": "=", "COLON": ":", "COMMA": ",", "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}",
    "ARROW": "->", "FATARROW": "=>", "AS": "as", "WITH": "with", "FN": "fn", "IN": "in", "FROM": "from", "MAX": "max",
    "ELSE": "else", "OF": "of", "THEN": "then", "NUMBER": "1", "HOLE_END": "}",
}  # fmt: skip
