"""Best of n: independent runs, ranked by their weight (Stiennon et al. 2020, Cobbe et al. 2021)."""

from __future__ import annotations

from inference.engine import Engine, engine
from ppl.execution import Stop
from ppl.results import SearchResult
from ppl.run import Run


@engine
class best_of(Engine):  # noqa: N801
    """`n` independent runs; `.best` is the one with the largest log weight, `.vote(...)` selects in other ways."""

    n: int

    def search(self, run: Run) -> SearchResult:
        executions = run.start(self.n)
        with run.limits:
            run.advance_all(executions, Stop.END)
        return run.search_result(executions)
