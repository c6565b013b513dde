"""What the names of a file stand for, and what checking a file gives: `CheckedModule`.

The machine reads these tables instead of the types of its own: which symbol a name is, which function a call means and
which argument goes to which parameter, where a number has to become a float or be checked to be a probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from grammar import syntax
from grammar.builtins import Builtin
from grammar.diagnostics import Diagnostic, ScaleError, Source
from grammar.syntax import Expr, Node, Span
from grammar.types import REWARD, UNKNOWN, RecordType, Type


@dataclass(eq=False, slots=True)
class Local:
    """A name inside a function: a `let`, a parameter, the target of a loop. `value` is what its `let` gave it."""

    name: str
    type: Type
    span: Span
    kind: Literal["let", "parameter", "loop"] = "let"
    value: Expr | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: Type
    default: Expr | None = None

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True, slots=True)
class Site:
    """A random choice as written. `free` says why no engine can enumerate it, "" where one may; `model` is the declared
    one that is asked."""

    node: Node
    source: Source
    name: str
    free: str = ""
    model: ModelSymbol | None = None


@dataclass(slots=True)
class Facts:
    """What a function does, apart from what the functions do that it mentions: read by the checks of `infer` lines."""

    sites: list[Site] = field(default_factory=list)
    mentions: dict[FunctionSymbol | ExternSymbol, None] = field(default_factory=dict)
    weights: bool = False
    heuristics: bool = False
    barriers: bool = False


@dataclass(eq=False, slots=True)
class FunctionSymbol:
    """A `fn` or a `program`. `path` is its file."""

    name: str
    kind: Literal["fn", "program"]
    decl: syntax.FunctionDecl
    path: str
    params: tuple[Parameter, ...] = ()
    result: Type = UNKNOWN
    facts: Facts = field(default_factory=Facts)


@dataclass(eq=False, slots=True)
class ExternSymbol:
    """A function that the host binds; `pure` ones give equal results for equal arguments."""

    name: str
    pure: bool
    decl: syntax.ExternDecl
    path: str
    params: tuple[Parameter, ...] = ()
    result: Type = UNKNOWN


@dataclass(eq=False, slots=True)
class ModelSymbol:
    """A declared model or reward: `backend` and the plain values of its arguments, by parameter.

    `capabilities` are those of its scheme in `ppl.registry`, or of what the host put in its place; None if unknown.
    """

    name: str
    type: Type
    backend: str
    decl: syntax.ModelDecl
    args: Mapping[str, Any] = field(default_factory=dict)
    capabilities: frozenset[str] | None = None
    replaced: bool = False

    @property
    def is_reward(self) -> bool:
        return self.type == REWARD


@dataclass(eq=False, slots=True)
class ConstSymbol:
    """A `const`; `type` is UNKNOWN until its declaration was checked."""

    name: str
    decl: syntax.ConstDecl
    type: Type = UNKNOWN
    ready: bool = False


@dataclass(eq=False, slots=True)
class TypeSymbol:
    """A named type: a record or an alias."""

    name: str
    type: Type
    decl: syntax.RecordDecl | syntax.TypeAliasDecl

    @property
    def record(self) -> RecordType | None:
        return self.type if isinstance(self.type, RecordType) else None


@dataclass(eq=False, slots=True)
class ModuleSymbol:
    """An imported file under its alias. `module` is None if it could not be read."""

    name: str
    module: CheckedModule | None
    decl: syntax.Import
    used: bool = False


Symbol: TypeAlias = (
    Local | FunctionSymbol | ExternSymbol | ModelSymbol | ConstSymbol | TypeSymbol | ModuleSymbol | Builtin
)
Callee: TypeAlias = FunctionSymbol | ExternSymbol | RecordType | Builtin | None


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """What a call means.

    kind      "function" (fn, program), "extern", "record" (a constructor), "builtin" (also as a method), "grammar"
              (`json(Type)`), "model" and "reward" (`target.name` is "call" for the model itself), "distribution" and
              "posterior" (their methods), "value" (a lambda, or a function in a variable)
    target    the callee's symbol; for "value" None
    receiver  the expression before the dot of a model, distribution or posterior, or the called value itself; else None
    args      one entry per parameter of the target, in its order: the argument, or None where the default holds.
              Of a built-in that repeats its last parameter, further entries follow.
    signature the index of the built-in's signature that fits
    type      for "grammar", the type whose JSON texts are meant
    """

    kind: str
    target: Callee
    args: tuple[Expr | None, ...]
    receiver: Expr | None = None
    signature: int = 0
    type: Type = UNKNOWN


@dataclass(frozen=True, slots=True)
class Inference:
    """An `infer` line: the program and the engines in turn, each a name and plain options."""

    program: FunctionSymbol
    engines: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class TestCase:
    """A `test` block; `engine` is None where it has no `with`."""

    title: str
    program: FunctionSymbol
    given: Mapping[str, Expr]
    engine: tuple[str, Mapping[str, Any]] | None
    replies: tuple[syntax.Reply, ...]
    expects: tuple[Expr, ...]
    decl: syntax.TestDecl

    __test__ = False


@dataclass(slots=True)
class CheckedModule:
    """A checked file. It may be run only if it has no errors: `raise_errors()` first.

    types        the type of every expression
    names        what each `Name` (and each `Identifier` that is assigned to) stands for
    calls        what each `Call` means
    members      for `alias.name`, what an imported file declares under that name
    conversions  expressions whose value has to become a float (FLOAT), or be checked to lie in [0, 1] (PROB); of
                 `x += v` it is the target whose new value has to
    is_types     for `x is T`, the type T
    symbols      the file's own declarations by name
    diagnostics  what was found, those of imported files first
    """

    source: Source
    tree: syntax.Module
    path: Path | None = None
    types: dict[Expr, Type] = field(default_factory=dict)
    names: dict[Node, Symbol] = field(default_factory=dict)
    calls: dict[syntax.Call, ResolvedCall] = field(default_factory=dict)
    members: dict[syntax.Member, Symbol] = field(default_factory=dict)
    conversions: dict[Node, Type] = field(default_factory=dict)
    is_types: dict[syntax.IsType, Type] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    imports: dict[str, CheckedModule] = field(default_factory=dict)
    inference: Inference | None = None
    limits: dict[str, float] = field(default_factory=dict)
    tests: list[TestCase] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def functions(self) -> dict[str, FunctionSymbol]:
        return {n: s for n, s in self.symbols.items() if isinstance(s, FunctionSymbol)}

    @property
    def programs(self) -> dict[str, FunctionSymbol]:
        return {n: s for n, s in self.functions.items() if s.kind == "program"}

    @property
    def main(self) -> FunctionSymbol | None:
        """The program of the `infer` line, or the file's only one."""
        programs = list(self.programs.values())
        if self.inference is not None:
            return self.inference.program
        return programs[0] if len(programs) == 1 else None

    @property
    def externs(self) -> dict[str, ExternSymbol]:
        return {n: s for n, s in self.symbols.items() if isinstance(s, ExternSymbol)}

    @property
    def models(self) -> dict[str, ModelSymbol]:
        return {n: s for n, s in self.symbols.items() if isinstance(s, ModelSymbol)}

    @property
    def constants(self) -> dict[str, ConstSymbol]:
        """In the order of the file, in which each may use those before it."""
        return {n: s for n, s in self.symbols.items() if isinstance(s, ConstSymbol)}

    @property
    def records(self) -> dict[str, RecordType]:
        types = {n: s.record for n, s in self.symbols.items() if isinstance(s, TypeSymbol)}
        return {n: r for n, r in types.items() if r is not None}

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.diagnostics if d.is_error]

    def raise_errors(self) -> None:
        """Raise one `ScaleError` with every error found, if there is any."""
        if self.errors:
            raise ScaleError(self.errors)

    def modules(self) -> Iterable[CheckedModule]:
        """This file and every one it imports, directly or not, each once."""
        seen: dict[int, CheckedModule] = {}
        pending = [self]
        while pending:
            module = pending.pop()
            if id(module) not in seen:
                seen[id(module)] = module
                pending.extend(module.imports.values())
        return seen.values()
