"""The live display of a run: problems, particles, tokens, the best answer so far. Silent when nobody watches.

It reads the stream of events that every engine writes, and the ledgers of the runs under way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ppl.display import one_line
from ppl.events import Event, Record
from ppl.run import Run

REFRESH = 0.1  # seconds between redraws
COLUMNS = ("generated_tokens", "forwarded_tokens", "shared_tokens", "reward_calls", "nodes")


@dataclass
class Population:
    """Where the executions of one run stand, as far as its events say.

    open      node -> how many executions stand there and may go on
    finished, dead   how many ended
    best      the finished one of largest weight: its weight and its value
    """

    open: Counter[int] = field(default_factory=Counter)
    finished: int = 0
    dead: int = 0
    best: tuple[float, str] | None = None

    def follow(self, event: Event) -> None:
        """Take in one event of the run."""
        node = event.node if event.node is not None else -1
        if event.action in ("expand", "finish", "die"):
            if event.parent is not None and self.open[event.parent] > 0:
                self.open[event.parent] -= 1
            self._arrive(event, node)
        elif event.action == "prune":
            self.open.pop(node, None)
        elif event.action == "resample" and self.open[node] > 0:
            self.open[node] = event.count or 1

    def _arrive(self, event: Event, node: int) -> None:
        if event.action == "expand":
            self.open[node] = 1
        elif event.action == "die":
            self.dead += 1
        else:
            self.finished += 1
            weight = event.log_weight if event.log_weight is not None else 0.0
            if self.best is None or weight > self.best[0]:
                self.best = (weight, event.value or "")


class Display:
    """A few lines on stderr while runs are under way; also whoever asks the runs to stop."""

    def __init__(self, problems: int, record: Record, live: bool, title: str = "") -> None:
        self.problems, self.record, self.title, self.interrupted = problems, record, title, False
        self.populations: dict[int, Population] = {}
        self._seen = 0
        self._latest: Population | None = None
        self._live = Live(console=Console(stderr=True), transient=True, auto_refresh=False) if live else None
        self._started = self._drawn = time.perf_counter()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def step(self, runs: Sequence[Run]) -> bool:
        """After every batched step: redraw now and then; False once the user has asked to stop."""
        now = time.perf_counter()
        if self._live is not None and now - self._drawn > REFRESH:
            self._drawn = now
            self._live.update(self.picture(runs, now - self._started), refresh=True)
        return not self.interrupted

    def picture(self, runs: Sequence[Run], seconds: float) -> Any:
        """What is shown `seconds` after the start."""
        self._follow()
        mine = [run for run in runs if run.parent is None]
        done = sum(all(task.dead for task in run.tasks) for run in mine)
        spent = {name: sum(getattr(run.cost, name) for run in mine) for name in COLUMNS}
        everyone = self.populations.values()
        alive = sum(sum(p.open.values()) for p in everyone)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        if self.problems > 1:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(ProgressBar(total=self.problems, completed=done, width=30), f"{done}/{self.problems}")
            table.add_row("problems", bar)
        table.add_row(
            "particles",
            f"[cyan]{alive}[/] alive · [green]{sum(p.finished for p in everyone)}[/] finished · "
            f"[red]{sum(p.dead for p in everyone)}[/] dead · {spent['nodes']} nodes",
        )
        table.add_row("tokens", _tokens(spent, seconds))
        if self._latest is not None and self._latest.best is not None:
            weight, value = self._latest.best
            table.add_row("best so far", Text(f"{one_line(value, 60)}  (log weight {weight:.2f})"))
        head = Text.assemble(
            (self.title, "bold"), f"  {seconds:.0f} s", ("  stopping" if self.interrupted else "", "yellow")
        )
        return Group(head, table)

    def _follow(self) -> None:
        """Take in the events since the last look."""
        fresh, self._seen = self.record.events[self._seen :], len(self.record.events)
        for event in fresh:
            if event.action != "start":
                population = self.populations.setdefault(event.run, Population())
                population.follow(event)
                if event.action == "finish":
                    self._latest = population


def _tokens(spent: dict[str, int], seconds: float) -> str:
    rate = spent["generated_tokens"] / max(seconds, 1e-9)
    met = spent["shared_tokens"] + spent["forwarded_tokens"]
    shared = f" · {spent['shared_tokens'] / met:.0%} of what was read was shared" if met else ""
    return f"{spent['generated_tokens']:,} ({rate:,.0f}/s) · {spent['reward_calls']:,} reward calls{shared}"
