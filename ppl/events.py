"""The record of a search: one stream of events, the same from every engine.

    with recording("run/events.jsonl"):
        result = program.run(...)
    result.tree.roots                           # or, from the file, read_trees("run/events.jsonl")

A node of the search is a point at which an execution was looked at: a barrier, a choice that an engine enumerates, an
end. Its parent is the last such point on its trace, so forks share their ancestors, and the texts from a root down to
a node are all that was chosen on the way. Without `recording` nothing is kept.

`events.jsonl` holds one JSON object a line, in the order in which things happened. A key that does not apply is left
out; a number that JSON cannot write is one of the strings "-inf", "inf", "nan".

    action       what happened:
                 "start"     a run began. Comes before its nodes
                 "expand"    the search went on from `parent` and came to `node`, which is new
                 "finish"    the same, and the program ended there and returned `value`
                 "die"       the same, and the weight is zero there: `reason` says why
                 "prune"     the search drops `node`; `reason` says why where it is not rank alone
                 "resample"  the search goes on from `node` with `count` copies: offspring in SMC, a chain's next state
                 "return"    `node` is in the result, `count` times
    run          number of the run within the record, from 0
    node         number of the node within its run, from 0; also the order in which nodes were reached
    parent       its parent's number; left out at a root. Of chains every state that shares no barrier is a root
    text         what was chosen since the parent: texts run together, other values as site=value
    tokens       the model's tokens of those texts, as it numbers them; left out where no model wrote any
    log_prob     log p of those choices; left out where a distribution gives none
    log_weight   the engine's log weight there, without heuristic: when reached; after a resampling that of each copy;
                 in the result that of all copies together
    heuristic    the estimate of the log weight still to come, if the block that led here gave one
    value        what the program returned, as text
    program, engine, seed, outer   of "start": outer is the number of the run that a nested query belongs to

A finished or dead node may be met twice: forks of one node that end without another effect end in one node.

`watching(callback)` is called after every batched step with the scheduler's runs; returning False asks them to stop.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ppl.errors import ResultError
from ppl.population import log_sum_exp
from ppl.search_tree import SearchTree, trees
from ppl.trace import Node, Trace, backwards

if TYPE_CHECKING:
    from ppl.execution import Execution
    from ppl.problem import Problem
    from ppl.run import Run

Watcher = Callable[[Sequence["Run"]], bool | None]
_RECORD: ContextVar[Record | None] = ContextVar("record", default=None)
_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_NUMBERS = ("log_prob", "log_weight", "heuristic")
_REACHED = {"running": "expand", "finished": "finish", "dead": "die"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a search did; the module says what its fields mean. What does not apply is None."""

    action: str
    run: int
    node: int | None = None
    parent: int | None = None
    text: str | None = None
    tokens: tuple[int | str, ...] | None = None
    log_prob: float | None = None
    log_weight: float | None = None
    heuristic: float | None = None
    value: str | None = None
    count: int | None = None
    reason: str | None = None
    program: str | None = None
    engine: str | None = None
    seed: Any = None
    outer: int | None = None


