"""The live display of a run: what is under way, what it cost so far. Silent when nobody watches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ppl.run import Run

REFRESH = 0.1  # seconds between redraws


class Display:
    """One line on stderr while runs are under way: problems done, tokens and their rate, reward calls."""

    def __init__(self, problems: int, live: bool) -> None:
        self.problems, self.interrupted = problems, False
        self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8) if live else None
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
            self._live.update(Text(self.line(runs, now - self._started)))
        return not self.interrupted

    def line(self, runs: Sequence[Run], seconds: float) -> str:
        total: dict[str, Any] = {}
        for run in runs:
            if run.parent is None:
                for name in ("generated_tokens", "forwarded_tokens", "reward_calls", "nodes"):
                    total[name] = total.get(name, 0) + getattr(run.cost, name)
        done = sum(run.parent is None and all(task.dead for task in run.tasks) for run in runs)
        rate = total.get("generated_tokens", 0) / max(seconds, 1e-9)
        return (
            f"{done}/{self.problems} problems · {total.get('nodes', 0)} nodes · {total.get('generated_tokens', 0)} tokens"
            f" ({rate:.0f}/s) · {total.get('reward_calls', 0)} reward calls{' · stopping' if self.interrupted else ''}"
        )
