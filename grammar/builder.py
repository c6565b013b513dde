"""Parsed rules -> syntax nodes. Each method is one rule (or alias) of `scale.lark` and gets all its tokens in order.

A statement that could not be read is `None` (the rule `error`) and is left out. What the grammar accepts for the sake
of a better message, and what only the text shows (escapes, indentation, sizes of numbers), is checked here.
(Longer than other files because it builds every form of the language.)
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, TypeVar

from grammar import syntax as s
from grammar.diagnostics import MAX_DIAGNOSTICS, Diagnostic, Source, diagnostic
from grammar.syntax import Identifier, Node, Span
from grammar.text import Piece, raw_content, unescape, unindent
from grammar.tokens import Token

NodeType = TypeVar("NodeType", bound=Node)

MAX_INT_BITS = 4096
ROLES = ("system", "user", "assistant", "tool", "prefill")
VERSION = 1


class Builder:
    """Builds the nodes of one file; `diagnostics` collects what is wrong with them, `grouped` the spans of
    expressions that stand in parentheses of their own."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.grouped: set[Span] = set()

    def report(self, code: str, span: Span, **words: Any) -> None:
        if len(self.diagnostics) < MAX_DIAGNOSTICS:
            self.diagnostics.append(diagnostic(code, self.source, span, **words))

    # ----------------------------------------------------------------------------------------------- the file

    def module(self, *parts: Any) -> s.Module:
        items = [part for part in parts if part is not None and not isinstance(part, Token)]
        versions = [item for item in items if isinstance(item, s.IntLiteral)]
        for version in versions:
            if version is not items[0]:
                self.report("E042", version.span, what="the version line is not the first one")
        declarations = tuple(item for item in items if not isinstance(item, s.IntLiteral))
        span = Span(0, len(self.source.text), 1, 1)
        return s.Module(span, versions[0].value if versions else None, declarations)

    def expression(self, value: s.Expr, newline: Token) -> s.Expr:
        return value

    def error(self, token: Token) -> None:
        return None

    def version(self, keyword: Token, number: Token) -> s.IntLiteral:
        span = over(keyword, number)
        if number != str(VERSION):
            self.report("E042", span, what=f"version {number} of the language is not known here")
        return s.IntLiteral(span, VERSION)

    def import_decl(self, keyword: Token, path: s.Text, as_: Token, alias: Token) -> s.Import:
        return s.Import(over(keyword, alias), self.fixed(path, "path"), identifier(alias))

    def model_decl(self, keyword: Token, name: Token, equal: Token, backend: Token, args: Any) -> s.ModelDecl:
        kind: Any = str(keyword)
        return s.ModelDecl(over(keyword, args[-1]), kind, identifier(name), identifier(backend), self.arguments(args))

    def extern_decl(
        self, purity: Token | None, extern: Token, fn: Token, name: Token, params: Any, arrow: Token, result: s.TypeExpr
    ) -> s.ExternDecl:
        span = over(purity or extern, result)
        return s.ExternDecl(span, identifier(name), nodes(params, s.Param), result, purity != "impure")

    def type_alias(self, keyword: Token, name: Token, equal: Token, type_: s.TypeExpr) -> s.TypeAliasDecl:
        return s.TypeAliasDecl(over(keyword, type_), identifier(name), type_)

    def record_decl(self, keyword: Token, name: Token, *parts: Any) -> s.RecordDecl:
        return s.RecordDecl(over(keyword, parts[-1]), identifier(name), nodes(parts, s.Field))

    def field(
        self, name: Token, colon: Token, type_: s.TypeExpr, equal: Token | None, default: s.Expr | None, doc: s.Text | None
    ) -> s.Field:
        span = over(name, doc or default or type_)
        return s.Field(span, identifier(name), type_, default, self.fixed(doc, "description") if doc else None)

    def const_decl(
        self, keyword: Token, name: Token, colon: Token | None, type_: s.TypeExpr | None, equal: Token, value: s.Expr
    ) -> s.ConstDecl:
        return s.ConstDecl(over(keyword, value), identifier(name), type_, value)

    def function_decl(
        self, keyword: Token, name: Token, params: Any, arrow: Token | None, result: s.TypeExpr | None, body: s.Block
    ) -> s.FunctionDecl:
        kind: Any = str(keyword)
        return s.FunctionDecl(over(keyword, body), kind, identifier(name), nodes(params, s.Param), result, body)

    def infer_decl(self, keyword: Token, program: Token | None, with_: Token | None, *engines: Any) -> s.InferDecl:
        name = identifier(program) if program else None
        return s.InferDecl(over(keyword, engines[-1]), name, nodes(engines, s.Engine))

    def engine(self, name: Token, args: Any) -> s.Engine:
        return s.Engine(over(name, args[-1]), identifier(name), self.arguments(args))

    def limit_decl(self, keyword: Token, *limits: Any) -> s.LimitDecl:
        return s.LimitDecl(over(keyword, limits[-1]), nodes(limits, s.Limit))

    def limit(self, name: Token, equal: Token, value: s.Expr) -> s.Limit:
        return s.Limit(over(name, value), identifier(name), value)

    def test_decl(self, keyword: Token, title: s.Text, of: Token | None, program: Token | None, *parts: Any) -> s.TestDecl:
        name = identifier(program) if program else None
        items: Any = nodes(parts, Node)
        return s.TestDecl(over(keyword, parts[-1]), self.fixed(title, "title"), name, items)

    def given(self, keyword: Token, name: Token, equal: Token, value: s.Expr) -> s.Given:
        return s.Given(over(keyword, value), identifier(name), value)

    def with_engine(self, keyword: Token, engine: s.Engine) -> s.WithEngine:
        return s.WithEngine(over(keyword, engine), engine)

    def reply(self, keyword: Token, pattern: s.Expr, arrow: Token, text: s.Expr) -> s.Reply:
        return s.Reply(over(keyword, text), pattern, text)

    def expect(self, keyword: Token, condition: s.Expr) -> s.Expect:
        return s.Expect(over(keyword, condition), condition)

    def params(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def param(self, name: Token, colon: Token, type_: s.TypeExpr, equal: Token | None, default: s.Expr | None) -> s.Param:
        return s.Param(over(name, default or type_), identifier(name), type_, default)

    # ------------------------------------------------------------------------------------------------- types

    def type_function(self, fn: Token, *parts: Any) -> s.TypeFunction:
        *params, result = nodes(parts, Node)
        return s.TypeFunction(over(fn, result), tuple(params), result)  # type: ignore[arg-type]

    def type_union(self, *parts: Any) -> s.TypeUnion:
        return s.TypeUnion(over(parts[0], parts[-1]), nodes(parts, Node))  # type: ignore[arg-type]

    def type_optional(self, inner: s.TypeExpr, mark: Token) -> s.TypeOptional:
        return s.TypeOptional(over(inner, mark), inner)

    def type_name(self, module: Token | None, dot: Token | None, name: Token, args: Any) -> s.TypeName:
        prefix = identifier(module) if module else None
        span = over(module or name, args[-1] if args else name)
        return s.TypeName(span, prefix, identifier(name), nodes(args or (), Node))  # type: ignore[arg-type]

    def type_args(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def type_keyword(self, word: Token) -> s.TypeName:
        return s.TypeName(over(word, word), None, identifier(word), ())

    def type_literal(self, text: s.Text) -> s.TypeLiteral:
        return s.TypeLiteral(text.span, self.fixed(text, "literal type").literal or "")

    def type_tuple(self, *parts: Any) -> s.TypeTuple:
        return s.TypeTuple(over(parts[0], parts[-1]), nodes(parts, Node))  # type: ignore[arg-type]

    # -------------------------------------------------------------------------------------------- statements

    def block(self, *parts: Any) -> s.Block:
        return s.Block(over(parts[0], parts[-1]), nodes(parts, Node))  # type: ignore[arg-type]

    def let(
        self, keyword: Token, targets: Any, colon: Token | None, type_: s.TypeExpr | None, equal: Token, value: s.Expr
    ) -> s.Let:
        return s.Let(over(keyword, value), targets, type_, value)

    def targets(self, *names: Token) -> tuple[Identifier, ...]:
        return tuple(identifier(name) for name in names if name.type == "NAME")

    def assign(self, name: Token, operator: Token, value: s.Expr) -> s.Assign:
        op: Any = operator[0] if operator.type == "AUGMENT" else None
        return s.Assign(over(name, value), identifier(name), op, value)

    def score(self, keyword: Token, weight: s.Expr) -> s.Score:
        return s.Score(over(keyword, weight), weight)

    def observe(self, keyword: Token, value: s.Expr, from_: Token, distribution: s.Expr) -> s.Observe:
        return s.Observe(over(keyword, distribution), value, distribution)

    def require(self, keyword: Token, condition: s.Expr, else_: Token | None, reason: s.Text | None) -> s.Require:
        return s.Require(over(keyword, reason or condition), condition, reason)

    def heuristic(self, keyword: Token, value: s.Expr) -> s.Heuristic:
        return s.Heuristic(over(keyword, value), value)

    def checkpoint(self, keyword: Token) -> s.Checkpoint:
        return s.Checkpoint(over(keyword, keyword))

    def record(self, keyword: Token, name: Token, equal: Token | None, value: s.Expr | None) -> s.Record:
        return s.Record(over(keyword, value or name), identifier(name), value)

    def return_(self, keyword: Token, value: s.Expr | None) -> s.Return:
        return s.Return(over(keyword, value or keyword), value)

    def if_(self, *parts: Any) -> s.If:
        branches = nodes(parts, s.Branch)
        otherwise = parts[-1] if isinstance(parts[-1], s.Block) else None
        return s.If(over(branches[0], otherwise or branches[-1]), branches, otherwise)

    def branch(self, if_: Token, condition: s.Expr, body: s.Block) -> s.Branch:
        return s.Branch(over(if_, body), condition, body)

    def for_(self, keyword: Token, targets: Any, in_: Token, iterable: s.Expr, body: s.Block) -> s.For:
        return s.For(over(keyword, body), targets, iterable, body)

    def while_(self, keyword: Token, condition: s.Expr, max_: Token, bound: s.Expr, body: s.Block) -> s.While:
        return s.While(over(keyword, body), condition, bound, body)

    def break_(self, keyword: Token) -> s.Break:
        return s.Break(over(keyword, keyword))

    def continue_(self, keyword: Token) -> s.Continue:
        return s.Continue(over(keyword, keyword))

    def pass_(self, keyword: Token) -> s.Pass:
        return s.Pass(over(keyword, keyword))

    def call_statement(self, call: s.Call) -> s.CallStatement:
        return s.CallStatement(call.span, call)

    # ------------------------------------------------------------------------------------------- expressions

    def sample(self, keyword: Token, distribution: s.Expr, using: Token | None, proposal: s.Expr | None) -> s.Sample:
        return s.Sample(over(keyword, proposal or distribution), distribution, proposal)

    def conditional(self, then: s.Expr, if_: Token, condition: s.Expr, else_: Token, otherwise: s.Expr) -> s.Conditional:
        return s.Conditional(over(then, otherwise), condition, then, otherwise)

    def lambda_(
        self, fn: Token, params: Any, arrow: Token | None, result: s.TypeExpr | None, fat_arrow: Token, body: s.Expr
    ) -> s.Lambda:
        return s.Lambda(over(fn, body), nodes(params, s.Param), result, body)

    def logical(self, left: s.Expr, operator: Token, right: s.Expr) -> s.Logical:
        op: Any = str(operator)
        return s.Logical(over(left, right), op, left, right)

    def compare(self, left: s.Expr, operator: Token, right: s.Expr) -> s.Compare:
        op: Any = str(operator)
        return s.Compare(over(left, right), op, left, right)

    def not_in(self, left: s.Expr, not_: Token, in_: Token, right: s.Expr) -> s.Compare:
        return s.Compare(over(left, right), "not in", left, right)

    def is_type(self, value: s.Expr, is_: Token, type_: s.TypeExpr) -> s.IsType:
        return s.IsType(over(value, type_), value, type_)

    def binary(self, left: s.Expr, operator: Token, right: s.Expr) -> s.Binary:
        op: Any = str(operator)
        return s.Binary(over(left, right), op, left, right)

    def unary(self, operator: Token, operand: s.Expr) -> s.Unary:
        op: Any = str(operator)
        return s.Unary(over(operator, operand), op, operand)

    def member(self, value: s.Expr, dot: Token, name: Token) -> s.Member:
        return s.Member(over(value, name), value, identifier(name))

    def index(self, value: s.Expr, opening: Token, index: s.Expr, closing: Token) -> s.Index:
        return s.Index(over(value, closing), value, index)

    def slice_(
        self, value: s.Expr, opening: Token, start: s.Expr | None, colon: Token, stop: s.Expr | None, closing: Token
    ) -> s.Slice:
        return s.Slice(over(value, closing), value, start, stop)

    def record_update(self, record: s.Expr, with_: Token, *parts: Any) -> s.RecordUpdate:
        return s.RecordUpdate(over(record, parts[-1]), record, nodes(parts, s.FieldUpdate))

    def update(self, name: Token, colon: Token, value: s.Expr) -> s.FieldUpdate:
        return s.FieldUpdate(over(name, value), identifier(name), value)

    def call(self, callee: s.Expr, args: Any) -> s.Call:
        return s.Call(over(callee, args[-1]), callee, self.arguments(args))

    def args(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def arg(self, name: Token | None, equal: Token | None, value: s.Expr) -> s.Arg:
        return s.Arg(over(name or value, value), identifier(name) if name else None, value)

    def arguments(self, parts: Iterable[Any]) -> tuple[s.Arg, ...]:
        args = nodes(parts, s.Arg)
        for before, arg in pairwise(args):
            if before.name and not arg.name:
                self.report("E048", arg.span, value=self.source.text[arg.span.start : arg.span.end][:40])
        return args

    def name(self, token: Token) -> s.Name:
        return s.Name(over(token, token), str(token))

    def number(self, token: Token) -> s.IntLiteral | s.FloatLiteral:
        span, digits = over(token, token), token.replace("_", "")
        if digits.isdigit():
            if len(digits) <= MAX_INT_BITS * 0.302 and (value := int(digits)).bit_length() <= MAX_INT_BITS:
                return s.IntLiteral(span, value)
            self.report("E008", span, what="this whole number has more than 4,096 bits", mend="write a smaller one")
            return s.IntLiteral(span, 0)
        if float(digits) == float("inf"):
            self.report("E008", span, what="this number is too large for a float", mend="the largest is about 1.8e308")
            return s.FloatLiteral(span, 0.0)
        return s.FloatLiteral(span, float(digits))

    def constant(self, token: Token) -> s.BoolLiteral | s.NoneLiteral:
        span = over(token, token)
        return s.NoneLiteral(span) if token == "none" else s.BoolLiteral(span, token == "true")

    def group(self, opening: Token, value: Any, closing: Token) -> Any:
        """The same node over a wider span."""
        span = over(opening, closing)
        self.grouped.add(span)
        fields = {name: getattr(value, name) for name in s.field_names(value)}
        return type(value)(span, **fields)

    def tuple_(self, *parts: Any) -> s.TupleExpr:
        return s.TupleExpr(over(parts[0], parts[-1]), nodes(parts, Node))  # type: ignore[arg-type]

    def list_(self, *parts: Any) -> s.ListExpr:
        return s.ListExpr(over(parts[0], parts[-1]), nodes(parts, Node))  # type: ignore[arg-type]

    def dict_(self, *parts: Any) -> s.DictExpr:
        return s.DictExpr(over(parts[0], parts[-1]), nodes(parts, s.Entry))

    def entry(self, key: s.Expr, colon: Token, value: s.Expr) -> s.Entry:
        return s.Entry(over(key, value), key, value)

    def comprehension(self, opening: Token, element: s.Expr | s.Entry, loop: Any, closing: Token) -> s.Comprehension:
        targets, iterable, condition = loop
        return s.Comprehension(over(opening, closing), element, targets, iterable, condition)

    def loop(self, for_: Token, targets: Any, in_: Token, iterable: s.Expr, if_: Token | None, condition: Any) -> Any:
        return targets, iterable, condition

    def chat(self, keyword: Token, *parts: Any) -> s.ChatExpr:
        return s.ChatExpr(over(keyword, parts[-1]), nodes(parts, s.Turn))

    def turn(self, role: Token, value: s.Expr) -> s.Turn:
        if role not in ROLES:
            self.report("E022", over(role, role), role=role)
        return s.Turn(over(role, value), identifier(role), value)

    def regex(self, token: Token) -> s.Regex:
        return s.Regex(over(token, token), token[3:-1])

    # -------------------------------------------------------------------------------------------------- text

    def raw_text(self, token: Token) -> s.Text:
        content = raw_content(token)
        return s.Text(over(token, token), (content,) if content else ())

    def text(self, quote: Token, *parts: Any) -> s.Text:
        pieces = [part if isinstance(part, Node) else Piece(part, part.start) for part in parts[:-1] if is_content(part)]
        if quote == '"""':
            pieces = unindent(pieces)
        merged: list[Any] = []
        for piece in pieces:
            value = piece if isinstance(piece, Node) else unescape(piece, self.escape_fault, warn=quote == '"')
            if isinstance(value, str) and merged and isinstance(merged[-1], str):
                merged[-1] += value
            elif value != "":
                merged.append(value)
        return s.Text(over(quote, parts[-1]), tuple(merged))

    def escape_fault(self, code: str, start: int, end: int) -> None:
        word = self.source.text[start:end]
        self.report(code, self.source.span(start, end), escape=word[:2] if code == "W001" else word, word=word)

    def fixed(self, text: s.Text, place: str) -> s.Text:
        """`text`, which must not have holes here."""
        for part in text.parts:
            if isinstance(part, Node):
                self.report("E047", text.span, place=place)
                return s.Text(text.span, ())
        return text


def is_content(part: Any) -> bool:
    """Whether a part of a string is text or the expression of a hole."""
    return isinstance(part, Node) or part.type == "CHARS"


def identifier(token: Token) -> Identifier:
    return Identifier(over(token, token), str(token))


def over(first: Token | Node, last: Token | Node) -> Span:
    """The span from the start of `first` to the end of `last`."""
    end = last.span.end if isinstance(last, Node) else last.end
    start = first.span if isinstance(first, Node) else first
    return Span(start.start, end, start.line, start.column)


def nodes(parts: Iterable[Any], kind: type[NodeType]) -> tuple[NodeType, ...]:
    return tuple(part for part in parts if isinstance(part, kind))
