"""What a file shows beside its tree, for `scale fmt`: comments, blank lines, brackets and parentheses as they were written;
and the layouts of sequences of items that keep them."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import TypeVar

from grammar import syntax as s
from grammar.layout import HARD, LINE, SOFT, Doc, Group, IfBroken, Nest, Suffix, must_break
from grammar.lexer import tokenize
from grammar.parser import Parsed
from grammar.tokens import Token
from grammar.vocabulary import CLOSERS

Item = TypeVar("Item", bound=s.Node)
Show = Callable[[Item], Doc]

OPERATOR_LIKE = (
    s.Unary, s.Binary, s.Compare, s.Logical, s.IsType, s.Conditional, s.Lambda, s.Sample,
    s.TypeUnion, s.TypeFunction, s.TypeOptional,
)  # fmt: skip
"""What keeps its parentheses. Around anything else they say nothing."""


class Written:
    """A parsed file, with the comments that are not printed yet."""

    def __init__(self, parsed: Parsed) -> None:
        self.module_node, self.source, self.text = parsed.module, parsed.source, parsed.source.text
        self.grouped = {(span.start, span.end) for span in parsed.grouped}
        self.comments = list(reversed(parsed.comments))  # those not printed yet, the next one last
        self.tokens = [token for token in tokenize(parsed.source).tokens if token.start < token.end]
        self.starts = [token.start for token in self.tokens]
        self.partners = partners(self.tokens)

    def line_of(self, offset: int) -> int:
        return self.source.span(offset, offset).line

    def take(self, before: int, on_line: int | None = None) -> list[str]:
        """The comments before an offset (on one line, if given) that are not printed yet."""
        taken = []
        while self.comments and self.comments[-1].start < before and on_line in (None, self.comments[-1].line):
            taken.append(str(self.comments.pop()))
        return taken

    def index_at(self, offset: int) -> int:
        """The index of the first token at or after an offset."""
        return bisect.bisect_left(self.starts, offset)

    def bracket(self, text: str, after: int) -> tuple[int, int]:
        """Where the first such bracket at or after an offset stands, and its partner."""
        index = self.index_at(after)
        while self.tokens[index] != text:
            index += 1
        return self.tokens[index].start, self.partners[self.tokens[index].start]

    def extent(self, node: s.Node) -> tuple[int, int]:
        """Where a node starts and ends without the parentheses around it."""
        start, end = node.span.start, node.span.end
        while (start, end) in self.grouped:
            start, end = self.starts[self.index_at(start + 1)], self.tokens[self.index_at(end - 1) - 1].end
        return start, end

    def sequence(self, items: Sequence[Item], end: int, show: Show[Item], large: tuple[type, ...] = ()) -> list[Doc]:
        """Items and comments up to `end`, each on lines of its own; blank lines as in the source, and around the
        kinds that are `large`."""
        docs: list[Doc] = []
        last_line = 0
        apart = False

        def put(doc: Doc, line: int) -> None:
            docs.extend(([HARD, HARD] if apart or line > last_line + 1 else [HARD]) if docs else [])
            docs.append(doc)

        def put_comments(before: int) -> None:
            nonlocal last_line, apart
            while self.comments and self.comments[-1].start < before:
                line = self.comments[-1].line
                put(self.take(before, line)[0], line)
                last_line, apart = line, False

        for item in items:
            apart = apart or isinstance(item, large)
            put_comments(item.span.start)
            shown = show(item)
            inside = [part for comment in self.take(item.span.end) for part in (comment, HARD)]
            put((*inside, shown), item.span.line)
            last_line, apart = self.line_of(item.span.end), isinstance(item, large)
            docs += [Suffix(comment) for comment in self.take(end, last_line)]
        put_comments(end)
        return docs

    def listed(self, after: int, items: Sequence[Item], show: Show[Item]) -> Doc:
        """The `{ a, b }` that follows an offset: on one line, or one item a line, commas between them either way."""
        _, closing = self.bracket("{", after)
        if self.comments and self.comments[-1].start < closing:
            return self.brackets("{", after, items, show)
        inside = [part for item in items for part in (show(item), ",", LINE)][:-2]
        return Group(("{", Nest((LINE, *inside)), LINE, "}"))

    def braces(self, after: int, items: Sequence[Item], show: Show[Item], between: str | None = None) -> Doc:
        """The `{ ... }` that follows an offset: one item a line. A single item (several, if there is something to
        put between them) stays on one line with the braces if it was there."""
        opening, closing = self.bracket("{", after)
        on_one_line = self.line_of(opening) == self.line_of(closing) and (len(items) < 2 or between is not None)
        if on_one_line:
            inside = [part for item in items for part in (show(item), IfBroken("", between or ""), LINE)][:-2]
            return Group(("{", Nest((LINE, *inside)), LINE, "}")) if items else "{}"
        first = items[0].span.start if items else closing
        suffixes = tuple(Suffix(comment) for comment in self.take(first, self.line_of(opening)))
        lines = self.sequence(items, closing, show)
        if not lines and not suffixes:
            return "{}"
        return ("{", suffixes, Nest((HARD, *lines)) if lines else "", HARD, "}")

    def brackets(self, text: str, after: int, items: Sequence[Item], show: Show[Item]) -> Doc:
        """The `(a, b)` that follows an offset: on one line, or one item a line with a comma behind each."""
        _, closing = self.bracket(text, after)
        docs: list[Doc] = []
        for number, item in enumerate(items, 1):
            before, shown = self.take(item.span.start), show(item)
            docs += [part for comment in before + self.take(item.span.end) for part in (comment, HARD)]
            docs += [shown, "," if number < len(items) else IfBroken(",", "")]
            following = items[number].span.start if number < len(items) else closing
            docs += [Suffix(comment) for comment in self.take(following, self.line_of(item.span.end))]
            docs += [LINE] if number < len(items) else []
        rest = self.take(closing)
        docs += [part for comment in rest for part in (HARD, comment)]
        if not docs:
            return text + self.text[closing]
        tail = self.text[items[-1].span.end : closing] if items else ""
        edge: Doc = HARD if rest or (tail.lstrip().startswith(",") and "\n" in tail) else SOFT
        usual = (text, Nest((edge if items else "", *docs)), edge, self.text[closing])
        commented = any(isinstance(doc, Suffix) or doc is HARD for doc in docs)
        if edge is SOFT and not commented and hugs(items[0]) and (must_break(docs[0]) or len(items) == 1):
            spaced = tuple(" " if doc is LINE else doc for doc in docs[:-1])
            return Group(IfBroken((text, *spaced, self.text[closing]), usual))
        return Group(usual)


    def literal(self, node: s.Node) -> Doc:
        """A literal as it was written; the lines of a text block move with the statement."""
        start, end = self.extent(node)
        first, *rest = self.text[start:end].replace("\r\n", "\n").split("\n")
        width = min((len(line) - len(line.lstrip(" \t")) for line in rest if line.strip(" \t")), default=0)
        return (first, Nest(tuple(part for line in rest for part in (HARD, line[width:])))) if rest else first

    def parenthesised(self, node: s.Node, doc: Doc) -> Doc:
        if isinstance(node, OPERATOR_LIKE) and (node.span.start, node.span.end) in self.grouped:
            return Group(("(", Nest((SOFT, doc)), SOFT, ")"))
        return doc


def partners(tokens: Sequence[Token]) -> dict[int, int]:
    """Where the bracket that starts at an offset is closed."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for token in tokens:
        if token.type in CLOSERS:
            opened.append(token.start)
        elif token.type in CLOSERS.values():
            found[opened.pop()] = token.start
    return found


def hugs(node: s.Node) -> bool:
    """Whether an argument keeps its own brackets next to the parenthesis when it takes several lines."""
    value = node.value if isinstance(node, s.Arg) and node.name is None else None
    return isinstance(value, s.DictExpr | s.ListExpr | s.Comprehension | s.ChatExpr | s.Text)
