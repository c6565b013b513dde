"""Text -> tokens: where statements end, what is inside a string, which words are keywords here, and balanced brackets.

The lexer never fails. What is not of the language is reported, and stands in the token stream as what was meant
(`&&` as `and`, `'x'` as `"x"`), so that one mistake gives one message and the rest of the file is still read. Brackets
reach the parser balanced: a missing one is reported at its partner and supplied (an index in `Lexed.supplied`), a
superfluous one is reported and left out. All of it takes time linear in the length of the text.
(Longer than other files because a token's meaning depends on all that came before it on its line.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from grammar.diagnostics import MAX_DIAGNOSTICS, Diagnostic, Note, Source, diagnostic
from grammar.tokens import Token, keywords, scanner
from grammar.vocabulary import (
    AFTER,
    CLOSERS,
    CONSTANTS,
    DECLARATIONS,
    ELSE_IF,
    ENDS_OPERAND,
    FUNCTION,
    GOES_ON,
    ODD_CHARACTERS,
    OPERATOR_TYPES,
    OPERATORS,
    SPELLED,
    TEST_WORDS,
)

MAX_BRACKETS = 100
"""The deepest nesting of brackets, blocks and strings."""

CONTINUATION = re.compile(r"[}|]|&&|(?:else|elif|using|from|then|or|and)\b")
STATEMENT = re.compile(
    r"(?:let|score|observe|require|heuristic|checkpoint|record|return|while|break|continue|pass)\b"
)
OPENS_BLOCK = re.compile(rf"(?:[ \t\r]*(?:#[^\n]*)?\n)++[ \t]*+(?:{STATEMENT.pattern}|(?:if|for)\b|\w+[ \t]*[-+*/]?=(?!=))")
"""The lines after a brace that opens a block, whatever stands before it."""
DECLARATION = re.compile(
    r"(?:scale|import|model|reward|(?:im)?pure|extern|type|const|fn|program|infer|limit|test)[ \t]+"
    r"(?!(?:if|else|for|in|is|and|or|not|with|from|using|then)\b)[\w\"]"
)

CALLED = re.compile(r"[ \t]+\w+[ \t]*\(")
WORD = re.compile(r"\w+")
INLINE_CHARS = re.compile(r'(?:[^"\\$\n]|\\[^\n]|\\|\$(?!\{))++')
BLOCK_CHARS = re.compile(r'(?:[^"\\$]|\\.|\\|\$(?!\{)|"(?!""))++', re.DOTALL)


@dataclass
class Lexed:
    """The tokens of a file. `depths[i]` is the number of brackets open before token i, `inside[i]` the index of the
    innermost of them (-1: none);
    `brace_kinds` says of each LBRACE, by its index, what it opens: block, type, test, chat, update or dict."""

    tokens: list[Token] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    brace_kinds: dict[int, str] = field(default_factory=dict)
    comments: list[Token] = field(default_factory=list)
    supplied: set[int] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def tokenize(source: Source, *, expression: bool = False) -> Lexed:
    """The tokens of a file, or of one expression."""
    lexer = _Lexer(source)
    lexer.previous = "EXPRESSION" if expression else ""
    lexer.run()
    return lexer.lexed


class _Lexer:
    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.lexed = Lexed()
        self.position, self.line, self.line_start = 0, 1, 0
        self.open: list[int] = []  # the indices of the open brackets' tokens
        self.heads: list[str] = []  # what `head` was at each of them
        self.previous = ""  # the type of the last token
        self.head = ""  # the type of the token that the current statement starts with
        self.pending: tuple[int, int, int] | None = None  # offset, line, column of a newline not yet judged
        prefix = "on_"
        self.handlers = {name[len(prefix) :].upper(): getattr(self, name) for name in dir(self) if name.startswith(prefix)}
        self.suspects: list[int] = []  # braces whose closing one is indented otherwise

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self) -> None:
        lone = re.search(r"\r(?!\n)", self.text)
        if lone:
            self.report("E009", lone.start(), lone.end(), what="a carriage return without a line feed",
                        mend="end lines with \\n or \\r\\n")  # fmt: skip
        scan = scanner().match
        while self.position < len(self.text):
            if self.open and self.opener() == "QUOTE":
                self.lex_text()
                continue
            match = scan(self.text, self.position)
            assert match  # OTHER takes any character
            self.position, kind = match.end(), match.lastgroup
            if kind:  # otherwise these were the last blanks
                self.code(kind, match[kind], match.start(kind))
        self.finish()

    def code(self, kind: str, value: str, start: int) -> None:
        if kind == "NEWLINE":
            self.newline(start)
        elif kind == "COMMENT":
            self.lexed.comments.append(self.token(kind, value.rstrip(), start, self.position))
        else:
            if self.pending:
                self.judge_newline(start)
            handler = self.handlers.get(kind)
            if handler:
                handler(value, start)
            else:
                self.emit(kind, start, value)

    def finish(self) -> None:
        if self.open:
            self.close_all(len(self.text), Note("the file ends before it is closed"))
        if self.lexed.tokens and self.previous != "NEWLINE":
            self.append(self.token("NEWLINE", "", self.lexed.tokens[-1].end, self.lexed.tokens[-1].end))

    # ------------------------------------------------------------------------------------------------ emitting

    def token(self, kind: str, text: str, start: int, end: int) -> Token:
        return Token(text, kind, start, end, self.line, start - self.line_start + 1)

    def emit(self, kind: str, start: int, text: str) -> None:
        """Add the token that ends at the current position; `text` is what it stands for."""
        if self.at_start():
            self.head = kind
        self.append(self.token(kind, text, start, self.position))
        if "\n" in text:
            self.line += self.text.count("\n", start, self.position)
            self.line_start = self.text.rindex("\n", start, self.position) + 1

    def append(self, token: Token) -> None:
        self.lexed.tokens.append(token)
        self.lexed.inside.append(self.open[-1] if self.open else -1)
        self.lexed.depths.append(len(self.open))
        self.previous = token.type

    def supply_closer(self, at: int) -> None:
        """Close the innermost bracket with a token that does not stand in the text."""
        self.lexed.supplied.add(len(self.lexed.tokens))
        self.append(self.token(CLOSERS[self.opener()], "", at, at))
        self.pop()

    def report(self, code: str, start: int, end: int, *, notes: tuple[Note, ...] = (), **words: Any) -> None:
        if len(self.lexed.diagnostics) < MAX_DIAGNOSTICS:
            span = self.source.span(start, end)
            self.lexed.diagnostics.append(diagnostic(code, self.source, span, notes=notes, **words))

    def opener(self) -> str:
        return self.lexed.tokens[self.open[-1]].type if self.open else ""

    def at_start(self) -> bool:
        """Whether the next token starts a statement, a declaration or a line of a block."""
        previous = self.previous
        return previous == "NEWLINE" or not previous or (previous == "LBRACE" and not self.free())

    def free(self) -> bool:
        """Whether newlines mean nothing here: inside ( ), [ ], a hole, a dict or an update."""
        if not self.open:
            return False
        return self.opener() != "LBRACE" or self.lexed.brace_kinds[self.open[-1]] in ("dict", "update")

    # ------------------------------------------------------------------------------------------------ newlines

    def newline(self, start: int) -> None:
        if any(self.lexed.tokens[index] == '"' for index in self.open):
            self.unclosed_text(self.text_depth(), start)
        if self.pending is None and self.lexed.tokens and self.previous != "NEWLINE":
            end = self.lexed.tokens[-1].end
            self.pending = (end, self.line, end - self.line_start + 1)
        self.line, self.line_start = self.line + 1, start + 1

    def judge_newline(self, start: int) -> None:
        """Now that the next line begins: does the newline before it end the statement?"""
        assert self.pending
        (end, line, column), self.pending = self.pending, None
        new_declaration = start == self.line_start and DECLARATION.match(self.text, start)
        new_statement = STATEMENT.match(self.text, start) or (new_declaration and not self.open)
        if self.open and not any(self.lexed.tokens[i].type == "QUOTE" for i in self.open):
            if new_declaration:
                self.close_all(end, Note("a new declaration starts before it is closed", self.source.span(start, start + 1)))
            elif new_statement and self.free():
                self.close_until_block(end, start)
        goes_on = self.free() or CONTINUATION.match(self.text, start)
        if not goes_on and not self.at_start() and (new_statement or self.previous not in GOES_ON):
            self.append(Token("", "NEWLINE", end, end, line, column))

    # ------------------------------------------------------------------------------------------------ brackets

    def push(self, kind: str, start: int, text: str) -> None:
        self.emit(kind, start, text)
        self.open.append(len(self.lexed.tokens) - 1)
        self.heads.append(self.head)
        if len(self.open) > MAX_BRACKETS:
            self.report("E007", start, self.position)
            while self.open:
                self.supply_closer(self.position)
            self.position = len(self.text)

    def on_lpar(self, value: str, start: int) -> None:
        self.push("LPAR", start, value)

    def on_lsqb(self, value: str, start: int) -> None:
        self.push("LSQB", start, value)

    def on_quote(self, value: str, start: int) -> None:
        self.push("QUOTE", start, value)

    def on_lbrace(self, value: str, start: int) -> None:
        self.lexed.brace_kinds[len(self.lexed.tokens)] = self.brace_kind()
        self.push("LBRACE", start, value)

    def brace_kind(self) -> str:
        previous = self.previous
        before = self.lexed.tokens[-2].type if len(self.lexed.tokens) > 1 else ""
        if previous == "CHAT" and before not in ("ARROW", "IS", "BAR"):
            return "chat"
        if previous == "WITH":
            return "update"
        if not self.open and self.head in ("TEST", "TYPE"):
            return self.head.lower()
        if (not self.open and self.head in ("FN", "PROGRAM")) or OPENS_BLOCK.match(self.text, self.position):
            return "block"
        return "block" if previous in ENDS_OPERAND or previous in ("ELSE", "CHAT", "NEWLINE", "") else "dict"

    def pop(self) -> None:
        self.open.pop()
        self.head = self.heads.pop()

    def on_rpar(self, value: str, start: int) -> None:
        self.close("RPAR", start)

    def on_rsqb(self, value: str, start: int) -> None:
        self.close("RSQB", start)

    def on_rbrace(self, value: str, start: int) -> None:
        self.close("RBRACE", start)

    def close(self, closer: str, start: int) -> None:
        depth = self.partner(closer)
        if depth is None:
            mend = "remove it, or check the brackets before it"
            if self.open:
                opener = self.lexed.tokens[self.open[-1]]
                mend = f"'{opener}' of line {opener.line} is open here: write '{SPELLED[CLOSERS[opener.type]]}' or remove it"
            self.report("E023", start, self.position, found=f"'{SPELLED[closer]}'", mend=mend)
            return
        if depth < len(self.open) - 1:
            self.unclosed(self.open[-1], Note(f"'{SPELLED[closer]}' comes first", self.source.span(start, start + 1)))
            while depth < len(self.open) - 1:
                self.supply_closer(start)
        self.suspect(start)
        self.emit(CLOSERS[self.opener()], start, SPELLED[closer])
        self.pop()
        if not self.open:
            self.suspects.clear()

    def partner(self, closer: str) -> int | None:
        """The depth of the bracket that `closer` closes; ) and ] do not reach out of a block, nothing out of a text."""
        for depth in reversed(range(len(self.open))):
            opener = self.lexed.tokens[self.open[depth]].type
            if SPELLED.get(CLOSERS[opener]) == SPELLED[closer]:
                return depth
            if opener in ("QUOTE", "HOLE", "LBRACE"):
                return None
        return None

    def suspect(self, start: int) -> None:
        """Remember a brace whose '}' starts a line but is indented otherwise: probably another one is missing."""
        opener = self.open[-1]
        at = self.lexed.tokens[opener].start
        if not self.text[self.line_start : start].strip() and self.indentation(at) != start - self.line_start:
            self.suspects.append(opener)

    def indentation(self, offset: int) -> int:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return len(self.text[line_start:offset]) - len(self.text[line_start:offset].lstrip(" \t"))

    def unclosed(self, opener: int, note: Note) -> None:
        token = self.lexed.tokens[opener]
        self.report("E004", token.start, token.end, notes=(note,), bracket=f"'{token}'",
                    closing=f"'{SPELLED[CLOSERS[token.type]]}'")  # fmt: skip

    def close_until_block(self, end: int, start: int) -> None:
        """A statement starts inside ( ), [ ] or a dict: the bracket was not closed."""
        self.unclosed(self.open[-1], Note("a new statement starts before it is closed", self.source.span(start, start + 1)))
        while self.free():
            self.supply_closer(end)

    def close_all(self, end: int, note: Note) -> None:
        texts = [depth for depth, i in enumerate(self.open) if self.lexed.tokens[i].type == "QUOTE"]
        if texts:
            self.unclosed_text(texts[0], end)
        if self.open:
            if not texts:
                self.unclosed(self.suspects[0] if self.suspects else self.open[-1], note)
            while self.open:
                self.supply_closer(end)

    # ---------------------------------------------------------------------------------------------------- text

    def lex_text(self) -> None:
        quote = self.lexed.tokens[self.open[-1]]
        chars = (BLOCK_CHARS if quote == '"""' else INLINE_CHARS).match(self.text, self.position)
        start = self.position
        if chars:
            self.position = chars.end()
            self.emit("CHARS", start, chars.group())
        elif self.text.startswith("${", start):
            self.position += 2
            self.push("HOLE", start, "${")
        elif self.text.startswith(quote, start):
            self.position += len(quote)
            self.emit("QUOTE_END", start, str(quote))
            self.pop()
        else:
            self.unclosed_text(self.text_depth(), start)

    def text_depth(self) -> int:
        """Where the outermost open string of one line stands among the open brackets, or else the innermost text."""
        depths = [depth for depth, index in enumerate(self.open) if self.lexed.tokens[index] == '"']
        return depths[0] if depths else len(self.open) - 1

    def unclosed_text(self, depth: int, end: int) -> None:
        """Report the string at `depth` of the open brackets, or its hole. It is read as an empty one."""
        quote = self.lexed.tokens[self.open[depth]]
        if depth + 1 < len(self.open):
            hole = self.lexed.tokens[self.open[depth + 1]]
            self.report("E006", hole.start, hole.start + 2)
        else:
            mend = "close it with '\"' on the same line" if quote == '"' else "close it with '\"\"\"'"
            self.report("E005", quote.start, quote.end, mend=mend)
        kept = self.open[depth] + 1
        self.lexed.supplied.difference_update(range(kept, len(self.lexed.tokens)))
        del self.lexed.tokens[kept:], self.lexed.inside[kept:], self.lexed.depths[kept:]
        del self.open[depth + 1 :], self.heads[depth + 1 :]
        self.supply_closer(end)

    # --------------------------------------------------------------------------------------------------- words

    def on_name(self, value: str, start: int) -> None:
        if self.text[self.position : self.position + 1] > "\x7f":
            word = WORD.match(self.text, start)
            if word and word.end() > self.position:
                self.position = word.end()
                return self.on_foreign_word(word.group(), start)
        previous = self.previous
        if previous == "DOT":
            self.emit("NAME", start, value)
        elif value in ELSE_IF and (self.at_start() or previous == "RBRACE"):
            self.report("E015", start, self.position, word=value)
            self.emit("ELSE", start, "else")
            self.emit("IF", start, "if")
        elif value in FUNCTION and self.at_start() and CALLED.match(self.text, self.position):
            self.report("E013", start, self.position)
            self.emit("FN", start, "fn")
        elif value in CONSTANTS:
            self.report("E041", start, self.position, word=value, mend=f"write `{CONSTANTS[value]}`")
            self.emit(keywords()[CONSTANTS[value]], start, CONSTANTS[value])
        else:
            self.emit(self.word(value), start, value)

    def word(self, value: str) -> str:
        """The terminal of a word: its keyword where it is one, else NAME."""
        if value in DECLARATIONS:
            is_keyword = not self.open and (self.at_start() or (value == "extern" and self.previous in ("PURE", "IMPURE")))
        elif value in TEST_WORDS:
            is_keyword = self.at_start() and bool(self.open) and self.lexed.brace_kinds.get(self.open[-1]) == "test"
        elif value in AFTER:
            is_keyword = self.head == AFTER[value] and self.previous in ENDS_OPERAND
        else:
            is_keyword = True
        return keywords().get(value, "NAME") if is_keyword else "NAME"

    def on_number(self, value: str, start: int) -> None:
        rest = WORD.match(self.text, self.position)
        if rest:
            self.position = rest.end()
            word = self.text[start : self.position]
            self.report("E008", start, self.position, what=f"'{word}' is not a number",
                        mend="numbers are written 42, 20_000, 0.5 or 1e-6; names start with a letter or '_'")  # fmt: skip
            self.emit("NUMBER", start, value)
        else:
            self.emit("NUMBER", start, value)

    # ------------------------------------------------------------------------------- what is not of the language

    def on_times(self, value: str, start: int) -> None:
        if self.at_start() and (value == "//" or self.text.startswith("/*", start)):
            end = self.text.find("*/", start) + 2 if value == "/" else self.text.find("\n", start)
            self.report("E050", start, start + 2)
            self.position = end if end > start else len(self.text)
            self.line += self.text.count("\n", start, self.position)
            self.line_start = self.text.rfind("\n", 0, self.position) + 1
        else:
            self.emit("TIMES", start, value)

    def on_foreign_operator(self, value: str, start: int) -> None:
        meant = OPERATORS[value]
        if value == "~":
            self.report("E012", start, self.position)
        else:
            self.report("E019", start, self.position, found=value, mend=meant)
        self.emit(OPERATOR_TYPES[meant], start, meant)

    def on_foreign_string(self, value: str, start: int) -> None:
        content = value.strip("'")
        fits = len(content) < 30 and not set(content) & set('"\n\\')
        self.report("E003", start, self.position, mend=f'"{content}"' if fits else '"..." instead of \'...\'')
        self.emit("RAW", start, f'r"{content}"')

    def on_foreign_word(self, value: str, start: int) -> None:
        self.report("E009", start, self.position, what=f"'{value}' is not a name",
                    mend="names use the letters a-z and A-Z, digits and '_'")  # fmt: skip
        self.emit("NAME", start, value)

    def on_other(self, value: str, start: int) -> None:
        if value == ";":
            self.report("E002", start, self.position)
            if not self.free() and self.previous not in ("", "NEWLINE"):
                self.newline_here(start)
        elif value == "@" and self.at_start():
            self.report("E046", start, self.position)
            end = self.text.find("\n", start)
            self.position = end if end >= 0 else len(self.text)
        elif value in "'\u2018\u2019\u201c\u201d\u00ab\u00bb":
            self.report("E003", start, self.position, mend='"..."')
        else:
            shown = f"'{value}'" if value.isprintable() else f"character U+{ord(value):04X}"
            mend = ODD_CHARACTERS.get(value, "remove it")
            self.report("E009", start, self.position, what=f"{shown} has no meaning here", mend=mend)

    def newline_here(self, start: int) -> None:
        self.pending = (start, self.line, start - self.line_start + 1)
