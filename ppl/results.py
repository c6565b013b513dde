"""What engines return: a `Posterior` (weighted traces) or a `SearchResult` (ranked ones)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ppl.cost import Cost
from ppl.diagnostics import evidence_error
from ppl.errors import ResultError
from ppl.events import Event
from ppl.population import effective_sample_size, log_sum_exp
from ppl.readings import Readings, cause
from ppl.search_tree import SearchTree, trees
from ppl.trace import Trace

if TYPE_CHECKING:
    from ppl.run import Run


class Result(Readings):
    """What every engine's result has.

    traces    finished ones first (aligned with values and weights), then those a limit left unfinished
    stopped   None, or the name of the limit that ended the run
    reasons   why executions died, with counts
    cost      the ledger (`ppl.Cost`)
    seed      reproduces the run
    warnings  what a reader should know
    events    what the search did, if it was recorded (`ppl.events`)
    ess_steps            the effective sample size at every barrier at which particles were compared
    no_evidence          why log_evidence is none, or None
    log_evidence_error   the standard error of log_evidence, where the run lets it be estimated; else None
    engine_source        who chose the engine: "call", "decorator", "infer line" or "--engine"
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
        super().__init__(traces, engine, program, stopped)
        self.seed = seed
        self.engine_source = "call"
        self.events: list[Event] | None = None
        self.cost = cost if cost is not None else Cost()
        self.warnings = list(warnings)
        self.no_evidence = no_evidence
        self.ess_steps: list[float] = []
        self.log_evidence_error: float | None = None
        if stopped:
            bias = ": finished traces are the short ones, readings are biased" if self._finished else ""
            self.warnings.append(f"stopped by {cause(stopped)}{bias}")

    @classmethod
    def of_run(cls, run: Run, traces: Sequence[Trace], *, no_evidence: str | None = None) -> Self:
        """The result of a run. `no_evidence`: why these weights say nothing about Z, if they do not."""
        if run.stopped:
            no_evidence = f"the run was stopped by {cause(run.stopped)}"
        result = cls(
            traces, engine=repr(run.engine), program=run.program.name, seed=run.seed, cost=run.cost,
            warnings=run.warnings, stopped=run.stopped, no_evidence=no_evidence,
        )  # fmt: skip
        result.ess_steps = list(run.ess)
        if run.inexact_query is not None:
            exact = result.is_exact
            result.inexact_query = run.inexact_query
            if exact:
                result.warnings.append(
                    f"the program queries {run.inexact_query}, which is inexact: its choices are enumerated, but what such a"
                    " query says is an estimate, so these weights are too"
                )
        if no_evidence is None and run.generations is not None and not result.enumerated:
            result.log_evidence_error = evidence_error(traces, run.generations)
        return result

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
        """Read what `save` wrote: traces have choices, records, and the rest of their weight as one score. ResultError for a file that is none."""
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



class Posterior(Result):
    """Weighted traces. For each f, sum_i w_i f(t_i) estimates Z * E_posterior[f] without bias (chains: in the limit).

    log_evidence is logsumexp(log_weights) and estimates log Z; where the engine has none, reading it says why.
    """

    kind = "posterior"

    @property
    def log_evidence(self) -> float:
        """The log of the estimate of Z, which is unbiased; ResultError that says why where the engine has none."""
        if self.no_evidence is not None:
            raise ResultError(f"no log_evidence: {self.no_evidence}")
        return log_sum_exp([t.log_weight for t in self._finished])

    @property
    def ess(self) -> float:
        """Effective sample size: how many equally weighted traces these are worth (`ppl.population`)."""
        self._reading("ess")
        return effective_sample_size([t.log_weight for t in self._finished])

    def mean(self, f: Callable[[Any], float] = float) -> float:
        """The posterior expectation of f(value). ResultError if no trace finished, or a value is no number."""
        if not self._finished:
            raise ResultError(f"there is no mean: {self.why_empty()}")
        self._reading("mean")
        try:
            numbers = [float(f(v)) for v in self._values]
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


