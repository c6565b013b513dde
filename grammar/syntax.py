"""The syntax tree of a `.scale` file: what was written, before anything is known about what it means.

Nodes are immutable and compare by identity, so they can key tables (`types: dict[Expr, Type]`) even where two places
of a file hold the same text; `same_tree` compares two trees and ignores where things stand. Every node carries the
exact `Span` of its source text, parentheses around an expression included. A tree is never deeper than `MAX_DEPTH`,
so recursive walks over it are safe.

Names that are bound or looked up by name (a `let`, a parameter, a member, an argument's keyword) are `Identifier`s,
so that messages can point at them; a name used as a value is a `Name`.

(Longer than other files because it is one list: every form of the language, once.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, TypeAlias

MAX_DEPTH = 128
"""The deepest nesting of nodes that the parser accepts (E007)."""


class Span(NamedTuple):
    """A stretch of source text: code-point offsets `start <= i < end`, and where it starts (both count from 1)."""

    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    span: Span = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Identifier(Node):
    name: str


# ------------------------------------------------------------------------------------------------ types as written


@dataclass(frozen=True, slots=True, eq=False)
class TypeName(Node):
    """`str`, `list[int]`, `dist[str]`, `Case`, `rules.Verdict`; also `chat`, `none`, `model`, `reward`."""

    module: Identifier | None
    name: Identifier
    args: tuple[TypeExpr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TypeLiteral(Node):
    """A string as a type: `"refund"`."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class TypeOptional(Node):
    """`T?`"""

    inner: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class TypeUnion(Node):
    """`A | B | C`, flat: at least two options."""

    options: tuple[TypeExpr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TypeTuple(Node):
    """`(A, B)`: at least two items."""

    items: tuple[TypeExpr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TypeFunction(Node):
    """`fn(A, B) -> C`"""

    params: tuple[TypeExpr, ...]
    result: TypeExpr


TypeExpr: TypeAlias = TypeName | TypeLiteral | TypeOptional | TypeUnion | TypeTuple | TypeFunction


# ----------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class IntLiteral(Node):
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class FloatLiteral(Node):
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class BoolLiteral(Node):
    value: bool


@dataclass(frozen=True, slots=True, eq=False)
class NoneLiteral(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Text(Node):
    """Any string literal. `parts` alternate freely between final text (escapes done, indentation removed, never
    empty) and the expressions of `${...}` holes; the empty string has no parts."""

    parts: tuple[str | Expr, ...]

    @property
    def literal(self) -> str | None:
        """The text itself if nothing is interpolated, else None."""
        return "".join(part for part in self.parts if isinstance(part, str)) if self.plain else None

    @property
    def plain(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Regex(Node):
    """`re"..."`; character i of the pattern stands at offset `span.start + 3 + i` of the file."""

    pattern: str


@dataclass(frozen=True, slots=True, eq=False)
class ListExpr(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TupleExpr(Node):
    """`(a, b)`: at least two items."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Node):
    """`key: value` in a dict."""

    key: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class DictExpr(Node):
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comprehension(Node):
    """`[element for targets in iterable if condition]`; with an `Entry` as element it builds a dict."""

    element: Expr | Entry
    targets: tuple[Identifier, ...]
    iterable: Expr
    condition: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Turn(Node):
    """One line of a chat: `user question`."""

    role: Identifier
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class ChatExpr(Node):
    """`chat { system "..." user question }`"""

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    op: Literal["-", "+", "not"]
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """Arithmetic, and `+` on texts, lists, dicts and chats."""

    op: Literal["+", "-", "*", "/", "//", "%", "**"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Compare(Node):
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Logical(Node):
    """Short-circuit `and`, `or`; `a or b` on an optional `a` is "a, else the default b"."""

    op: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class IsType(Node):
    """`value is T`"""

    value: Expr
    type: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(Node):
    """`then if condition else otherwise`"""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Param(Node):
    name: Identifier
    type: TypeExpr
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Lambda(Node):
    """`fn(x: int) => x + 1`"""

    params: tuple[Param, ...]
    result: TypeExpr | None
    body: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Arg(Node):
    """An argument, by position (`name` is None) or by keyword. Positional ones come first (E048)."""

    name: Identifier | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """`callee(args)`; a method call is a call whose callee is a `Member`."""

    callee: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Member(Node):
    """`value.name`"""

    value: Expr
    name: Identifier


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    """`value[index]`"""

    value: Expr
    index: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    """`value[start:stop]`"""

    value: Expr
    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class FieldUpdate(Node):
    name: Identifier
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class RecordUpdate(Node):
    """`record with { field: value }`"""

    record: Expr
    updates: tuple[FieldUpdate, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sample(Node):
    """`sample distribution using proposal`: a random choice. It stands only at the start of a right-hand side, as an
    argument or item, or in parentheses."""

    distribution: Expr
    proposal: Expr | None


Expr: TypeAlias = (
    Name | IntLiteral | FloatLiteral | BoolLiteral | NoneLiteral | Text | Regex
    | ListExpr | TupleExpr | DictExpr | Comprehension | ChatExpr
    | Unary | Binary | Compare | Logical | IsType | Conditional | Lambda
    | Call | Member | Index | Slice | RecordUpdate | Sample
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------ statements


@dataclass(frozen=True, slots=True, eq=False)
class Block(Node):
    """`{ ... }`; the span holds both braces."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Let(Node):
    """`let x: T = value`, `let a, b = pair`"""

    targets: tuple[Identifier, ...]
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Node):
    """`x = value` (`op` is None), `x += value` (`op` is "+")"""

    target: Identifier
    op: Literal["+", "-", "*", "/"] | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Score(Node):
    weight: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Observe(Node):
    """`observe value from distribution`"""

    value: Expr
    distribution: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Require(Node):
    """`require condition else "reason"`"""

    condition: Expr
    reason: Text | None


@dataclass(frozen=True, slots=True, eq=False)
class Heuristic(Node):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Record(Node):
    """`record name = value`; without a value the variable of that name is kept."""

    name: Identifier
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Return(Node):
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Branch(Node):
    """`if condition { ... }` or `else if condition { ... }`"""

    condition: Expr
    body: Block


@dataclass(frozen=True, slots=True, eq=False)
class If(Node):
    """At least one branch; `else if` is a further branch, not a nested `If`."""

    branches: tuple[Branch, ...]
    otherwise: Block | None


@dataclass(frozen=True, slots=True, eq=False)
class For(Node):
    """`for targets in iterable { ... }`"""

    targets: tuple[Identifier, ...]
    iterable: Expr
    body: Block


@dataclass(frozen=True, slots=True, eq=False)
class While(Node):
    """`while condition max bound { ... }`"""

    condition: Expr
    bound: Expr
    body: Block


@dataclass(frozen=True, slots=True, eq=False)
class Break(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Continue(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Pass(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class CallStatement(Node):
    """A call for its effects; its value is dropped."""

    call: Call


Statement: TypeAlias = (
    Let | Assign | Score | Observe | Require | Heuristic | Checkpoint | Record | Return
    | If | For | While | Break | Continue | Pass | CallStatement
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True, eq=False)
class Import(Node):
    """`import "path" as alias`"""

    path: Text
    alias: Identifier


@dataclass(frozen=True, slots=True, eq=False)
class ModelDecl(Node):
    """`model lm = smollm2()`, `reward prm = reward("judge:smollm2")`"""

    kind: Literal["model", "reward"]
    name: Identifier
    backend: Identifier
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ExternDecl(Node):
    """`extern fn f(x: int) -> int`; `pure` unless it says `impure extern fn`."""

    name: Identifier
    params: tuple[Param, ...]
    result: TypeExpr
    pure: bool


@dataclass(frozen=True, slots=True, eq=False)
class TypeAliasDecl(Node):
    """`type Intent = "refund" | "other"`"""

    name: Identifier
    type: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class Field(Node):
    """`name: T = default "what it means"`"""

    name: Identifier
    type: TypeExpr
    default: Expr | None
    doc: Text | None


@dataclass(frozen=True, slots=True, eq=False)
class RecordDecl(Node):
    """`type Case { ... }`"""

    name: Identifier
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ConstDecl(Node):
    name: Identifier
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class FunctionDecl(Node):
    """`fn f(...) -> T { ... }` or `program p(...) -> T { ... }`"""

    kind: Literal["fn", "program"]
    name: Identifier
    params: tuple[Param, ...]
    result: TypeExpr | None
    body: Block


@dataclass(frozen=True, slots=True, eq=False)
class Engine(Node):
    """`smc(particles=16)`"""

    name: Identifier
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False)
class InferDecl(Node):
    """`infer program with engine then engine`; `program` may be left out."""

    program: Identifier | None
    engines: tuple[Engine, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Limit(Node):
    name: Identifier
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class LimitDecl(Node):
    """`limit tokens = 20_000, seconds = 60`"""

    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Given(Node):
    """`given question = "..."`: an argument of the tested program."""

    name: Identifier
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class WithEngine(Node):
    """`with smc(particles=4)`"""

    engine: Engine


@dataclass(frozen=True, slots=True, eq=False)
class Reply(Node):
    """`reply pattern -> text`: what the scripted model answers when the prompt matches."""

    pattern: Expr
    text: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Expect(Node):
    condition: Expr


TestItem: TypeAlias = Given | WithEngine | Reply | Expect


@dataclass(frozen=True, slots=True, eq=False)
class TestDecl(Node):
    """`test "title" of program { ... }`; without `of` it tests the program that `infer` names."""

    title: Text
    program: Identifier | None
    items: tuple[TestItem, ...]


Declaration: TypeAlias = (
    Import | ModelDecl | ExternDecl | TypeAliasDecl | RecordDecl | ConstDecl
    | FunctionDecl | InferDecl | LimitDecl | TestDecl
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Module(Node):
    """A whole file. `version` is the number after `scale`, or None where the line is missing."""

    version: int | None
    declarations: tuple[Declaration, ...]


# ----------------------------------------------------------------------------------------------------------- walks


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in field order."""
    for name in field_names(node):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif type(value) is tuple:
            yield from (item for item in value if isinstance(item, Node))


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything below it, parents first, in field order."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(list(children(current))))


def same_tree(left: object, right: object) -> bool:
    """Whether two trees say the same, wherever they stand."""
    pending = [(left, right)]
    while pending:
        a, b = pending.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, Node):
            pending.extend((getattr(a, name), getattr(b, name)) for name in field_names(a))
        elif isinstance(a, tuple) and isinstance(b, tuple):
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True


def field_names(node: Node) -> tuple[str, ...]:
    """The names of a node's fields, without its span."""
    kind = type(node)
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(f.name for f in fields(kind) if f.name != "span")
    return _FIELDS[kind]


_FIELDS: dict[type[Node], tuple[str, ...]] = {}
