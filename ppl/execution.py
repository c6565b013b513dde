"""One run of a program: it answers the program's effects, parks where an engine wants to look, and forks.

`fork` copies pointers: the trace is the particle, and the suspended program (`ppl.continuation`) only a cache.

Both kinds of program end up here: Python functions call the primitives of `ppl.effects`, which are these methods; the
machine of a .scale program calls the methods itself and restarts from its own immutable state instead of replaying.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl.boundary import check_weight, isolate
from ppl.continuation import Continuation, Status
from ppl.current import require_execution
from ppl.dist import Distribution, as_distribution
from ppl.errors import CapabilityError, PPLError, SupportError, UsageError, WeightError
from ppl.requests import Plan, Request
from ppl.streams import Key, derive
from ppl.trace import NO_COUNTERS, Counters, Node, Trace, address, backwards

if TYPE_CHECKING:
    from ppl.run import Run

NEG_INF = -math.inf


class Stop(enum.Enum):
    """How far `Run.advance` lets an execution go."""

    END = "end"  # to its end
    BARRIER = "barrier"  # to the next point at which weights may be compared
    CHOICE = "choice"  # also to any choice among finitely many values, which an engine may enumerate
    ANY = "any"  # to the next choice of any kind


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice an execution is parked at."""

    name: str
    index: int
    dist: Distribution
    proposal: Distribution | None


@dataclass(frozen=True, slots=True)
class Forced:
    """A value given to a choice instead of drawing it.

    With `log_q` the weight gains log p - log_q (0.0 for an enumerated branch or a constraint). Without, the value
    counts as drawn by the site's own proposal, as when a chain keeps it.
    """

    value: Any
    log_q: float | None = 0.0
    log_prob: float | None = None


Policy = Callable[["Execution", str, int, Distribution, Distribution | None], Forced | None]


@dataclass(frozen=True, slots=True)
class Done:
    """What a step of `unfold` returns to end the loop."""

    value: Any = None


