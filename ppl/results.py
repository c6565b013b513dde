"""What engines return: a `Posterior` (weighted traces) or a `SearchResult` (ranked ones)."""

from __future__ import annotations

import math
import warnings as python_warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ppl.boundary import label, plain
from ppl.cost import Cost
from ppl.current import execution_here
from ppl.diagnostics import evidence_error
from ppl.engine_catalogue import ENGINES
from ppl.errors import ResultError, did_you_mean
from ppl.events import Event
from ppl.population import effective_sample_size, log_sum_exp, normalise
from ppl.search_tree import SearchTree, trees
from ppl.trace import Trace, first_use
from ppl.votes import vote

if TYPE_CHECKING:
    from ppl.run import Run


class Result:
    """What every engine's result has.

    traces    finished ones first (aligned with values and weights), then those a limit left unfinished
    stopped   None, or the name of the limit that ended the run
    reasons   why executions died, with counts
    cost      the ledger; warnings what a reader should know; seed reproduces the run
    ess_steps the effective sample size at every barrier at which particles were compared
    log_evidence_error   the standard error of log_evidence, where the run lets it be estimated; else None
    """

    kind: ClassVar[str] = "result"

    def __init__(
        self,
        traces: Sequence[Trace],
        *,
        engine: str = "",
        seed: Any = None,
        cost: Cost | None = None,
        warnings: Sequence[str] = (),
        stopped: str | None = None,
        program: str = "",
        no_evidence: str | None = None,
    ) -> None:
        self.reasons = Counter(t.reason or "dead" for t in traces if t.status == "dead")
        living = [t for t in traces if t.status == "finished" and t.log_weight > -math.inf]
        self.traces = living + [t for t in traces if t.status == "running"]
        self._finished = living
        self.engine, self.program, self.seed, self.stopped = engine, program, seed, stopped
        self.engine_source = "call"
        self.events: list[Event] | None = None
        self.cost = cost if cost is not None else Cost()
        self.warnings = list(warnings)
        self._no_evidence = no_evidence
        self.ess_steps: list[float] = []
        self.log_evidence_error: float | None = None
        self._weights: np.ndarray[Any, np.dtype[np.float64]] | None = None
        if stopped:
            self.warnings.append(
                f"stopped by {cause(stopped)}: finished traces are the short ones, readings are biased"
            )

    @classmethod
    def of_run(cls, run: Run, traces: Sequence[Trace], *, evidence: bool | str = True) -> Self:
        """The result of a run. `evidence=False` or a reason: this engine's weights say nothing about Z."""
        no_evidence = None if evidence is True else evidence or "this engine's weights do not estimate the evidence"
        if run.stopped:
            no_evidence = f"the run was stopped by {cause(run.stopped)}"
        result = cls(
            traces, engine=repr(run.engine), program=run.program.name, seed=run.seed, cost=run.cost,
            warnings=run.warnings, stopped=run.stopped, no_evidence=no_evidence,
        )  # fmt: skip
        result.ess_steps = list(run.ess)
        if no_evidence is None and run.generations is not None and not result.enumerated:
            result.log_evidence_error = evidence_error(traces, run.generations)
        return result

    # -- values and weights ----------------------------------------------------------------------------------------

    @property
    def values(self) -> list[Any]:
        """The values of finished traces, one each."""
        return [t.value for t in self._finished]

    @property
    def log_weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Of finished traces, as the engine left them: their logsumexp is the log evidence, where there is one."""
        self._reading("log_weights")
        return np.array([t.log_weight for t in self._finished])

    @property
    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Normalised to sum to 1; read-only."""
        self._reading("weights")
        if self._weights is None:
            self._weights = np.array(normalise([t.log_weight for t in self._finished]))
            self._weights.setflags(write=False)
        return self._weights

    @property
    def best(self) -> Trace:
        """The finished trace with the largest log_total (the first of equals)."""
        if not self._finished:
            raise ResultError(f"there is no best trace: {self._emptiness()}")
        self._nested_reading("best")
        return max(self._finished, key=lambda t: t.log_total)

    @property
    def mode(self) -> Any:
        """The value with the largest total weight."""
        table = self._table(self.values)
        if not table:
            raise ResultError(f"there is no mode: {self._emptiness()}")
        return max(table.values(), key=lambda pair: pair[1])[0]

    def p(self, value_or_predicate: Any) -> float:
        """The probability of a value, or that a predicate holds of the value."""
        holds: Callable[[Any], Any] = (
            value_or_predicate if callable(value_or_predicate) else lambda v: plain(v) == plain(value_or_predicate)
        )
        return math.fsum(w for v, w in zip(self.values, self.weights, strict=True) if holds(v))

    def marginal(self, name: str) -> dict[Any, float]:
        """value -> P(the site is used and equals it). "x" is the site's first use, "x[2]" its third.

        Recorded values have marginals too. The probabilities sum to P(the site is used).
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

    @cached_property
    def tree(self) -> SearchTree:
        """The tree of the search that gave this result, if it was recorded (see `ppl.events`)."""
        if self.events is None:
            raise ResultError(
                "no record of this search was kept: run it inside `with ppl.events.recording(path):`, or with"
                " `scale run --out DIR`, whose events.jsonl ppl.events.read_trees reads."
            )
        return trees(self.events)[0]

    # -- leaving ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write plain JSON; `Posterior.load(path)` or `SearchResult.load(path)` reads it back."""
        from ppl.storage import save

        return save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        from ppl.storage import load

        return load(cls, Path(path))

    def to_pandas(self) -> Any:
        """A DataFrame with one row per finished trace: value, weight, log_weight and a column per site."""
        from ppl.storage import to_pandas

        return to_pandas(self)

    def explain(self, trace: Trace | None = None) -> None:
        """Print a trace's effects in order: address, value, log p, weight, and the choice that each follows.

        Without a trace, the best one. "shared" counts the traces of this result that went through the same effect.
        """
        from ppl.terminal import print_sites

        print_sites(self, self.best if trace is None else trace)

    def __rich__(self) -> Any:
        from ppl.terminal import card

        return card(self)

    def _repr_html_(self) -> str:
        from ppl.notebook import html

        return html(self)

    def __repr__(self) -> str:
        n = len(self._finished)
        head = f"{type(self).__name__}({self.program} under {self.engine}, seed={self.seed!r}, {n} traces"
        return f"{head}{f', stopped={self.stopped!r}' if self.stopped else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its program and models, so that results cross processes."""
        from ppl.storage import pack, unpack

        return unpack, (type(self), pack(self))

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __len__(self) -> int:
        return len(self._finished)

    # -- inside ----------------------------------------------------------------------------------------------------

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

    @property
    def is_exact(self) -> bool:
        return self.engine.startswith("exact")

    @property
    def enumerated(self) -> bool:
        """Its traces are all different by construction, as under `exact`: they are no sample with a variance."""
        entry = ENGINES.get(self.engine.partition("(")[0])
        return entry is not None and "finite" in entry.needs

    def _table(self, values: Sequence[Any]) -> dict[Any, tuple[Any, float]]:
        table: dict[Any, tuple[Any, float]] = {}
        for value, weight in zip(values, self.weights, strict=True):
            same = label(value)
            table[same] = (value, table.get(same, (value, 0.0))[1] + float(weight))
        return table

    def _resolve(self, address: str) -> str:
        known = dict.fromkeys(a for t in self._finished for a in (*t.choices, *t.records))
        if address in known or not known:
            return address
        matches = [a for a in known if a.rsplit("/", 1)[-1] == address]
        if len(matches) == 1:
            return matches[0]
        several = f" It could be {', '.join(matches)}: write the path." if matches else did_you_mean(address, known)
        raise ResultError(f"no site {address!r} in these traces.{several} They have {', '.join(known)}.")

    def _emptiness(self) -> str:
        if self.reasons:
            deaths = "; ".join(f"{count} x {reason}" for reason, count in self.reasons.most_common(5))
            return f"every execution died: {deaths}"
        return "no trace finished" + (f" before {cause(self.stopped)}".replace("its", "the") if self.stopped else "")


