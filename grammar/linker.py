"""A checked file and those it imports -> code that can run: which code a function is, which value a
constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grammar import primitives
from grammar import syntax as s
from grammar.builtins import Builtin
from grammar.chats import Chat
from grammar.compile import Compiler
from grammar.compile_statements import compile_body
from grammar.crossing import Border
from grammar.distributions import FAMILIES, Model
from grammar.evaluate_calls import operands_of_call
from grammar.externs import Extern
from grammar.faults import Fuel
from grammar.machine import Closure, Code
from grammar.symbols import (
    CheckedModule,
    ConstSymbol,
    ExternSymbol,
    FunctionSymbol,
    ModelSymbol,
    Parameter,
)
from grammar.types import RecordField, RecordType
from grammar.values import Dict, Record, Shape
from grammar.vectors import List, check_size

_ASKING = frozenset({"log_prob", "prob"})


class Linker:
    """Compiles all functions of a file and its imports. `load_model` loads a declared model."""

    def __init__(
        self,
        root: CheckedModule,
        fuel: Fuel,
        load_model: Callable[[CheckedModule, ModelSymbol], Any],
        externs: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.root, self.fuel, self.load_model, self.host_functions = root, fuel, load_model, externs
        self.modules = list(root.modules())
        self.primitives = primitives.table(fuel)
        self.border = Border(self.shape, self.field_default, fuel)
        self.codes: list[Code] = []
        self.models: dict[ModelSymbol, Model] = {}
        self._owners = {id(symbol): module for module in self.modules for symbol in module.symbols.values()}
        self._codes: dict[FunctionSymbol, Code] = {}
        self._constants: dict[ConstSymbol, Any] = {}
        self._defaults: dict[s.Node, Any] = {}
        self._shapes: dict[RecordType, Shape] = {}
        self._externs: dict[ExternSymbol, Extern] = {}
        for module in self.modules:
            for symbol in module.functions.values():
                self.code(symbol)
        for symbol, code in list(self._codes.items()):
            compile_body(Compiler(self, self._owner(symbol), code), symbol.decl)

    def _owner(self, symbol: Any) -> CheckedModule:
        return self._owners[id(symbol)]

    # -- what names stand for --------------------------------------------------------------------------------

    def code(self, symbol: FunctionSymbol) -> Code:
        if symbol not in self._codes:
            params = len(symbol.params)
            self._codes[symbol] = self.new_code(symbol.name, self._owner(symbol), params, in_path=True)
        return self._codes[symbol]

    def new_code(self, name: str, module: CheckedModule, params: int, *, in_path: bool) -> Code:
        code = Code(name, len(self.codes), module.source, params, in_path=in_path)
        self.codes.append(code)
        return code

    def callable(self, symbol: FunctionSymbol | ExternSymbol) -> Any:
        """A function as a value."""
        if isinstance(symbol, FunctionSymbol):
            return Closure(self.code(symbol), (), self.fuel.max_depth)
        if symbol not in self._externs:
            self._externs[symbol] = Extern(symbol, self.host_functions[symbol.name], self.border)
        return self._externs[symbol]

    def model(self, symbol: ModelSymbol) -> Model:
        if symbol not in self.models:
            module = self._owner(symbol)
            self.models[symbol] = Model(
                symbol.name, lambda: self.load_model(module, symbol), symbol.is_reward
            )
        return self.models[symbol]

    def constant(self, symbol: ConstSymbol) -> Any:
        if symbol not in self._constants:
            self._constants[symbol] = self.evaluate(self._owner(symbol), symbol.decl.value)
        return self._constants[symbol]

    def default(self, symbol: FunctionSymbol | ExternSymbol, param: Parameter) -> Any:
        return None if param.default is None else self._fixed(self._owner(symbol), param.default)

    def field_default(self, kind: RecordType, field: RecordField) -> Any:
        if field.default is None:
            return None
        owner = next(m for m in self.modules if kind in m.records.values())
        return self._fixed(owner, field.default)

    def _fixed(self, module: CheckedModule, expr: s.Expr) -> Any:
        if expr not in self._defaults:
            self._defaults[expr] = self.evaluate(module, expr)
        return self._defaults[expr]

    def evaluate(self, module: CheckedModule, expr: s.Expr) -> Any:
        """The value of an expression in which nothing draws."""
        k = Compiler(self, module, Code("const", -1, module.source, 0, in_path=False))
        ev = k.direct(expr)
        return ev([self.fuel.max_steps, *[None] * k.size])

    def shape(self, kind: RecordType) -> Shape:
        if kind not in self._shapes:
            self._shapes[kind] = Shape(kind.name, tuple(kind.fields), kind.path)
        return self._shapes[kind]

    # -- limits on values ------------------------------------------------------------------------------------

    def checked_list(self, items: List) -> List:
        return primitives.checked_list(items, self.fuel)

    def checked_dict(self, found: Dict) -> Dict:
        primitives.checked_list(found.keys(), self.fuel)
        check_size(found._weight, found._depth, self.fuel)
        return found

    def checked_record(self, found: Record) -> Record:
        check_size(found._weight, found._depth, self.fuel)
        return found

    def prompt(self, text: str) -> Chat:
        return Chat(primitives.checked_text(text, self.fuel))

    # -- what is known before a run --------------------------------------------------------------------------

    def is_constant(self, module: CheckedModule, expr: s.Node) -> bool:
        """Whether an expression has the same value in every run, and computing it asks nobody."""
        match expr:
            case s.IntLiteral() | s.FloatLiteral() | s.BoolLiteral() | s.NoneLiteral() | s.Regex():
                return True
            case s.Name():
                return isinstance(module.names.get(expr), (ConstSymbol, ModelSymbol))
            case s.Member():
                return expr in module.members and isinstance(module.members[expr], ConstSymbol)
            case s.Call():
                return self._is_constant_call(module, expr)
            case s.Lambda() | s.Sample() | s.Comprehension():
                return False
        return all(
            self.is_constant(module, each) for each in s.children(expr) if not isinstance(each, s.Identifier)
        )

    def _is_constant_call(self, module: CheckedModule, expr: s.Call) -> bool:
        resolved = module.calls[expr]
        target = resolved.target
        if resolved.kind == "model" or (
            isinstance(target, Builtin)
            and resolved.kind in ("builtin", "grammar")
            and (target.name in FAMILIES or target.name not in _ASKING)
        ):
            return all(self.is_constant(module, each) for each in operands_of_call(resolved))
        return False
