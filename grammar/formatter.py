"""`scale fmt`: one layout for every program.

The tree is printed anew within 100 columns. Literals and parentheses stay as they were written, comments stay at their
statement or item, single blank lines stay. A list, dict or call whose last item has a comma behind it and a line of its
own stays broken over lines. The result is returned only if it parses to the same tree and has the same comments.
(Longer than other files because it prints every form of the language.)
"""

from __future__ import annotations

from collections.abc import Sequence

from grammar import syntax as s
from grammar.diagnostics import ScaleError
from grammar.layout import HARD, LINE, SOFT, Doc, Group, Nest, layout
from grammar.parser import read
from grammar.written import Written

WIDTH = 100


CHAINS = [("+", "-"), ("*", "/", "//", "%"), ("and",), ("or",)]
"""Operators of one strength, that break together."""


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


class _Printer(Written):
    """Every form of the language as a layout."""

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
                updates = self.listed(node.record.span.end, node.updates, self.update)
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


def names(targets: Sequence[s.Identifier]) -> str:
    return ", ".join(target.name for target in targets)


def joined(docs: Sequence[Doc], separator: Doc) -> tuple[Doc, ...]:
    return tuple(part for doc in docs for part in (separator, doc))[1:]


