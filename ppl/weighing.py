"""How a run is weighed: observations, scores, requirements and heuristics, and the barriers at which weights may be compared.

Weights that follow each other without a choice between them are one block and take effect together; a barrier lies
behind it, where it is known that a choice or the end comes next. Within a block the last heuristic holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ppl.boundary import called, check_weight
from ppl.choices import Stop
from ppl.continuation import Continuation, diverged
from ppl.distribution import Distribution, distribution_at
from ppl.errors import CapabilityError, PPLError, SupportError, WeightError
from ppl.finite import Finite
from ppl.trace import NO_COUNTERS, Counters, Node, address, backwards

if TYPE_CHECKING:
    from ppl.run import Run

NEG_INF = -math.inf


class Weighing(Continuation):
    """A continuation that keeps its weight.

    pending      a weight was met since the last barrier
    barriers     how many it has passed
    heuristic    the estimate at the last of them, or None
    stop, until  how far it may go (see `Run.advance`)
    """

    __slots__ = ("counters", "stop", "until", "barriers", "_block_heuristic")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.counters: Counters = NO_COUNTERS
        self.stop = Stop.END
        self.until: int | None = None
        self.barriers = 0
        self._block_heuristic: float | None = None

    def observe(self, name: str, dist: Any, value: Any) -> None:
        """The primitive: log p of a given value goes into the weight."""
        if self._replay is not None:
            self._replayed("observe", name)
            return
        dist = distribution_at("observe", name, dist)
        before = self.leaf
        try:
            log_weight = dist.log_prob(value) if not dist.deferred else self._assess(dist, value, name)
        except (TypeError, ValueError) as error:
            if isinstance(error, PPLError):
                raise
            raise SupportError(f"{called('observe', name)}: {value!r} cannot be a value of {dist!r} ({error}).") from error
        log_weight = check_weight("observe", name, log_weight)
        if log_weight == NEG_INF and dist.outside(value):
            ruled_out = ", or list it with probability 0 if it is possible but ruled out" if isinstance(dist, Finite) else ""
            raise SupportError(
                f"{called('observe', name)}: {value!r} is outside the support of {dist!r}. Observe one of its values{ruled_out}."
            )
        self._weigh("observe", name, log_weight, value, dist, None if before is self.leaf else before)

    def score(self, log_weight: Any, name: str) -> None:
        """The primitive; on replay the same number must come again."""
        if self._replay is not None:
            self._same_weight(self._replayed("score", name), log_weight)
            return
        self._weigh("score", name, check_weight("score", name, log_weight), None, None)

    def _weigh(
        self, kind: str, name: str, log_weight: float, value: Any, dist: Any, skip: Node | None = None
    ) -> None:
        log_prob = None if dist is None else log_weight
        self.pending = True
        leaf = self.leaf = Node(
            self.leaf, kind, name, 0, value, log_weight, self.counters, dist, log_prob, skip=skip
        )
        if log_weight == NEG_INF:
            before = sum(n.kind == kind and n.name == name for n in backwards(leaf.parent))
            site = address(name, before)
            self.die(f"{kind}: log weight -inf" if site == kind else f"{kind} {site!r}: log weight -inf")
        if leaf.log_total == math.inf:
            raise WeightError(f"{called(kind, name)}: the log weights of this run add up to +inf. Weights must be finite.")

    def _same_weight(self, recorded: Node, log_weight: Any) -> None:
        """On replay a score is what it was, up to rounding."""
        if log_weight != recorded.log_weight:
            came, was = check_weight("score", recorded.name, log_weight), recorded.log_weight
            if not abs(came - was) <= 1e-6 * (1.0 + abs(was)):
                raise diverged(f"score {recorded.name!r} of {was!r}", f"one of {came!r}")

    def require(self, condition: Any, reason: str) -> None:
        """The primitive: weight zero unless it holds."""
        if self._replay is not None:
            self._replayed("require", "")
            if not condition:
                raise diverged("a requirement that holds", f"require({condition!r})")
            return
        self.pending = True
        self.leaf = Node(self.leaf, "require", "", 0, None, 0.0 if condition else NEG_INF, self.counters)
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
                    f"{called('heuristic', name)}: the estimate is -inf, which would cut off traces that may have weight."
                    " Use require(...) to rule them out, or reward.log(floor=1e-6) for a finite estimate."
                )
            self._block_heuristic = value
        self.leaf = Node(self.leaf, "heuristic", name, value=value, counters=self.counters, skip=before)

    def checkpoint(self) -> None:
        """The primitive: a barrier where it stands."""
        if self._replay is not None:
            self._replayed("checkpoint", "")
            return
        self.leaf = Node(self.leaf, "checkpoint", "", counters=self.counters)
        self._mark_barrier()
        if self.stop is not Stop.END and (self.until is None or self.barriers >= self.until):
            self._park()

    def _mark_barrier(self) -> None:
        self.heuristic, self._block_heuristic = self._block_heuristic, None
        self.pending = False
        self.barriers += 1
        self.leaf = Node(self.leaf, "barrier", "", self.barriers, self.heuristic, counters=self.counters)

    def _assess(self, dist: Distribution, value: Any, name: str) -> float:
        try:
            if dist.deferred:
                return float(self.wait(dist.assess(value)))  # type: ignore[attr-defined]
            return float(dist.log_prob(value))
        except NotImplementedError as error:
            raise CapabilityError(f"site {name!r}: {dist!r} cannot score a given value ({error!r})") from error
