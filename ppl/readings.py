"""What can be read off the weighted traces of a run: values, weights, probabilities, marginals, votes.

Readings of a run that a limit stopped warn, since its finished traces are the short ones; and a program that reads an
inexact nested query is no longer exact itself, which its own result says.
"""

from __future__ import annotations

import math
import warnings as python_warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from ppl.boundary import label, plain
from ppl.current import execution_here
from ppl.engine_catalogue import ENGINES
from ppl.errors import ResultError, did_you_mean
from ppl.population import normalise
from ppl.trace import Trace, first_use
from ppl.votes import vote

Numbers = np.ndarray[Any, np.dtype[np.float64]]


class Readings:
    """Traces with weights, and what they say together.

    reasons        why executions died, with counts
    stopped        None, or the name of the limit that ended the run
    inexact_query  a nested query that the run made and that is no exact one; None if it made none
    """

    def __init__(self, traces: Sequence[Trace], engine: str, program: str, stopped: str | None) -> None:
        self.reasons = Counter(t.reason or "dead" for t in traces if t.status == "dead")
        self._finished = [t for t in traces if t.status == "finished" and t.log_weight > -math.inf]
        self._traces = self._finished + [t for t in traces if t.status == "running"]
        self.engine, self.program, self.stopped = engine, program, stopped
        self.inexact_query: str | None = None
        self._weights: Numbers | None = None

    def __len__(self) -> int:
        """How many traces finished."""
        return len(self.finished)

    @property
    def finished(self) -> list[Trace]:
        """The finished traces of positive weight, with which values and weights are aligned."""
        self._nested_reading("its traces")
        return self._finished

    @property
    def traces(self) -> list[Trace]:
        """The finished traces, then those that a limit left unfinished."""
        self._nested_reading("its traces")
        return self._traces

    @property
    def values(self) -> list[Any]:
        """The values of finished traces, one each."""
        self._nested_reading("values")
        return self._values

    @property
    def _values(self) -> list[Any]:
        return [t.value for t in self._finished]

    @property
    def log_weights(self) -> Numbers:
        """Natural logarithms of the weights, as the engine left them, one for each finished trace.

        Their logsumexp is the log evidence, where there is one.
        """
        self._reading("log_weights")
        return np.array([t.log_weight for t in self._finished])

    @property
    def weights(self) -> Numbers:
        """Of finished traces, normalised to sum to 1, one each; read-only."""
        self._reading("weights")
        if self._weights is None:
            self._weights = np.array(normalise([t.log_weight for t in self._finished]))
            self._weights.setflags(write=False)
        return self._weights

    @property
    def best(self) -> Trace:
        """The finished trace with the largest log_total (the first of equals). ResultError if there is none."""
        if not self._finished:
            raise ResultError(f"there is no best trace: {self.why_empty()}")
        self._nested_reading("best")
        return max(self._finished, key=lambda t: t.log_total)

    @property
    def mode(self) -> Any:
        """The value with the largest total weight (the first of equals). ResultError if there is none."""
        answers = self.answers()
        if not answers:
            raise ResultError(f"there is no mode: {self.why_empty()}")
        return max(answers, key=lambda pair: pair[1])[0]

    def answers(self) -> list[tuple[Any, float]]:
        """The different values, in order of appearance, each with the weight of all traces that returned it."""
        table: dict[Any, tuple[Any, float]] = {}
        for value, weight in zip(self._values, self.weights, strict=True):
            same = label(value)
            table[same] = (value, table.get(same, (value, 0.0))[1] + float(weight))
        return list(table.values())

    def p(self, value_or_predicate: Any) -> float:
        """The probability of a value, or that a predicate holds of the value: the sum of `weights` there."""
        holds: Callable[[Any], Any] = (
            value_or_predicate if callable(value_or_predicate) else lambda v: plain(v) == plain(value_or_predicate)
        )
        return math.fsum(w for v, w in zip(self._values, self.weights, strict=True) if holds(v))

    def marginal(self, name: str) -> dict[Any, float]:
        """value -> P(the site is used and equals it). "x" is the site's first use, "x[2]" its third.

        Recorded values have marginals too. The probabilities sum to P(the site is used). ResultError for a name that no
        trace has.
        """
        self._reading("marginal")
        address = self._resolve(first_use(name))
        table: dict[Any, float] = {}
        for trace, weight in zip(self._finished, self.weights, strict=True):
            choices = trace.choices if address in trace.choices else trace.records
            if address in choices:
                value = label(choices[address])
                table[value] = table.get(value, 0.0) + float(weight)
        return table

    def vote(
        self, kind: str = "majority", *, key: Callable[[Any], Hashable] | None = None, threshold: float = 0.0
    ) -> Any:
        """The winning value: "majority", "weighted" or "best_of_majority"; see `ppl.votes.vote`."""
        self._reading("vote")
        return vote(self._finished, list(self.weights), kind, key, threshold)

    def why_empty(self) -> str:
        """Why there is no finished trace, in words."""
        if self.reasons:
            deaths = "; ".join(f"{count} x {reason}" for reason, count in self.reasons.most_common(5))
            return f"every execution died: {deaths}"
        return "no trace finished" + (f" before {cause(self.stopped)}".replace("its", "the") if self.stopped else "")

    @property
    def is_exact(self) -> bool:
        """Whether its weights are those of every trace: enumerated to the end, and no estimate was among its scores."""
        whole = self.engine.startswith("exact(") and " then " not in self.engine and self.stopped is None
        return whole and self.inexact_query is None

    @property
    def enumerated(self) -> bool:
        """Its traces are all different by construction, as under `exact`: they are no sample with a variance."""
        entry = ENGINES.get(self.engine.partition("(")[0])
        return entry is not None and "finite" in entry.needs

    # -- what they warn of -----------------------------------------------------------------------------------------

    def _reading(self, what: str) -> None:
        """Readings other than values and evidence: warn where they are biased."""
        if self.stopped:
            python_warnings.warn(
                f"{what} of a run stopped by {cause(self.stopped)}: biased towards short runs", stacklevel=4
            )
        self._nested_reading(what)

    def _nested_reading(self, what: str) -> None:
        """A program that reads an inexact result of a query is no longer exact itself: its result warns."""
        outer = execution_here()
        if outer is not None and not self.is_exact:
            outer.run.warn(
                f"the program reads {what} of an inexact nested query ({self.program} under {self.engine}): only score(inner.log_evidence) keeps the outer engine exact"
            )

    def _resolve(self, address: str) -> str:
        known = dict.fromkeys(a for t in self._finished for a in (*t.choices, *t.records))
        if address in known or not known:
            return address
        matches = [a for a in known if a.rsplit("/", 1)[-1] == address]
        if len(matches) == 1:
            return matches[0]
        several = f" It could be {', '.join(matches)}: write the path." if matches else did_you_mean(address, known)
        raise ResultError(f"no site {address!r} in these traces.{several} They have {', '.join(known)}.")


def cause(stopped: str) -> str:
    """What ended a run, in words."""
    return "an interrupt" if stopped == "interrupt" else f"its limit on {stopped}"
