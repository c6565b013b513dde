"""`infer p with E then best_of(n=k)`: one engine's result, and the k best of its traces as a ranked
result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ppl.errors import OptionError
from ppl.registry import check_options, engine_class
from ppl.results import Result, SearchResult
from ppl.run import Run


def chain(engines: Sequence[tuple[str, Mapping[str, Any]]]) -> Any:
    """The engine of an `infer` line."""
    (name, options), *rest = engines
    check_options(name, options)
    engine = engine_class(name)(**options)
    for name, options in rest:
        if name != "best_of":
            raise OptionError(f"`then {name}(...)`: only `then best_of(n=...)` can follow an engine.")
        engine = Then(engine, int(options["n"]))
    return engine


class Then:
    """Runs an engine and keeps the n traces with the largest log_total, best first."""

    def __init__(self, first: Any, n: int) -> None:
        self.first, self.n = first, n
        self.uses_heuristic = getattr(first, "uses_heuristic", False)

    def search(self, run: Run) -> Result:
        found = self.first.search(run)
        finished = [t for t in found.traces if t.status == "finished"]
        best = sorted(finished, key=lambda t: -t.log_total)[: self.n]
        for trace in best:
            trace.log_weight = trace.log_total
        return SearchResult.of_run(run, best)

    def __repr__(self) -> str:
        return f"{self.first!r} then best_of(n={self.n})"
