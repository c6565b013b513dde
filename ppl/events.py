"""The record of a search: one stream of events, the same from every engine.

    with recording("run/events.jsonl") as record:
        result = program.run(...)
    record.tree(result.seed)

A node of the search is the point at which an execution was looked at: a barrier, an enumerable choice, an end. Its
parent is the last such point on its trace, so forks share their ancestors. Without `recording` nothing is kept.

`watching(callback)` is called after every batched step with the scheduler's runs; returning False asks them to stop.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ppl.trace import Node

if TYPE_CHECKING:
    from ppl.execution import Execution
    from ppl.run import Run

Watcher = Callable[[Sequence["Run"]], bool | None]
_RECORD: ContextVar[Record | None] = ContextVar("record", default=None)
_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a search did.

    action      "reach" (an execution arrived here), "finish", "die", "prune", or "resample" (one per survivor)
    run         the run's seed; node, parent  ids within it (parent None: the root)
    text        the values chosen since the parent; log_prob  their log p
    log_weight  the engine's log weight of the node; heuristic  the estimate there, if any
    count       children given by a resampling; reason  why it died
    """

    action: str
    run: Any
    node: int
    parent: int | None
    text: str = ""
    log_prob: float = 0.0
    log_weight: float = 0.0
    heuristic: float | None = None
    count: int | None = None
    reason: str | None = None


class Record:
    """Events in the order they happened, also written as JSON lines if a path was given."""

    def __init__(self, path: Path | None = None) -> None:
        self.events: list[Event] = []
        self._ids: dict[tuple[int, int], int] = {}
        self._nodes: list[Node] = []  # kept, so that their ids stay theirs
        self._file: IO[str] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")

    def reached(self, execution: Execution) -> None:
        """An execution arrived at its stop, its end, or died on the way."""
        parent, span = self._parent(execution)
        action = {"finished": "finish", "dead": "die"}.get(execution.status.value, "reach")
        texts = [str(n.value) for n in reversed(span) if n.kind == "sample"]
        self._emit(
            Event(
                action, execution.run.seed, self._id(execution.run, execution.leaf), parent, "".join(texts) if texts else "",
                math.fsum(n.log_prob for n in span if n.kind == "sample"), execution.log_weight, execution.heuristic,
                reason=execution.reason,
            )
        )  # fmt: skip

    def decided(self, execution: Execution, action: str, count: int | None = None) -> None:
        """An engine pruned a node, or gave it children by resampling."""
        parent, _ = self._parent(execution)
        node = self._id(execution.run, execution.leaf)
        self._emit(Event(action, execution.run.seed, node, parent, log_weight=execution.log_weight, count=count))

    def tree(self, seed: Any = None) -> dict[int | None, list[Event]]:
        """parent id -> the nodes reached from it, in order; `None` holds the roots. Of one run, if a seed is given."""
        children: dict[int | None, list[Event]] = {}
        for event in self.events:
            if event.action in ("reach", "finish", "die") and seed in (None, event.run):
                children.setdefault(event.parent, []).append(event)
        return children

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        if self._file is not None:
            fields = {k: v for k, v in dataclasses.asdict(event).items() if v is not None}
            self._file.write(json.dumps(fields, default=str, ensure_ascii=False) + "\n")

    def _id(self, run: Run, leaf: Node) -> int:
        key = (id(run), id(leaf))
        if key not in self._ids:
            self._ids[key] = len(self._ids)
            self._nodes.append(leaf)
        return self._ids[key]

    def _parent(self, execution: Execution) -> tuple[int | None, list[Node]]:
        """The nearest node of the search above the execution's leaf, and the effects in between."""
        span = [execution.leaf]
        node = execution.leaf.parent
        while node is not None:
            known = self._ids.get((id(execution.run), id(node)))
            if known is not None:
                return known, span
            span.append(node)
            node = node.parent
        return None, span


def read_events(path: str | Path) -> list[Event]:
    """The events of a saved `events.jsonl`."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [Event(**{"parent": None, **json.loads(line)}) for line in lines if line]


@contextmanager
def recording(path: str | Path | None = None) -> Iterator[Record]:
    """Record every search that starts inside the block."""
    record = Record(Path(path) if path is not None else None)
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)
        record.close()


@contextmanager
def watching(callback: Watcher) -> Iterator[None]:
    """Call back after every batched step of every run that starts inside the block."""
    token = _WATCHER.set(callback)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def current_record() -> Record | None:
    return _RECORD.get()


def current_watcher() -> Watcher | None:
    return _WATCHER.get()
