"""`scale fmt`: one layout for every program.

The tree is printed anew within 100 columns. Literals and parentheses stay as they were written, comments stay at their
statement or item, single blank lines stay. A list, dict or call whose last item has a comma behind it and a line of its
own stays broken over lines. The result is returned only if it parses to the same tree and has the same comments.
(Longer than other files because it prints every form of the language.)
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import TypeVar

from grammar import syntax as s
from grammar.diagnostics import ScaleError
from grammar.layout import HARD, LINE, SOFT, Doc, Group, IfBroken, Nest, Suffix, layout, must_break
from grammar.lexer import tokenize
from grammar.parser import Parsed, read
from grammar.tokens import Token
from grammar.vocabulary import CLOSERS

WIDTH = 100

Item = TypeVar("Item", bound=s.Node)
Show = Callable[[Item], Doc]

CHAINS = [("+", "-"), ("*", "/", "//", "%"), ("and",), ("or",)]
"""Operators of one strength, that break together."""

OPERATOR_LIKE = (
    s.Unary, s.Binary, s.Compare, s.Logical, s.IsType, s.Conditional, s.Lambda, s.Sample,
    s.TypeUnion, s.TypeFunction, s.TypeOptional,
)  # fmt: skip
"""What keeps its parentheses. Around anything else they say nothing."""


class FormatRefused(Exception):
    """The new layout would not mean the same. It is a fault of the formatter; the file is left as it is."""


def format_source(text: str, path: str = "<text>") -> str:
    """The program in its one layout, ending with a newline. Raises `ScaleError` if it does not parse."""
    parsed = read(text, path)
    if parsed.errors:
        raise ScaleError(parsed.errors)
    result = layout(_Printer(parsed).module(), WIDTH) + "\n"
    again = read(result, path)
    same_comments = sorted(again.comments) == sorted(parsed.comments)
    if again.errors or not s.same_tree(parsed.module, again.module) or not same_comments:
        raise FormatRefused(f"{path}: a new layout would change the meaning of this file; it is left as it is")
    return result.lstrip("\n")


class _Printer:
    def __init__(self, parsed: Parsed) -> None:
        self.module_node, self.source, self.text = parsed.module, parsed.source, parsed.source.text
        self.grouped = {(span.start, span.end) for span in parsed.grouped}
        self.comments = list(reversed(parsed.comments))  # those not printed yet, the next one last
        self.tokens = [token for token in tokenize(parsed.source).tokens if token.start < token.end]
        self.starts = [token.start for token in self.tokens]
        self.partners = partners(self.tokens)

    # ------------------------------------------------------------------------------------------- the source

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

    # ----------------------------------------------------------------------------------------------- shapes

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

    # ----------------------------------------------------------------------------------------- declarations

    def module(self) -> Doc:
        items: list[s.Node] = list(self.module_node.declarations)
        if self.module_node.version is not None:
            span = self.source.span(self.tokens[0].start, self.tokens[1].end)
            items.insert(0, s.IntLiteral(span, self.module_node.version))
        large = (s.FunctionDecl, s.RecordDecl, s.TestDecl)
        return tuple(self.sequence(items, len(self.text) + 1, self.declaration, large))

    def declaration(self, node: s.Node) -> Doc:
        match node:
            case s.IntLiteral():
                return f"scale {node.value}"
            case s.Import():
                return ("import ", self.literal(node.path), f" as {node.alias.name}")
            case s.ModelDecl():
                args = self.brackets("(", node.backend.span.end, node.args, self.arg)
                return (f"{node.kind} {node.name.name} = {node.backend.name}", args)
            case s.ExternDecl():
                purity = "" if node.pure else "impure "
                return (f"{purity}extern fn {node.name.name}", self.signature(node.name.span.end, node))
            case s.TypeAliasDecl():
                return (f"type {node.name.name} = ", self.type(node.type))
            case s.RecordDecl():
                return (f"type {node.name.name} ", self.braces(node.name.span.end, node.fields, self.field, ","))
            case s.ConstDecl():
                return (f"const {node.name.name}", self.annotation(node.type), " = ", self.expr(node.value))
            case s.FunctionDecl():
                head = self.signature(node.name.span.end, node)
                return (f"{node.kind} {node.name.name}", head, " ", self.block(node.body))
            case s.InferDecl():
                program = f"{node.program.name} with " if node.program else ""
                first, *rest = [self.engine(engine) for engine in node.engines]
                return Group((f"infer {program}", first, Nest(tuple((LINE, "then ", engine) for engine in rest))))
            case s.LimitDecl():
                limits: list[Doc] = [(f"{limit.name.name} = ", self.expr(limit.value)) for limit in node.limits]
                return Group(("limit ", Nest(joined(limits, (",", LINE)))))
            case s.TestDecl():
                of = f" of {node.program.name}" if node.program else ""
                body = self.braces(node.title.span.end, node.items, self.test_item)
                return ("test ", self.literal(node.title), f"{of} ", body)
        raise TypeError(type(node).__name__)

    def field(self, node: s.Field) -> Doc:
        default = (" = ", self.expr(node.default)) if node.default else ""
        doc = (" ", self.literal(node.doc)) if node.doc else ""
        return (f"{node.name.name}: ", self.type(node.type), default, doc)

    def engine(self, node: s.Engine) -> Doc:
        return (node.name.name, self.brackets("(", node.name.span.end, node.args, self.arg))

    def test_item(self, node: s.TestItem) -> Doc:
        match node:
            case s.Given():
                return (f"given {node.name.name} = ", self.expr(node.value))
            case s.WithEngine():
                return ("with ", self.engine(node.engine))
            case s.Reply():
                return ("reply ", self.expr(node.pattern), " -> ", self.expr(node.text))
            case s.Expect():
                return ("expect ", self.expr(node.condition))

    def signature(self, after: int, node: s.ExternDecl | s.FunctionDecl | s.Lambda) -> Doc:
        params = self.brackets("(", after, node.params, self.param)
        return (params, " -> ", self.type(node.result)) if node.result else params

    def param(self, node: s.Param) -> Doc:
        default = (" = ", self.expr(node.default)) if node.default else ""
        return (f"{node.name.name}: ", self.type(node.type), default)

    def annotation(self, node: s.TypeExpr | None) -> Doc:
        return (": ", self.type(node)) if node else ""

    def type(self, node: s.TypeExpr) -> Doc:
        return self.parenthesised(node, self.bare_type(node))

    def bare_type(self, node: s.TypeExpr) -> Doc:
        match node:
            case s.TypeName():
                name = f"{node.module.name}.{node.name.name}" if node.module else node.name.name
                return (name, self.brackets("[", node.name.span.end, node.args, self.type)) if node.args else name
            case s.TypeLiteral():
                return self.literal(node)
            case s.TypeOptional():
                return (self.type(node.inner), "?")
            case s.TypeUnion():
                options = [self.type(option) for option in node.options]
                return Group((options[0], Nest(tuple((LINE, "| ", option) for option in options[1:]))))
            case s.TypeTuple():
                return self.brackets("(", self.extent(node)[0], node.items, self.type)
            case s.TypeFunction():
                params = self.brackets("(", self.extent(node)[0], node.params, self.type)
                return ("fn", params, " -> ", self.type(node.result))

    # ------------------------------------------------------------------------------------------- statements

    def block(self, node: s.Block) -> Doc:
        return self.braces(node.span.start, node.statements, self.statement)

    def statement(self, node: s.Statement) -> Doc:
        match node:
            case s.Let():
                return (f"let {names(node.targets)}", self.annotation(node.type), " = ", self.expr(node.value))
            case s.Assign():
                return (f"{node.target.name} {node.op or ''}= ", self.expr(node.value))
            case s.Score():
                return ("score ", self.expr(node.weight))
            case s.Observe():
                return Group(("observe ", self.expr(node.value), Nest((LINE, "from ", self.expr(node.distribution)))))
            case s.Require():
                reason = (LINE, "else ", self.literal(node.reason)) if node.reason else ""
                return Group(("require ", self.expr(node.condition), Nest(reason)))
            case s.Heuristic():
                return ("heuristic ", self.expr(node.value))
            case s.Record():
                return (f"record {node.name.name}", (" = ", self.expr(node.value)) if node.value else "")
            case s.Return():
                return ("return ", self.expr(node.value)) if node.value else "return"
            case s.If():
                return self.if_statement(node)
            case s.For():
                return (f"for {names(node.targets)} in ", self.expr(node.iterable), " ", self.block(node.body))
            case s.While():
                head = ("while ", self.expr(node.condition), " max ", self.expr(node.bound))
                return (head, " ", self.block(node.body))
            case s.CallStatement():
                return self.expr(node.call)
            case s.Checkpoint() | s.Break() | s.Continue() | s.Pass():
                return type(node).__name__.lower()

    def if_statement(self, node: s.If) -> Doc:
        docs: list[Doc] = []
        for branch in node.branches:
            docs += self.else_after_comments(branch.span.start) if docs else []
            docs += ["if ", self.expr(branch.condition), " ", self.block(branch.body)]
        if node.otherwise:
            docs += [*self.else_after_comments(node.otherwise.span.start), self.block(node.otherwise)]
        return tuple(docs)

    def else_after_comments(self, offset: int) -> list[Doc]:
        comments = self.take(offset)
        return [*(part for comment in comments for part in (HARD, comment)), HARD if comments else " ", "else "]

    # ------------------------------------------------------------------------------------------ expressions

    def expr(self, node: s.Expr) -> Doc:
        return self.parenthesised(node, self.bare_expr(node))

    def bare_expr(self, node: s.Expr) -> Doc:
        start = self.extent(node)[0]
        match node:
            case s.Name():
                return node.name
            case s.BoolLiteral():
                return "true" if node.value else "false"
            case s.NoneLiteral():
                return "none"
            case s.IntLiteral() | s.FloatLiteral() | s.Text() | s.Regex():
                return self.literal(node)
            case s.ListExpr():
                return self.brackets("[", start, node.items, self.expr)
            case s.TupleExpr():
                return self.brackets("(", start, node.items, self.expr)
            case s.DictExpr():
                return self.brackets("{", start, node.entries, self.entry)
            case s.Comprehension():
                return self.comprehension(node, self.text[start])
            case s.ChatExpr():
                return ("chat ", self.braces(start, node.turns, self.turn))
            case s.Unary():
                return (node.op + " " * (node.op == "not"), self.expr(node.operand))
            case s.Binary() | s.Logical() | s.Compare():
                return self.chain(node)
            case s.IsType():
                return (self.expr(node.value), " is ", self.type(node.type))
            case s.Conditional():
                head = (self.expr(node.then), " if ", self.expr(node.condition))
                return Group((head, Nest((LINE, "else ", self.expr(node.otherwise)))))
            case s.Lambda():
                return ("fn", self.signature(start, node), " => ", self.expr(node.body))
            case s.Call():
                return (self.expr(node.callee), self.brackets("(", node.callee.span.end, node.args, self.arg))
            case s.Member():
                return (self.expr(node.value), f".{node.name.name}")
            case s.Index():
                return (self.expr(node.value), "[", self.expr(node.index), "]")
            case s.Slice():
                bounds = [self.expr(bound) if bound else "" for bound in (node.start, node.stop)]
                return (self.expr(node.value), "[", bounds[0], ":", bounds[1], "]")
            case s.RecordUpdate():
                updates = self.braces(node.record.span.end, node.updates, self.update, ",")
                return (self.expr(node.record), " with ", updates)
            case s.Sample():
                proposal = (LINE, "using ", self.expr(node.proposal)) if node.proposal else ""
                return Group(("sample ", self.expr(node.distribution), Nest(proposal)))

    def chain(self, node: s.Binary | s.Logical | s.Compare) -> Doc:
        """Operands of operators of one strength; all breaks behind the operators are taken or none."""
        strength = next((each for each in CHAINS if node.op in each), ())
        links: list[tuple[str, s.Expr]] = []
        first: s.Expr = node
        while first is node or (
            isinstance(first, s.Binary | s.Logical)
            and first.op in strength
            and (first.span.start, first.span.end) not in self.grouped
        ):
            assert isinstance(first, s.Binary | s.Logical | s.Compare)
            links.insert(0, (first.op, first.right))
            first = first.left
        start = self.expr(first)
        return Group((start, Nest(tuple((f" {op}", LINE, self.expr(right)) for op, right in links))))

    def comprehension(self, node: s.Comprehension, opening: str) -> Doc:
        element = self.entry(node.element) if isinstance(node.element, s.Entry) else self.expr(node.element)
        loop: Doc = (LINE, f"for {names(node.targets)} in ", self.expr(node.iterable))
        condition: Doc = (LINE, "if ", self.expr(node.condition)) if node.condition else ""
        return Group((opening, Nest((SOFT, element, loop, condition)), SOFT, "]" if opening == "[" else "}"))

    def entry(self, node: s.Entry) -> Doc:
        return (self.expr(node.key), ": ", self.expr(node.value))

    def update(self, node: s.FieldUpdate) -> Doc:
        return (f"{node.name.name}: ", self.expr(node.value))

    def turn(self, node: s.Turn) -> Doc:
        return (f"{node.role.name} ", self.expr(node.value))

    def arg(self, node: s.Arg) -> Doc:
        return (f"{node.name.name}=" if node.name else "", self.expr(node.value))


def hugs(node: s.Node) -> bool:
    """Whether an argument keeps its own brackets next to the parenthesis when it takes several lines."""
    value = node.value if isinstance(node, s.Arg) and node.name is None else None
    return isinstance(value, s.DictExpr | s.ListExpr | s.Comprehension | s.ChatExpr | s.Text)


def names(targets: Sequence[s.Identifier]) -> str:
    return ", ".join(target.name for target in targets)


def joined(docs: Sequence[Doc], separator: Doc) -> tuple[Doc, ...]:
    return tuple(part for doc in docs for part in (separator, doc))[1:]


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
