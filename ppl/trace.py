"""Traces: what happened in an execution, as an immutable linked list that forks share.

The trace *is* the particle. A `Node` is one effect and points to the one before it, so a fork copies a pointer and a
prefix is just an earlier node. A node that sums up a stretch of effects (a finished `unfold`, a heuristic's callable,
what a user's distribution asked of models) carries `skip`, the node before that stretch: replay jumps over it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from immutables import Map

from ppl.errors import ResultError, UsageError, did_you_mean

_NUMBERED = re.compile(r"(.+)\[(0|[1-9]\d*)\]", re.DOTALL)
Counters = Map[Hashable, int]  # how often a name was used: of choices by the name, of records by ("record", name)
NO_COUNTERS: Counters = Map()


class Node:
    """One effect of an execution. Never changed once it is appended (log_prob is filled in when first asked for).

    kind        "start" (the root), "sample" "observe" "score" "require" "heuristic" "record" "ask" "barrier" "checkpoint"
                "unfold" "step" "return"
    value       what the program got back (sample, ask), or the value observed, recorded or estimated
    log_weight  this effect's increment: log p - log q of a choice that was not drawn from its prior, or a score
    log_total   the sum of increments up to here
    log_q       of a choice: the log-prob of what really drew it; None if it was its own distribution
    """

    __slots__ = (
        "parent", "skip", "kind", "name", "index", "value", "log_weight", "log_total", "counters",
        "depth", "dist", "proposal", "log_q", "_log_prob",
    )  # fmt: skip

    def __init__(
        self,
        parent: Node | None,
        kind: str,
        name: str,
        index: int = 0,
        value: Any = None,
        log_weight: float = 0.0,
        counters: Counters = NO_COUNTERS,
        dist: Any = None,
        log_prob: float | None = None,
        log_q: float | None = None,
        proposal: Any = None,
        skip: Node | None = None,
    ) -> None:
        self.parent = parent
        self.skip = skip
        self.kind = kind
        self.name = name
        self.index = index
        self.value = value
        self.log_weight = log_weight
        self.log_total: float = log_weight if parent is None else parent.log_total + log_weight
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.counters = counters
        self.dist = dist
        self.proposal = proposal
        self.log_q = log_q
        self._log_prob = log_prob

    @property
    def address(self) -> str:
        """What the site is called: its name, and which use of it."""
        return address(self.name, self.index)

    @property
    def log_prob(self) -> float:
        """log p of a choice or observation under the program; computed on first use where drawing did not need it."""
        if self._log_prob is None:
            self._log_prob = float(self.dist.log_prob(self.value)) if self.dist is not None else 0.0
        return self._log_prob

    @property
    def known(self) -> bool:
        """Whether log_prob needs no model."""
        return self._log_prob is not None or not self.dist.deferred


def address(name: str, index: int) -> str:
    """The k-th use of a name is `name[k]`; its first is just `name`."""
    return name if index == 0 else f"{name}[{index}]"


def first_use(name: str) -> str:
    """`x[0]` and `x` are one address."""
    return name[:-3] if name.endswith("[0]") else name


def next_use(name: str, counters: Counters, kind: str = "sample") -> tuple[str, int]:
    """The name and number of the use of a name that is due; a program may say the number too, as in "x[2]".

    UsageError if it says another: names number themselves, and two sites would share an address.
    """
    match = _NUMBERED.fullmatch(name) if name[-1:] == "]" else None
    base = name if match is None else match[1]
    due = counters.get(base if kind == "sample" else (kind, base), 0)
    if match is not None and int(match[2]) != due:
        raise UsageError(
            f"{kind}({name!r}, ...): the next use of {base!r} is {address(base, due)!r}. Uses of a name number themselves:"
            f" write {base!r}, or a name that does not end in a number in brackets."
        )
    return base, due


def backwards(leaf: Node | None) -> Iterator[Node]:
    """Every effect from the leaf to the root."""
    while leaf is not None:
        yield leaf
        leaf = leaf.parent


def since(leaf: Node | None, start: Node | None) -> Iterator[Node]:
    """The effects after `start`, last first; all of them if it is None."""
    return takewhile(lambda node: node is not start, backwards(leaf))


def replay_path(leaf: Node | None) -> list[Node]:
    """The effects that rebuild a continuation, first to last: barriers left out, summed-up stretches jumped over."""
    path = []
    node = leaf
    while node is not None:
        if node.kind not in ("barrier", "start"):
            path.append(node)
        node = node.skip if node.skip is not None else node.parent
    path.reverse()
    return path


@dataclass(frozen=True, slots=True)
class Site:
    """One choice of a trace: its value, log p, and log q where something else than p drew it."""

    value: Any
    log_prob: float
    log_q: float | None = None


@dataclass(eq=False, slots=True, repr=False)
class Trace:
    """What one execution did. Immutable; shares its prefix with the traces it was forked from.

    log_total  log p - log q of choices not drawn from their prior, plus all scores; untouched by resampling
    status     "finished", "running" or "dead"; `reason` says where and why of a dead one
    log_weight the weight its engine gave it (in a result: that of `result.log_weights`)
    heuristic  the estimate at the barrier an unfinished trace stands at
    horizon    the barrier to which Markov moves re-run it, among the runs that get there; None: to its end
    """

    leaf: Node
    value: Any
    status: str
    program: Any = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    log_weight: float = 0.0
    reason: str | None = None
    heuristic: float = 0.0
    horizon: int | None = None

    def __repr__(self) -> str:
        return f"Trace({self.status}, value={self.value!r}, log_total={self.log_total:.6g}, choices={self.choices!r})"

    @property
    def log_total(self) -> float:
        """log p - log q of choices that did not draw from their prior, plus all scores; -inf of a dead trace."""
        if self.status == "dead":
            return -math.inf
        return self.leaf.log_total

    @property
    def nodes(self) -> list[Node]:
        """Every effect, first to last."""
        return list(backwards(self.leaf))[::-1]

    def after(self, start: Node | None) -> list[Node]:
        """The effects that follow `start`, first to last."""
        return list(since(self.leaf, start))[::-1]

    def _choices(self) -> Iterator[Node]:
        return (n for n in backwards(self.leaf) if n.kind == "sample")

    @property
    def sites(self) -> dict[str, Site]:
        """address -> Site, in the order of the run."""
        return {n.address: Site(n.value, n.log_prob, n.log_q) for n in reversed(list(self._choices()))}

    @property
    def choices(self) -> dict[str, Any]:
        """address -> value, in the order of the run."""
        return {n.address: n.value for n in reversed(list(self._choices()))}

    @property
    def records(self) -> dict[str, Any]:
        """What `record` kept, by address."""
        return {n.address: n.value for n in self.nodes if n.kind == "record"}

    @property
    def log_prob(self) -> float:
        """The sum of log p over all choices."""
        return math.fsum(n.log_prob for n in self._choices())

    @property
    def log_score(self) -> float:
        """The sum of everything that is not a choice: scores and observations."""
        if self.status == "dead":
            return -math.inf
        return math.fsum(n.log_weight for n in backwards(self.leaf) if n.kind != "sample")

    @property
    def log_joint(self) -> float:
        """log gamma of this trace: log_prob + log_score."""
        return self.log_prob + self.log_score

    def __getitem__(self, name: str) -> Any:
        choices = self.choices
        try:
            return choices[first_use(name)]
        except KeyError:
            raise ResultError(
                f"no site {name!r} in this trace.{did_you_mean(name, choices)} It has {', '.join(choices) or 'none'}."
            ) from None

    def prefix(self, barriers: int) -> Node | None:
        """The node at the given barrier (1 is the first), or None if the trace has fewer."""
        marks = [n for n in backwards(self.leaf) if n.kind == "barrier"]
        return marks[-barriers] if 0 < barriers <= len(marks) else None


Selection = Callable[[str], bool]