class Posterior(Result):
    """Weighted traces. For each f, sum_i w_i f(t_i) estimates Z * E_posterior[f] without bias (chains: in the limit).

    log_evidence is logsumexp(log_weights) and estimates log Z; where the engine has none, reading it says why.
    """

    kind = "posterior"

    @property
    def log_evidence(self) -> float:
        """The log of the estimate of Z, which is unbiased; ResultError that says why where the engine has none."""
        if self._no_evidence is not None:
            raise ResultError(f"no log_evidence: {self._no_evidence}")
        return log_sum_exp([t.log_weight for t in self._finished])

    @property
    def ess(self) -> float:
        """Effective sample size: how many equally weighted traces these are worth."""
        self._reading("ess")
        return effective_sample_size([t.log_weight for t in self._finished])

    def mean(self, f: Callable[[Any], float] = float) -> float:
        """The posterior expectation of f(value)."""
        if not self._finished:
            raise ResultError(f"there is no mean: {self._emptiness()}")
        self._reading("mean")
        try:
            numbers = [float(f(v)) for v in self.values]
        except (TypeError, ValueError) as error:
            if f is not float:
                raise
            raise ResultError(
                f"mean: a value is no number ({error}). Give f, as in mean(lambda value: len(value))."
            ) from None
        return math.fsum(float(w) * x for x, w in zip(numbers, self.weights, strict=True))

    def to_arviz(self) -> Any:
        """Numeric sites and values as an arviz data tree: one draw per trace, resampled by weight to equal ones."""
        from ppl.storage import to_arviz

        return to_arviz(self)


class SearchResult(Result):
    """Ranked traces, best first. log_weights are the ranks without heuristics, weights their softmax.

    A search does not sample from the posterior: it has no evidence, no effective sample size and no mean.
    """

    kind = "search"

    def __getattr__(self, name: str) -> Any:
        if name in ("log_evidence", "ess", "mean", "to_arviz"):
            raise ResultError(
                f"{self.__dict__.get('engine', 'a search')} is a search: its traces are ranked, not sampled, so it has no {name}."
                " Use importance(...) or smc(...) on the same program."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def cause(stopped: str) -> str:
    """What ended a run, in words."""
    return "an interrupt" if stopped == "interrupt" else f"its limit on {stopped}"
