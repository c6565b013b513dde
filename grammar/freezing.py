"""A run of a `.scale` program, halted anywhere between two steps of its engine, as bytes that another process
continues.

    data = [freeze(p) for p in particles]            # inside an engine's search(run)
    particles = [thaw(run, each) for each in data]   # in another process, of the same program

The bytes hold the machine's state, the trace and the weights; models, extern functions and code are named,
not stored. They are read by an unpickler that knows the values of the language and nothing else. Of a trace's
past choices the log-probabilities are kept, but not the distributions: chains cannot move a thawed trace.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
from typing import Any

from grammar.chats import Chat, rebuilt
from grammar.distributions import UNSET, Dist, Model
from grammar.externs import Extern
from grammar.grammars import Grammar, Pattern
from grammar.linker import Linker
from grammar.machine import Closure, Code, State
from grammar.programs import ScaleProgram
from grammar.values import Dict, Record, Shape
from grammar.vectors import List
from ppl.errors import UsageError
from ppl.execution import Execution
from ppl.run import Run
from ppl.trace import NO_COUNTERS, Node, backwards

FORMAT = "scale-ppl execution 1"
_BARE = ("key", "forks", "offset", "barriers", "pending", "heuristic", "_block_heuristic")


def freeze(execution: Execution) -> bytes:
    """An execution that stands at a stop (or has not begun), as bytes. UsageError for one that has ended, or
    that belongs to a Python program."""
    program = execution.run.program
    if not isinstance(program, ScaleProgram) or not execution.running or execution.waiting is not None:
        raise UsageError("freeze takes a running execution of a .scale program that stands at a stop.")
    if execution.state is None and execution.leaf.parent is not None:
        raise UsageError("this execution was moved to another trace and has not run since: advance it first.")
    buffer = io.BytesIO()
    content = {
        "bare": {name: getattr(execution, name) for name in _BARE},
        "nodes": _nodes(execution.leaf),
        "state": None if execution.state is None else _flat(execution.state),
    }
    _Pickler(buffer, program.linker).dump((FORMAT, identity(program), content))
    return buffer.getvalue()


def thaw(run: Run, data: bytes) -> Execution:
    """The frozen execution, in a run of the same program. UsageError if the bytes are of another one."""
    program = run.program
    if not isinstance(program, ScaleProgram):
        raise UsageError(f"thaw: {program.name} is not a .scale program.")
    try:
        head, whose, content = _Unpickler(io.BytesIO(data), program.linker).load()
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError) as error:
        raise UsageError(f"thaw: these bytes are no frozen execution of {program.name} ({error}).") from None
    if head != FORMAT or whose != identity(program):
        raise UsageError(
            f"thaw: these bytes were frozen from another program, or another version of {program.name}."
        )
    execution = Execution(run, content["bare"]["key"])
    for name, value in content["bare"].items():
        setattr(execution, name, value)
    execution.leaf = _chained(content["nodes"])
    execution.counters = execution.leaf.counters
    execution.state = None if content["state"] is None else _linked(content["state"])
    return execution


def identity(program: ScaleProgram) -> str:
    """Equal for programs of the same name, file texts and limits: they compile to the same code."""
    parts = [program.name, repr(program.linker.fuel), *(m.source.text for m in program.linker.modules)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


# ------------------------------------------------------------------------------------------ states and traces


def _flat(state: State) -> tuple[Any, ...]:
    """A state whose stack is a list, so that deep recursion is no deep nesting."""
    *rest, stack = state
    frames = []
    while stack is not None:
        *frame, stack = stack
        frames.append(tuple(frame))
    return (*rest, frames)


def _linked(flat: tuple[Any, ...]) -> State:
    *rest, frames = flat
    stack = None
    for frame in reversed(frames):
        stack = (*frame, stack)
    return (*rest, stack)


def _nodes(leaf: Node) -> list[tuple[Any, ...]]:
    """Effects first to last, without the root; `skip` as an index."""
    ordered = list(backwards(leaf))[::-1]
    places = {id(node): i for i, node in enumerate(ordered)}
    return [
        (
            n.kind,
            n.name,
            n.index,
            n.value,
            n.log_weight,
            _log_prob(n),
            n.log_q,
            None if n.skip is None else places[id(n.skip)],
        )
        for n in ordered[1:]
    ]


def _log_prob(node: Node) -> float | None:
    """What is known of log p without asking a model."""
    if node._log_prob is None and node.dist is not None and not node.dist.deferred:
        return node.log_prob
    return node._log_prob


def _chained(nodes: list[tuple[Any, ...]]) -> Node:
    made = [Node(None, "start", "")]
    counters = NO_COUNTERS
    for kind, name, index, value, log_weight, log_prob, log_q, skip in nodes:
        if kind in ("sample", "record"):
            counters = counters.set(name if kind == "sample" else (kind, name), index + 1)
        before = None if skip is None else made[skip]
        made.append(
            Node(
                made[-1], kind, name, index, value, log_weight, counters, None, log_prob, log_q, None, before
            )
        )
    return made[-1]


# --------------------------------------------------------------------------------------------------- values


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, linker: Linker) -> None:
        super().__init__(file, protocol=5)
        self.linker = linker
        self.hosts = {id(m._host): name for name, m in _models(linker).items() if m._host is not UNSET}

    def persistent_id(self, value: Any) -> tuple[str, Any] | None:
        match value:
            case Code():
                return "code", value.number
            case Model():
                return "model", next((n for n, m in _models(self.linker).items() if m is value), None)
            case Extern():
                return "extern", value.symbol.name
            case Shape():
                return "shape", (value.origin, value.name)
        return ("host", self.hosts[id(value)]) if id(value) in self.hosts else None

    def reducer_override(self, value: Any) -> Any:
        match value:
            case List():
                return List, (tuple(value),)
            case Dict():
                return Dict, (tuple(value.items()),)
            case Record():
                return Record, (value._shape, value._values)
            case Dist():
                return Dist, (value.family, value.args, value.options)
            case Closure():
                return Closure, (value.code, value.captured, value.max_depth)
            case Pattern():
                return Pattern, (value.source,)
            case Grammar():
                return Grammar, (value.kind, value.source)
            case Chat():
                return rebuilt, (value.opening, value.pieces)
        if isinstance(value, str) and hasattr(value, "tokens"):
            return self._drawn(value)
        return NotImplemented

    def _drawn(self, text: Any) -> Any:
        """A text that a model drew: with its token path, if the model is one of the program's."""
        if id(text.model) not in self.hosts:
            return str, (str(text),)
        return type(text), (str(text), text.tokens, text.finish, text.model)


