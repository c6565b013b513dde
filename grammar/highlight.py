"""A Pygments lexer for `.scale`. It is the language's own lexer, so that soft keywords, roles and the holes of strings
are coloured as what they are, and files with mistakes are still coloured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Text

from grammar.diagnostics import Source
from grammar.lexer import Lexed, tokenize
from grammar.tokens import Token, keywords

EFFECTS = {"SAMPLE", "USING", "SCORE", "OBSERVE", "FROM", "HEURISTIC", "REQUIRE", "CHECKPOINT", "RECORD"}
DECLARING = {"FN", "PROGRAM", "TYPE", "CONST", "MODEL", "REWARD", "LET", "RECORD"}
BRACKETS = {"LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "COMMA", "COLON", "DOT"}

KINDS: dict[str, Any] = {
    "NUMBER": Number, "REGEX": String.Regex, "RAW": String, "QUOTE": String, "CHARS": String, "QUOTE_END": String,
    "HOLE": String.Interpol, "HOLE_END": String.Interpol, "TRUE": Keyword.Constant, "FALSE": Keyword.Constant,
    "NONE": Keyword.Constant, "AND": Operator.Word, "OR": Operator.Word, "NOT": Operator.Word, "IN": Operator.Word,
    "IS": Operator.Word,
}  # fmt: skip


class ScaleLexer(Lexer):  # type: ignore[misc]  # Pygments has no types
    """`.scale` files"""

    name = "Scale"
    aliases = ("scale",)
    filenames = ("*.scale",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        lexed = tokenize(Source(text))
        shift = len(text) - len(text.removeprefix("\ufeff"))
        pieces = [(comment.start, comment.end, Comment.Single) for comment in lexed.comments]
        pieces += [(t.start, t.end, colour(lexed, i)) for i, t in enumerate(lexed.tokens) if t.start < t.end]
        at = 0
        for start, end, kind in sorted(pieces, key=lambda piece: piece[:2]):
            start, end = start + shift, end + shift
            if at < start:
                yield at, between(text[at:start]), text[at:start]
            if at < end:
                yield max(at, start), kind, text[max(at, start) : end]
                at = end
        if at < len(text):
            yield at, between(text[at:]), text[at:]


def colour(lexed: Lexed, index: int) -> Any:
    """The Pygments token type of a token."""
    token = lexed.tokens[index]
    before = lexed.tokens[index - 1].type if index else ""
    after = lexed.tokens[index + 1].type if index + 1 < len(lexed.tokens) else ""
    if token.type == "NAME":
        return name_colour(lexed, token, index, before, after)
    if token.type in KINDS:
        return KINDS[token.type]
    if token.type in EFFECTS:
        return Keyword.Pseudo
    if token.type in keywords().values():
        return Keyword
    return Punctuation if token.type in BRACKETS else Operator


def name_colour(lexed: Lexed, token: Token, index: int, before: str, after: str) -> Any:
    """The colour of a name, from what stands around it."""
    opener = lexed.inside[index]
    if lexed.brace_kinds.get(opener) == "chat" and before in ("NEWLINE", "LBRACE"):
        return Name.Label  # a role
    if before in DECLARING:
        return Name.Function if before in ("FN", "PROGRAM") else Name.Variable
    if after == "EQUAL" and opener >= 0 and lexed.tokens[opener] == "(":
        return Name.Attribute  # an argument's name
    if before in ("ARROW", "COLON") and token in ("str", "int", "float", "bool", "prob", "logp", "list", "dict", "dist"):
        return Keyword.Type
    return Name.Function if after == "LPAR" else Name


def between(text: str) -> Any:
    """What stands between tokens: blanks, or what the language does not know."""
    return Text.Whitespace if text.isspace() else Error