class Record:
    """Events in the order they happened, also written as JSON lines if a path was given."""

    def __init__(self, path: Path | None = None) -> None:
        self.events: list[Event] = []
        self._runs: dict[Problem, _Known] = {}
        self._numbers = itertools.count()
        self._file: IO[str] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # line by line, so that one may watch; a lone surrogate, which UTF-8 has no form for, is written as JSON's own escape
            self._file = path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace", newline="\n")

    def reached(self, run: Problem, at: Execution | Trace) -> None:
        """An execution arrived at its stop, its end, or died on the way."""
        known, status = self._known(run), _status(at)
        if known.has(at) and status == "running":
            return  # it went on without an effect
        parent, span = known.above(at.leaf)
        chosen = [n for n in reversed(span) if n.kind == "sample"]
        self._emit(
            Event(
                _REACHED[status], known.run, known.number(at), parent, _text(chosen), _tokens(chosen), _log_prob(chosen),
                at.log_weight, None if isinstance(at, Trace) else at.heuristic, str(at.value) if status == "finished" else None,
                reason=at.reason,
            ),
            known,
        )  # fmt: skip

    def decided(
        self, run: Problem, at: Execution | Trace, action: str, count: int | None = None, reason: str | None = None
    ) -> None:
        """The search pruned a node, or goes on from it."""
        known = self._known(run)
        if not known.has(at):
            self.reached(run, at)
        weight = at.log_weight
        self._emit(Event(action, known.run, known.number(at), log_weight=weight, count=count, reason=reason), known)

    def resampled(self, run: Problem, at: Sequence[Execution | Trace], parents: Iterable[int]) -> None:
        """Of all these the search goes on with the ones named, once for each time they are. Copies share their node."""
        copies = Counter(at[i].leaf for i in parents)
        for leaf, one in {each.leaf: each for each in at}.items():
            if leaf in copies:
                self.decided(run, one, "resample", copies[leaf])
            elif _status(one) != "dead":
                self.decided(run, one, "prune")

    def returned(self, run: Problem, traces: Iterable[Trace]) -> list[Event]:
        """The run is over, with these traces in its result; all its events."""
        known = self._known(run)
        groups: dict[Node, list[Trace]] = {}
        for trace in traces:
            if trace.status == "finished" or known.has(trace):  # not those that a limit caught on their way
                groups.setdefault(trace.leaf, []).append(trace)
        for same in groups.values():
            together = dataclasses.replace(same[0], log_weight=log_sum_exp([t.log_weight for t in same]))
            self.decided(run, together, "return", len(same))
        del self._runs[run]
        return known.events

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _known(self, run: Problem) -> _Known:
        if run not in self._runs:
            outer = None if run.parent is None else self._known(run.parent).run
            known = self._runs[run] = _Known(next(self._numbers))
            self._emit(
                Event(
                    "start", known.run, program=run.program.name, engine=repr(run.engine), seed=run.seed, outer=outer
                ),
                known,
            )
        return self._runs[run]

    def _emit(self, event: Event, known: _Known) -> None:
        self.events.append(event)
        known.events.append(event)
        if self._file is not None:
            fields = {k: v for k, v in dataclasses.asdict(event).items() if v is not None}
            for name in _NUMBERS:
                if name in fields and not math.isfinite(fields[name]):
                    fields[name] = str(float(fields[name]))
            self._file.write(json.dumps(fields, default=str, ensure_ascii=False) + "\n")


@dataclass(slots=True)
class _Known:
    """What a record knows of a run under way. A node is a leaf, and whether an execution ended there."""

    run: int
    events: list[Event] = field(default_factory=list)
    numbers: dict[tuple[Node, bool], int] = field(default_factory=dict)

    def has(self, at: Execution | Trace) -> bool:
        return (at.leaf, _status(at) != "running") in self.numbers

    def number(self, at: Execution | Trace) -> int:
        return self.numbers.setdefault((at.leaf, _status(at) != "running"), len(self.numbers))

    def above(self, leaf: Node) -> tuple[int | None, list[Node]]:
        """The nearest node of the search at or above a leaf, and the effects since, last first."""
        span: list[Node] = []
        for node in backwards(leaf):
            number = self.numbers.get((node, False))
            if number is not None:
                return number, span
            span.append(node)
        return None, span


def _status(at: Execution | Trace) -> str:
    return at.status if isinstance(at, Trace) else at.status.value


def _text(chosen: Sequence[Node]) -> str:
    if all(isinstance(n.value, str) for n in chosen):
        return "".join(map(str, (n.value for n in chosen)))
    return " ".join(f"{n.address}={n.value}" for n in chosen)


def _tokens(chosen: Sequence[Node]) -> tuple[int | str, ...] | None:
    return tuple(token for n in chosen for token in getattr(n.value, "tokens", ())) or None


def _log_prob(chosen: Sequence[Node]) -> float | None:
    """The sum of log p; None where a distribution gives none, or a model would have to be asked for it."""
    if not all(n.known for n in chosen):
        return None
    try:
        return math.fsum(n.log_prob for n in chosen)
    except NotImplementedError:
        return None


# -- reading it back -------------------------------------------------------------------------------------------------


def read_events(path: str | Path) -> list[Event]:
    """The events of a saved `events.jsonl`. Raises ResultError for a line that is none."""
    events = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        try:
            if line:
                events.append(_event(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ResultError(f"{path}, line {number}: not an event of a search: {error}") from None
    return events


def read_trees(path: str | Path) -> list[SearchTree]:
    """The search tree of every run of a saved `events.jsonl`."""
    return trees(read_events(path))


def _event(fields: dict[str, Any]) -> Event:
    numbers = {name: float(fields[name]) for name in _NUMBERS if name in fields}
    seed = tuple(fields["seed"]) if isinstance(fields.get("seed"), list) else fields.get("seed")
    tokens = tuple(fields["tokens"]) if "tokens" in fields else None
    return Event(**{**fields, **numbers, "seed": seed, "tokens": tokens})


# -- who records -------------------------------------------------------------------------------------------------------


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
    """The record that a search starting here writes to, or None."""
    return _RECORD.get()


def current_watcher() -> Watcher | None:
    """Who watches a search starting here, or None."""
    return _WATCHER.get()
