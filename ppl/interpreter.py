"""What the primitives mean: how an execution answers its program's effects, and where it parks.

Python functions call the primitives of `ppl.effects`, which are the methods of an `Interpreter`; the machine of a
.scale program calls the methods itself and restarts from its own immutable state instead of replaying. Those that
only weigh a run are in `ppl.weighing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl.boundary import isolate
from ppl.choices import Choice, Forced, Policy, Stop
from ppl.current import require_execution
from ppl.distribution import Distribution, distribution_at
from ppl.errors import UsageError, WeightError
from ppl.finite import Finite
from ppl.requests import Plan, Request
from ppl.streams import Key, derive
from ppl.trace import Node, address, next_use
from ppl.weighing import Weighing

if TYPE_CHECKING:
    from ppl.run import Run

NEG_INF = -math.inf
REACHED = 256  # of no more values is it checked that a proposal can draw them all


@dataclass(frozen=True, slots=True)
class Done:
    """What a step of `unfold` returns to end the loop."""

    value: Any = None


class Interpreter(Weighing):
    """A continuation that knows what its effects mean.

    key     its lineage: what it draws is a function of the key, the site's name and number
    rng     a stream to draw from instead, where an operation on traces was handed one
    policy  who may give a choice its value, or None
    choice  the choice it is parked at, or None; `forced`: the value it takes there, if an engine branched
    """

    __slots__ = ("key", "rng", "policy", "choice", "forced", "_passing")

    def __init__(self, run: Run, key: Key, policy: Policy | None = None) -> None:
        super().__init__(run)
        self.key = key
        self.rng: Any = None
        self.policy = policy
        self.choice: Choice | None = None
        self.forced: Forced | None = None
        self._passing = False

    def sample(self, name: str, dist: Any, proposal: Any = None) -> Any:
        """The primitive: draw a value, or take the one that the record, an engine or a policy gives."""
        if self._replay is not None:
            return isolate(self._replayed("sample", name).value)
        dist = distribution_at("sample", name, dist)
        proposal = None if proposal is None else distribution_at("sample", name, proposal)
        name, index = (name, self.counters.get(name, 0)) if name[-1:] != "]" else next_use(name, self.counters)
        me = self if self._passing else self._approach(name, index, dist, proposal)
        me._passing = False
        me.choice = None
        return me._choose(name, index, dist, proposal)

    def _approach(self, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Interpreter:
        """Mark the barrier before a choice and park there if an engine wants to look.

        Returns who goes on: a child may have adopted the greenlet meanwhile.
        """
        barrier = self.pending
        if barrier:
            self._mark_barrier()
        if not self._stops(barrier, dist):
            return self
        self.choice = Choice(name, index, dist, proposal)
        self._passing = True
        self._park()
        return require_execution("sample")

    def _choose(self, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Any:
        if self.run.timed:
            self._keep_time()
        forced, self.forced = self.forced, None
        if forced is not None or proposal is not None or dist.weighted:
            self.pending = True  # an enumerated branch weighs; a policy's value does not change where barriers lie
        if forced is None and self.policy is not None:
            forced = self.policy(self, name, index, dist, proposal)  # type: ignore[arg-type]
        if dist.caveat:
            self.run.warn(f"sample({name!r}): {dist.caveat}")
        reason, before = "", self.leaf
        if forced is None:
            value, log_p, log_q, reason = self._draw(name, index, dist, proposal)
        else:
            value, log_p, log_q = self._take(forced, name, dist, proposal)
        gain = 0.0
        if log_q is not None:
            if log_p is None:
                log_p = self._assess(dist, value, name)
            gain = NEG_INF if log_p == NEG_INF else log_p - log_q
        counters = self.counters = self.counters.set(name, index + 1)
        skip = None if before is self.leaf else before  # a user's distribution may have asked models
        self.leaf = Node(self.leaf, "sample", name, index, value, gain, counters, dist, log_p, log_q, proposal, skip)
        if gain == NEG_INF or log_p == NEG_INF:
            reason = reason or f"the value {value!r} has probability zero under {dist!r}"
            self.die(f"sample {address(name, index)!r}: {reason}")
        if gain != gain or gain == math.inf:
            raise WeightError(
                f"sample({address(name, index)!r}): log p - log q is {gain} (log p = {log_p}, log q = {log_q})."
            )
        return isolate(value)

    def _take(
        self, forced: Forced, name: str, dist: Distribution, proposal: Distribution | None
    ) -> tuple[Any, float, float | None]:
        """(value, log p, log q) of a choice that is given its value."""
        log_p = self._assess(dist, forced.value, name) if forced.log_prob is None else forced.log_prob
        if forced.log_q is None and proposal is not None:
            return forced.value, log_p, self._assess(proposal, forced.value, name)
        return forced.value, log_p, forced.log_q

    def _keep_time(self) -> None:
        """Park for good once the time is up: a program may go on for long without asking any model."""
        self.run.check_time()
        if any(run.stopped is not None for run in self.run.chain):
            self.waiting = Plan("time", [], list)
            self._park()

    def _draw(
        self, name: str, index: int, dist: Distribution, proposal: Distribution | None
    ) -> tuple[Any, float | None, float | None, str]:
        """(value, log p or None, log q or None, why p is 0); log q is given where the weight changes."""
        source = dist if proposal is None else proposal
        stream = self.run.streams.at if source.deferred or source.at_once else self.run.streams.own
        rng = self.rng if self.rng is not None else stream(self.key, name, index)
        if proposal is not None:
            self._check_reach(name, dist, proposal)
        if not source.deferred:
            value = source.sample(rng)
            return value, None, None if proposal is None else source.log_prob(value), ""
        drawn = self.wait(source.draw(rng))  # type: ignore[attr-defined]
        if proposal is not None:
            return drawn.value, None, drawn.log_q, drawn.reason
        return drawn.value, drawn.log_prob, drawn.log_q if dist.weighted else None, drawn.reason

    def _check_reach(self, name: str, dist: Distribution, proposal: Distribution) -> None:
        """Warn where a proposal can never draw what may come: weights cannot make up for it."""
        if not (isinstance(dist, Finite) and isinstance(proposal, Finite)) or len(dist.support()) > REACHED:
            return
        missed = next((v for v in dist.support() if dist.log_prob(v) > NEG_INF == proposal.log_prob(v)), None)
        if missed is not None:
            self.run.warn(
                f"sample({name!r}): the proposal {proposal!r} never draws {missed!r}, which {dist!r} may give: traces with it"
                " are lost. Give every value that may come some probability"
            )

    def _stops(self, barrier: bool, dist: Distribution) -> bool:
        stop = self.stop
        if stop is Stop.BARRIER:
            return barrier and (self.until is None or self.barriers >= self.until)
        if stop is Stop.END:
            return False
        return stop is Stop.ANY or barrier or dist.finite

    def keep(self, name: str, value: Any) -> None:
        """The `record` primitive."""
        if self._replay is not None:
            self._replayed("record", name)
            return
        name, index = next_use(name, self.counters, "record")
        self.counters = self.counters.set(("record", name), index + 1)
        self.leaf = Node(self.leaf, "record", name, index, isolate(value), counters=self.counters)

    def ask(self, plan: Plan[Any]) -> Any:
        """A deterministic question to a backend, or a call outside: recorded, never asked again on replay."""
        if self._replay is not None:
            return isolate(self._replayed("ask", plan.label).value)
        value = self.wait(plan)
        self.leaf = Node(self.leaf, "ask", plan.label, value=value, counters=self.counters)
        return isolate(value)

    def query(self, label: str, start: Callable[[Run, Key], list[Request]]) -> list[Any]:
        """Nested inference queries: runs of their own on the same scheduler, together recorded like one answer."""
        if self._replay is not None:
            return list(self._replayed("ask", label).value)
        requests = start(self.run, derive(self.key, label, self.leaf.depth))
        return list(self.ask(Plan(label, requests, tuple)))

    def unfold(self, step: Callable[[Any], Any], state: Any) -> Any:
        """The primitive: steps that finished are summed up in one effect each, at which replay goes on."""
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
