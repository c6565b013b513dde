"""What `make demo` runs, on few puzzles: it ends, its table has every engine, and one search is drawn."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from inference import smc

GAME24 = Path(__file__).parents[2] / "examples" / "game24"


@pytest.mark.slow
def test_the_demo_shows_its_table_and_a_tree():
    command = [sys.executable, str(GAME24 / "compare.py"), "--puzzles", "8", "--seeds", "1", "--engines", "best_of", "smc"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    table, _, tree = done.stdout.partition("One search by solve.scale")
    lines = [line.split() for line in table.splitlines() if "±" in line]
    assert [line[0] for line in lines] == ["best_of", "smc"] and "KV" in table and "reward" in table
    assert [line[-1] for line in lines] == ["same", "same"]  # solve.py and solve.scale
    assert "-> 24" in tree and "pruned" in tree and "└──" in tree and "%" in tree
    assert done.stderr == ""


def test_twins_that_differ_are_told_apart(monkeypatch):
    """Solutions, their order and their weights count; the table then counts the problems on which they agree."""
    monkeypatch.syspath_prepend(str(GAME24))
    from compare import PROGRAMS, same
    from display import final_table
    from rich.console import Console

    runs = [PROGRAMS[name].run("4 5 6 10", engine=smc(8), seed=seed) for name in PROGRAMS for seed in (0, 1)]
    assert same(runs[0], runs[2]) and same(runs[1], runs[3])
    assert not same(runs[0], runs[3])
    console = Console(width=80, record=True, file=io.StringIO())
    columns = {name: [0.0, 1.0] for name in ("returned", "share", "tokens", "reward", "shared")}
    console.print(final_table({"smc": {**columns, "twin": [1.0, 0.0]}}, "title"))
    assert console.export_text().split()[-1] == "1/2"