class Execution(Continuation):
    """A run in progress. Engines hold these as particles and nodes.

    leaf        its trace so far; `trace()` gives the public view
    status      running (parked somewhere), finished or dead
    log_weight  what its engine says it weighs: `offset` + leaf.log_total, without any heuristic
    rank        log_weight + the heuristic at the barrier it stands at (0 when finished)
    choice      the choice it is parked at, or None
    heuristic   the estimate given in the block that led here, or None
    pending     a weight was met since the last barrier
    key, forks  its lineage, and how many forks were made of it
    """

    __slots__ = (
        "id", "parent_id", "key", "rng", "forks", "counters", "offset", "policy", "stop", "until", "barriers",
        "choice", "forced", "_block_heuristic", "_passing",
    )  # fmt: skip

    def __init__(self, run: Run, key: Key, policy: Policy | None = None) -> None:
        super().__init__(run)
        self.id = run.next_id()
        self.parent_id: int | None = None
        self.key = key
        self.rng: Any = None  # draws come from here instead of the keyed streams, where an operation was handed one
        self.forks = 0
        self.counters: Counters = NO_COUNTERS
        self.offset = 0.0
        self.policy = policy
        self.stop = Stop.END
        self.until: int | None = None
        self.barriers = 0
        self.choice: Choice | None = None
        self.forced: Forced | None = None
        self._block_heuristic: float | None = None
        self._passing = False

    # -- what engines read ---------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return self.status is Status.FINISHED

    @property
    def dead(self) -> bool:
        return self.status is Status.DEAD

    @property
    def running(self) -> bool:
        return self.status is Status.RUNNING

    @property
    def log_weight(self) -> float:
        return NEG_INF if self.status is Status.DEAD else self.offset + self.leaf.log_total

    @property
    def rank(self) -> float:
        return self.log_weight + (self.heuristic or 0.0)

    def set_rank(self, rank: float) -> None:
        """Make `rank` the execution's working weight, as after resampling; its trace is not touched."""
        self.offset = rank - self.leaf.log_total - (self.heuristic or 0.0)

    def trace(self, horizon: int | None = None) -> Trace:
        """Its public view. `horizon`: Markov moves on it re-run to that barrier only, as inside SMC."""
        run = self.run
        return Trace(
            self.leaf, self.value, self.status.value, run.program, run.args, run.kwargs, self.log_weight, self.reason,
            0.0 if self.heuristic is None else self.heuristic, horizon,
        )  # fmt: skip

    # -- forking -------------------------------------------------------------------------------------------------

    def fork(self) -> Execution:
        """Another execution at the same point, with its own lineage: what it draws from here on is its own."""
        child = Execution(self.run, derive(self.key, "fork", self.forks), self.policy)
        self.forks += 1
        child.parent_id = self.id
        child.leaf, child.counters, child.state = self.leaf, self.counters, self.state
        child.status, child.value, child.reason, child.error = self.status, self.value, self.reason, self.error
        child.offset, child.barriers, child.pending = self.offset, self.barriers, self.pending
        child.choice, child.heuristic = self.choice, self.heuristic
        child._block_heuristic, child._passing = self._block_heuristic, self._passing
        return child

    def branch(self, value: Any, log_prob: float) -> Execution:
        """A fork that takes `value` at the choice it is parked at, enumerated: its weight gains log_prob."""
        child = self.fork()
        child.forced = Forced(value, 0.0, log_prob)
        return child

    def move_to(self, trace: Trace) -> None:
        """Stand where another trace stands: at its end, at the barrier its leaf marks, or right before a choice."""
        self.release()
        self.state = None
        leaf = self.leaf = trace.leaf
        self.counters, self.value = leaf.counters, trace.value
        self.status, self.reason = Status(trace.status), trace.reason
        at_barrier = leaf.kind == "barrier" and self.running
        self.heuristic = leaf.value if at_barrier else None
        self.barriers = next((node.index for node in backwards(leaf) if node.kind == "barrier"), 0)
        self.pending, self._block_heuristic, self.choice = False, None, None
        # a checkpoint's barrier is behind it; any other stands right before a choice, which must not mark it again
        self._passing = at_barrier and leaf.parent is not None and leaf.parent.kind != "checkpoint"

    # -- effects -------------------------------------------------------------------------------------------------

    def sample(self, name: str, dist: Any, proposal: Any = None) -> Any:
        if self._replay is not None:
            return isolate(self._replayed("sample", name).value)
        me = self
        if not isinstance(name, str):
            raise UsageError(f"sample: expected a name first, as in sample('step', dist); found {name!r}.")
        try:
            dist = as_distribution(dist)
            proposal = None if proposal is None else as_distribution(proposal)
        except UsageError as error:
            raise UsageError(f"sample({name!r}, ...): {error}") from None
        index = self.counters.get(name, 0)
        if not self._passing:
            barrier = self.pending
            if barrier:
                self._mark_barrier()
            if self._stops(barrier, dist):
                self.choice = Choice(name, index, dist, proposal)
                self._passing = True
                self._park()
                me = require_execution("sample")  # a child may have adopted the greenlet
        me._passing = False
        me.choice = None
        return me._choose(name, index, dist, proposal)

    def _choose(self, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Any:
        forced, self.forced = self.forced, None
        if forced is not None or proposal is not None or dist.weighted:
            self.pending = True  # an enumerated branch weighs; a policy's value does not change where barriers lie
        if forced is None and self.policy is not None:
            forced = self.policy(self, name, index, dist, proposal)
        log_p: float | None = None
        log_q: float | None = None
        if forced is None:
            value, log_p, log_q = self._draw(name, index, dist, proposal)
        else:
            value, log_p, log_q = forced.value, forced.log_prob, forced.log_q
            if log_p is None:
                log_p = self._assess(dist, value, name)
            if log_q is None and proposal is not None:
                log_q = self._assess(proposal, value, name)
        gain = 0.0
        if log_q is not None:
            if log_p is None:
                log_p = self._assess(dist, value, name)
            gain = NEG_INF if log_p == NEG_INF else log_p - log_q
        counters = self.counters = self.counters.set(name, index + 1)
        self.leaf = Node(self.leaf, "sample", name, index, value, gain, counters, dist, log_p, log_q, proposal)
        if gain == NEG_INF or log_p == NEG_INF:
            self.die(f"sample {address(name, index)!r}: the value {value!r} has probability zero under {dist!r}")
        if gain != gain or gain == math.inf:
            raise WeightError(
                f"sample({address(name, index)!r}): log p - log q is {gain} (log p = {log_p}, log q = {log_q})."
            )
        return isolate(value)

    def _draw(
        self, name: str, index: int, dist: Distribution, proposal: Distribution | None
    ) -> tuple[Any, float | None, float | None]:
        """(value, log p or None, log q or None); log q is given where the weight changes."""
        source = dist if proposal is None else proposal
        rng = self.rng if self.rng is not None else self.run.streams.at(self.key, name, index)
        if not source.deferred:
            value = source.sample(rng)
            return value, None, None if proposal is None else source.log_prob(value)
        drawn = self.wait(source.draw(rng))  # type: ignore[attr-defined]
        if proposal is not None:
            return drawn.value, None, drawn.log_q
        return drawn.value, drawn.log_prob, drawn.log_q if dist.weighted else None

    def _assess(self, dist: Distribution, value: Any, name: str) -> float:
        try:
            if dist.deferred:
                return float(self.wait(dist.assess(value)))  # type: ignore[attr-defined]
            return float(dist.log_prob(value))
        except NotImplementedError as error:
            raise CapabilityError(f"site {name!r}: {dist!r} cannot score a given value ({error!r})") from error

    def _stops(self, barrier: bool, dist: Distribution) -> bool:
        stop = self.stop
        if stop is Stop.BARRIER:
            return barrier and (self.until is None or self.barriers >= self.until)
        if stop is Stop.END:
            return False
        return stop is Stop.ANY or barrier or dist.finite

    def _mark_barrier(self) -> None:
        self.heuristic, self._block_heuristic = self._block_heuristic, None
        self.pending = False
        self.barriers += 1
        self.leaf = Node(self.leaf, "barrier", "", self.barriers, self.heuristic, counters=self.counters)

    def observe(self, name: str, dist: Any, value: Any) -> None:
        if self._replay is not None:
            self._replayed("observe", name)
            return
        if not isinstance(name, str):
            raise UsageError(f"observe: expected a name first, as in observe('y', dist, value); found {name!r}.")
        try:
            dist = as_distribution(dist)
        except UsageError as error:
            raise UsageError(f"observe({name!r}, ...): {error}") from None
        try:
            log_weight = dist.log_prob(value) if not dist.deferred else self._assess(dist, value, name)
        except (TypeError, ValueError) as error:
            if isinstance(error, PPLError):
                raise
            raise SupportError(f"observe({name!r}): {value!r} cannot be a value of {dist!r} ({error}).") from error
        log_weight = check_weight("observe", name, log_weight)
        if log_weight == NEG_INF and dist.outside(value):
            ruled_out = ", or list it with probability 0 if it is possible but ruled out" if dist.finite else ""
            raise SupportError(
                f"observe({name!r}): {value!r} is outside the support of {dist!r}. Observe one of its values{ruled_out}."
            )
        self._weigh("observe", name, log_weight, value, dist)

    def score(self, log_weight: Any, name: str) -> None:
        if self._replay is not None:
            self._replayed("score", name)
            return
        self._weigh("score", name, check_weight("score", name, log_weight), None, None)

    def _weigh(self, kind: str, name: str, log_weight: float, value: Any, dist: Any) -> None:
        index = self.counters.get(name, 0)
        self.counters = self.counters.set(name, index + 1)
        self.pending = True
        self.leaf = Node(
            self.leaf, kind, name, index, value, log_weight, self.counters, dist, None if dist is None else log_weight
        )
        if log_weight == NEG_INF:
            self.die(f"{kind} {address(name, index)!r}: log weight -inf")

    def require(self, condition: Any, reason: str) -> None:
        if self._replay is not None:
            self._replayed("score", "require")
            return
        index = self.counters.get("require", 0)
        self.counters = self.counters.set("require", index + 1)
        self.pending = True
        self.leaf = Node(self.leaf, "score", "require", index, None, 0.0 if condition else NEG_INF, self.counters)
        if not condition:
            self.die(f"require: {reason}" if reason else "require failed")

    def estimate(self, log_value: Any, name: str) -> None:
        """The `heuristic` primitive."""
        if self._replay is not None:
            self._replayed("heuristic", name)
            return
        before = self.leaf
        self.pending = True
        value: float | None = None
        if not callable(log_value) or self.run.uses_heuristic:
            found = log_value() if callable(log_value) else log_value
            value = check_weight("heuristic", name, found)
            if value == NEG_INF:
                raise WeightError(
                    f"heuristic({name!r}): the estimate is -inf, which would cut off traces that may have weight."
                    " Use require(...) to rule them out, or reward.log(floor=1e-6) for a finite estimate."
                )
            self._block_heuristic = value
        self.leaf = Node(self.leaf, "heuristic", name, value=value, counters=self.counters, skip=before)

    def checkpoint(self) -> None:
        if self._replay is not None:
            self._replayed("checkpoint", "")
            return
        self.leaf = Node(self.leaf, "checkpoint", "", counters=self.counters)
        self._mark_barrier()
        if self.stop is not Stop.END and (self.until is None or self.barriers >= self.until):
            self._park()

    def keep(self, name: str, value: Any) -> None:
        """The `record` primitive."""
        if self._replay is not None:
            self._replayed("record", name)
            return
        index = self.counters.get(f"record:{name}", 0)
        self.counters = self.counters.set(f"record:{name}", index + 1)
        self.leaf = Node(self.leaf, "record", name, index, isolate(value), counters=self.counters)

    def ask(self, plan: Plan[Any]) -> Any:
        """A deterministic question to a backend, or a call outside: recorded, never asked again on replay."""
        if self._replay is not None:
            return isolate(self._replayed("ask", plan.label).value)
        value = self.wait(plan)
        self.leaf = Node(self.leaf, "ask", plan.label, value=value, counters=self.counters)
        return isolate(value)

    def query(self, label: str, start: Callable[[Run, Key], Request]) -> Any:
        """A nested inference query: its own run on the same scheduler, recorded like any answer."""
        if self._replay is not None:
            return self._replayed("ask", label).value
        request = start(self.run, derive(self.key, label, self.leaf.depth))
        return self.ask(Plan(label, [request], lambda results: results[0]))

    def unfold(self, step: Callable[[Any], Any], state: Any) -> Any:
        if self._replay is not None:
            enter = self._replayed("unfold", "")
            if self._replay is not None:
                latest = self._replay[self._cursor]
                if latest.skip is enter and latest.kind == "return":
                    return isolate(self._replayed("return", "").value)
                if latest.skip is enter and latest.kind == "step":
                    state = self._replayed("step", "").value
        else:
            enter = self.leaf = Node(self.leaf, "unfold", "", counters=self.counters)
        if not callable(step):
            raise UsageError(f"unfold: expected a function of the state, as in unfold(step, state); found {step!r}.")
        while True:
            result = step(isolate(state))
            me = require_execution("unfold")
            kind, state = ("return", result.value) if isinstance(result, Done) else ("step", result)
            state = isolate(state)
            me.leaf = Node(me.leaf, kind, "", value=state, counters=me.counters, skip=enter)
            if kind == "return":
                return isolate(state)
