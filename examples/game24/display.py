"""What the comparison shows: a table that fills while engines work, the final one, and one search as a tree."""

import math
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.tree_text import drawn
from ppl import Result
from ppl.display import bar, engine_line, one_line
from ppl.run import Run

Readings = Callable[[str, Result], tuple[float, float]]


class Board:
    """The live table: one line an engine, with how far it is, what it got right so far and at what speed.

    `live` is None where nobody watches.
    """

    def __init__(self, engines: Sequence[str], problems: int, readings: Readings, console: Console) -> None:
        self.lines = {name: [0, 0.0, 0, 0.0] for name in engines}  # done, right, tokens, seconds
        self.problems, self.readings, self.latest = problems, readings, Text()
        self._seen: dict[str, float] = {}  # by problem: a run kept here would keep its tokens in the model's tree
        self._base, self._started, self._drawn = [0, 0.0, 0, 0.0], 0.0, 0.0
        self.live = Live(console=console, transient=True, auto_refresh=False) if sys.stdout.isatty() else None

    def begin(self, name: str) -> None:
        """An engine sets to work, on further problems if it has before."""
        self.name, self._seen, self._base = name, {}, list(self.lines[name])
        self._started = time.perf_counter()

    def watch(self, runs: Sequence[Run]) -> None:
        """After every batched step of its runs."""
        for run in runs:
            if run.args[0] not in self._seen and run.tasks and run.tasks[0].dead and run.tasks[0].error is None:
                result = run.tasks[0].result
                self._seen[run.args[0]], _ = self.readings(run.args[0], result)
                self.latest = _solution(run.args[0], result, self._seen[run.args[0]] > 0)
        done, right, tokens, seconds = self._base
        now = time.perf_counter()
        self.lines[self.name] = [
            done + len(self._seen), right + sum(self._seen.values()), tokens + sum(r.cost.generated_tokens for r in runs),
            seconds + now - self._started,
        ]  # fmt: skip
        if self.live is not None and now - self._drawn > 0.1:
            self._drawn = now
            self.live.update(self.picture(), refresh=True)

    def picture(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("engine", "puzzles", "", "right so far", "tokens", "tokens/s"):
            table.add_column(column, justify="left" if column in ("engine", "puzzles", "right so far") else "right")
        for name, (done, right, tokens, seconds) in self.lines.items():
            working = name == self.name and done < self.problems
            share = f"{right / done:.2f} {bar(right / done, 12)}" if done else ""
            table.add_row(
                Text(name, style="bold cyan" if working else "" if done else "dim"),
                ProgressBar(total=self.problems, completed=done, width=24), f"{done}/{self.problems}", Text(share, "green"),
                f"{tokens:,}" if tokens else "", f"{tokens / seconds:,.0f}" if seconds else "",
            )  # fmt: skip
        return Group(table, Text(), self.latest)


def _solution(problem: str, result: Result, right: bool) -> Text:
    said = one_line(result.best.value, 74) if len(result) else "every path died"
    return Text.assemble(
        (f"{problem}  ", "bold"),
        (said, "green" if right else "dim"),
        ("  ✓" if right else "  ✗", "green" if right else "red"),
    )


def interval(shares: Sequence[float]) -> str:
    """Mean and 95 % interval."""
    mean = sum(shares) / len(shares)
    spread = math.sqrt(sum((s - mean) ** 2 for s in shares) / max(len(shares) - 1, 1) / len(shares))
    return f"{mean:.2f} ± {1.96 * spread:.2f}"


def final_table(found: dict[str, dict[str, list[float]]], title: str) -> Table:
    """One line an engine. The bar is the share of problems whose returned solution is right; "same" says that both
    programs gave every problem the same results, a count how many."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in ("\nengine", "returned\nright", "", "share\nright", "\ntokens", "reward\ntokens", "KV\nshared", "\ntwin"):
        table.add_column(column, justify="left" if column in ("\nengine", "") else "right", no_wrap=True)
    best = max(sum(columns["returned"]) for columns in found.values())
    for name, columns in found.items():
        mean = {column: sum(numbers) / len(numbers) for column, numbers in columns.items()}
        style = "bold" if sum(columns["returned"]) == best else ""
        table.add_row(
            name, interval(columns["returned"]), Text(bar(mean["returned"], 10), style="green"),
            interval(columns["share"]), f"{mean['tokens']:.0f}", f"{mean['reward']:.0f}", f"{mean['shared']:.0%}", "same" if mean["twin"] == 1.0 else Text(f"{sum(columns['twin']):.0f}/{len(columns['twin'])}", "red"), style=style,
        )  # fmt: skip
    return table


def show_search(result: Result, problem: str, console: Console) -> None:
    """The tree of one recorded search."""
    console.print(
        drawn(result.tree, f"{result.program} · {engine_line(result.engine)}", problem, height=22), highlight=False
    )
    console.print("h: the reward's estimate · ↻: copies after resampling · bars: share of the posterior", style="dim")
