"""Exact inference by enumeration of every trace: the reference for every other engine."""

from __future__ import annotations

from inference.engine import Engine, engine
from ppl.errors import CapabilityError
from ppl.execution import Execution, Stop
from ppl.results import Posterior
from ppl.run import Run
from ppl.trace import address

BATCH = 256  # open nodes advanced together: bounds memory, keeps model calls batched


@engine
class exact(Engine):  # noqa: N801
    """Every trace of a program whose choices are all finite, with weight gamma(trace); their sum is Z.

    Raises CapabilityError at a site without finite support, beyond `max_traces` complete traces, or on a path longer
    than `max_effects`.
    """

    max_traces: int = 100_000
    max_effects: int = 10_000

    def search(self, run: Run) -> Posterior:
        stack: list[Execution] = run.start()
        ended: list[Execution] = []
        with run.limits:
            while stack:
                stack, level = stack[:-BATCH], stack[-BATCH:]
                run.advance_all(level, Stop.ANY)
                ended += [e for e in level if not e.running]
                parked = [e for e in level if e.running and e.choice is not None]
                stack += [e for e in level if e.running and e.choice is None]  # at a checkpoint: nothing to branch on
                self._check(run, parked, len(ended) + len(stack) + len(parked))
                for node, table in zip(parked, run.supports(parked), strict=True):
                    children = [node.branch(value, log_prob) for value, log_prob in table]
                    children[-1].adopt(node)
                    run.free([node])
                    stack += children
        return run.posterior(ended)

    def _check(self, run: Run, parked: list[Execution], traces: int) -> None:
        if traces > self.max_traces:
            raise CapabilityError(
                f"exact: {run.program.name} has more than max_traces={self.max_traces} traces. Raise max_traces, or use smc(particles=...)."
            )
        for node in parked:
            choice = node.choice
            assert choice is not None
            if node.leaf.depth - node.barriers > self.max_effects:
                raise CapabilityError(
                    f"exact: a path of {run.program.name} is longer than max_effects={self.max_effects} effects"
                    f" (at site {address(choice.name, choice.index)!r}). Bound the loop, or raise max_effects."
                )