_KNOWN = {
    **{(cls.__module__, cls.__name__): cls for cls in (List, Dict, Record, Dist, Closure, Pattern, Grammar)},
    (rebuilt.__module__, rebuilt.__name__): rebuilt,
    ("builtins", "range"): range,
    ("builtins", "str"): str,
}
_BY_NAME = {("backends.text", "Text")}


class _Unpickler(pickle.Unpickler):
    """Makes values of the language, and nothing else."""

    def __init__(self, file: io.BytesIO, linker: Linker) -> None:
        super().__init__(file)
        self.linker = linker

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _BY_NAME:
            return getattr(importlib.import_module(module), name)
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not a value of the language")
        return _KNOWN[module, name]

    def persistent_load(self, named: Any) -> Any:
        kind, name = named
        if kind == "code":
            return self.linker.codes[name]
        if kind == "extern":
            return next(
                self.linker.callable(e)
                for m in self.linker.modules
                for e in m.externs.values()
                if e.name == name
            )
        if kind == "shape":
            records = (r for m in self.linker.modules for r in m.records.values())
            return next(self.linker.shape(r) for r in records if (r.path, r.name) == name)
        if name not in _models(self.linker):
            raise pickle.UnpicklingError("it holds a model that was given as an argument")
        model = _models(self.linker)[name]
        return model.host if kind == "host" else model


def _models(linker: Linker) -> dict[tuple[int, str], Model]:
    """The declared models, by file and name."""
    return {
        (i, name): linker.model(symbol)
        for i, m in enumerate(linker.modules)
        for name, symbol in m.models.items()
    }
